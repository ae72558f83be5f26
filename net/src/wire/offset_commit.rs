//! OffsetCommit (8), versions 2-10: how far a group has come. KIP-211 (no retention time, 5), KIP-320 (leader epoch, 6),
//! KIP-345 (static members, 7), KIP-848 (9: consumer groups; 10: topics by id).

use uuid::Uuid;

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to keep offsets.
    pub struct OffsetCommitRequest<'a> for OffsetCommit {
        /// The group.
        group_id: Str<'a>, 2..;
        /// The generation of the member, its epoch in a consumer group, or -1 without membership.
        generation_id_or_member_epoch: i32 = -1, 2..;
        /// The member, or empty.
        member_id: Str<'a>, 2..;
        /// Its name if it is static.
        group_instance_id: Option<Str<'a>>, 7.., null 7..;
        /// How long to keep the offsets; -1 for the broker's setting.
        retention_time_ms: i64 = -1, 2..=4;
        /// The topics.
        topics: Vec<OffsetCommitRequestTopic<'a>>, 2..;
    }

    /// Offsets of one topic.
    pub struct OffsetCommitRequestTopic<'a> {
        /// Its name.
        name: Str<'a>, 2..=9;
        /// Its id.
        topic_id: Uuid, 10..;
        /// Its partitions.
        partitions: Vec<OffsetCommitRequestPartition<'a>>, 2..;
    }

    /// The offset of one partition.
    pub struct OffsetCommitRequestPartition<'a> {
        /// The partition's index.
        partition_index: i32, 2..;
        /// The offset of the next record to be read.
        committed_offset: i64, 2..;
        /// The leader epoch of the last record read, or -1.
        committed_leader_epoch: i32 = -1, 6..;
        /// What the client wants to keep with it.
        committed_metadata: Option<Str<'a>> = Some(Str::default()), 2.., null 2..;
    }

    /// What became of the offsets.
    pub struct OffsetCommitResponse<'a> for OffsetCommit {
        /// How long the client is throttled.
        throttle_time_ms: i32, 3..;
        /// Results by topic.
        topics: Vec<OffsetCommitResponseTopic<'a>>, 2..;
    }

    /// Results of one topic.
    pub struct OffsetCommitResponseTopic<'a> {
        /// Its name.
        name: Str<'a>, 2..=9;
        /// Its id.
        topic_id: Uuid, 10..;
        /// Results by partition.
        partitions: Vec<OffsetCommitResponsePartition>, 2..;
    }

    /// The result of one partition.
    pub struct OffsetCommitResponsePartition {
        /// The partition's index.
        partition_index: i32, 2..;
        /// The error code, or 0.
        error_code: i16, 2..;
    }
}
