//! DescribeProducers (61), version 0: the producers that partitions remember. KIP-664.

use std::rc::Rc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_replica::{Refusal, names};

use super::owners::{Asked, on_owners};
use crate::broker::Partition;
use crate::connection::{Call, Reply};
use crate::wire::{
    ActiveProducer, DescribeProducersPartitionResult, DescribeProducersRequest, DescribeProducersResponse,
    DescribeProducersTopic, DescribeProducersTopicResult, WireError,
};

/// Asks each partition's owner.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DescribeProducersRequest<'_> = call.decode()?;
    let asked = request.topics.iter().map(|topic| Asked {
        topic: call.broker.find_topic(&topic.name, TopicId::ZERO),
        partitions: topic
            .partition_indexes
            .iter()
            .map(|&index| (PartitionIndex(index), ()))
            .collect(),
    });
    let answers = on_owners(&call.broker, asked.collect(), |partition, ()| list(partition)).await;
    let topics = request
        .topics
        .iter()
        .zip(answers)
        .map(|(topic, answers)| answer(topic, answers));
    Ok(call.reply(&DescribeProducersResponse {
        throttle_time_ms: 0,
        topics: topics.collect(),
    }))
}

async fn list(partition: Rc<Partition>) -> Result<Vec<ActiveProducer>, ErrorCode> {
    let producers = partition
        .log
        .producers()
        .into_iter()
        .map(|producer| ActiveProducer {
            producer_id: producer.id.0,
            producer_epoch: producer.epoch.0.into(),
            last_sequence: producer.last_sequence,
            last_timestamp: producer.last_timestamp_ms,
            coordinator_epoch: producer.coordinator_epoch,
            current_txn_start_offset: producer.transaction_start.map_or(-1, |offset| offset.0),
        });
    Ok(producers.collect())
}

fn answer<'a>(
    topic: &DescribeProducersTopic<'a>,
    answers: Vec<Result<Vec<ActiveProducer>, ErrorCode>>,
) -> DescribeProducersTopicResult<'a> {
    let illegal = names::validate(&topic.name).err();
    let partitions = topic
        .partition_indexes
        .iter()
        .zip(answers)
        .map(|(&partition_index, answer)| {
            let (active_producers, refusal) = match (answer, &illegal) {
                (Ok(producers), _) => (producers, None),
                (Err(_), Some(illegal)) => (Vec::new(), Some(illegal.clone())),
                (Err(code), None) => (Vec::new(), Some(Refusal::new(code, code.message()))),
            };
            DescribeProducersPartitionResult {
                partition_index,
                error_code: refusal.as_ref().map_or(0, |refusal| refusal.code.code()),
                error_message: refusal.map(|refusal| refusal.message.into()),
                active_producers,
            }
        });
    DescribeProducersTopicResult {
        name: topic.name.clone(),
        partitions: partitions.collect(),
    }
}
