//! OffsetForLeaderEpoch (23), versions 2-4: where a leader epoch ends. KIP-101, KIP-279, KIP-320 (fencing).

use std::rc::Rc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, PartitionIndex, TopicId};
use tautline_store::EpochEnd;

use super::owners::{Asked, on_owners};
use crate::broker::Partition;
use crate::connection::{Call, Reply};
use crate::wire::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderPartitionResult, OffsetForLeaderTopic, OffsetForLeaderTopicResult, WireError,
};

/// Looks each epoch up on its partition's owner.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: OffsetForLeaderEpochRequest<'_> = call.decode()?;
    let asked = request.topics.iter().map(|topic| Asked {
        topic: call.broker.find_topic(&topic.topic, TopicId::ZERO),
        partitions: topic
            .partitions
            .iter()
            .map(|asked| (PartitionIndex(asked.partition), asked.clone()))
            .collect(),
    });
    let answers = on_owners(&call.broker, asked.collect(), look_up).await;
    let topics = request
        .topics
        .iter()
        .zip(answers)
        .map(|(topic, answers)| answer(topic, answers));
    Ok(call.reply(&OffsetForLeaderEpochResponse {
        throttle_time_ms: 0,
        topics: topics.collect(),
    }))
}

async fn look_up(
    partition: Rc<Partition>,
    asked: OffsetForLeaderPartition,
) -> Result<Option<EpochEnd>, ErrorCode> {
    partition.check_epoch(asked.current_leader_epoch)?;
    Ok(end_of(&partition, LeaderEpoch(asked.leader_epoch)))
}

/// Where an epoch ends; `None` if it is yet to come. The log knows the epochs of its batches; the epoch in which the partition
/// is led now began, in an empty log or behind batches of earlier ones, at the log's end.
fn end_of(partition: &Partition, epoch: LeaderEpoch) -> Option<EpochEnd> {
    let log = &partition.log;
    match log.end_offset_for(epoch) {
        Some(end) => Some(end),
        None if epoch.0 < 0 || epoch > partition.epoch() => None,
        None if epoch == partition.epoch() => Some(EpochEnd {
            epoch,
            end_offset: log.end_offset(),
        }),
        None => Some(EpochEnd {
            epoch: log.latest_epoch().unwrap_or(epoch),
            end_offset: log.end_offset(),
        }),
    }
}

fn answer<'a>(
    topic: &OffsetForLeaderTopic<'a>,
    answers: Vec<Result<Option<EpochEnd>, ErrorCode>>,
) -> OffsetForLeaderTopicResult<'a> {
    let partitions = topic.partitions.iter().zip(answers).map(|(asked, answer)| {
        let end = answer.ok().flatten();
        OffsetForLeaderPartitionResult {
            error_code: answer.err().unwrap_or(ErrorCode::None).code(),
            partition: asked.partition,
            leader_epoch: end.map_or(-1, |end| end.epoch.0),
            end_offset: end.map_or(-1, |end| end.end_offset.0),
        }
    });
    OffsetForLeaderTopicResult {
        topic: topic.topic.clone(),
        partitions: partitions.collect(),
    }
}
