//! ListOffsets (2), versions 1-11: offsets by time. KIP-79, KIP-734 (maximum timestamp, version 7), KIP-405 (local start, 8),
//! KIP-1005 (last tiered, 9), KIP-1075 (timeout, 10), KIP-1023 (earliest pending upload, 11).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for the offsets of times.
    pub struct ListOffsetsRequest<'a> for ListOffsets {
        /// The follower's id, or -1 for a consumer.
        replica_id: i32, 1..;
        /// 0: up to the high watermark. 1: up to the last stable offset.
        isolation_level: i8, 2..;
        /// The topics asked about.
        topics: Vec<ListOffsetsTopic<'a>>, 1..;
        /// How long to wait for remote storage.
        timeout_ms: i32, 10..;
    }

    /// A topic.
    pub struct ListOffsetsTopic<'a> {
        /// Its name.
        name: Str<'a>, 1..;
        /// Its partitions.
        partitions: Vec<ListOffsetsPartition>, 1..;
    }

    /// A partition and a time.
    pub struct ListOffsetsPartition {
        /// The partition's index.
        partition_index: i32, 1..;
        /// The leader epoch the client knows, or -1.
        current_leader_epoch: i32 = -1, 4..;
        /// Epoch milliseconds, or one of the [`timestamp`] constants.
        timestamp: i64, 1..;
    }

    /// The offsets.
    pub struct ListOffsetsResponse<'a> for ListOffsets {
        /// How long the client is throttled.
        throttle_time_ms: i32, 2..;
        /// Results by topic.
        topics: Vec<ListOffsetsTopicResponse<'a>>, 1..;
    }

    /// Results of one topic.
    pub struct ListOffsetsTopicResponse<'a> {
        /// Its name.
        name: Str<'a>, 1..;
        /// Results by partition.
        partitions: Vec<ListOffsetsPartitionResponse>, 1..;
    }

    /// The result of one partition.
    pub struct ListOffsetsPartitionResponse {
        /// The partition's index.
        partition_index: i32, 1..;
        /// The error code, or 0.
        error_code: i16, 1..;
        /// The timestamp of the record found, or -1.
        timestamp: i64 = -1, 1..;
        /// The offset, or -1.
        offset: i64 = -1, 1..;
        /// The leader epoch of the record found, or -1.
        leader_epoch: i32 = -1, 4..;
    }
}

/// Values of [`ListOffsetsPartition::timestamp`] that are not times.
pub mod timestamp {
    /// The end: high watermark or last stable offset.
    pub const LATEST: i64 = -1;
    /// The log start offset.
    pub const EARLIEST: i64 = -2;
    /// The record with the highest timestamp (KIP-734, version 7).
    pub const MAX: i64 = -3;
    /// The first offset on this broker's own disk (KIP-405, version 8).
    pub const EARLIEST_LOCAL: i64 = -4;
    /// The last offset in remote storage (KIP-1005, version 9).
    pub const LATEST_TIERED: i64 = -5;
    /// The first offset not yet in remote storage (KIP-1023, version 11).
    pub const EARLIEST_PENDING_UPLOAD: i64 = -6;
}
