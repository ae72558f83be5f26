//! CreatePartitions (37), versions 0-3: more partitions for topics. KIP-195, KIP-599 (throttling).

use tautline_replica::Refusal;
use tautline_replica::controller::NewPartitions;

use super::configured::nodes_of;
use crate::broker::Broker;
use crate::connection::{Call, Reply};
use crate::wire::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic, CreatePartitionsTopicResult,
    WireError,
};

/// Adds the partitions, or says whether they could be.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: CreatePartitionsRequest<'_> = call.decode()?;
    let wanted = request
        .topics
        .iter()
        .map(|topic| new_partitions(&call.broker, topic))
        .collect();
    let results = match call.broker.create_partitions(wanted, request.validate_only).await {
        Ok(results) => results,
        Err(refusal) => request.topics.iter().map(|_| Err(refusal.clone())).collect(),
    };
    let results = request
        .topics
        .iter()
        .zip(results)
        .map(|(topic, result)| answer(topic, result));
    Ok(call.reply(&CreatePartitionsResponse {
        throttle_time_ms: 0,
        results: results.collect(),
    }))
}

fn new_partitions(broker: &Broker, topic: &CreatePartitionsTopic<'_>) -> NewPartitions {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        assignments
            .iter()
            .map(|partition| nodes_of(broker, &partition.broker_ids))
            .collect()
    });
    NewPartitions {
        name: topic.name.to_string(),
        partition_count: topic.count,
        assignments,
    }
}

fn answer<'a>(
    topic: &CreatePartitionsTopic<'a>,
    result: Result<u32, Refusal>,
) -> CreatePartitionsTopicResult<'a> {
    let refusal = result.err();
    CreatePartitionsTopicResult {
        name: topic.name.clone(),
        error_code: refusal.as_ref().map_or(0, |refusal| refusal.code.code()),
        error_message: refusal.map(|refusal| refusal.message.into()),
    }
}
