//! Produce (0), versions 3-13: record batches to append. KIP-98, KIP-467 (record errors), KIP-951 (leader hints),
//! KIP-516 (topic ids, version 13). Versions 0-2 are listed by ApiVersions but not decoded: KAFKA-18659.
//!
//! The request decodes without allocating: its arrays are [`List`]s and its records a range of the frame.

use uuid::Uuid;

use super::schema::wire;
use super::topics::{TopicsEncoder, write_node_endpoints};
use super::{ApiKey, List, Records, Str, Wire, Writer, begin_response};

wire! {
    /// Asks to append record batches.
    pub struct ProduceRequest<'a> for Produce {
        /// The transactional id, if the producer has one.
        transactional_id: Option<Str<'a>>, 3.., null 3..;
        /// 0: no answer. 1: the leader's own log. -1: durable on a quorum.
        acks: i16, 3..;
        /// How long to wait for replication.
        timeout_ms: i32, 3..;
        /// The batches by topic.
        topic_data: List<'a, TopicProduceData<'a>>, 3..;
    }

    /// The batches for one topic.
    pub struct TopicProduceData<'a> {
        /// The topic's name.
        name: Str<'a>, 3..=12;
        /// The topic's id.
        topic_id: Uuid, 13..;
        /// The batches by partition.
        partition_data: List<'a, PartitionProduceData<'a>>, 3..;
    }

    /// The batches for one partition.
    pub struct PartitionProduceData<'a> {
        /// The partition's index.
        index: i32, 3..;
        /// The batches.
        records: Option<Records<'a>> = Some(Records::default()), 3.., null 3..;
    }

    /// What became of the batches. The hot path uses [`ProduceResponseEncoder`].
    pub struct ProduceResponse<'a> for Produce {
        /// Results by topic.
        responses: Vec<TopicProduceResponse<'a>>, 3..;
        /// How long the client is throttled.
        throttle_time_ms: i32, 3..;
    } tagged {
        /// Addresses of the leaders hinted at by partitions.
        node_endpoints: Vec<NodeEndpoint<'a>>, tag 0, 10..;
    }

    /// Results of one topic.
    pub struct TopicProduceResponse<'a> {
        /// The topic's name.
        name: Str<'a>, 3..=12;
        /// The topic's id.
        topic_id: Uuid, 13..;
        /// Results by partition.
        partition_responses: Vec<PartitionProduceResponse<'a>>, 3..;
    }

    /// The result of one partition.
    pub struct PartitionProduceResponse<'a> {
        /// The partition's index.
        index: i32, 3..;
        /// The error code, or 0.
        error_code: i16, 3..;
        /// The offset of the first record.
        base_offset: i64, 3..;
        /// The time of appending if the topic uses it, or -1.
        log_append_time_ms: i64 = -1, 3..;
        /// Where the log starts.
        log_start_offset: i64 = -1, 5..;
        /// The records that caused the batch to be refused.
        record_errors: Vec<BatchIndexAndErrorMessage<'a>>, 8..;
        /// Why the batch was refused.
        error_message: Option<Str<'a>>, 8.., null 8..;
    } tagged {
        /// The current leader, beside NOT_LEADER_OR_FOLLOWER.
        current_leader: LeaderIdAndEpoch, tag 0, 10..;
    }

    /// A record that caused its batch to be refused.
    pub struct BatchIndexAndErrorMessage<'a> {
        /// The record's index in the batch.
        batch_index: i32, 8..;
        /// What is wrong with it.
        batch_index_error_message: Option<Str<'a>>, 8.., null 8..;
    }

    /// A hint at the leader of a partition, in Produce and Fetch responses (KIP-951).
    pub struct LeaderIdAndEpoch {
        /// The leader's id, or -1.
        leader_id: i32 = -1, 0..;
        /// Its epoch.
        leader_epoch: i32 = -1, 0..;
    }

    /// A broker's address, in Produce and Fetch responses (KIP-951).
    pub struct NodeEndpoint<'a> {
        /// The broker's id.
        node_id: i32, 0..;
        /// Host name.
        host: Str<'a>, 0..;
        /// Port.
        port: i32, 0..;
        /// Rack, if it is in one.
        rack: Option<Str<'a>>, 0.., null 0..;
    }
}

/// Writes a Produce response frame straight from results, without building a [`ProduceResponse`].
///
/// Calls: [`begin`](Self::begin), then for each topic [`topic`](Self::topic) and as many
/// [`partition`](Self::partition)s as it announced, then [`finish`](Self::finish). Other numbers panic: they are ours.
#[derive(Debug)]
pub struct ProduceResponseEncoder<'w> {
    topics: TopicsEncoder<'w>,
}

impl<'w> ProduceResponseEncoder<'w> {
    /// Starts a frame for `topics` topics.
    pub fn begin(writer: &'w mut Writer, version: i16, correlation_id: i32, topics: usize) -> Self {
        begin_response(ApiKey::Produce, version, correlation_id, writer);
        Self {
            topics: TopicsEncoder::begin(writer, topics),
        }
    }

    /// Starts a topic of `partitions` partitions. Versions below 13 carry its name, the others its id.
    pub fn topic(&mut self, name: &str, topic_id: Uuid, partitions: usize) {
        self.topics.topic(name, topic_id, partitions);
    }

    /// Appends the next partition of the topic.
    pub fn partition(&mut self, partition: &PartitionProduceResponse<'_>) {
        self.topics.partition(partition);
    }

    /// Ends the frame.
    pub fn finish(self, throttle_time_ms: i32, node_endpoints: &[NodeEndpoint<'_>]) {
        let writer = self.topics.finish();
        throttle_time_ms.write(writer);
        write_node_endpoints(node_endpoints, 10, writer);
        writer.end_frame();
    }
}
