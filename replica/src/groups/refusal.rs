//! One error as the answer to a whole request.

use tautline_core::error::ErrorCode;
use tautline_core::ids::PartitionIndex;

use super::request::{CommitTopic, GroupRequest, TopicPartitions};
use super::response::{
    Committed, CommittedTopic, ConsumerHeartbeat, DeletedOffsets, DescribedConsumerGroup, DescribedGroup,
    FetchedOffsets, GroupResponse, Joined, Left, Synced,
};

impl GroupRequest {
    /// The answer that refuses all of this request, in the place where Kafka has it for that kind of request: what a host says
    /// while it has no coordinator.
    #[must_use]
    pub fn refused(&self, error: ErrorCode) -> GroupResponse {
        match self {
            Self::JoinGroup(request) => {
                GroupResponse::JoinGroup(Joined::refused(error, request.member_id.as_str()))
            }
            Self::SyncGroup(_) => GroupResponse::SyncGroup(Synced::refused(error)),
            // While the group loads, a member may go on as it is.
            Self::Heartbeat(_) if error == ErrorCode::CoordinatorLoadInProgress => {
                GroupResponse::Heartbeat(ErrorCode::None)
            }
            Self::Heartbeat(_) => GroupResponse::Heartbeat(error),
            Self::LeaveGroup(_) => GroupResponse::LeaveGroup(Left {
                error,
                members: Vec::new(),
            }),
            Self::OffsetCommit(request) => {
                GroupResponse::OffsetCommit(Committed::refused(&request.topics, error))
            }
            Self::TxnOffsetCommit(request) => {
                GroupResponse::TxnOffsetCommit(Committed::refused(&request.topics, error))
            }
            Self::OffsetFetch(request) => GroupResponse::OffsetFetch(FetchedOffsets {
                group_id: request.group_id.clone(),
                error,
                topics: Vec::new(),
            }),
            Self::OffsetDelete(_) => GroupResponse::OffsetDelete(DeletedOffsets {
                error,
                topics: Vec::new(),
            }),
            Self::DeleteGroups(request) => {
                GroupResponse::DeleteGroups(request.group_ids.iter().map(|id| (id.clone(), error)).collect())
            }
            Self::DescribeGroups(request) => GroupResponse::DescribeGroups(
                request
                    .group_ids
                    .iter()
                    .map(|id| DescribedGroup::refused(id, error))
                    .collect(),
            ),
            Self::ListGroups(_) => GroupResponse::ListGroups(Vec::new()),
            Self::ConsumerGroupHeartbeat(_) => {
                GroupResponse::ConsumerGroupHeartbeat(ConsumerHeartbeat::refused(error, error.message()))
            }
            Self::ConsumerGroupDescribe(request) => GroupResponse::ConsumerGroupDescribe(
                request
                    .group_ids
                    .iter()
                    .map(|id| DescribedConsumerGroup::refused(id, error))
                    .collect(),
            ),
        }
    }
}

impl Committed {
    /// Every partition with the same error.
    #[must_use]
    pub fn refused(topics: &[CommitTopic], error: ErrorCode) -> Self {
        let topics = topics
            .iter()
            .map(|topic| CommittedTopic {
                name: topic.name.clone(),
                id: topic.id,
                partitions: topic
                    .partitions
                    .iter()
                    .map(|partition| (partition.partition, error))
                    .collect(),
            })
            .collect();
        Self { topics }
    }
}

impl DeletedOffsets {
    /// Every partition with the same error.
    #[must_use]
    pub fn of_each(topics: &[TopicPartitions], error: ErrorCode) -> Self {
        let each =
            |partitions: &[PartitionIndex]| partitions.iter().map(|partition| (*partition, error)).collect();
        Self {
            error: ErrorCode::None,
            topics: topics
                .iter()
                .map(|topic| (topic.name.clone(), each(&topic.partitions)))
                .collect(),
        }
    }
}

impl DescribedGroup {
    /// A group that can't be described.
    #[must_use]
    pub fn refused(group_id: &str, error: ErrorCode) -> Self {
        Self {
            error,
            error_message: None,
            group_id: group_id.to_owned(),
            state: "",
            protocol_type: "".into(),
            protocol: "".into(),
            members: Vec::new(),
        }
    }
}

impl DescribedConsumerGroup {
    /// A group that can't be described.
    #[must_use]
    pub fn refused(group_id: &str, error: ErrorCode) -> Self {
        Self {
            error,
            error_message: None,
            group_id: group_id.to_owned(),
            state: "",
            group_epoch: 0,
            assignment_epoch: 0,
            assignor_name: "".into(),
            members: Vec::new(),
        }
    }
}
