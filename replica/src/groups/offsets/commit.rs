//! OffsetCommit and TxnOffsetCommit.

use std::sync::Arc;

use tautline_core::error::ErrorCode;

use super::Offsets;
use crate::coordinator::{CoordinatorRecord, Token, TransactionalProducer};
use crate::groups::classic::ClassicGroup;
use crate::groups::group::{CommitKind, Group, MemberClaim};
use crate::groups::limits::{COMMIT_BYTES_MAX, GROUPS_MAX};
use crate::groups::record::OffsetValue;
use crate::groups::request::{CommitPartition, CommitTopic, OffsetCommit, TxnOffsetCommit};
use crate::groups::response::{Committed, CommittedTopic, GroupResponse};
use crate::groups::turn::{Groups, Turn};

/// Bytes of an offset's record besides its strings, at most.
const RECORD_OVERHEAD_BYTES: usize = 80;

/// What both kinds of commits have.
struct Commit<'a> {
    group_id: &'a str,
    claim: MemberClaim<'a>,
    kind: CommitKind,
    producer: Option<TransactionalProducer>,
    expire_ms: Option<i64>,
    topics: &'a [CommitTopic],
}

/// Notes how far a consumer is.
pub(crate) fn commit(
    groups: &mut Groups,
    offsets: &mut Offsets,
    turn: &mut Turn<'_>,
    token: Token,
    request: &OffsetCommit,
) {
    let commit = Commit {
        group_id: &request.group_id,
        claim: MemberClaim {
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id_or_member_epoch,
        },
        kind: CommitKind::Plain {
            knows_member_epochs: request.knows_member_epochs,
        },
        producer: None,
        expire_ms: request
            .retention_time_ms
            .map(|retention| turn.now.ms.saturating_add(retention)),
        topics: &request.topics,
    };
    let committed = run(groups, offsets, turn, &commit);
    turn.reply(token, GroupResponse::OffsetCommit(committed));
}

/// Notes how far a consumer will be when a transaction is committed.
pub(crate) fn commit_in_transaction(
    groups: &mut Groups,
    offsets: &mut Offsets,
    turn: &mut Turn<'_>,
    token: Token,
    request: &TxnOffsetCommit,
) {
    let commit = Commit {
        group_id: &request.group_id,
        claim: MemberClaim {
            member_id: &request.member_id,
            group_instance_id: request.group_instance_id.as_deref(),
            generation: request.generation_id_or_member_epoch,
        },
        kind: CommitKind::Transactional,
        producer: Some(TransactionalProducer {
            id: request.producer_id,
            epoch: request.producer_epoch,
        }),
        expire_ms: None,
        topics: &request.topics,
    };
    let committed = run(groups, offsets, turn, &commit);
    turn.reply(token, GroupResponse::TxnOffsetCommit(committed));
}

fn run(groups: &mut Groups, offsets: &mut Offsets, turn: &mut Turn<'_>, commit: &Commit<'_>) -> Committed {
    let validated = match groups.get_mut(commit.group_id) {
        Some(group) => group.validate_commit(turn, commit),
        None => validate_without_group(groups, commit),
    };
    if let Err(error) = validated {
        return Committed::refused(commit.topics, error);
    }
    if commit.bytes() > COMMIT_BYTES_MAX {
        return Committed::refused(commit.topics, ErrorCode::InvalidCommitOffsetSize);
    }
    let group_id = match groups.get_key_value(commit.group_id) {
        Some((id, _)) => Arc::clone(id),
        None => commit.group_id.into(),
    };
    let mut records = Vec::new();
    let topics = commit.topics.iter();
    let topics = topics
        .map(|topic| store(offsets, turn, commit, &group_id, topic, &mut records))
        .collect();
    if !records.is_empty() && !groups.contains_key(&group_id) {
        let group = ClassicGroup::simple(turn.memory, Arc::clone(&group_id), turn.now.ms);
        groups.insert(group_id, Group::Classic(group));
    }
    turn.append_as(commit.producer, records);
    Committed { topics }
}

fn store(
    offsets: &mut Offsets,
    turn: &Turn<'_>,
    commit: &Commit<'_>,
    group_id: &Arc<str>,
    topic: &CommitTopic,
    records: &mut Vec<CoordinatorRecord>,
) -> CommittedTopic {
    let metadata_max = turn.config.offset_metadata_max_bytes.min(i16::MAX as usize);
    let producer = commit.producer.map(|producer| producer.id);
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for partition in &topic.partitions {
        let metadata = partition.metadata.as_deref().unwrap_or_default();
        if is_longer(metadata, metadata_max) {
            partitions.push((partition.partition, ErrorCode::OffsetMetadataTooLarge));
            continue;
        }
        let place = (&**group_id, topic.name.as_str(), partition.partition);
        if !offsets.has_room(producer, place, metadata) {
            partitions.push((partition.partition, ErrorCode::CoordinatorNotAvailable));
            continue;
        }
        let value = value(offsets, turn, commit, topic, partition);
        records.push(value.record(group_id, &topic.name, partition.partition));
        offsets.apply(producer, group_id, &topic.name, partition.partition, value);
        partitions.push((partition.partition, ErrorCode::None));
    }
    CommittedTopic {
        name: topic.name.clone(),
        id: topic.id,
        partitions,
    }
}

fn value(
    offsets: &Offsets,
    turn: &Turn<'_>,
    commit: &Commit<'_>,
    topic: &CommitTopic,
    partition: &CommitPartition,
) -> OffsetValue {
    let metadata = partition.metadata.as_deref().unwrap_or_default();
    OffsetValue {
        offset: partition.offset,
        leader_epoch: partition.leader_epoch,
        metadata: offsets.metadata(metadata),
        commit_ms: turn.now.ms,
        expire_ms: commit.expire_ms,
        topic_id: topic.id,
    }
}

/// Whether Kafka's length of a string, in UTF-16 units, is above a bound.
fn is_longer(text: &str, max: usize) -> bool {
    text.len() > max && text.encode_utf16().count() > max
}

impl Commit<'_> {
    /// Bytes of its records, or somewhat more.
    fn bytes(&self) -> usize {
        let of = |topic: &CommitTopic| {
            let each = RECORD_OVERHEAD_BYTES + self.group_id.len() + topic.name.len();
            let partitions = topic.partitions.iter();
            partitions
                .map(|partition| each + partition.metadata.as_ref().map_or(0, String::len))
                .sum::<usize>()
        };
        self.topics.iter().map(of).sum()
    }
}

/// A consumer that is no member makes a group that only has offsets; a member of a group that is gone is told so.
fn validate_without_group(groups: &Groups, commit: &Commit<'_>) -> Result<(), ErrorCode> {
    match commit.kind {
        _ if commit.claim.generation < 0 && groups.len() >= GROUPS_MAX => {
            Err(ErrorCode::CoordinatorNotAvailable)
        }
        _ if commit.claim.generation < 0 => Ok(()),
        CommitKind::Plain {
            knows_member_epochs: true,
        } => Err(ErrorCode::GroupIdNotFound),
        CommitKind::Plain { .. } | CommitKind::Transactional => Err(ErrorCode::IllegalGeneration),
    }
}

impl Group {
    fn validate_commit(&mut self, turn: &mut Turn<'_>, commit: &Commit<'_>) -> Result<(), ErrorCode> {
        match self {
            Self::Classic(group) => {
                group.validate_commit(commit.claim, commit.kind)?;
                if matches!(commit.kind, CommitKind::Plain { .. }) {
                    group.note_commit(turn, commit.claim.member_id);
                }
                Ok(())
            }
            Self::Consumer(group) => match group.validate_offset_commit(commit.claim, commit.kind) {
                // TxnOffsetCommit knows no member epochs.
                Err(ErrorCode::StaleMemberEpoch) if commit.kind == CommitKind::Transactional => {
                    Err(ErrorCode::IllegalGeneration)
                }
                validated => validated,
            },
        }
    }
}
