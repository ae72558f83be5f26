//! Records of `__consumer_offsets` that both kinds of groups share, in Kafka's formats: committed offsets, and classic groups.
//! Those of consumer groups are in `consumer/record/`.

mod group_metadata;
mod offset_commit;

pub(crate) use group_metadata::{GroupMetadata, MemberMetadata};
pub(crate) use offset_commit::{OffsetKey, OffsetValue, tombstone as offset_tombstone};

use crate::records::{Read, RecordReader};

/// A key of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// OffsetCommitKey, versions 0 and 1.
    Offset(OffsetKey),
    /// GroupMetadataKey, version 2: the group's id.
    Group(String),
    /// One of another version, which says whose it is.
    Other(i16),
}

impl Key {
    /// Reads a key.
    pub fn read(bytes: &[u8]) -> Read<Self> {
        let mut reader = RecordReader::new(bytes);
        let key = match reader.i16()? {
            0 | 1 => Self::Offset(OffsetKey::read(&mut reader)?),
            2 => Self::Group(reader.string()?),
            version => return Ok(Self::Other(version)),
        };
        reader.end()?;
        Ok(key)
    }
}
