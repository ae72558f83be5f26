//! Server-side assignors: who of a group is to own which partition (KIP-848). Pure functions of the group.
//!
//! Promises, of every assignor: each partition of a topic that somebody subscribes to is given to exactly one of its
//! subscribers; nothing else is given; the same input gives the same output.

mod classes;
mod range;
#[cfg(test)]
mod tests;
mod uniform;

use std::collections::BTreeMap;

use tautline_core::ids::TopicId;

use super::PartitionSet;

/// An assignor that a member may ask for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assignor {
    /// As even as subscriptions allow, and nothing moves that need not.
    Uniform,
    /// Ranges of each topic, the same for topics with equally many partitions, so that they can be joined.
    Range,
}

impl Assignor {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Its name in requests and in `group.consumer.assignors`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }

    /// The assignor of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// What each member is to own, in the order of the members.
    #[must_use]
    pub fn assign(self, group: &AssignedGroup<'_>) -> Vec<PartitionSet> {
        match self {
            Self::Uniform => uniform::assign(group),
            Self::Range => range::assign(group),
        }
    }
}

/// What an assignor looks at.
#[derive(Clone, Debug)]
pub struct AssignedGroup<'a> {
    /// The members, in an order that does not change with the order they came in.
    pub members: Vec<AssignedMember<'a>>,
    /// Distinct sets of subscribed topics, each without repetition. Topics that are not in `topics` are passed over.
    pub subscriptions: Vec<Vec<TopicId>>,
    /// The topics there are, with their number of partitions.
    pub topics: BTreeMap<TopicId, u32>,
}

/// A member as an assignor sees it.
#[derive(Clone, Copy, Debug)]
pub struct AssignedMember<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its instance id, if it is a static member.
    pub instance_id: Option<&'a str>,
    /// Which of the group's subscriptions is its own.
    pub subscription: usize,
    /// What it was to own until now.
    pub target: &'a PartitionSet,
}
