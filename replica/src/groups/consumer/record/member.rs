//! ConsumerGroupMemberMetadataValue: what a member asked for, as it last said.

use std::sync::Arc;

use bytes::Bytes;

use crate::records::{Read, RecordReader, RecordWriter};

/// Tag of the part that only classic members have.
const CLASSIC_TAG: u32 = 0;

/// A member as it described itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MemberMetadata {
    /// Set for a static member.
    pub instance_id: Option<Arc<str>>,
    /// Where it is.
    pub rack_id: Option<Arc<str>>,
    /// The client's name of itself.
    pub client_id: Arc<str>,
    /// Where the client is.
    pub client_host: Arc<str>,
    /// The topics it named: in order, none twice. Shared by the members that named the same.
    pub subscribed_topic_names: Names,
    /// The regular expression it named; never empty.
    pub subscribed_topic_regex: Option<Arc<str>>,
    /// How long it may take to give up partitions; -1 where it did not say.
    pub rebalance_timeout_ms: i32,
    /// The assignor it asked for.
    pub server_assignor: Option<Arc<str>>,
    /// Set if it speaks the classic protocol.
    pub classic: Option<ClassicMember>,
}

/// What is known of a member that speaks the classic protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassicMember {
    /// How long it may be silent.
    pub session_timeout_ms: i32,
    /// Names of assignors with its metadata for each, best first; at least one.
    pub protocols: Vec<(Arc<str>, Bytes)>,
}

impl Default for MemberMetadata {
    fn default() -> Self {
        Self {
            instance_id: None,
            rack_id: None,
            client_id: Arc::from(""),
            client_host: Arc::from(""),
            subscribed_topic_names: Arc::from([]),
            subscribed_topic_regex: None,
            rebalance_timeout_ms: -1,
            server_assignor: None,
            classic: None,
        }
    }
}

/// Names of topics: in order, none twice.
pub(crate) type Names = Arc<[Arc<str>]>;

/// Makes a list of names.
pub(crate) fn sorted_names(mut names: Vec<Arc<str>>) -> Names {
    names.sort_unstable();
    names.dedup();
    names.into()
}

impl MemberMetadata {
    /// Its bytes in memory and in a record, but for the names of topics.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [
            self.instance_id.as_ref(),
            self.rack_id.as_ref(),
            Some(&self.client_id),
            Some(&self.client_host),
            self.subscribed_topic_regex.as_ref(),
            self.server_assignor.as_ref(),
        ];
        let protocols = self.classic.iter().flat_map(|classic| &classic.protocols);
        texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
            + protocols
                .map(|(name, metadata)| name.len() + metadata.len())
                .sum::<usize>()
    }

    pub(super) fn write(&self, value: &mut RecordWriter) {
        value
            .nullable_str(self.instance_id.as_deref())
            .nullable_str(self.rack_id.as_deref())
            .str(&self.client_id)
            .str(&self.client_host)
            .array(self.subscribed_topic_names.iter(), |value, name| {
                value.str(name);
            })
            .nullable_str(self.subscribed_topic_regex.as_deref())
            .i32(self.rebalance_timeout_ms)
            .nullable_str(self.server_assignor.as_deref());
        // A nullable struct says first whether it is there. Kafka reads a missing tag as a classic member without protocols.
        let mut field = RecordWriter::field();
        match &self.classic {
            None => field.uvarint(0),
            Some(classic) => classic.write(field.uvarint(1)),
        };
        value.tagged(&[(CLASSIC_TAG, field.finish())]);
    }

    pub(super) fn read(value: &mut RecordReader<'_>) -> Read<Self> {
        let mut member = Self {
            instance_id: value.nullable_str()?.map(Arc::from),
            rack_id: value.nullable_str()?.map(Arc::from),
            client_id: value.str()?.into(),
            client_host: value.str()?.into(),
            subscribed_topic_names: sorted_names(value.array(|value| value.str().map(Arc::from))?),
            subscribed_topic_regex: value
                .nullable_str()?
                .filter(|regex| !regex.is_empty())
                .map(Arc::from),
            rebalance_timeout_ms: value.i32()?,
            server_assignor: value.nullable_str()?.map(Arc::from),
            classic: None,
        };
        value.tagged(|tag, field| {
            if tag == CLASSIC_TAG && field.uvarint()? > 0 {
                member.classic = Some(ClassicMember::read(field)?);
            }
            Ok(())
        })?;
        Ok(member)
    }
}

impl ClassicMember {
    fn write<'a>(&self, field: &'a mut RecordWriter) -> &'a mut RecordWriter {
        field
            .i32(self.session_timeout_ms)
            .array(&self.protocols, |field, (name, metadata)| {
                field.str(name).bytes(metadata).tagged(&[]);
            })
            .tagged(&[])
    }

    fn read(field: &mut RecordReader<'_>) -> Read<Self> {
        let session_timeout_ms = field.i32()?;
        let protocols = field.array(|field| {
            let protocol = (field.str()?.into(), Bytes::copy_from_slice(field.bytes()?));
            field.skip_tagged()?;
            Ok(protocol)
        })?;
        field.skip_tagged()?;
        Ok(Self {
            session_timeout_ms,
            protocols,
        })
    }
}
