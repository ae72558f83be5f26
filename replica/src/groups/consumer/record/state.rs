//! The values that say how far a group is: its epoch, what members are to own and own, and which topics an expression matches.

use std::sync::Arc;

use tautline_core::ids::{PartitionIndex, TopicId};

use super::super::PartitionSet;
use crate::records::{Read, RecordReader, RecordWriter};

/// Tag of the hash in ConsumerGroupMetadataValue.
const METADATA_HASH_TAG: u32 = 0;

/// ConsumerGroupMetadataValue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GroupEpoch {
    /// Grows with every change of members, subscriptions or subscribed topics.
    pub epoch: i32,
    /// Of the subscribed topics as they were then; 0 where there were none.
    pub metadata_hash: i64,
}

/// How a member stands to what it is to own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It owns what it is to own.
    Stable,
    /// It has to give up partitions first.
    UnrevokedPartitions,
    /// It waits for partitions that others have to give up.
    UnreleasedPartitions,
    /// Written by a later version.
    Unknown,
}

/// ConsumerGroupCurrentMemberAssignmentValue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CurrentAssignment {
    /// What the member has to say in its heartbeats.
    pub epoch: i32,
    /// What it said before: still taken, as the answer that told the new one may be lost.
    pub previous_epoch: i32,
    /// How it stands to what it is to own.
    pub state: MemberState,
    /// What it owns.
    pub assigned: PartitionSet,
    /// What it owns and has to give up.
    pub pending_revocation: PartitionSet,
}

/// ConsumerGroupRegularExpressionValue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ResolvedPattern {
    /// Names of the topics that match: in order, none twice.
    pub topics: Arc<[Arc<str>]>,
    /// Which metadata was looked at; 0 as this broker's has no version.
    pub version: i64,
    /// When, in milliseconds since the epoch.
    pub timestamp_ms: i64,
}

impl GroupEpoch {
    pub(super) fn write(self, value: &mut RecordWriter) {
        value.i32(self.epoch);
        if self.metadata_hash == 0 {
            value.tagged(&[]);
        } else {
            let mut field = RecordWriter::field();
            field.i64(self.metadata_hash);
            value.tagged(&[(METADATA_HASH_TAG, field.finish())]);
        }
    }

    pub(super) fn read(value: &mut RecordReader<'_>) -> Read<Self> {
        let epoch = value.i32()?;
        let mut metadata_hash = 0;
        value.tagged(|tag, field| {
            if tag == METADATA_HASH_TAG {
                metadata_hash = field.i64()?;
            }
            Ok(())
        })?;
        Ok(Self { epoch, metadata_hash })
    }
}

impl MemberState {
    const fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }

    const fn from_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

impl CurrentAssignment {
    /// What a member has that just came.
    pub(crate) const NEW: Self = Self {
        epoch: 0,
        previous_epoch: 0,
        state: MemberState::Stable,
        assigned: PartitionSet::EMPTY,
        pending_revocation: PartitionSet::EMPTY,
    };

    pub(super) fn write(&self, value: &mut RecordWriter) {
        value
            .i32(self.epoch)
            .i32(self.previous_epoch)
            .i8(self.state.code());
        write_partitions(value, &self.assigned);
        write_partitions(value, &self.pending_revocation);
        value.tagged(&[]);
    }

    pub(super) fn read(value: &mut RecordReader<'_>) -> Read<Self> {
        let current = Self {
            epoch: value.i32()?,
            previous_epoch: value.i32()?,
            state: MemberState::from_code(value.i8()?),
            assigned: read_partitions(value)?,
            pending_revocation: read_partitions(value)?,
        };
        value.skip_tagged()?;
        Ok(current)
    }
}

impl ResolvedPattern {
    pub(super) fn write(&self, value: &mut RecordWriter) {
        value
            .array(self.topics.iter(), |value, name| {
                value.str(name);
            })
            .i64(self.version)
            .i64(self.timestamp_ms)
            .tagged(&[]);
    }

    pub(super) fn read(value: &mut RecordReader<'_>) -> Read<Self> {
        let topics = super::member::sorted_names(value.array(|value| value.str().map(Arc::from))?);
        let pattern = Self {
            topics,
            version: value.i64()?,
            timestamp_ms: value.i64()?,
        };
        value.skip_tagged()?;
        Ok(pattern)
    }
}

pub(super) fn write_partitions(value: &mut RecordWriter, partitions: &PartitionSet) {
    value.array(partitions.topics(), |value, (topic, partitions)| {
        value.uuid(topic.0).array(partitions, |value, partition| {
            value.i32(partition.0);
        });
        value.tagged(&[]);
    });
}

pub(super) fn read_partitions(value: &mut RecordReader<'_>) -> Read<PartitionSet> {
    let mut set = PartitionSet::EMPTY;
    value.array(|value| {
        let topic = TopicId(value.uuid()?);
        set.extend_topic(
            topic,
            value.array(RecordReader::i32)?.into_iter().map(PartitionIndex),
        );
        value.skip_tagged()
    })?;
    Ok(set)
}
