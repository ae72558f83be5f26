//! ConsumerGroupDescribe: a group and its members as they are (KIP-848).

use std::sync::Arc;

use tautline_core::error::ErrorCode;

use super::group::{ConsumerGroup, Member};
use super::{PartitionSet, assign};
use crate::coordinator::Token;
use crate::groups::config::GroupConfig;
use crate::groups::group::Group;
use crate::groups::request::ConsumerGroupDescribe;
use crate::groups::response::{
    AssignedTopic, DescribedConsumerGroup, DescribedConsumerMember, GroupResponse,
};
use crate::groups::turn::{Groups, Turn};
use crate::metadata::MetadataImage;

/// Answers with each group in the order asked.
pub(crate) fn describe(groups: &Groups, turn: &mut Turn<'_>, token: Token, request: &ConsumerGroupDescribe) {
    let groups = request
        .group_ids
        .iter()
        .map(|id| match groups.get(id.as_str()) {
            Some(Group::Consumer(group)) => describe_group(group, turn.config, turn.now.image),
            found => {
                let why = if found.is_some() {
                    "is not a consumer group"
                } else {
                    "not found"
                };
                DescribedConsumerGroup {
                    error_message: Some(format!("Group {id} {why}.")),
                    ..DescribedConsumerGroup::refused(id, ErrorCode::GroupIdNotFound)
                }
            }
        })
        .collect();
    turn.reply(token, GroupResponse::ConsumerGroupDescribe(groups));
}

fn describe_group(
    group: &ConsumerGroup,
    config: &GroupConfig,
    image: &MetadataImage,
) -> DescribedConsumerGroup {
    DescribedConsumerGroup {
        error: ErrorCode::None,
        error_message: None,
        group_id: group.id.to_string(),
        state: group.state_name(),
        group_epoch: group.epoch,
        assignment_epoch: group.target_epoch,
        assignor_name: Arc::from(assign::preferred(group, config).name()),
        members: group
            .members
            .iter()
            .map(|(id, member)| describe_member(id, member, group.target(id), image))
            .collect(),
    }
}

fn describe_member(
    id: &Arc<str>,
    member: &Member,
    target: &PartitionSet,
    image: &MetadataImage,
) -> DescribedConsumerMember {
    let metadata = &member.metadata;
    DescribedConsumerMember {
        member_id: Arc::clone(id),
        instance_id: metadata.instance_id.clone(),
        rack_id: metadata.rack_id.clone(),
        member_epoch: member.current.epoch,
        client_id: Arc::clone(&metadata.client_id),
        client_host: Arc::clone(&metadata.client_host),
        subscribed_topic_names: metadata.subscribed_topic_names.to_vec(),
        subscribed_topic_regex: metadata.subscribed_topic_regex.clone(),
        assignment: named(&member.current.assigned, image),
        target_assignment: named(target, image),
        member_type: i8::from(metadata.classic.is_none()),
    }
}

/// The topics that still exist, with their names.
fn named(partitions: &PartitionSet, image: &MetadataImage) -> Vec<AssignedTopic> {
    partitions
        .topics()
        .filter_map(|(id, partitions)| {
            Some(AssignedTopic {
                id,
                name: Arc::clone(&image.topic_by_id(id)?.name),
                partitions: partitions.to_vec(),
            })
        })
        .collect()
}
