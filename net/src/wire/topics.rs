//! The arrays of topics and partitions that Produce and Fetch responses share, written while results come in.

use uuid::Uuid;

use super::{NodeEndpoint, Str, Wire, Writer};

/// First version of Produce and Fetch that names topics by id (KIP-516).
const TOPIC_ID_VERSION_MIN: i16 = 13;

/// Tag of the leaders' addresses in both responses.
const NODE_ENDPOINTS_TAG: u32 = 0;

/// Two nested arrays, whose lengths are announced and then kept.
#[derive(Debug)]
pub(super) struct TopicsEncoder<'w> {
    writer: &'w mut Writer,
    topics_left: usize,
    /// Partitions still to come of the topic being written, if one is.
    partitions_left: Option<usize>,
}

impl<'w> TopicsEncoder<'w> {
    pub(super) fn begin(writer: &'w mut Writer, topics: usize) -> Self {
        writer.long_len(Some(topics));
        Self {
            writer,
            topics_left: topics,
            partitions_left: None,
        }
    }

    pub(super) fn topic(&mut self, name: &str, topic_id: Uuid, partitions: usize) {
        self.end_topic();
        self.topics_left = self
            .topics_left
            .checked_sub(1)
            .expect("no more topics than announced");
        if self.writer.layout().version < TOPIC_ID_VERSION_MIN {
            Str::Borrowed(name).write(self.writer);
        } else {
            topic_id.write(self.writer);
        }
        self.writer.long_len(Some(partitions));
        self.partitions_left = Some(partitions);
    }

    pub(super) fn partition<'a>(&mut self, partition: &impl Wire<'a>) {
        let left = self.partitions_left.and_then(|left| left.checked_sub(1));
        self.partitions_left = Some(left.expect("no more partitions than announced"));
        partition.write(self.writer);
    }

    pub(super) fn finish(mut self) -> &'w mut Writer {
        self.end_topic();
        assert_eq!(self.topics_left, 0, "as many topics as announced");
        self.writer
    }

    /// Closes the topic being written: flexible versions end it with its tagged fields, of which it has none.
    fn end_topic(&mut self) {
        let Some(left) = self.partitions_left.take() else {
            return;
        };
        assert_eq!(left, 0, "as many partitions as announced");
        if self.writer.layout().flexible {
            self.writer.uvarint(0);
        }
    }
}

/// Ends a response with its only tagged field, the leaders' addresses, in versions from `since`.
pub(super) fn write_node_endpoints(endpoints: &[NodeEndpoint<'_>], since: i16, writer: &mut Writer) {
    let layout = writer.layout();
    if !layout.flexible {
        return;
    }
    if layout.version < since || endpoints.is_empty() {
        return writer.uvarint(0);
    }
    writer.uvarint(1);
    writer.tagged_field(NODE_ENDPOINTS_TAG, |writer| {
        writer.long_len(Some(endpoints.len()));
        endpoints.iter().for_each(|endpoint| endpoint.write(writer));
    });
}
