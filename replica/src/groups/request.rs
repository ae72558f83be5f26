//! What a group coordinator is asked: one struct a request, owned, for one group each where the protocol lets a request carry
//! several.
//!
//! Handlers have checked before: authorisation, that topics and partitions exist (UNKNOWN_TOPIC_OR_PARTITION), that topic ids
//! have names (UNKNOWN_TOPIC_ID), and what a version can't say. [`Bytes`] are copies of their own: a slice would keep its whole
//! frame in memory.

use bytes::Bytes;

use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};

/// A request to the coordinator of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupRequest {
    /// JoinGroup 0-9.
    JoinGroup(JoinGroup),
    /// SyncGroup 0-5.
    SyncGroup(SyncGroup),
    /// Heartbeat 0-4.
    Heartbeat(Heartbeat),
    /// LeaveGroup 0-5.
    LeaveGroup(LeaveGroup),
    /// OffsetCommit 2-10.
    OffsetCommit(OffsetCommit),
    /// TxnOffsetCommit 0-5.
    TxnOffsetCommit(TxnOffsetCommit),
    /// OffsetFetch 1-10, one group of it.
    OffsetFetch(OffsetFetch),
    /// OffsetDelete 0.
    OffsetDelete(OffsetDelete),
    /// DeleteGroups 0-2, the groups of it that live in this partition.
    DeleteGroups(DeleteGroups),
    /// DescribeGroups 0-6, the groups of it that live in this partition.
    DescribeGroups(DescribeGroups),
    /// ListGroups 0-5.
    ListGroups(ListGroups),
    /// ConsumerGroupHeartbeat 0-1 (KIP-848).
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeat),
    /// ConsumerGroupDescribe 0-1 (KIP-848), the groups of it that live in this partition.
    ConsumerGroupDescribe(ConsumerGroupDescribe),
}

/// A client asks to become or to remain a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinGroup {
    /// The group, not empty.
    pub group_id: String,
    /// Empty for a new member.
    pub member_id: String,
    /// The id that a new member gets: `{instance id, or else client id}-{random UUID}`, made by the handler.
    pub fresh_member_id: String,
    /// Set for a static member (KIP-345).
    pub group_instance_id: Option<String>,
    /// The client's name of itself.
    pub client_id: String,
    /// Where the client is, as `/address`.
    pub client_host: String,
    /// How long a member may be silent.
    pub session_timeout_ms: i32,
    /// How long members have to join a rebalance; the session timeout in version 0, which has no such field.
    pub rebalance_timeout_ms: i32,
    /// "consumer" for consumers.
    pub protocol_type: String,
    /// Names of assignors with the member's metadata for each, best first.
    pub protocols: Vec<(String, Bytes)>,
    /// Whether a new dynamic member must first ask for its id (KIP-394): version 4 and later.
    pub requires_known_member_id: bool,
    /// Whether a leader can be told not to assign (KIP-814): version 9 and later.
    pub supports_skipping_assignment: bool,
    /// Why the member joins, for a log (KIP-800).
    pub reason: Option<String>,
}

/// A member asks for its assignment, and the leader brings all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncGroup {
    /// The group.
    pub group_id: String,
    /// Of which generation.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Set for a static member.
    pub group_instance_id: Option<String>,
    /// What the client thinks the group's protocol type is; None before version 5.
    pub protocol_type: Option<String>,
    /// What the client thinks the chosen protocol is; None before version 5.
    pub protocol_name: Option<String>,
    /// Assignment of each member by its id, from the leader.
    pub assignments: Vec<(String, Bytes)>,
}

/// A member says that it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group_id: String,
    /// Of which generation.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// Set for a static member.
    pub group_instance_id: Option<String>,
}

/// Members leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaveGroup {
    /// The group.
    pub group_id: String,
    /// Who; exactly one before version 3, whose error is then the response's.
    pub members: Vec<LeavingMember>,
}

/// One of those who leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeavingMember {
    /// May be empty where an instance id is given, by tools.
    pub member_id: String,
    /// Set for a static member.
    pub group_instance_id: Option<String>,
    /// Why, for a log (KIP-800).
    pub reason: Option<String>,
}

/// A topic of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitTopic {
    /// Its name.
    pub name: String,
    /// Its id, zero where it is not known.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: Vec<CommitPartition>,
}

/// A partition of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitPartition {
    /// Which.
    pub partition: PartitionIndex,
    /// The next offset to be read.
    pub offset: Offset,
    /// Leader epoch of the last record read (KIP-320).
    pub leader_epoch: LeaderEpoch,
    /// Whatever the client wants kept.
    pub metadata: Option<String>,
}

/// A consumer notes how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetCommit {
    /// The group.
    pub group_id: String,
    /// Generation, or member epoch (KIP-848); -1 for a consumer that is no member.
    pub generation_id_or_member_epoch: i32,
    /// The member, empty for a consumer that is none.
    pub member_id: String,
    /// Set for a static member.
    pub group_instance_id: Option<String>,
    /// Whether the client knows GROUP_ID_NOT_FOUND and STALE_MEMBER_EPOCH (KIP-848): version 9 and later.
    pub knows_member_epochs: bool,
    /// Versions 2-4: keep for that long from now; None (-1 on the wire) for the broker's rule.
    pub retention_time_ms: Option<i64>,
    /// What is committed.
    pub topics: Vec<CommitTopic>,
}

/// A transactional producer notes how far the consumer it belongs to is (KIP-98, KIP-447).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnOffsetCommit {
    /// The group.
    pub group_id: String,
    /// The producer.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// Generation or member epoch, -1 where it is not told.
    pub generation_id_or_member_epoch: i32,
    /// The member, empty where it is not told.
    pub member_id: String,
    /// Set for a static member.
    pub group_instance_id: Option<String>,
    /// What is committed.
    pub topics: Vec<CommitTopic>,
}

/// A topic and some of its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPartitions {
    /// Its name.
    pub name: String,
    /// Its id, zero where it is not known; handed back.
    pub id: TopicId,
    /// Which partitions.
    pub partitions: Vec<PartitionIndex>,
}

/// What was committed?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetFetch {
    /// The group.
    pub group_id: String,
    /// Version 9 and later: the member that asks; None for a consumer that is none, or a tool.
    pub member_id: Option<String>,
    /// Version 9 and later: its epoch, -1 where it is not told.
    pub member_epoch: i32,
    /// None for all.
    pub topics: Option<Vec<TopicPartitions>>,
    /// Whether offsets that an open transaction may change are refused (KIP-447).
    pub require_stable: bool,
}

/// Forget offsets (KIP-496).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetDelete {
    /// The group.
    pub group_id: String,
    /// Of which partitions.
    pub topics: Vec<TopicPartitions>,
}

/// Forget groups and their offsets (KIP-229).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteGroups {
    /// Which.
    pub group_ids: Vec<String>,
}

/// Tell of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeGroups {
    /// Which.
    pub group_ids: Vec<String>,
}

/// Tell which groups there are.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ListGroups {
    /// Only those in one of these states, by name in any case; all if empty (KIP-518).
    pub states: Vec<String>,
    /// Only those of one of these types, by name in any case; all if empty (KIP-848).
    pub types: Vec<String>,
}

/// A member of a consumer group says that it lives, what it wants and what it has (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupHeartbeat {
    /// The group.
    pub group_id: String,
    /// The member's id, made by the client; may be empty for a new member of version 0.
    pub member_id: String,
    /// Version 1 on: without an id it is refused (KIP-1082).
    pub makes_own_id: bool,
    /// The id that a member without one gets: a random UUID in Kafka's base64 form, made by the handler.
    pub fresh_member_id: String,
    /// 0 to join, -1 to leave, -2 to leave for a while as a static member.
    pub member_epoch: i32,
    /// None if it has none, or has not changed.
    pub instance_id: Option<String>,
    /// None if it has none, or has not changed.
    pub rack_id: Option<String>,
    /// -1 if it has not changed.
    pub rebalance_timeout_ms: i32,
    /// None if not changed.
    pub subscribed_topic_names: Option<Vec<String>>,
    /// Version 1: None if not changed; a regular expression in RE2's syntax, empty for none.
    pub subscribed_topic_regex: Option<String>,
    /// None if not changed or left to the broker.
    pub server_assignor: Option<String>,
    /// What the member has; None if not changed.
    pub topic_partitions: Option<Vec<(TopicId, Vec<PartitionIndex>)>>,
    /// The client's name of itself.
    pub client_id: String,
    /// Where the client is, as `/address`.
    pub client_host: String,
}

/// Tell of consumer groups (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerGroupDescribe {
    /// Which.
    pub group_ids: Vec<String>,
}
