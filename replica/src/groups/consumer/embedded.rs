//! Kafka's "consumer" protocol within the classic one: what consumers tell each other in JoinGroup's metadata and SyncGroup's
//! assignments (ConsumerProtocolSubscription and ConsumerProtocolAssignment, versions 0-3). The coordinator reads and writes it
//! where a group has members of both protocols.
//!
//! Promises: reading never panics, whatever the bytes; a later version is read as the last one known, as Kafka does.

use std::sync::Arc;

use tautline_core::ids::PartitionIndex;

use crate::records::{Read, RecordError, RecordReader, RecordWriter};

/// The protocol type of consumers.
pub(crate) const PROTOCOL_TYPE: &str = "consumer";

/// The last version known.
const VERSION_MAX: i16 = 3;

/// What a consumer subscribes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// In which version it was told.
    pub version: i16,
    /// Names of topics.
    pub topics: Vec<Arc<str>>,
    /// What the consumer still owns, by topic; since version 1.
    pub owned: Vec<(Arc<str>, Vec<PartitionIndex>)>,
    /// Where it is; since version 3.
    pub rack_id: Option<Arc<str>>,
}

/// What a consumer is assigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// Partitions by topic.
    pub partitions: Vec<(Arc<str>, Vec<PartitionIndex>)>,
    /// Whether the leader's assignor added data of its own.
    pub has_user_data: bool,
}

fn version(reader: &mut RecordReader<'_>) -> Read<i16> {
    match reader.i16()? {
        version if version < 0 => Err(RecordError::Version(version)),
        version => Ok(version.min(VERSION_MAX)),
    }
}

fn partitions(reader: &mut RecordReader<'_>) -> Read<Vec<(Arc<str>, Vec<PartitionIndex>)>> {
    reader.array(|reader| {
        let topic = reader.str()?.into();
        let partitions = reader.array(|reader| reader.i32().map(PartitionIndex))?;
        Ok((topic, partitions))
    })
}

impl Subscription {
    /// Reads a member's metadata.
    ///
    /// # Errors
    /// It is none of this protocol.
    pub(crate) fn decode(metadata: &[u8]) -> Read<Self> {
        let mut reader = RecordReader::new(metadata);
        let version = version(&mut reader)?;
        let topics = reader.array(|reader| reader.str().map(Arc::from))?;
        reader.nullable_bytes()?;
        let owned = if version >= 1 {
            partitions(&mut reader)?
        } else {
            Vec::new()
        };
        if version >= 2 {
            // The generation in which it owned them.
            reader.i32()?;
        }
        let rack_id = if version >= 3 {
            reader.nullable_str()?.map(Arc::from)
        } else {
            None
        };
        Ok(Self {
            version,
            topics,
            owned,
            rack_id,
        })
    }
}

impl Assignment {
    /// Reads a member's assignment; empty bytes assign nothing.
    ///
    /// # Errors
    /// It is none of this protocol.
    pub(crate) fn decode(assignment: &[u8]) -> Read<Self> {
        if assignment.is_empty() {
            return Ok(Self {
                partitions: Vec::new(),
                has_user_data: false,
            });
        }
        let mut reader = RecordReader::new(assignment);
        version(&mut reader)?;
        Ok(Self {
            partitions: partitions(&mut reader)?,
            has_user_data: reader.nullable_bytes()?.is_some_and(|data| !data.is_empty()),
        })
    }

    /// Writes an assignment in a version that the member knows.
    pub(crate) fn encode<'a>(
        version: i16,
        topics: impl IntoIterator<Item = (&'a str, &'a [PartitionIndex]), IntoIter: ExactSizeIterator>,
    ) -> Vec<u8> {
        let mut writer = RecordWriter::fixed(version.clamp(0, VERSION_MAX));
        writer
            .array(topics, |writer, (topic, partitions)| {
                writer.str(topic).array(partitions, |writer, partition| {
                    writer.i32(partition.0);
                });
            })
            .nullable_bytes(None);
        writer.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subscription(version: i16) -> Vec<u8> {
        let mut writer = RecordWriter::fixed(version);
        writer
            .array(["b", "a"], |writer, topic| {
                writer.str(topic);
            })
            .nullable_bytes(Some(b"sticky"));
        if version >= 1 {
            writer.array([("a", [4, 2])], |writer, (topic, partitions)| {
                writer.str(topic).array(partitions, |writer, partition| {
                    writer.i32(partition);
                });
            });
        }
        if version >= 2 {
            writer.i32(7);
        }
        if version >= 3 {
            writer.nullable_str(Some("r1"));
        }
        if version >= 4 {
            writer.i64(0);
        }
        writer.finish()
    }

    #[test]
    fn subscriptions_of_all_versions_are_read() {
        for version in 0..=4 {
            let read = Subscription::decode(&subscription(version)).unwrap();
            assert_eq!(read.version, version.min(3));
            assert_eq!(read.topics, ["b".into(), "a".into()]);
            assert_eq!(read.owned.len(), usize::from(version >= 1));
            assert_eq!(read.rack_id.as_deref(), (version >= 3).then_some("r1"));
            if version <= 3 {
                for cut in 0..subscription(version).len() {
                    assert!(Subscription::decode(&subscription(version)[..cut]).is_err());
                }
            }
        }
        assert_eq!(Subscription::decode(&[0xff, 0xff]), Err(RecordError::Version(-1)));
    }

    #[test]
    fn an_assignment_is_read_as_written() {
        let partitions = [PartitionIndex(1), PartitionIndex(9)];
        for version in 0..=3 {
            let written = Assignment::encode(version, [("t", &partitions[..])]);
            assert_eq!(written[..2], version.to_be_bytes());
            let read = Assignment::decode(&written).unwrap();
            assert_eq!(read.partitions, [("t".into(), partitions.to_vec())]);
            assert!(!read.has_user_data);
        }
        assert_eq!(Assignment::decode(&[]).unwrap().partitions, []);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), version in 0i16..5) {
            let mut versioned = version.to_be_bytes().to_vec();
            versioned.extend(&bytes);
            for bytes in [&bytes, &versioned] {
                let _ = Subscription::decode(bytes);
                let _ = Assignment::decode(bytes);
            }
        }
    }
}
