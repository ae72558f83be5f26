//! The records of a consumer group in `__consumer_offsets`, in Kafka's own formats (KIP-848): what the group's state is a
//! function of. A record without a value deletes what its key names.
//!
//! Promises: what is written is read back the same; reading never panics, whatever the bytes. Values of a later version are
//! refused, unknown tagged fields are passed over.

mod member;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::coordinator::CoordinatorRecord;
use crate::records::{Read, RecordError, RecordReader, RecordWriter};

pub(crate) use member::{ClassicMember, MemberMetadata, Names, sorted_names};
pub(crate) use state::{CurrentAssignment, GroupEpoch, MemberState, ResolvedPattern};

use super::PartitionSet;

/// Versions of keys, by which Kafka tells what a record is.
pub(crate) mod key_version {
    pub(crate) const GROUP: i16 = 3;
    pub(crate) const PARTITION_METADATA: i16 = 4;
    pub(crate) const MEMBER: i16 = 5;
    pub(crate) const TARGET_EPOCH: i16 = 6;
    pub(crate) const TARGET: i16 = 7;
    pub(crate) const CURRENT: i16 = 8;
    pub(crate) const PATTERN: i16 = 16;
}

/// The only version of the values so far.
const VALUE_VERSION: i16 = 0;

/// One record of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConsumerRecord {
    /// The group and its epoch; without a value the group is gone.
    Group(Option<GroupEpoch>),
    /// Kafka 4.0's copy of the topics' metadata, which 4.1 replaced by a hash: only ever deleted.
    PartitionMetadata(Option<()>),
    /// A member and what it asked for; without a value the member is gone.
    Member(Arc<str>, Option<MemberMetadata>),
    /// The group epoch that the target assignment was made for.
    TargetEpoch(Option<i32>),
    /// What a member is to own.
    Target(Arc<str>, Option<PartitionSet>),
    /// How far a member is with what it is to own.
    Current(Arc<str>, Option<CurrentAssignment>),
    /// The topics that match a regular expression.
    Pattern(Arc<str>, Option<ResolvedPattern>),
}

impl ConsumerRecord {
    /// The version of its key.
    const fn key_version(&self) -> i16 {
        match self {
            Self::Group(_) => key_version::GROUP,
            Self::PartitionMetadata(_) => key_version::PARTITION_METADATA,
            Self::Member(..) => key_version::MEMBER,
            Self::TargetEpoch(_) => key_version::TARGET_EPOCH,
            Self::Target(..) => key_version::TARGET,
            Self::Current(..) => key_version::CURRENT,
            Self::Pattern(..) => key_version::PATTERN,
        }
    }

    /// The record as bytes.
    pub(crate) fn encode(&self, group: &str) -> CoordinatorRecord {
        let mut key = RecordWriter::fixed(self.key_version());
        key.str(group);
        if let Self::Member(name, _)
        | Self::Target(name, _)
        | Self::Current(name, _)
        | Self::Pattern(name, _) = self
        {
            key.str(name);
        }
        let mut value = RecordWriter::flexible(VALUE_VERSION);
        let has_value = match self {
            Self::PartitionMetadata(_) => None,
            Self::Group(group) => group.as_ref().map(|group| group.write(&mut value)),
            Self::Member(_, member) => member.as_ref().map(|member| member.write(&mut value)),
            Self::TargetEpoch(epoch) => epoch.map(|epoch| {
                value.i32(epoch).tagged(&[]);
            }),
            Self::Target(_, target) => target.as_ref().map(|target| {
                state::write_partitions(&mut value, target);
                value.tagged(&[]);
            }),
            Self::Current(_, current) => current.as_ref().map(|current| current.write(&mut value)),
            Self::Pattern(_, pattern) => pattern.as_ref().map(|pattern| pattern.write(&mut value)),
        };
        CoordinatorRecord {
            key: key.finish(),
            value: has_value.map(|()| value.finish()),
        }
    }

    /// The group's id and the record, if the key is of a consumer group.
    ///
    /// # Errors
    /// The bytes are not what the version of the key says.
    pub(crate) fn decode(key: &[u8], value: Option<&[u8]>) -> Read<Option<(Arc<str>, Self)>> {
        let mut key = RecordReader::new(key);
        let version = key.i16()?;
        if !matches!(
            version,
            key_version::GROUP..=key_version::CURRENT | key_version::PATTERN
        ) {
            return Ok(None);
        }
        let group: Arc<str> = key.str()?.into();
        let record = match version {
            key_version::GROUP => Self::Group(read(value, GroupEpoch::read)?),
            // Kept only as far as it tells that there is something to delete.
            key_version::PARTITION_METADATA => Self::PartitionMetadata(value.map(|_| ())),
            key_version::TARGET_EPOCH => Self::TargetEpoch(read(value, |value| {
                let epoch = value.i32()?;
                value.skip_tagged()?;
                Ok(epoch)
            })?),
            _ => {
                let name: Arc<str> = key.str()?.into();
                match version {
                    key_version::MEMBER => Self::Member(name, read(value, MemberMetadata::read)?),
                    key_version::TARGET => Self::Target(
                        name,
                        read(value, |value| {
                            let target = state::read_partitions(value)?;
                            value.skip_tagged()?;
                            Ok(target)
                        })?,
                    ),
                    key_version::CURRENT => Self::Current(name, read(value, CurrentAssignment::read)?),
                    _ => Self::Pattern(name, read(value, ResolvedPattern::read)?),
                }
            }
        };
        Ok(Some((group, record)))
    }
}

fn read<T>(value: Option<&[u8]>, fields: impl FnOnce(&mut RecordReader<'_>) -> Read<T>) -> Read<Option<T>> {
    let Some(value) = value else { return Ok(None) };
    let mut reader = RecordReader::new(value);
    match reader.i16()? {
        VALUE_VERSION => {}
        version => return Err(RecordError::Version(version)),
    }
    reader.flexible(true);
    let fields = fields(&mut reader)?;
    reader.end()?;
    Ok(Some(fields))
}

/// The bytes of records.
pub(crate) fn bytes_of(records: &[CoordinatorRecord]) -> usize {
    let bytes = |record: &CoordinatorRecord| record.key.len() + record.value.as_ref().map_or(0, Vec::len);
    records.iter().map(bytes).sum()
}
