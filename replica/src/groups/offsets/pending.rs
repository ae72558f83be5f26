//! Offsets of transactions that have not ended, by producer.
//!
//! A producer has one transaction at a time, so its id names it: an epoch that was raised to fence or to end it is the same
//! transaction still.

use std::collections::BTreeMap;
use std::sync::Arc;

use tautline_core::ids::{PartitionIndex, ProducerId, TopicId};

use super::Committed;

/// Where a pending offset belongs: group, topic, partition.
type Place = (Arc<str>, Arc<str>, PartitionIndex);

/// The producers that have something pending for a partition, by topic and partition.
type Producers = BTreeMap<Arc<str>, BTreeMap<PartitionIndex, Vec<ProducerId>>>;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Pending {
    by_producer: BTreeMap<ProducerId, BTreeMap<Place, Committed>>,
    /// By group, so that a fetch need not ask all.
    by_group: BTreeMap<Arc<str>, Producers>,
}

impl Pending {
    pub fn has(&self, group: &str, topic: &str, partition: PartitionIndex) -> bool {
        self.by_group
            .get(group)
            .and_then(|topics| topics.get(topic))
            .is_some_and(|partitions| partitions.contains_key(&partition))
    }

    pub fn has_group(&self, group: &str) -> bool {
        self.by_group.contains_key(group)
    }

    /// Puts an offset; what the producer had there before.
    pub fn put(
        &mut self,
        producer: ProducerId,
        group: &Arc<str>,
        topic: &Arc<str>,
        partition: PartitionIndex,
        committed: Committed,
    ) -> Option<Committed> {
        let place = (Arc::clone(group), Arc::clone(topic), partition);
        let places = self.by_producer.entry(producer).or_default();
        let before = places.insert(place, committed);
        if before.is_none() {
            let topics = self.by_group.entry(Arc::clone(group)).or_default();
            let partitions = topics.entry(Arc::clone(topic)).or_default();
            partitions.entry(partition).or_default().push(producer);
        }
        before
    }

    /// Takes all of a producer.
    pub fn take(&mut self, producer: ProducerId) -> BTreeMap<Place, Committed> {
        let places = self.by_producer.remove(&producer).unwrap_or_default();
        for (group, topic, partition) in places.keys() {
            self.unlink(group, topic, *partition, |one| one == producer);
        }
        places
    }

    /// Forgets a place for all producers; what they had there.
    pub fn forget(&mut self, group: &str, topic: &str, partition: PartitionIndex) -> Vec<Committed> {
        let producers = self.unlink(group, topic, partition, |_| true);
        if producers.is_empty() {
            return Vec::new();
        }
        let place = (Arc::from(group), Arc::from(topic), partition);
        let mut forgotten = Vec::with_capacity(producers.len());
        for producer in producers {
            if let Some(places) = self.by_producer.get_mut(&producer) {
                forgotten.extend(places.remove(&place));
                if places.is_empty() {
                    self.by_producer.remove(&producer);
                }
            }
        }
        forgotten
    }

    /// Takes producers from the list of a place.
    fn unlink(
        &mut self,
        group: &str,
        topic: &str,
        partition: PartitionIndex,
        mut which: impl FnMut(ProducerId) -> bool,
    ) -> Vec<ProducerId> {
        let Some(topics) = self.by_group.get_mut(group) else {
            return Vec::new();
        };
        let Some(partitions) = topics.get_mut(topic) else {
            return Vec::new();
        };
        let Some(producers) = partitions.get_mut(&partition) else {
            return Vec::new();
        };
        let unlinked = producers.extract_if(.., |producer| which(*producer)).collect();
        if producers.is_empty() {
            partitions.remove(&partition);
        }
        if partitions.is_empty() {
            topics.remove(topic);
        }
        if topics.is_empty() {
            self.by_group.remove(group);
        }
        unlinked
    }

    /// The places of a group.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = (&Arc<str>, PartitionIndex)> {
        let topics = self.by_group.get(group).into_iter().flatten();
        topics.flat_map(|(topic, partitions)| partitions.keys().map(move |partition| (topic, *partition)))
    }

    /// The places of a topic.
    pub fn of_topic(&self, topic: &str) -> impl Iterator<Item = (Arc<str>, PartitionIndex, TopicId)> {
        self.by_producer
            .values()
            .flatten()
            .filter(move |((_, one, _), _)| &**one == topic)
            .map(|((group, _, partition), committed)| {
                (Arc::clone(group), *partition, committed.value.topic_id)
            })
    }
}
