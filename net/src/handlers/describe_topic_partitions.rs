//! DescribeTopicPartitions (75), version 0: topics in name order with their partitions, a page at a time. KIP-966.

use std::collections::BTreeSet;
use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::PartitionIndex;
use tautline_replica::metadata::{MetadataImage, TopicImage, is_internal};
use tautline_replica::names;

use super::authorized_operations::TOPIC_OPERATIONS;
use crate::broker::Broker;
use crate::connection::{Call, Reply};
use crate::wire::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic, PartitionCursor,
    WireError,
};

/// Partitions of a page, whatever the client asks for (Kafka's default of `max.request.partition.size.limit`).
const PAGE_PARTITIONS_MAX: i32 = 2000;

/// Describes a page.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DescribeTopicPartitionsRequest<'_> = call.decode()?;
    let image = call.broker.image();
    let response = if is_legal(&request) {
        page(&call.broker, &image, &request)
    } else {
        refusal(&request)
    };
    Ok(call.reply(&response))
}

/// The cursor's topic must be one of those asked for, and its partition an index.
fn is_legal(request: &DescribeTopicPartitionsRequest<'_>) -> bool {
    let Some(cursor) = &request.cursor else {
        return true;
    };
    let names_topic =
        request.topics.is_empty() || request.topics.iter().any(|topic| topic.name == cursor.topic_name);
    names_topic && cursor.partition_index >= 0
}

/// The message has no error of its own: each topic asked for gets it.
fn refusal<'a>(request: &DescribeTopicPartitionsRequest<'a>) -> DescribeTopicPartitionsResponse<'a> {
    let topics = request
        .topics
        .iter()
        .map(|topic| DescribeTopicPartitionsResponseTopic {
            error_code: ErrorCode::InvalidRequest.code(),
            name: Some(topic.name.clone()),
            ..Default::default()
        });
    DescribeTopicPartitionsResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

fn page(
    broker: &Broker,
    image: &MetadataImage,
    request: &DescribeTopicPartitionsRequest<'_>,
) -> DescribeTopicPartitionsResponse<'static> {
    let (first, first_index) = match &request.cursor {
        Some(cursor) => (&cursor.topic_name[..], cursor.partition_index as u32),
        None => ("", 0),
    };
    let all = request.topics.is_empty();
    let asked: BTreeSet<&str> = request
        .topics
        .iter()
        .map(|topic| &topic.name[..])
        .filter(|&name| name >= first)
        .collect();
    let found = image
        .topics_from(first)
        .filter(|_| all)
        .map(|topic| (&topic.name[..], Some(topic)));
    let names = found.chain(asked.into_iter().map(|name| (name, image.topic(name))));
    let mut response = DescribeTopicPartitionsResponse::default();
    let mut room = request.response_partition_limit.clamp(1, PAGE_PARTITIONS_MAX) as u32;
    for (name, topic) in names {
        if room == 0 {
            response.next_cursor = Some(cursor(name, 0));
            break;
        }
        let Some(topic) = topic else {
            response.topics.push(unknown(name));
            continue;
        };
        let from = if name == first {
            first_index.min(topic.partition_count)
        } else {
            0
        };
        let to = topic.partition_count.min(from.saturating_add(room));
        response.topics.push(describe(broker, image, topic, from..to));
        room -= to - from;
        if to < topic.partition_count {
            response.next_cursor = Some(cursor(name, to));
            break;
        }
    }
    response
}

fn cursor(name: &str, index: u32) -> PartitionCursor<'static> {
    PartitionCursor {
        topic_name: name.to_owned().into(),
        partition_index: index as i32,
    }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic<'static> {
    let error = match names::validate(name) {
        Ok(()) => ErrorCode::UnknownTopicOrPartition,
        Err(refusal) => refusal.code,
    };
    DescribeTopicPartitionsResponseTopic {
        error_code: error.code(),
        name: Some(name.to_owned().into()),
        ..Default::default()
    }
}

fn describe(
    broker: &Broker,
    image: &MetadataImage,
    topic: &Arc<TopicImage>,
    indexes: std::ops::Range<u32>,
) -> DescribeTopicPartitionsResponseTopic<'static> {
    let leader_epoch = image
        .broker(broker.node_id())
        .map_or(0, |broker| broker.incarnation);
    let partitions = indexes.map(|index| {
        let index = PartitionIndex(index as i32);
        let led = broker.leadership(topic.id, index);
        DescribeTopicPartitionsResponsePartition {
            error_code: led.error.code(),
            partition_index: index.0,
            leader_id: led.leader,
            leader_epoch,
            replica_nodes: vec![led.replica],
            isr_nodes: vec![led.replica],
            eligible_leader_replicas: Some(Vec::new()),
            last_known_elr: Some(Vec::new()),
            offline_replicas: led.offline_replicas,
        }
    });
    DescribeTopicPartitionsResponseTopic {
        error_code: 0,
        name: Some(topic.name.to_string().into()),
        topic_id: topic.id.0,
        is_internal: is_internal(&topic.name),
        partitions: partitions.collect(),
        topic_authorized_operations: TOPIC_OPERATIONS,
    }
}
