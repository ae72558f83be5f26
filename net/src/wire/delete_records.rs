//! DeleteRecords (21), versions 0-2: moves the start of partitions' logs. KIP-107.

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to delete records below an offset.
    pub struct DeleteRecordsRequest<'a> for DeleteRecords {
        /// The topics.
        topics: Vec<DeleteRecordsTopic<'a>>, 0..;
        /// How long to wait for the deletion.
        timeout_ms: i32, 0..;
    }

    /// Partitions of one topic.
    pub struct DeleteRecordsTopic<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Its partitions.
        partitions: Vec<DeleteRecordsPartition>, 0..;
    }

    /// A partition and its new start.
    pub struct DeleteRecordsPartition {
        /// The partition's index.
        partition_index: i32, 0..;
        /// The first offset to keep; -1 for the high watermark.
        offset: i64, 0..;
    }

    /// What became of the partitions.
    pub struct DeleteRecordsResponse<'a> for DeleteRecords {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by topic.
        topics: Vec<DeleteRecordsTopicResult<'a>>, 0..;
    }

    /// Results of one topic.
    pub struct DeleteRecordsTopicResult<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Results by partition.
        partitions: Vec<DeleteRecordsPartitionResult>, 0..;
    }

    /// The result of one partition.
    pub struct DeleteRecordsPartitionResult {
        /// The partition's index.
        partition_index: i32, 0..;
        /// Where the log starts now.
        low_watermark: i64, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
    }
}
