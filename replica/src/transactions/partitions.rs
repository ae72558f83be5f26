//! The partitions of a transaction, as its record has them: by topic.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tautline_core::ids::PartitionIndex;

use super::TopicPartition;

/// Bytes a partition takes in a record.
const PARTITION_BYTES: usize = 4;
/// Bytes a topic takes at most besides its name and partitions: two lengths and the count of tagged fields.
const TOPIC_OVERHEAD_BYTES: usize = 11;

/// A set of partitions that knows how large its record is. Ordered, so that the same set is the same record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Partitions {
    topics: BTreeMap<Arc<str>, BTreeSet<PartitionIndex>>,
    record_bytes: usize,
}

impl Partitions {
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// What they take in a record, at most.
    pub const fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    pub fn contains(&self, (topic, partition): &TopicPartition) -> bool {
        self.topics
            .get(topic)
            .is_some_and(|partitions| partitions.contains(partition))
    }

    /// Whether it is new.
    pub fn insert(&mut self, (topic, partition): TopicPartition) -> bool {
        let partitions = self.topics.entry(topic.clone()).or_default();
        if partitions.is_empty() {
            self.record_bytes += topic_bytes(&topic);
        }
        let new = partitions.insert(partition);
        if new {
            self.record_bytes += PARTITION_BYTES;
        }
        new
    }

    /// Whether it was there.
    pub fn remove(&mut self, (topic, partition): &TopicPartition) -> bool {
        let Some(partitions) = self.topics.get_mut(topic) else {
            return false;
        };
        let there = partitions.remove(partition);
        if there {
            self.record_bytes -= PARTITION_BYTES;
        }
        if partitions.is_empty() {
            self.topics.remove(topic);
            self.record_bytes -= topic_bytes(topic);
        }
        there
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn topics(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &BTreeSet<PartitionIndex>)> {
        self.topics.iter()
    }

    pub fn iter(&self) -> impl Iterator<Item = TopicPartition> {
        self.topics.iter().flat_map(|(topic, partitions)| {
            partitions
                .iter()
                .map(move |partition| (topic.clone(), *partition))
        })
    }
}

impl FromIterator<TopicPartition> for Partitions {
    fn from_iter<I: IntoIterator<Item = TopicPartition>>(partitions: I) -> Self {
        let mut set = Self::default();
        for partition in partitions {
            set.insert(partition);
        }
        set
    }
}

fn topic_bytes(topic: &str) -> usize {
    topic.len() + TOPIC_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_size_follows_what_is_in_it() {
        let of = |topic: &str, partition| (Arc::from(topic), PartitionIndex(partition));
        let mut set = Partitions::default();
        assert!(set.insert(of("a", 1)));
        assert!(!set.insert(of("a", 1)));
        assert!(set.insert(of("a", 0)));
        assert!(set.insert(of("bb", 7)));
        assert_eq!(set.record_bytes(), 12 + 13 + 3 * 4);
        assert_eq!(
            set.iter().collect::<Vec<_>>(),
            [of("a", 0), of("a", 1), of("bb", 7)]
        );
        assert!(set.remove(&of("a", 1)));
        assert!(!set.remove(&of("a", 1)));
        assert!(!set.remove(&of("c", 1)));
        assert!(set.remove(&of("bb", 7)));
        assert_eq!(set.record_bytes(), 12 + 4);
        assert!(set.remove(&of("a", 0)));
        assert_eq!(set, Partitions::default());
    }
}
