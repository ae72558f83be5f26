//! Fetch (1), versions 4-18: record batches from an offset. KIP-74 (size limits), KIP-227 (sessions), KIP-320 (epoch fencing),
//! KIP-392 (rack), KIP-516 (topic ids from 13), KIP-595 (divergence), KIP-903 (replica state), KIP-951 (leader hints),
//! KIP-1166 (high watermark, version 18).
//!
//! The request decodes without allocating; the response is written by [`FetchResponseEncoder`], which leaves the records out:
//!
//! ```
//! use tautline_net::wire::{FetchResponseEncoder, FetchResponseHead, PartitionData, Records, Segment, Writer};
//!
//! let mut writer = Writer::new();
//! let mut response = FetchResponseEncoder::begin(&mut writer, 11, 42, FetchResponseHead::default(), 1);
//! response.topic("orders", Default::default(), 1);
//! response.partition(&PartitionData { records: Some(Records::Spliced { size_bytes: 700 }), ..Default::default() });
//! response.finish(&[]);
//! assert!(writer.segments().any(|segment| segment == Segment::Payload { size_bytes: 700 }));
//! ```

use uuid::Uuid;

use super::schema::wire;
use super::topics::{TopicsEncoder, write_node_endpoints};
use super::{ApiKey, LeaderIdAndEpoch, List, NodeEndpoint, Records, Str, Wire, Writer, begin_response};

wire! {
    /// Asks for record batches.
    pub struct FetchRequest<'a> for Fetch {
        /// The follower's id, or -1 for a consumer. From version 15 in `replica_state`.
        replica_id: i32 = -1, 4..=14;
        /// How long to wait for `min_bytes`.
        max_wait_ms: i32, 4..;
        /// How much to gather before answering early.
        min_bytes: i32, 4..;
        /// How much to answer at most (KIP-74: a first batch may be larger).
        max_bytes: i32 = i32::MAX, 4..;
        /// 0: up to the high watermark. 1: up to the last stable offset.
        isolation_level: i8, 4..;
        /// The fetch session, or 0 (KIP-227).
        session_id: i32, 7..;
        /// Number of this request in the session; 0 opens one, -1 closes it.
        session_epoch: i32 = -1, 7..;
        /// The partitions to fetch, or in a session to add or change.
        topics: List<'a, FetchTopic<'a>>, 4..;
        /// The partitions to remove from the session.
        forgotten_topics_data: List<'a, ForgottenTopic<'a>>, 7..;
        /// The consumer's rack.
        rack_id: Str<'a>, 11..;
    } tagged {
        /// The cluster the follower thinks it is in.
        cluster_id: Option<Str<'a>>, tag 0, 12..;
        /// The follower.
        replica_state: ReplicaState, tag 1, 15..;
    }

    /// Which follower fetches.
    pub struct ReplicaState {
        /// The follower's id, or -1 for a consumer.
        replica_id: i32 = -1, 15..;
        /// Its epoch.
        replica_epoch: i64 = -1, 15..;
    }

    /// Partitions of one topic.
    pub struct FetchTopic<'a> {
        /// The topic's name.
        topic: Str<'a>, 4..=12;
        /// The topic's id.
        topic_id: Uuid, 13..;
        /// Its partitions.
        partitions: List<'a, FetchPartition>, 4..;
    }

    /// From where to fetch a partition.
    pub struct FetchPartition {
        /// The partition's index.
        partition: i32, 4..;
        /// The leader epoch the client knows, or -1.
        current_leader_epoch: i32 = -1, 9..;
        /// The offset to start from.
        fetch_offset: i64, 4..;
        /// The epoch of the last record fetched, or -1.
        last_fetched_epoch: i32 = -1, 12..;
        /// Where the follower's log starts, or -1 for a consumer.
        log_start_offset: i64 = -1, 5..;
        /// How much to answer of this partition at most.
        partition_max_bytes: i32, 4..;
    } tagged {
        /// The follower's directory.
        replica_directory_id: Uuid, tag 0, 17..;
        /// The follower's high watermark.
        high_watermark: i64 = i64::MAX, tag 1, 18..;
    }

    /// Partitions of one topic that leave the session.
    pub struct ForgottenTopic<'a> {
        /// The topic's name.
        topic: Str<'a>, 7..=12;
        /// The topic's id.
        topic_id: Uuid, 13..;
        /// Indexes of its partitions.
        partitions: List<'a, i32>, 7..;
    }

    /// Record batches. The hot path uses [`FetchResponseEncoder`].
    pub struct FetchResponse<'a> for Fetch {
        /// How long the client is throttled.
        throttle_time_ms: i32, 4..;
        /// The error of the whole request, or 0.
        error_code: i16, 7..;
        /// The fetch session, or 0.
        session_id: i32, 7..;
        /// Results by topic.
        responses: Vec<FetchableTopicResponse<'a>>, 4..;
    } tagged {
        /// Addresses of the leaders hinted at by partitions.
        node_endpoints: Vec<NodeEndpoint<'a>>, tag 0, 16..;
    }

    /// Results of one topic.
    pub struct FetchableTopicResponse<'a> {
        /// The topic's name.
        topic: Str<'a>, 4..=12;
        /// The topic's id.
        topic_id: Uuid, 13..;
        /// Results by partition.
        partitions: Vec<PartitionData<'a>>, 4..;
    }

    /// The result of one partition.
    pub struct PartitionData<'a> {
        /// The partition's index.
        partition_index: i32, 4..;
        /// The error code, or 0.
        error_code: i16, 4..;
        /// The high watermark.
        high_watermark: i64, 4..;
        /// The last stable offset.
        last_stable_offset: i64 = -1, 4..;
        /// Where the log starts.
        log_start_offset: i64 = -1, 5..;
        /// Aborted transactions in the range fetched, for consumers that read committed records.
        aborted_transactions: Option<Vec<AbortedTransaction>>, 4.., null 4..;
        /// A replica to fetch from instead, or -1.
        preferred_read_replica: i32 = -1, 11..;
        /// The record batches.
        records: Option<Records<'a>> = Some(Records::default()), 4.., null 4..;
    } tagged {
        /// Where the follower's log diverges.
        diverging_epoch: EpochEndOffset, tag 0, 12..;
        /// The current leader, beside NOT_LEADER_OR_FOLLOWER and FENCED_LEADER_EPOCH.
        current_leader: LeaderIdAndEpoch, tag 1, 12..;
        /// The snapshot to fetch instead, in metadata logs.
        snapshot_id: SnapshotId, tag 2, 12..;
    }

    /// The end of an epoch.
    pub struct EpochEndOffset {
        /// The epoch, or -1.
        epoch: i32 = -1, 12..;
        /// The offset behind its last record, or -1.
        end_offset: i64 = -1, 12..;
    }

    /// A snapshot.
    pub struct SnapshotId {
        /// The offset behind its last record, or -1.
        end_offset: i64 = -1, 12..;
        /// Its epoch, or -1.
        epoch: i32 = -1, 12..;
    }

    /// An aborted transaction.
    pub struct AbortedTransaction {
        /// Its producer.
        producer_id: i64, 4..;
        /// Its first offset.
        first_offset: i64, 4..;
    }
}

impl FetchRequest<'_> {
    /// The follower that fetches, or -1 for a consumer, in any version.
    pub fn replica(&self) -> i32 {
        self.replica_id.max(self.replica_state.replica_id)
    }
}

/// What a Fetch response says before its topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchResponseHead {
    /// How long the client is throttled.
    pub throttle_time_ms: i32,
    /// The error of the whole request, or 0.
    pub error_code: i16,
    /// The fetch session, or 0.
    pub session_id: i32,
}

/// Writes a Fetch response frame straight from results, without building a [`FetchResponse`].
///
/// Calls: [`begin`](Self::begin), then for each topic [`topic`](Self::topic) and as many
/// [`partition`](Self::partition)s as it announced, then [`finish`](Self::finish). Other numbers panic: they are ours.
/// Payloads are spliced in the order of the partitions.
#[derive(Debug)]
pub struct FetchResponseEncoder<'w> {
    topics: TopicsEncoder<'w>,
}

impl<'w> FetchResponseEncoder<'w> {
    /// Starts a frame for `topics` topics.
    pub fn begin(
        writer: &'w mut Writer,
        version: i16,
        correlation_id: i32,
        head: FetchResponseHead,
        topics: usize,
    ) -> Self {
        begin_response(ApiKey::Fetch, version, correlation_id, writer);
        head.throttle_time_ms.write(writer);
        if version >= 7 {
            writer.error_code(head.error_code);
            head.session_id.write(writer);
        }
        Self {
            topics: TopicsEncoder::begin(writer, topics),
        }
    }

    /// Starts a topic of `partitions` partitions. Versions below 13 carry its name, the others its id.
    pub fn topic(&mut self, name: &str, topic_id: Uuid, partitions: usize) {
        self.topics.topic(name, topic_id, partitions);
    }

    /// Appends the next partition of the topic.
    pub fn partition(&mut self, partition: &PartitionData<'_>) {
        self.topics.partition(partition);
    }

    /// Ends the frame.
    pub fn finish(self, node_endpoints: &[NodeEndpoint<'_>]) {
        let writer = self.topics.finish();
        write_node_endpoints(node_endpoints, 16, writer);
        writer.end_frame();
    }
}
