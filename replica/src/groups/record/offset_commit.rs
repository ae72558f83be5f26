//! OffsetCommitKey and OffsetCommitValue.

use std::sync::Arc;

use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};

use crate::coordinator::CoordinatorRecord;
use crate::records::{Read, RecordError, RecordReader, RecordWriter};

const KEY_VERSION: i16 = 1;
/// The version that has an expiry of its own, for commits that ask for one.
const EXPIRING_VERSION: i16 = 1;
/// The version of all other commits (Kafka 4.1).
const VERSION: i16 = 4;
const FIRST_FLEXIBLE: i16 = 4;
const TOPIC_ID_TAG: u32 = 0;

/// Where an offset belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffsetKey {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: PartitionIndex,
}

impl OffsetKey {
    pub(super) fn read(reader: &mut RecordReader<'_>) -> Read<Self> {
        Ok(Self {
            group: reader.string()?,
            topic: reader.string()?,
            partition: PartitionIndex(reader.i32()?),
        })
    }

    fn write(group: &str, topic: &str, partition: PartitionIndex) -> Vec<u8> {
        let mut writer = RecordWriter::fixed(KEY_VERSION);
        writer.str(group).str(topic).i32(partition.0);
        writer.finish()
    }
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OffsetValue {
    /// The next offset to be read.
    pub offset: Offset,
    /// Leader epoch of the last record read, -1 if it was not told.
    pub leader_epoch: LeaderEpoch,
    /// What the client wants kept.
    pub metadata: Arc<str>,
    /// When it was committed.
    pub commit_ms: i64,
    /// When it expires, for commits that asked for that.
    pub expire_ms: Option<i64>,
    /// The topic's id, zero if it was not told.
    pub topic_id: TopicId,
}

impl OffsetValue {
    /// Reads a value of any version.
    pub fn read(bytes: &[u8]) -> Read<Self> {
        let mut reader = RecordReader::new(bytes);
        let version = reader.i16()?;
        if !(0..=VERSION).contains(&version) {
            return Err(RecordError::Version(version));
        }
        reader.flexible(version >= FIRST_FLEXIBLE);
        let offset = Offset(reader.i64()?);
        let leader_epoch = LeaderEpoch(if version >= 3 { reader.i32()? } else { -1 });
        let metadata = reader.str()?.into();
        let commit_ms = reader.i64()?;
        let expire_ms = if version == EXPIRING_VERSION {
            Some(reader.i64()?).filter(|at| *at != -1)
        } else {
            None
        };
        let mut topic_id = TopicId::ZERO;
        reader.tagged(|tag, field| {
            if tag == TOPIC_ID_TAG {
                topic_id = TopicId(field.uuid()?);
            }
            Ok(())
        })?;
        reader.end()?;
        Ok(Self {
            offset,
            leader_epoch,
            metadata,
            commit_ms,
            expire_ms,
            topic_id,
        })
    }

    /// A record that commits it.
    pub fn record(&self, group: &str, topic: &str, partition: PartitionIndex) -> CoordinatorRecord {
        let mut writer = if self.expire_ms.is_some() {
            RecordWriter::fixed(EXPIRING_VERSION)
        } else {
            RecordWriter::flexible(VERSION)
        };
        writer.i64(self.offset.0);
        if self.expire_ms.is_none() {
            writer.i32(self.leader_epoch.0);
        }
        writer.str(&self.metadata).i64(self.commit_ms);
        if let Some(at) = self.expire_ms {
            writer.i64(at);
        } else if self.topic_id == TopicId::ZERO {
            writer.tagged(&[]);
        } else {
            writer.tagged(&[(TOPIC_ID_TAG, self.topic_id.0.as_bytes().to_vec())]);
        }
        CoordinatorRecord {
            key: OffsetKey::write(group, topic, partition),
            value: Some(writer.finish()),
        }
    }
}

/// A record that forgets an offset.
pub(crate) fn tombstone(group: &str, topic: &str, partition: PartitionIndex) -> CoordinatorRecord {
    CoordinatorRecord {
        key: OffsetKey::write(group, topic, partition),
        value: None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::Key;
    use super::*;

    fn value() -> OffsetValue {
        OffsetValue {
            offset: Offset(7),
            leader_epoch: LeaderEpoch(3),
            metadata: "m".into(),
            commit_ms: 1_000,
            expire_ms: None,
            topic_id: TopicId(Uuid::from_u128(9)),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let expiring = OffsetValue {
            expire_ms: Some(5),
            leader_epoch: LeaderEpoch::NONE,
            topic_id: TopicId::ZERO,
            ..value()
        };
        for value in [value(), expiring] {
            let record = value.record("g", "t", PartitionIndex(2));
            assert_eq!(OffsetValue::read(&record.value.unwrap()), Ok(value));
            let key = OffsetKey {
                group: "g".into(),
                topic: "t".into(),
                partition: PartitionIndex(2),
            };
            assert_eq!(Key::read(&record.key), Ok(Key::Offset(key)));
            assert_eq!(tombstone("g", "t", PartitionIndex(2)).key, record.key);
        }
    }

    #[test]
    fn bytes_are_those_of_kafka() {
        // As kafka-group-coordinator 4.1.1 serialises them.
        let record = value().record("g", "t", PartitionIndex(2));
        let key = [0, 1, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 2];
        assert_eq!(record.key, key);
        let mut bytes = vec![
            0, 4, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 3, 2, b'm', 0, 0, 0, 0, 0, 0, 3, 232, 1, 0, 16,
        ];
        bytes.extend([0; 15]);
        bytes.push(9);
        assert_eq!(record.value, Some(bytes));
    }

    #[test]
    fn older_versions_are_read() {
        for version in 0..=3i16 {
            let mut writer = RecordWriter::fixed(version);
            writer.i64(7);
            if version == 3 {
                writer.i32(3);
            }
            writer.str("m").i64(1_000);
            if version == 1 {
                writer.i64(-1);
            }
            let expected = OffsetValue {
                leader_epoch: LeaderEpoch(if version == 3 { 3 } else { -1 }),
                topic_id: TopicId::ZERO,
                ..value()
            };
            assert_eq!(OffsetValue::read(&writer.finish()), Ok(expected));
        }
        assert_eq!(OffsetValue::read(&[0, 5]), Err(RecordError::Version(5)));
    }
}
