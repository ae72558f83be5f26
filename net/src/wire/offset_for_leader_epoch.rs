//! OffsetForLeaderEpoch (23), versions 2-4: where a leader epoch ends, so that a reader notices truncation. KIP-101, KIP-320.

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for the ends of epochs.
    pub struct OffsetForLeaderEpochRequest<'a> for OffsetForLeaderEpoch {
        /// The follower's id; -1 for a consumer, -2 where the version does not say.
        replica_id: i32 = -2, 3..;
        /// The topics.
        topics: Vec<OffsetForLeaderTopic<'a>>, 2..;
    }

    /// Partitions of one topic.
    pub struct OffsetForLeaderTopic<'a> {
        /// Its name.
        topic: Str<'a>, 2..;
        /// Its partitions.
        partitions: Vec<OffsetForLeaderPartition>, 2..;
    }

    /// A partition and an epoch.
    pub struct OffsetForLeaderPartition {
        /// The partition's index.
        partition: i32, 2..;
        /// The leader epoch the client knows, or -1.
        current_leader_epoch: i32 = -1, 2..;
        /// The epoch whose end is asked for.
        leader_epoch: i32, 2..;
    }

    /// The ends of epochs.
    pub struct OffsetForLeaderEpochResponse<'a> for OffsetForLeaderEpoch {
        /// How long the client is throttled.
        throttle_time_ms: i32, 2..;
        /// Results by topic.
        topics: Vec<OffsetForLeaderTopicResult<'a>>, 2..;
    }

    /// Results of one topic.
    pub struct OffsetForLeaderTopicResult<'a> {
        /// Its name.
        topic: Str<'a>, 2..;
        /// Results by partition.
        partitions: Vec<OffsetForLeaderPartitionResult>, 2..;
    }

    /// The result of one partition.
    pub struct OffsetForLeaderPartitionResult {
        /// The error code, or 0.
        error_code: i16, 2..;
        /// The partition's index.
        partition: i32, 2..;
        /// The largest epoch not above the one asked for, or -1.
        leader_epoch: i32 = -1, 2..;
        /// The offset behind its last record, or -1.
        end_offset: i64 = -1, 2..;
    }
}
