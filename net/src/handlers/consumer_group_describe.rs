//! ConsumerGroupDescribe (69), versions 0-1: consumer groups as administrators see them. KIP-848, KIP-1099 (types of members).

use tautline_core::error::ErrorCode;
use tautline_replica::controller::GROUP_VERSION;
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::ConsumerGroupDescribe;
use tautline_replica::groups::response;

use super::authorized_operations::{GROUP_OPERATIONS, OPERATIONS_NOT_ASKED};
use super::grouped::{ask_all, told};
use crate::connection::{Call, Reply};
use crate::wire::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DescribedAssignment, DescribedConsumerGroup,
    DescribedConsumerGroupMember, DescribedPartitions, WireError,
};

/// Describes the groups.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: ConsumerGroupDescribeRequest<'_> = call.decode()?;
    let operations = if request.include_authorized_operations {
        GROUP_OPERATIONS
    } else {
        OPERATIONS_NOT_ASKED
    };
    let refused = |group: &String, error| response::DescribedConsumerGroup::refused(group, error);
    let named = request.group_ids.iter().map(|group| group.to_string());
    let describe = |group_ids| GroupRequest::ConsumerGroupDescribe(ConsumerGroupDescribe { group_ids });
    if call.broker.image().feature_level(GROUP_VERSION.name) == 0 {
        let groups = request.group_ids.iter();
        let described: Vec<_> = groups
            .map(|group| refused(&group.to_string(), ErrorCode::UnsupportedVersion))
            .collect();
        return Ok(answer(&call, &described, operations));
    }
    let mut described = Vec::new();
    for (groups, answer) in ask_all(&call, named.filter(|group| !group.is_empty()), describe).await {
        match answer {
            Ok(answer) => described.extend(told!(ConsumerGroupDescribe, answer)),
            Err(error) => described.extend(groups.iter().map(|group| refused(group, error))),
        }
    }
    if request.group_ids.iter().any(|group| group.is_empty()) {
        described.push(refused(&String::new(), ErrorCode::InvalidGroupId));
    }
    Ok(answer(&call, &described, operations))
}

fn answer(call: &Call, described: &[response::DescribedConsumerGroup], operations: i32) -> Reply {
    let groups = described.iter().map(|it| group(it, operations));
    call.reply(&ConsumerGroupDescribeResponse {
        groups: groups.collect(),
        ..Default::default()
    })
}

fn group(described: &response::DescribedConsumerGroup, operations: i32) -> DescribedConsumerGroup<'_> {
    DescribedConsumerGroup {
        error_code: described.error.code(),
        error_message: described.error_message.as_deref().map(Into::into),
        group_id: described.group_id.as_str().into(),
        group_state: described.state.into(),
        group_epoch: described.group_epoch,
        assignment_epoch: described.assignment_epoch,
        assignor_name: (&*described.assignor_name).into(),
        members: described.members.iter().map(member).collect(),
        authorized_operations: if described.error == ErrorCode::None {
            operations
        } else {
            OPERATIONS_NOT_ASKED
        },
    }
}

fn member(described: &response::DescribedConsumerMember) -> DescribedConsumerGroupMember<'_> {
    DescribedConsumerGroupMember {
        member_id: (&*described.member_id).into(),
        instance_id: described.instance_id.as_deref().map(Into::into),
        rack_id: described.rack_id.as_deref().map(Into::into),
        member_epoch: described.member_epoch,
        client_id: (&*described.client_id).into(),
        client_host: (&*described.client_host).into(),
        subscribed_topic_names: described
            .subscribed_topic_names
            .iter()
            .map(|name| (&**name).into())
            .collect(),
        subscribed_topic_regex: described.subscribed_topic_regex.as_deref().map(Into::into),
        assignment: assignment(&described.assignment),
        target_assignment: assignment(&described.target_assignment),
        member_type: described.member_type,
    }
}

fn assignment(topics: &[response::AssignedTopic]) -> DescribedAssignment<'_> {
    let topics = topics.iter().map(|topic| DescribedPartitions {
        topic_id: topic.id.0,
        topic_name: (&*topic.name).into(),
        partitions: topic.partitions.iter().map(|partition| partition.0).collect(),
    });
    DescribedAssignment {
        topic_partitions: topics.collect(),
    }
}
