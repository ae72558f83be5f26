//! Metadata (3), versions 0-13: brokers, topics, leaders; creates topics that are asked for. KIP-4, KIP-516, KIP-1102.

use std::collections::HashSet;
use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::TopicId;
use tautline_replica::controller::NewTopic;
use tautline_replica::metadata::{MetadataImage, TopicImage, is_internal};

use super::authorized_operations::{CLUSTER_OPERATIONS, OPERATIONS_NOT_ASKED, TOPIC_OPERATIONS};
use crate::broker::CONTROLLER_SHARD;
use crate::connection::{Call, Reply};
use crate::wire::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic, WireError,
};

/// Describes the brokers and the topics asked for.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: MetadataRequest<'_> = call.decode()?;
    let all = request.wants_all_topics(call.version);
    let asked = request.topics.as_deref().unwrap_or_default();
    let may_create = call.version < 4 || request.allow_auto_topic_creation;
    if !all && may_create && call.broker.settings().auto_create_topics {
        create_missing(&call, asked).await;
    }
    let image = call.broker.image();
    let operations = if request.include_topic_authorized_operations {
        TOPIC_OPERATIONS
    } else {
        OPERATIONS_NOT_ASKED
    };
    // A topic asked for twice is described once, so that no answer is larger than all there is to tell.
    let mut told = HashSet::new();
    let topics = if all {
        image
            .topics()
            .map(|topic| describe(&call, &image, topic, operations))
            .collect()
    } else {
        asked
            .iter()
            .filter(|topic| told.insert((topic.topic_id, topic.name.as_deref())))
            .map(|topic| describe_asked(&call, &image, topic, operations))
            .collect()
    };
    let node = &call.broker.node;
    let brokers = node.advertised.iter().map(|broker| MetadataResponseBroker {
        node_id: broker.id.0,
        host: broker.address.host.as_str().into(),
        port: broker.address.port.into(),
        rack: None,
    });
    Ok(call.reply(&MetadataResponse {
        throttle_time_ms: 0,
        brokers: brokers.collect(),
        cluster_id: Some(node.cluster_id.as_str().into()),
        controller_id: node.broker_of(CONTROLLER_SHARD).id.0,
        topics,
        cluster_authorized_operations: if request.include_cluster_authorized_operations {
            CLUSTER_OPERATIONS
        } else {
            OPERATIONS_NOT_ASKED
        },
        error_code: 0,
    }))
}

/// Creates topics with defaults; those that can't be are then described with their error.
async fn create_missing(call: &Call, asked: &[MetadataRequestTopic<'_>]) {
    let image = call.broker.image();
    let missing: Vec<NewTopic> = asked
        .iter()
        .filter(|topic| topic.topic_id.is_nil())
        .filter_map(|topic| topic.name.as_deref())
        .filter(|name| image.topic(name).is_none())
        .map(NewTopic::with_defaults)
        .collect();
    if !missing.is_empty()
        && let Err(refusal) = call.broker.create_topics(missing, false).await
    {
        tracing::warn!("topics not created automatically: {refusal}");
    }
}

fn describe_asked<'a>(
    call: &Call,
    image: &MetadataImage,
    asked: &'a MetadataRequestTopic<'a>,
    operations: i32,
) -> MetadataResponseTopic<'a> {
    let by_id = !asked.topic_id.is_nil();
    let found = match &asked.name {
        _ if by_id => image.topic_by_id(TopicId(asked.topic_id)),
        Some(name) => image.topic(name),
        None => None,
    };
    if let Some(topic) = found {
        return describe(call, image, topic, operations);
    }
    let error = match &asked.name {
        _ if by_id => ErrorCode::UnknownTopicId,
        Some(name) if tautline_replica::names::validate(name).is_ok() => ErrorCode::UnknownTopicOrPartition,
        _ => ErrorCode::InvalidTopicException,
    };
    MetadataResponseTopic {
        error_code: error.code(),
        name: asked.name.clone().filter(|_| !by_id),
        topic_id: asked.topic_id,
        topic_authorized_operations: OPERATIONS_NOT_ASKED,
        ..Default::default()
    }
}

fn describe(
    call: &Call,
    image: &MetadataImage,
    topic: &Arc<TopicImage>,
    operations: i32,
) -> MetadataResponseTopic<'static> {
    let leader_epoch = image
        .broker(call.broker.node_id())
        .map_or(0, |broker| broker.incarnation);
    let partitions = topic.partitions().map(|index| {
        let led = call.broker.leadership(topic.id, index);
        MetadataResponsePartition {
            error_code: led.error.code(),
            partition_index: index.0,
            leader_id: led.leader,
            leader_epoch,
            replica_nodes: vec![led.replica],
            isr_nodes: vec![led.replica],
            offline_replicas: led.offline_replicas,
        }
    });
    MetadataResponseTopic {
        error_code: 0,
        name: Some(topic.name.to_string().into()),
        topic_id: topic.id.0,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        topic_authorized_operations: operations,
    }
}
