//! Sets of partitions by topic: what a member is to own, owns, or has to give up. Plain data, without I/O.
//!
//! Promises: topics and partitions are in ascending order, none twice, and no topic without a partition, so that equal sets
//! compare and are written equal.

use std::collections::BTreeMap;

use tautline_core::ids::{PartitionIndex, TopicId};

/// A set of partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionSet(BTreeMap<TopicId, Vec<PartitionIndex>>);

impl PartitionSet {
    /// The empty set.
    pub const EMPTY: Self = Self(BTreeMap::new());

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of partitions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The topics with their partitions.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = (TopicId, &[PartitionIndex])> {
        self.0
            .iter()
            .map(|(topic, partitions)| (*topic, partitions.as_slice()))
    }

    /// The partitions one by one.
    pub fn iter(&self) -> impl Iterator<Item = (TopicId, PartitionIndex)> {
        self.topics()
            .flat_map(|(topic, partitions)| partitions.iter().map(move |partition| (topic, *partition)))
    }

    /// The partitions of one topic.
    #[must_use]
    pub fn of_topic(&self, topic: TopicId) -> &[PartitionIndex] {
        self.0.get(&topic).map_or(&[], Vec::as_slice)
    }

    /// Whether a partition is in it.
    #[must_use]
    pub fn contains(&self, topic: TopicId, partition: PartitionIndex) -> bool {
        self.of_topic(topic).binary_search(&partition).is_ok()
    }

    /// Adds a partition.
    pub fn insert(&mut self, topic: TopicId, partition: PartitionIndex) {
        let partitions = self.0.entry(topic).or_default();
        // Mostly they come in order.
        if partitions.last().is_none_or(|last| *last < partition) {
            partitions.push(partition);
        } else if let Err(at) = partitions.binary_search(&partition) {
            partitions.insert(at, partition);
        }
    }

    /// Adds partitions of a topic, in any order.
    pub fn extend_topic(&mut self, topic: TopicId, partitions: impl IntoIterator<Item = PartitionIndex>) {
        let mut partitions = partitions.into_iter().peekable();
        if partitions.peek().is_none() {
            return;
        }
        let held = self.0.entry(topic).or_default();
        held.extend(partitions);
        held.sort_unstable();
        held.dedup();
    }

    /// Those for which `keep` is true.
    #[must_use]
    pub fn filtered(&self, mut keep: impl FnMut(TopicId, PartitionIndex) -> bool) -> Self {
        let kept = self.topics().filter_map(|(topic, partitions)| {
            let kept: Vec<_> = partitions
                .iter()
                .copied()
                .filter(|partition| keep(topic, *partition))
                .collect();
            (!kept.is_empty()).then_some((topic, kept))
        });
        Self(kept.collect())
    }

    /// Those that are in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.filtered(|topic, partition| other.contains(topic, partition))
    }

    /// Those that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.filtered(|topic, partition| !other.contains(topic, partition))
    }

    /// Those that are in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (topic, partitions) in other.topics() {
            all.extend_topic(topic, partitions.iter().copied());
        }
        all
    }

    /// Whether each of them is in the other.
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.iter()
            .all(|(topic, partition)| other.contains(topic, partition))
    }

    /// Whether some partition is in both.
    #[must_use]
    pub fn intersects(&self, other: &Self) -> bool {
        self.iter()
            .any(|(topic, partition)| other.contains(topic, partition))
    }
}

impl FromIterator<(TopicId, Vec<PartitionIndex>)> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = (TopicId, Vec<PartitionIndex>)>>(topics: I) -> Self {
        let mut set = Self::EMPTY;
        for (topic, partitions) in topics {
            set.extend_topic(topic, partitions);
        }
        set
    }
}

impl FromIterator<(TopicId, PartitionIndex)> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = (TopicId, PartitionIndex)>>(partitions: I) -> Self {
        let mut set = Self::EMPTY;
        for (topic, partition) in partitions {
            set.insert(topic, partition);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    type Model = BTreeSet<(TopicId, PartitionIndex)>;

    fn model() -> impl Strategy<Value = Model> {
        let one = (0u128..4, 0i32..6).prop_map(|(t, p)| (TopicId(Uuid::from_u128(t)), PartitionIndex(p)));
        proptest::collection::btree_set(one, 0..20)
    }

    fn set(model: &Model) -> PartitionSet {
        // In descending order, so that every insertion has to find its place.
        model.iter().rev().copied().collect()
    }

    proptest! {
        #[test]
        fn behaves_as_a_set(a in model(), b in model()) {
            let (left, right) = (set(&a), set(&b));
            prop_assert_eq!(left.len(), a.len());
            prop_assert!(left.iter().eq(a.iter().copied()));
            prop_assert_eq!(left.intersection(&right), set(&(&a & &b)));
            prop_assert_eq!(left.difference(&right), set(&(&a - &b)));
            prop_assert_eq!(left.union(&right), set(&(&a | &b)));
            prop_assert_eq!(left.is_subset(&right), a.is_subset(&b));
            prop_assert_eq!(left.intersects(&right), !a.is_disjoint(&b));
            let by_topic: PartitionSet =
                left.topics().map(|(topic, partitions)| (topic, partitions.to_vec())).collect();
            prop_assert_eq!(by_topic, left);
        }
    }
}
