//! What a group coordinator answers. Handlers turn it into the version the client asked in.

use std::sync::Arc;

use bytes::Bytes;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};

/// An answer, of the kind that was asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum GroupResponse {
    /// To JoinGroup.
    JoinGroup(Joined),
    /// To SyncGroup.
    SyncGroup(Synced),
    /// To Heartbeat.
    Heartbeat(ErrorCode),
    /// To LeaveGroup.
    LeaveGroup(Left),
    /// To OffsetCommit.
    OffsetCommit(Committed),
    /// To TxnOffsetCommit.
    TxnOffsetCommit(Committed),
    /// To OffsetFetch.
    OffsetFetch(FetchedOffsets),
    /// To OffsetDelete.
    OffsetDelete(DeletedOffsets),
    /// To DeleteGroups: each group in the order asked.
    DeleteGroups(Vec<(String, ErrorCode)>),
    /// To DescribeGroups: each group in the order asked.
    DescribeGroups(Vec<DescribedGroup>),
    /// To ListGroups.
    ListGroups(Vec<ListedGroup>),
    /// To ConsumerGroupHeartbeat.
    ConsumerGroupHeartbeat(ConsumerHeartbeat),
    /// To ConsumerGroupDescribe: each group in the order asked.
    ConsumerGroupDescribe(Vec<DescribedConsumerGroup>),
}

/// A member has joined a generation, or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// MEMBER_ID_REQUIRED tells the id in `member_id`.
    pub error: ErrorCode,
    /// -1 on an error.
    pub generation_id: i32,
    /// Version 7 and later.
    pub protocol_type: Option<Arc<str>>,
    /// The chosen protocol; None on an error, which is an empty string before version 7.
    pub protocol_name: Option<Arc<str>>,
    /// The leader's member id, empty on an error.
    pub leader: Arc<str>,
    /// Whether the leader has nothing to assign (KIP-814).
    pub skip_assignment: bool,
    /// The member's id.
    pub member_id: Arc<str>,
    /// All members, for the leader; empty for others.
    pub members: Vec<JoinedMember>,
}

/// What the leader learns of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Set for a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

impl Joined {
    /// A refusal.
    #[must_use]
    pub fn refused(error: ErrorCode, member_id: impl Into<Arc<str>>) -> Self {
        Self {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: Arc::from(""),
            skip_assignment: false,
            member_id: member_id.into(),
            members: Vec::new(),
        }
    }
}

/// A member's assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// What went wrong.
    pub error: ErrorCode,
    /// Version 5 and later.
    pub protocol_type: Option<Arc<str>>,
    /// Version 5 and later.
    pub protocol_name: Option<Arc<str>>,
    /// In the assignor's own format; empty on an error.
    pub assignment: Bytes,
}

impl Synced {
    /// A refusal.
    #[must_use]
    pub const fn refused(error: ErrorCode) -> Self {
        Self {
            error,
            protocol_type: None,
            protocol_name: None,
            assignment: Bytes::new(),
        }
    }
}

/// Who has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Of the whole request.
    pub error: ErrorCode,
    /// In the order asked; empty where the whole request failed.
    pub members: Vec<LeftMember>,
}

/// One who has left, or could not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    /// As asked.
    pub member_id: String,
    /// As asked.
    pub group_instance_id: Option<String>,
    /// What went wrong.
    pub error: ErrorCode,
}

/// What became of each partition of a commit, in the order asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Each topic.
    pub topics: Vec<CommittedTopic>,
}

/// A topic of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedTopic {
    /// As asked.
    pub name: String,
    /// As asked.
    pub id: TopicId,
    /// Each partition with what went wrong.
    pub partitions: Vec<(PartitionIndex, ErrorCode)>,
}

/// Offsets that were committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffsets {
    /// As asked.
    pub group_id: String,
    /// Of the whole group; `topics` is empty then.
    pub error: ErrorCode,
    /// Each topic, in the order asked, or by name where all were asked for.
    pub topics: Vec<FetchedTopic>,
}

/// A topic with committed offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// Its name.
    pub name: Arc<str>,
    /// As asked, or as committed; zero where it is not known.
    pub id: TopicId,
    /// Each partition.
    pub partitions: Vec<FetchedOffset>,
}

/// The offset of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// Which.
    pub partition: PartitionIndex,
    /// The committed offset, -1 where there is none.
    pub offset: Offset,
    /// The committed leader epoch, -1 where there is none.
    pub leader_epoch: LeaderEpoch,
    /// The committed metadata.
    pub metadata: Arc<str>,
    /// UNSTABLE_OFFSET_COMMIT where a transaction is open and stable offsets were asked for.
    pub error: ErrorCode,
}

/// Offsets that were forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedOffsets {
    /// Of the whole request; `topics` is empty then.
    pub error: ErrorCode,
    /// Each topic in the order asked: partitions with what went wrong.
    pub topics: Vec<(String, Vec<(PartitionIndex, ErrorCode)>)>,
}

/// A classic group as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// GROUP_ID_NOT_FOUND where there is no classic group of that id; before version 6 that is told as state Dead without an
    /// error.
    pub error: ErrorCode,
    /// Version 6 and later: what went wrong.
    pub error_message: Option<String>,
    /// As asked.
    pub group_id: String,
    /// Its state by name: Empty, PreparingRebalance, CompletingRebalance, Stable or Dead.
    pub state: &'static str,
    /// Empty where it has none.
    pub protocol_type: Arc<str>,
    /// The chosen protocol, where the group is Stable; else empty.
    pub protocol: Arc<str>,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Set for a static member.
    pub group_instance_id: Option<Arc<str>>,
    /// The client's name of itself.
    pub client_id: Arc<str>,
    /// Where the client is.
    pub client_host: Arc<str>,
    /// Its metadata for the chosen protocol; empty while none is chosen.
    pub metadata: Bytes,
    /// What it was assigned.
    pub assignment: Bytes,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// Its id.
    pub group_id: Arc<str>,
    /// "consumer" for consumers, empty where it has none.
    pub protocol_type: Arc<str>,
    /// Its state by name.
    pub state: &'static str,
    /// "classic" or "consumer".
    pub group_type: &'static str,
}

/// What a member of a consumer group is told (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeat {
    /// What went wrong.
    pub error: ErrorCode,
    /// For a person.
    pub error_message: Option<String>,
    /// The member's id; None on an error.
    pub member_id: Option<Arc<str>>,
    /// Its epoch; 0 on an error.
    pub member_epoch: i32,
    /// When to send the next heartbeat; 0 on an error.
    pub heartbeat_interval_ms: i32,
    /// What the member is to have; None where it has not changed.
    pub assignment: Option<Vec<(TopicId, Vec<PartitionIndex>)>>,
}

impl ConsumerHeartbeat {
    /// A refusal.
    #[must_use]
    pub fn refused(error: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            error,
            error_message: Some(message.into()),
            member_id: None,
            member_epoch: 0,
            heartbeat_interval_ms: 0,
            assignment: None,
        }
    }
}

/// A consumer group as it is (KIP-848).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerGroup {
    /// GROUP_ID_NOT_FOUND where there is no consumer group of that id.
    pub error: ErrorCode,
    /// For a person.
    pub error_message: Option<String>,
    /// As asked.
    pub group_id: String,
    /// Its state by name: Empty, Assigning, Reconciling, Stable or Dead.
    pub state: &'static str,
    /// Changes with every change of members, subscriptions or topics.
    pub group_epoch: i32,
    /// The group epoch that the target assignment was made for.
    pub assignment_epoch: i32,
    /// Name of the assignor.
    pub assignor_name: Arc<str>,
    /// Its members.
    pub members: Vec<DescribedConsumerMember>,
}

/// A member of a consumer group as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConsumerMember {
    /// Its id.
    pub member_id: Arc<str>,
    /// Set for a static member.
    pub instance_id: Option<Arc<str>>,
    /// Where it is, if it told.
    pub rack_id: Option<Arc<str>>,
    /// Its epoch.
    pub member_epoch: i32,
    /// The client's name of itself.
    pub client_id: Arc<str>,
    /// Where the client is.
    pub client_host: Arc<str>,
    /// The topics it named.
    pub subscribed_topic_names: Vec<Arc<str>>,
    /// The regular expression it named.
    pub subscribed_topic_regex: Option<Arc<str>>,
    /// What it has.
    pub assignment: Vec<AssignedTopic>,
    /// What it will have.
    pub target_assignment: Vec<AssignedTopic>,
    /// Version 1: -1 unknown, 0 classic, 1 consumer.
    pub member_type: i8,
}

/// A topic of an assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedTopic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// Which partitions.
    pub partitions: Vec<PartitionIndex>,
}
