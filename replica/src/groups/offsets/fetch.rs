//! OffsetFetch.

use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::Offsets;
use crate::coordinator::Token;
use crate::groups::group::Group;
use crate::groups::record::OffsetValue;
use crate::groups::request::{OffsetFetch, TopicPartitions};
use crate::groups::response::{FetchedOffset, FetchedOffsets, FetchedTopic, GroupResponse};
use crate::groups::turn::{Groups, Turn};

/// Tells what was committed.
pub(crate) fn fetch(
    groups: &Groups,
    offsets: &Offsets,
    turn: &mut Turn<'_>,
    token: Token,
    request: OffsetFetch,
) {
    let error = match groups.get(request.group_id.as_str()) {
        Some(Group::Consumer(group)) => group
            .validate_offset_fetch(request.member_id.as_deref(), request.member_epoch)
            .err(),
        Some(Group::Classic(_)) | None => None,
    };
    let topics = match (error, &request.topics) {
        (Some(_), _) => Vec::new(),
        (None, Some(topics)) => {
            let nothing: Arc<str> = "".into();
            let each = topics.iter();
            each.map(|topic| offsets.of_partitions(&request, topic, &nothing))
                .collect()
        }
        (None, None) => offsets.of_all(&request),
    };
    turn.reply(
        token,
        GroupResponse::OffsetFetch(FetchedOffsets {
            group_id: request.group_id,
            error: error.unwrap_or(ErrorCode::None),
            topics,
        }),
    );
}

fn unknown(partition: PartitionIndex, error: ErrorCode, nothing: &Arc<str>) -> FetchedOffset {
    FetchedOffset {
        partition,
        offset: Offset(-1),
        leader_epoch: LeaderEpoch::NONE,
        metadata: Arc::clone(nothing),
        error,
    }
}

fn known(partition: PartitionIndex, value: &OffsetValue) -> FetchedOffset {
    FetchedOffset {
        partition,
        offset: value.offset,
        leader_epoch: value.leader_epoch,
        metadata: Arc::clone(&value.metadata),
        error: ErrorCode::None,
    }
}

impl Offsets {
    fn of_partitions(
        &self,
        request: &OffsetFetch,
        topic: &TopicPartitions,
        nothing: &Arc<str>,
    ) -> FetchedTopic {
        let group = &request.group_id;
        let committed = self
            .groups
            .get(group.as_str())
            .and_then(|topics| topics.get(topic.name.as_str()));
        // An offset of a topic of the same name that was deleted is not this topic's.
        let is_of_topic = |value: &&OffsetValue| {
            topic.id == TopicId::ZERO || value.topic_id == TopicId::ZERO || value.topic_id == topic.id
        };
        let partitions = topic
            .partitions
            .iter()
            .map(|&partition| {
                if request.require_stable && self.is_pending(group, &topic.name, partition) {
                    return unknown(partition, ErrorCode::UnstableOffsetCommit, nothing);
                }
                committed
                    .and_then(|partitions| partitions.get(&partition))
                    .map(|committed| &committed.value)
                    .filter(is_of_topic)
                    .map_or_else(
                        || unknown(partition, ErrorCode::None, nothing),
                        |value| known(partition, value),
                    )
            })
            .collect();
        FetchedTopic {
            name: topic.name.as_str().into(),
            id: topic.id,
            partitions,
        }
    }

    fn of_all(&self, request: &OffsetFetch) -> Vec<FetchedTopic> {
        let group = &request.group_id;
        let nothing: Arc<str> = "".into();
        let topics = self.groups.get(group.as_str()).into_iter().flatten();
        topics
            .map(|(name, partitions)| FetchedTopic {
                name: Arc::clone(name),
                id: partitions
                    .values()
                    .next_back()
                    .map_or(TopicId::ZERO, |last| last.value.topic_id),
                partitions: partitions
                    .iter()
                    .map(|(&partition, committed)| {
                        if request.require_stable && self.is_pending(group, name, partition) {
                            unknown(partition, ErrorCode::UnstableOffsetCommit, &nothing)
                        } else {
                            known(partition, &committed.value)
                        }
                    })
                    .collect(),
            })
            .collect()
    }
}
