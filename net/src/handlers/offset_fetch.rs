//! OffsetFetch (9), versions 1-10: where groups have to go on. KIP-88 (all topics), KIP-320 (leader epochs), KIP-447 (stable
//! offsets), KIP-709 (many groups), KIP-848 (consumer groups, topic ids).
//!
//! A group or a partition that is asked for again is answered once, so that no answer is larger than what there is to tell.

use std::borrow::Cow;
use std::collections::HashSet;

use futures_util::stream::{self, StreamExt};
use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::{OffsetFetch, TopicPartitions};
use tautline_replica::groups::response::{FetchedOffset, FetchedOffsets, FetchedTopic};

use super::grouped::{COORDINATORS_AT_A_TIME, ask, told};
use crate::connection::{Call, Reply};
use crate::wire::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic, WireError,
};

/// First version with an error of the whole group; before it each partition has it.
const GROUP_ERROR_VERSION: i16 = 2;
/// First version with many groups.
const GROUPS_VERSION: i16 = 8;
/// First version with topic ids.
const TOPIC_IDS_VERSION: i16 = 10;

/// Tells the offsets.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: OffsetFetchRequest<'_> = call.decode()?;
    let stable = request.require_stable;
    if call.version < GROUPS_VERSION {
        let group = OffsetFetchRequestGroup {
            group_id: request.group_id,
            topics: request.topics,
            ..Default::default()
        };
        return Ok(answer_one(&call, &fetch(&call, &group, stable).await, &group));
    }
    let mut seen = HashSet::new();
    let groups = request.groups.iter();
    let groups = groups.filter(|group| seen.insert(&*group.group_id));
    let found: Vec<FetchedOffsets> = stream::iter(groups.map(|group| fetch(&call, group, stable)))
        .buffered(COORDINATORS_AT_A_TIME)
        .collect()
        .await;
    let groups = found.iter().map(|found| OffsetFetchResponseGroup {
        group_id: found.group_id.as_str().into(),
        topics: found.topics.iter().filter_map(|it| topic(&call, it)).collect(),
        error_code: found.error.code(),
    });
    Ok(call.reply(&OffsetFetchResponse {
        groups: groups.collect(),
        ..Default::default()
    }))
}

async fn fetch(call: &Call, group: &OffsetFetchRequestGroup<'_>, require_stable: bool) -> FetchedOffsets {
    let (topics, unknown) = match &group.topics {
        Some(topics) => {
            let (known, unknown) = sort(call, topics);
            (Some(known), unknown)
        }
        None => (None, Vec::new()),
    };
    let asked = OffsetFetch {
        group_id: group.group_id.to_string(),
        member_id: group.member_id.clone().map(Cow::into_owned),
        member_epoch: group.member_epoch,
        topics,
        require_stable,
    };
    let mut found = match ask(call, &group.group_id, GroupRequest::OffsetFetch(asked)).await {
        Ok(answer) => told!(OffsetFetch, answer),
        Err(error) => FetchedOffsets {
            group_id: group.group_id.to_string(),
            error,
            topics: Vec::new(),
        },
    };
    if found.error == ErrorCode::None {
        found.topics.extend(unknown);
    }
    found
}

/// The topics that are asked for by name, or by an id that there is; and answers for the others.
fn sort(call: &Call, topics: &[OffsetFetchRequestTopic<'_>]) -> (Vec<TopicPartitions>, Vec<FetchedTopic>) {
    let (mut known, mut unknown) = (Vec::with_capacity(topics.len()), Vec::new());
    let mut seen = HashSet::new();
    for topic in topics {
        let partitions = topic.partition_indexes.iter().copied();
        let partitions = partitions.filter(|index| seen.insert((topic.topic_id, &*topic.name, *index)));
        let partitions: Vec<_> = partitions.map(PartitionIndex).collect();
        let id = TopicId(topic.topic_id);
        if call.version < TOPIC_IDS_VERSION {
            known.push(TopicPartitions {
                name: topic.name.to_string(),
                id,
                partitions,
            });
        } else if let Some(found) = call.broker.image().topic_by_id(id) {
            known.push(TopicPartitions {
                name: found.name.to_string(),
                id,
                partitions,
            });
        } else {
            unknown.push(none_of("", id, &partitions, ErrorCode::UnknownTopicId));
        }
    }
    (known, unknown)
}

/// No offset of any of the partitions.
fn none_of(name: &str, id: TopicId, partitions: &[PartitionIndex], error: ErrorCode) -> FetchedTopic {
    let partitions = partitions.iter().map(|&partition| FetchedOffset {
        partition,
        offset: Offset(-1),
        leader_epoch: LeaderEpoch::NONE,
        metadata: "".into(),
        error,
    });
    FetchedTopic {
        name: name.into(),
        id,
        partitions: partitions.collect(),
    }
}

/// The answer of versions with one group.
fn answer_one(call: &Call, found: &FetchedOffsets, asked: &OffsetFetchRequestGroup<'_>) -> Reply {
    let mut refused = Vec::new();
    if found.error != ErrorCode::None && call.version < GROUP_ERROR_VERSION {
        for topic in asked.topics.iter().flatten() {
            let partitions: Vec<_> = topic
                .partition_indexes
                .iter()
                .copied()
                .map(PartitionIndex)
                .collect();
            refused.push(none_of(&topic.name, TopicId::ZERO, &partitions, found.error));
        }
    }
    let topics = found.topics.iter().chain(&refused);
    call.reply(&OffsetFetchResponse {
        topics: topics.filter_map(|it| topic(call, it)).collect(),
        error_code: found.error.code(),
        ..Default::default()
    })
}

/// A topic that can be told: where topics are told by id, one that has an id, or is still there under its name.
fn topic<'a>(call: &Call, found: &'a FetchedTopic) -> Option<OffsetFetchResponseTopic<'a>> {
    let mut id = found.id;
    if call.version >= TOPIC_IDS_VERSION && id == TopicId::ZERO {
        id = call.broker.image().topic(&found.name)?.id;
    }
    let partitions = found.partitions.iter().map(|it| OffsetFetchResponsePartition {
        partition_index: it.partition.0,
        committed_offset: it.offset.0,
        committed_leader_epoch: it.leader_epoch.0,
        metadata: Some((&*it.metadata).into()),
        error_code: it.error.code(),
    });
    Some(OffsetFetchResponseTopic {
        name: (&*found.name).into(),
        topic_id: id.0,
        partitions: partitions.collect(),
    })
}
