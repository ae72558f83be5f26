//! The target assignment of a group: from its members and their subscriptions, by the assignor that most of them ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use tautline_core::ids::TopicId;

use super::assignor::{AssignedGroup, AssignedMember, Assignor};
use super::group::ConsumerGroup;
use super::record::{ConsumerRecord, MemberMetadata};
use crate::groups::config::GroupConfig;
use crate::metadata::MetadataImage;

/// The assignors that the broker offers, the default first; those of Kafka where none is known.
pub(super) fn offered(config: &GroupConfig) -> impl Iterator<Item = Assignor> {
    config
        .consumer_assignors
        .iter()
        .filter_map(|name| Assignor::from_name(name))
}

/// The assignor that most members ask for, the broker's default where none does.
pub(super) fn preferred(group: &ConsumerGroup, config: &GroupConfig) -> Assignor {
    let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
    for member in group.members.values() {
        let asked = member
            .metadata
            .server_assignor
            .as_deref()
            .and_then(Assignor::from_name);
        if let Some(assignor) = asked {
            *votes.entry(assignor).or_default() += 1;
        }
    }
    // The first one offered wins a tie.
    let mut best = offered(config).next().unwrap_or(Assignor::Uniform);
    for assignor in offered(config) {
        if votes.get(&assignor) > votes.get(&best) {
            best = assignor;
        }
    }
    best
}

/// The records that move the targets to the group's epoch: those of the members whose target changes, and the epoch.
pub(super) fn targets(
    group: &ConsumerGroup,
    config: &GroupConfig,
    image: &MetadataImage,
) -> Vec<ConsumerRecord> {
    let input = input(group, image);
    let targets = preferred(group, config).assign(&input);
    let mut records: Vec<ConsumerRecord> = group
        .members
        .keys()
        .zip(targets)
        .filter(|(id, target)| group.targets.get(*id) != Some(target))
        .map(|(id, target)| ConsumerRecord::Target(Arc::clone(id), Some(target)))
        .collect();
    records.push(ConsumerRecord::TargetEpoch(Some(group.epoch)));
    records
}

fn input<'a>(group: &'a ConsumerGroup, image: &MetadataImage) -> AssignedGroup<'a> {
    let mut subscriptions = Vec::new();
    let mut topics = BTreeMap::new();
    // Equal lists of names are shared, so that the address tells them apart.
    let mut known: FxHashMap<(usize, Option<&str>), usize> = FxHashMap::default();
    let members = group
        .members
        .iter()
        .map(|(id, member)| {
            let names = &member.metadata.subscribed_topic_names;
            let pattern = member.metadata.subscribed_topic_regex.as_deref();
            let key = (names.as_ptr() as usize, pattern);
            let subscription = *known.entry(key).or_insert_with(|| {
                subscriptions.push(subscribed(group, &member.metadata, image, &mut topics));
                subscriptions.len() - 1
            });
            AssignedMember {
                id,
                instance_id: member.metadata.instance_id.as_deref(),
                subscription,
                target: group.target(id),
            }
        })
        .collect();
    AssignedGroup {
        members,
        subscriptions,
        topics,
    }
}

/// The topics that exist of what a member subscribes to.
fn subscribed(
    group: &ConsumerGroup,
    member: &MemberMetadata,
    image: &MetadataImage,
    topics: &mut BTreeMap<TopicId, u32>,
) -> Vec<TopicId> {
    let matching = member
        .subscribed_topic_regex
        .as_ref()
        .and_then(|pattern| group.resolved.get(pattern))
        .map_or(&[][..], |resolved| &resolved.topics);
    let ids: BTreeSet<TopicId> = member
        .subscribed_topic_names
        .iter()
        .chain(matching)
        .filter_map(|name| image.topic(name))
        .map(|topic| {
            topics.insert(topic.id, topic.partition_count);
            topic.id
        })
        .collect();
    ids.into_iter().collect()
}
