//! Topics that have the same subscribers, taken together: most groups are one class, whatever the number of their topics.

use std::collections::BTreeMap;

use tautline_core::ids::TopicId;

use super::AssignedGroup;

/// Topics with the same subscribers.
#[derive(Debug)]
pub(super) struct Class {
    /// The subscribers as indices into the group's members, ascending; at least one.
    pub(super) members: Vec<usize>,
    /// The topics with their number of partitions, ascending by id; at least one.
    pub(super) topics: Vec<(TopicId, u32)>,
}

impl Class {
    /// Where a member stands in `members`.
    pub(super) fn position(&self, member: usize) -> Option<usize> {
        // Right at once where all members are subscribers.
        if self.members.get(member) == Some(&member) {
            return Some(member);
        }
        self.members.binary_search(&member).ok()
    }
}

/// The classes of a group, those with few subscribers first: they leave least choice.
pub(super) fn of(group: &AssignedGroup<'_>) -> Vec<Class> {
    let mut subscribed: BTreeMap<TopicId, Vec<usize>> = BTreeMap::new();
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); group.subscriptions.len()];
    for (index, member) in group.members.iter().enumerate() {
        members[member.subscription].push(index);
    }
    for (index, subscription) in group.subscriptions.iter().enumerate() {
        if members[index].is_empty() {
            continue;
        }
        for topic in subscription
            .iter()
            .filter(|topic| group.topics.contains_key(topic))
        {
            let subscriptions = subscribed.entry(*topic).or_default();
            if subscriptions.last() != Some(&index) {
                subscriptions.push(index);
            }
        }
    }
    let mut topics: BTreeMap<Vec<usize>, Vec<(TopicId, u32)>> = BTreeMap::new();
    for (topic, subscriptions) in subscribed {
        topics
            .entry(subscriptions)
            .or_default()
            .push((topic, group.topics[&topic]));
    }
    let mut classes: Vec<Class> = topics
        .into_iter()
        .map(|(subscriptions, topics)| {
            let mut class = Class {
                members: subscriptions
                    .into_iter()
                    .flat_map(|index| members[index].iter().copied())
                    .collect(),
                topics,
            };
            class.members.sort_unstable();
            class
        })
        .collect();
    classes.sort_by_key(|class| (class.members.len(), class.topics[0].0));
    classes
}
