//! OffsetDelete (KIP-496), and the offsets of groups and topics that go.

use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::PartitionIndex;

use super::Offsets;
use crate::coordinator::{CoordinatorRecord, Token};
use crate::groups::group::Group;
use crate::groups::limits::{TOMBSTONE_BYTES_PER_BATCH_MAX, TOMBSTONES_PER_BATCH_MAX};
use crate::groups::record::offset_tombstone;
use crate::groups::request::OffsetDelete;
use crate::groups::response::{DeletedOffsets, GroupResponse};
use crate::groups::turn::{Groups, Turn};

/// Forgets offsets of topics that the group does not subscribe to.
pub(crate) fn delete(
    groups: &Groups,
    offsets: &mut Offsets,
    turn: &mut Turn<'_>,
    token: Token,
    request: &OffsetDelete,
) {
    let refusal = groups
        .get(request.group_id.as_str())
        .map_or(Some(ErrorCode::GroupIdNotFound), |group| {
            group.refuses_offset_delete()
        });
    if let Some(error) = refusal {
        let topics = Vec::new();
        return turn.reply(
            token,
            GroupResponse::OffsetDelete(DeletedOffsets { error, topics }),
        );
    }
    let group = &groups[request.group_id.as_str()];
    let mut records = Vec::new();
    let topics = request
        .topics
        .iter()
        .map(|topic| {
            let error = if group.is_subscribed(&topic.name) {
                ErrorCode::GroupSubscribedToTopic
            } else {
                for partition in &topic.partitions {
                    if offsets.holds(&request.group_id, &topic.name, *partition) {
                        offsets.forget(&request.group_id, &topic.name, *partition);
                        records.push(offset_tombstone(&request.group_id, &topic.name, *partition));
                    }
                }
                ErrorCode::None
            };
            let partitions = topic
                .partitions
                .iter()
                .map(|partition| (*partition, error))
                .collect();
            (topic.name.clone(), partitions)
        })
        .collect();
    append_tombstones(turn, records);
    let error = ErrorCode::None;
    turn.reply(
        token,
        GroupResponse::OffsetDelete(DeletedOffsets { error, topics }),
    );
}

/// Forgets all offsets of a group; the records that do so.
pub(crate) fn tombstones_of_group(offsets: &mut Offsets, group: &str) -> Vec<CoordinatorRecord> {
    let places = offsets.of_group(group);
    let mut records = Vec::with_capacity(places.len());
    for (topic, partition) in places {
        offsets.forget(group, &topic, partition);
        records.push(offset_tombstone(group, &topic, partition));
    }
    records
}

/// Appends tombstones that need not be written together, in batches of bounded size.
pub(crate) fn append_tombstones(turn: &mut Turn<'_>, records: impl IntoIterator<Item = CoordinatorRecord>) {
    let mut batch = Vec::new();
    let mut bytes = 0;
    for record in records {
        bytes += record.key.len();
        batch.push(record);
        if batch.len() >= TOMBSTONES_PER_BATCH_MAX || bytes >= TOMBSTONE_BYTES_PER_BATCH_MAX {
            turn.append(std::mem::take(&mut batch));
            bytes = 0;
        }
    }
    turn.append(batch);
}

impl Offsets {
    /// Whether there is an offset, committed or pending.
    pub fn holds(&self, group: &str, topic: &str, partition: PartitionIndex) -> bool {
        self.get(group, topic, partition).is_some() || self.is_pending(group, topic, partition)
    }

    /// All places of a group, committed and pending, each once.
    fn of_group(&self, group: &str) -> Vec<(Arc<str>, PartitionIndex)> {
        let committed = self.groups.get(group).into_iter().flatten();
        let committed = committed.flat_map(|(topic, partitions)| {
            partitions
                .keys()
                .map(move |partition| (Arc::clone(topic), *partition))
        });
        let pending = self
            .pending
            .of_group(group)
            .filter(|(topic, partition)| self.get(group, topic, *partition).is_none())
            .map(|(topic, partition)| (Arc::clone(topic), partition));
        committed.chain(pending).collect()
    }
}

impl Group {
    /// Why offsets of this group can't be forgotten.
    fn refuses_offset_delete(&self) -> Option<ErrorCode> {
        match self {
            // The subscriptions of members that are no consumers are not known.
            Self::Classic(group) if !group.is_empty() && !group.is_of_consumers() => {
                Some(ErrorCode::NonEmptyGroup)
            }
            Self::Classic(_) | Self::Consumer(_) => None,
        }
    }
}
