//! OffsetFetch (9), versions 1-10: where a group has to go on. KIP-88 (all topics, 2), KIP-320 (leader epoch, 5), KIP-447
//! (stable offsets, 7), KIP-709 (many groups, 8), KIP-848 (9: consumer groups; 10: topics by id).

use uuid::Uuid;

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for the offsets of groups.
    pub struct OffsetFetchRequest<'a> for OffsetFetch {
        /// The group, in versions before 8.
        group_id: Str<'a>, 1..=7;
        /// Its topics, in versions before 8; null for all that have offsets.
        topics: Option<Vec<OffsetFetchRequestTopic<'a>>>, 1..=7, null 2..=7;
        /// The groups.
        groups: Vec<OffsetFetchRequestGroup<'a>>, 8..;
        /// Whether a partition with offsets in an open transaction is answered with UNSTABLE_OFFSET_COMMIT.
        require_stable: bool, 7..;
    }

    /// A group.
    pub struct OffsetFetchRequestGroup<'a> {
        /// Its id.
        group_id: Str<'a>, 8..;
        /// The member of a consumer group that asks.
        member_id: Option<Str<'a>>, 9.., null 9..;
        /// Its epoch, or -1.
        member_epoch: i32 = -1, 9..;
        /// The topics; null for all that have offsets.
        topics: Option<Vec<OffsetFetchRequestTopic<'a>>>, 8.., null 8..;
    }

    /// Partitions of one topic.
    pub struct OffsetFetchRequestTopic<'a> {
        /// Its name.
        name: Str<'a>, 1..=9;
        /// Its id.
        topic_id: Uuid, 10..;
        /// Indexes of its partitions.
        partition_indexes: Vec<i32>, 1..;
    }

    /// The offsets.
    pub struct OffsetFetchResponse<'a> for OffsetFetch {
        /// How long the client is throttled.
        throttle_time_ms: i32, 3..;
        /// Results by topic of the only group, in versions before 8.
        topics: Vec<OffsetFetchResponseTopic<'a>>, 1..=7;
        /// The error code of the only group, or 0, in versions before 8.
        error_code: i16, 2..=7;
        /// Results by group.
        groups: Vec<OffsetFetchResponseGroup<'a>>, 8..;
    }

    /// Results of one group.
    pub struct OffsetFetchResponseGroup<'a> {
        /// Its id.
        group_id: Str<'a>, 8..;
        /// Results by topic.
        topics: Vec<OffsetFetchResponseTopic<'a>>, 8..;
        /// The error code, or 0.
        error_code: i16, 8..;
    }

    /// Results of one topic.
    pub struct OffsetFetchResponseTopic<'a> {
        /// Its name.
        name: Str<'a>, 1..=9;
        /// Its id.
        topic_id: Uuid, 10..;
        /// Results by partition.
        partitions: Vec<OffsetFetchResponsePartition<'a>>, 1..;
    }

    /// The result of one partition.
    pub struct OffsetFetchResponsePartition<'a> {
        /// The partition's index.
        partition_index: i32, 1..;
        /// The offset, -1 if there is none.
        committed_offset: i64, 1..;
        /// The leader epoch kept with it, or -1.
        committed_leader_epoch: i32 = -1, 5..;
        /// What the client kept with it.
        metadata: Option<Str<'a>> = Some(Str::default()), 1.., null 1..;
        /// The error code, or 0.
        error_code: i16, 1..;
    }
}
