//! OffsetDelete (47), version 0: forgets offsets of a group. KIP-496.

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to delete offsets.
    pub struct OffsetDeleteRequest<'a> for OffsetDelete {
        /// The group.
        group_id: Str<'a>, 0..;
        /// The topics.
        topics: Vec<OffsetDeleteRequestTopic<'a>>, 0..;
    }

    /// Partitions of one topic.
    pub struct OffsetDeleteRequestTopic<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Its partitions.
        partitions: Vec<OffsetDeleteRequestPartition>, 0..;
    }

    /// A partition.
    pub struct OffsetDeleteRequestPartition {
        /// The partition's index.
        partition_index: i32, 0..;
    }

    /// What became of the offsets.
    pub struct OffsetDeleteResponse<'a> for OffsetDelete {
        /// The error code of the whole request, or 0.
        error_code: i16, 0..;
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by topic.
        topics: Vec<OffsetDeleteResponseTopic<'a>>, 0..;
    }

    /// Results of one topic.
    pub struct OffsetDeleteResponseTopic<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Results by partition.
        partitions: Vec<OffsetDeleteResponsePartition>, 0..;
    }

    /// The result of one partition.
    pub struct OffsetDeleteResponsePartition {
        /// The partition's index.
        partition_index: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
    }
}
