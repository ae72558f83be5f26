//! OffsetDelete (47), version 0: forgets committed offsets of topics that the group does not read. KIP-496.

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::{OffsetDelete, TopicPartitions};
use tautline_replica::groups::response::DeletedOffsets;

use super::grouped::{ask, told};
use crate::connection::{Call, Reply};
use crate::wire::{
    OffsetDeleteRequest, OffsetDeleteRequestTopic, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic, WireError,
};

/// Forgets the offsets of partitions that exist.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: OffsetDeleteRequest<'_> = call.decode()?;
    let topics = request.topics.iter().map(|topic| known(&call, topic));
    let topics: Vec<TopicPartitions> = topics.filter(|topic| !topic.partitions.is_empty()).collect();
    let refused = |error| DeletedOffsets {
        error,
        topics: Vec::new(),
    };
    let deleted = if request.group_id.is_empty() {
        refused(ErrorCode::InvalidGroupId)
    } else {
        let asked = OffsetDelete {
            group_id: request.group_id.to_string(),
            topics,
        };
        match ask(&call, &request.group_id, GroupRequest::OffsetDelete(asked)).await {
            Ok(answer) => told!(OffsetDelete, answer),
            Err(error) => refused(error),
        }
    };
    let mut told = deleted
        .topics
        .iter()
        .flat_map(|(_, partitions)| partitions.iter().map(|(_, error)| *error));
    let topics = request.topics.iter().filter(|_| deleted.error == ErrorCode::None);
    let topics = topics.map(|topic| answer(&call, topic, &mut told)).collect();
    Ok(call.reply(&OffsetDeleteResponse {
        error_code: deleted.error.code(),
        topics,
        ..Default::default()
    }))
}

fn exists(call: &Call, topic: &str, index: i32) -> bool {
    let found = call.broker.find_topic(topic, TopicId::ZERO);
    found.is_some_and(|found| found.has_partition(PartitionIndex(index)))
}

/// What the coordinator is asked of a topic.
fn known(call: &Call, topic: &OffsetDeleteRequestTopic<'_>) -> TopicPartitions {
    let indexes = topic.partitions.iter().map(|it| it.partition_index);
    let indexes = indexes.filter(|&index| exists(call, &topic.name, index));
    TopicPartitions {
        name: topic.name.to_string(),
        id: TopicId::ZERO,
        partitions: indexes.map(PartitionIndex).collect(),
    }
}

/// What became of a topic; `told` is what the coordinator says of the partitions that exist, in the request's order.
fn answer<'a>(
    call: &Call,
    topic: &OffsetDeleteRequestTopic<'a>,
    told: &mut impl Iterator<Item = ErrorCode>,
) -> OffsetDeleteResponseTopic<'a> {
    let partitions = topic.partitions.iter().map(|it| {
        let error = if exists(call, &topic.name, it.partition_index) {
            told.next().unwrap_or(ErrorCode::UnknownServerError)
        } else {
            ErrorCode::UnknownTopicOrPartition
        };
        OffsetDeleteResponsePartition {
            partition_index: it.partition_index,
            error_code: error.code(),
        }
    });
    OffsetDeleteResponseTopic {
        name: topic.name.clone(),
        partitions: partitions.collect(),
    }
}
