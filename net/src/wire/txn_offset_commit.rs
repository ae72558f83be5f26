//! TxnOffsetCommit (28), versions 0-5: how far a group has come, when the transaction commits. KIP-98, KIP-320 (leader
//! epoch, 2), KIP-447 (fencing by the group, 3), KIP-890 (4: TRANSACTION_ABORTABLE; 5: no AddOffsetsToTxn before it).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to keep offsets when the transaction commits.
    pub struct TxnOffsetCommitRequest<'a> for TxnOffsetCommit {
        /// The transactional id.
        transactional_id: Str<'a>, 0..;
        /// The group.
        group_id: Str<'a>, 0..;
        /// The producer's id.
        producer_id: i64, 0..;
        /// Its epoch.
        producer_epoch: i16, 0..;
        /// The generation of the member, its epoch in a consumer group, or -1 without membership.
        generation_id: i32 = -1, 3..;
        /// The member, or empty.
        member_id: Str<'a>, 3..;
        /// Its name if it is static.
        group_instance_id: Option<Str<'a>>, 3.., null 3..;
        /// The topics.
        topics: Vec<TxnOffsetCommitRequestTopic<'a>>, 0..;
    }

    /// Offsets of one topic.
    pub struct TxnOffsetCommitRequestTopic<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Its partitions.
        partitions: Vec<TxnOffsetCommitRequestPartition<'a>>, 0..;
    }

    /// The offset of one partition.
    pub struct TxnOffsetCommitRequestPartition<'a> {
        /// The partition's index.
        partition_index: i32, 0..;
        /// The offset of the next record to be read.
        committed_offset: i64, 0..;
        /// The leader epoch of the last record read, or -1.
        committed_leader_epoch: i32 = -1, 2..;
        /// What the client wants to keep with it.
        committed_metadata: Option<Str<'a>> = Some(Str::default()), 0.., null 0..;
    }

    /// What became of the offsets.
    pub struct TxnOffsetCommitResponse<'a> for TxnOffsetCommit {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by topic.
        topics: Vec<TxnOffsetCommitResponseTopic<'a>>, 0..;
    }

    /// Results of one topic.
    pub struct TxnOffsetCommitResponseTopic<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Results by partition.
        partitions: Vec<TxnOffsetCommitResponsePartition>, 0..;
    }

    /// The result of one partition.
    pub struct TxnOffsetCommitResponsePartition {
        /// The partition's index.
        partition_index: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
    }
}
