//! CreateTopics (19), versions 2-7. KIP-4, KIP-464 (defaults), KIP-516 (ids), KIP-525 (configuration in the answer).

use tautline_core::ids::PartitionIndex;
use tautline_replica::Refusal;
use tautline_replica::controller::{CreatedTopic, ManualAssignment, NewTopic};
use tautline_replica::metadata::Configs;

use super::configured::nodes_of;
use crate::broker::Broker;
use crate::connection::{Call, Reply};
use crate::wire::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
    WireError,
};

/// First version whose answer has the topic's configuration.
const CONFIGS_VERSION: i16 = 5;

/// Creates the topics, or says what would become of them.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: CreateTopicsRequest<'_> = call.decode()?;
    let wanted: Vec<NewTopic> = request
        .topics
        .iter()
        .map(|topic| new_topic(&call.broker, topic))
        .collect();
    let results = match call.broker.create_topics(wanted, request.validate_only).await {
        Ok(results) => results,
        Err(refusal) => request.topics.iter().map(|_| Err(refusal.clone())).collect(),
    };
    let topics = request
        .topics
        .iter()
        .zip(results)
        .map(|(topic, result)| answer(&call, topic, result));
    Ok(call.reply(&CreateTopicsResponse {
        throttle_time_ms: 0,
        topics: topics.collect(),
    }))
}

fn new_topic(broker: &Broker, topic: &CreatableTopic<'_>) -> NewTopic {
    let assignments = topic.assignments.iter().map(|assignment| ManualAssignment {
        partition: PartitionIndex(assignment.partition_index),
        replicas: nodes_of(broker, &assignment.broker_ids),
    });
    let configs = topic
        .configs
        .iter()
        .map(|c| (c.name.to_string(), c.value.as_ref().map(|v| v.to_string())));
    NewTopic {
        name: topic.name.to_string(),
        partition_count: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments.collect(),
        configs: configs.collect(),
    }
}

fn answer<'a>(
    call: &Call,
    topic: &CreatableTopic<'a>,
    result: Result<CreatedTopic, Refusal>,
) -> CreatableTopicResult<'a> {
    match result {
        Ok(created) => CreatableTopicResult {
            name: topic.name.clone(),
            topic_id: created.id.0,
            num_partitions: created.partition_count as i32,
            replication_factor: created.replication_factor,
            configs: Some(configs_of(call, &created.configs)),
            ..Default::default()
        },
        Err(refusal) => CreatableTopicResult {
            name: topic.name.clone(),
            error_code: refusal.code.code(),
            error_message: Some(refusal.message.into()),
            configs: None,
            ..Default::default()
        },
    }
}

/// The whole configuration of a topic for which `set` was set.
fn configs_of(call: &Call, set: &Configs) -> Vec<CreatableTopicConfigs<'static>> {
    if call.version < CONFIGS_VERSION {
        return Vec::new();
    }
    let described = call
        .broker
        .node
        .config
        .describe_topic(&call.broker.image(), set, |_| true);
    let told = described.into_iter().map(|it| CreatableTopicConfigs {
        name: it.name.into(),
        value: it.value.filter(|_| !it.sensitive).map(Into::into),
        read_only: it.read_only,
        config_source: it.source as i8,
        is_sensitive: it.sensitive,
    });
    told.collect()
}
