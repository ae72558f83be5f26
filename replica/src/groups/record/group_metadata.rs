//! GroupMetadataKey and GroupMetadataValue: a classic group.

use bytes::Bytes;

use crate::coordinator::CoordinatorRecord;
use crate::records::{Read, RecordError, RecordReader, RecordWriter};

const KEY_VERSION: i16 = 2;
/// The version that is written, as Kafka 4.1 does.
const VERSION: i16 = 3;
const VERSION_MAX: i16 = 4;
const FIRST_FLEXIBLE: i16 = 4;

/// A classic group as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GroupMetadata {
    /// Empty where the group has none.
    pub protocol_type: String,
    /// Its generation.
    pub generation: i32,
    /// The chosen protocol.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: Option<String>,
    /// Since when it is in its state, milliseconds since the epoch; None before version 2.
    pub since_ms: Option<i64>,
    /// Its members.
    pub members: Vec<MemberMetadata>,
}

/// A member as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberMetadata {
    /// Its id.
    pub member_id: String,
    /// Set for a static member.
    pub group_instance_id: Option<String>,
    /// The client's name of itself.
    pub client_id: String,
    /// Where the client is.
    pub client_host: String,
    /// How long it has to join; the session timeout before version 1.
    pub rebalance_timeout_ms: i32,
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Its metadata for the chosen protocol.
    pub subscription: Bytes,
    /// What it was assigned.
    pub assignment: Bytes,
}

impl GroupMetadata {
    /// Reads a value of any version.
    pub fn read(bytes: &[u8]) -> Read<Self> {
        let mut reader = RecordReader::new(bytes);
        let version = reader.i16()?;
        if !(0..=VERSION_MAX).contains(&version) {
            return Err(RecordError::Version(version));
        }
        reader.flexible(version >= FIRST_FLEXIBLE);
        let group = Self {
            protocol_type: reader.string()?,
            generation: reader.i32()?,
            protocol: reader.nullable_str()?.map(str::to_owned),
            leader: reader.nullable_str()?.map(str::to_owned),
            since_ms: if version >= 2 {
                Some(reader.i64()?).filter(|at| *at != -1)
            } else {
                None
            },
            members: reader.array(|reader| MemberMetadata::read(reader, version))?,
        };
        reader.skip_tagged()?;
        reader.end()?;
        Ok(group)
    }

    /// A record that keeps it.
    pub fn record(&self, group: &str) -> CoordinatorRecord {
        let mut writer = RecordWriter::fixed(VERSION);
        writer
            .str(&self.protocol_type)
            .i32(self.generation)
            .nullable_str(self.protocol.as_deref())
            .nullable_str(self.leader.as_deref())
            .i64(self.since_ms.unwrap_or(-1))
            .array(&self.members, |writer, member| member.write(writer));
        CoordinatorRecord {
            key: key(group),
            value: Some(writer.finish()),
        }
    }

    /// A record that forgets a group.
    pub fn tombstone(group: &str) -> CoordinatorRecord {
        CoordinatorRecord {
            key: key(group),
            value: None,
        }
    }
}

fn key(group: &str) -> Vec<u8> {
    let mut writer = RecordWriter::fixed(KEY_VERSION);
    writer.str(group);
    writer.finish()
}

impl MemberMetadata {
    fn read(reader: &mut RecordReader<'_>, version: i16) -> Read<Self> {
        let member_id = reader.string()?;
        let group_instance_id = if version >= 3 {
            reader.nullable_str()?.map(str::to_owned)
        } else {
            None
        };
        let client_id = reader.string()?;
        let client_host = reader.string()?;
        let rebalance_timeout_ms = if version >= 1 { reader.i32()? } else { -1 };
        let session_timeout_ms = reader.i32()?;
        let member = Self {
            member_id,
            group_instance_id,
            client_id,
            client_host,
            rebalance_timeout_ms: if rebalance_timeout_ms == -1 {
                session_timeout_ms
            } else {
                rebalance_timeout_ms
            },
            session_timeout_ms,
            subscription: Bytes::copy_from_slice(reader.bytes()?),
            assignment: Bytes::copy_from_slice(reader.bytes()?),
        };
        reader.skip_tagged()?;
        Ok(member)
    }

    fn write(&self, writer: &mut RecordWriter) {
        writer
            .str(&self.member_id)
            .nullable_str(self.group_instance_id.as_deref())
            .str(&self.client_id)
            .str(&self.client_host)
            .i32(self.rebalance_timeout_ms)
            .i32(self.session_timeout_ms)
            .bytes(&self.subscription)
            .bytes(&self.assignment);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::*;

    fn group() -> GroupMetadata {
        GroupMetadata {
            protocol_type: "consumer".into(),
            generation: 4,
            protocol: Some("range".into()),
            leader: Some("a".into()),
            since_ms: Some(99),
            members: vec![MemberMetadata {
                member_id: "a".into(),
                group_instance_id: Some("i".into()),
                client_id: "c".into(),
                client_host: "/h".into(),
                rebalance_timeout_ms: 2,
                session_timeout_ms: 1,
                subscription: Bytes::from_static(b"s"),
                assignment: Bytes::from_static(b"as"),
            }],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let record = group().record("g");
        assert_eq!(Key::read(&record.key), Ok(Key::Group("g".into())));
        assert_eq!(GroupMetadata::read(&record.value.unwrap()), Ok(group()));
        assert_eq!(GroupMetadata::tombstone("g").key, [0, 2, 0, 1, b'g']);
    }

    #[test]
    fn bytes_are_those_of_kafka() {
        // As kafka-group-coordinator 4.1.1 serialises them.
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(&group().record("g").value.unwrap()),
            "00030008636f6e73756d65720000000400\
             0572616e67650001610000000000000063000000010001610001690001630002\
             2f6800000002000000010000000173000000026173"
        );
        let empty = GroupMetadata {
            protocol_type: String::new(),
            generation: 0,
            protocol: None,
            leader: None,
            since_ms: Some(99),
            members: Vec::new(),
        };
        assert_eq!(
            hex(&empty.record("g").value.unwrap()),
            "0003000000000000ffffffff000000000000006300000000"
        );
    }

    #[test]
    fn every_version_is_read() {
        for version in 0..=4i16 {
            let mut writer = if version == 4 {
                RecordWriter::flexible(version)
            } else {
                RecordWriter::fixed(version)
            };
            writer
                .str("consumer")
                .i32(4)
                .nullable_str(Some("range"))
                .nullable_str(Some("a"));
            if version >= 2 {
                writer.i64(99);
            }
            writer.array([()], |writer, ()| {
                writer.str("a");
                if version >= 3 {
                    writer.nullable_str(Some("i"));
                }
                writer.str("c").str("/h");
                if version >= 1 {
                    writer.i32(2);
                }
                writer.i32(1).bytes(b"s").bytes(b"as").tagged(&[]);
            });
            writer.tagged(&[]);
            let mut expected = group();
            if version < 2 {
                expected.since_ms = None;
            }
            if version < 3 {
                expected.members[0].group_instance_id = None;
            }
            if version < 1 {
                expected.members[0].rebalance_timeout_ms = 1;
            }
            assert_eq!(
                GroupMetadata::read(&writer.finish()),
                Ok(expected),
                "version {version}"
            );
        }
    }
}
