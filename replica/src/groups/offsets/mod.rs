//! Committed offsets of all groups of a coordinator: what the log's records have led to.
//!
//! ```text
//!   record without a producer ------------------------> committed
//!   record of a transaction ----> pending -- commit --> committed, unless a later record is there already
//!                                         -- abort ---> forgotten
//!   tombstone: forgets both
//! ```
//!
//! Promises: only [`Offsets::apply`], [`Offsets::forget`] and [`Offsets::transaction_ended`] change it, and they are called
//! alike when records are appended and when they are replayed, so that both lead to the same. Which of two records is later is
//! their order in the log, which compaction keeps.

mod commit;
mod delete;
mod expire;
mod fetch;
mod pending;
mod topics;

use std::collections::BTreeMap;
use std::sync::Arc;

use tautline_core::ids::{PartitionIndex, ProducerId, TopicId};

pub(crate) use commit::{commit, commit_in_transaction};
pub(crate) use delete::{append_tombstones, delete, tombstones_of_group};
pub(crate) use expire::Expiry;
pub(crate) use fetch::fetch;
use pending::Pending;
use topics::KnownTopics;

use super::limits::OFFSET_OVERHEAD_BYTES;
use super::record::{OffsetKey, OffsetValue};
use crate::memory::{Charge, CoordinatorMemory};

/// An offset and the place of its record in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub value: OffsetValue,
    order: u64,
}

impl Committed {
    fn bytes(&self) -> usize {
        OFFSET_OVERHEAD_BYTES + self.value.metadata.len()
    }
}

/// Offsets of one topic.
type Partitions = BTreeMap<PartitionIndex, Committed>;

/// Offsets of one group by topic.
type Topics = BTreeMap<Arc<str>, Partitions>;

/// See the module.
#[derive(Debug)]
pub(crate) struct Offsets {
    groups: BTreeMap<Arc<str>, Topics>,
    pending: Pending,
    topics: KnownTopics,
    /// Records seen so far.
    order: u64,
    /// What all that is committed or pending holds in memory.
    charge: Charge,
    /// What most commits have as their metadata.
    nothing: Nothing,
}

/// An empty string, shared.
#[derive(Debug)]
struct Nothing(Arc<str>);

impl Default for Nothing {
    fn default() -> Self {
        Self("".into())
    }
}

impl Offsets {
    /// Nothing yet.
    pub fn new(memory: &CoordinatorMemory) -> Self {
        Self {
            groups: BTreeMap::new(),
            pending: Pending::default(),
            topics: KnownTopics::default(),
            order: 0,
            charge: Charge::new(memory, 0),
            nothing: Nothing::default(),
        }
    }

    /// An offset that was committed.
    pub fn get(&self, group: &str, topic: &str, partition: PartitionIndex) -> Option<&OffsetValue> {
        let committed = self.groups.get(group)?.get(topic)?.get(&partition)?;
        Some(&committed.value)
    }

    /// Metadata as it is kept.
    fn metadata(&self, metadata: &str) -> Arc<str> {
        if metadata.is_empty() {
            Arc::clone(&self.nothing.0)
        } else {
            metadata.into()
        }
    }

    /// Whether an open transaction may change an offset.
    pub fn is_pending(&self, group: &str, topic: &str, partition: PartitionIndex) -> bool {
        self.pending.has(group, topic, partition)
    }

    /// Whether a group has any offset, committed or pending.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group) || self.pending.has_group(group)
    }

    /// Whether there is memory for an offset with that metadata in a place, at once or until a transaction ends.
    fn has_room(
        &self,
        producer: Option<ProducerId>,
        (group, topic, partition): (&str, &str, PartitionIndex),
        metadata: &str,
    ) -> bool {
        let memory = self.charge.memory();
        let bytes = OFFSET_OVERHEAD_BYTES + metadata.len();
        let held = self.get(group, topic, partition);
        match held {
            Some(held) if producer.is_none() => match metadata.len().saturating_sub(held.metadata.len()) {
                0 => true,
                more => memory.has_room(more),
            },
            _ if held.is_some() || self.is_pending(group, topic, partition) => memory.has_room(bytes),
            _ => memory.has_room_for_newcomer(bytes),
        }
    }

    /// A record that commits an offset, at once or when its producer's transaction is committed.
    pub fn apply(
        &mut self,
        producer: Option<ProducerId>,
        group: &Arc<str>,
        topic: &str,
        partition: PartitionIndex,
        value: OffsetValue,
    ) {
        self.order += 1;
        let committed = Committed {
            value,
            order: self.order,
        };
        let topic = self.topics.name(topic);
        match producer {
            None => self.put(group, &topic, partition, committed),
            Some(producer) => {
                self.charge.add(committed.bytes());
                match self.pending.put(producer, group, &topic, partition, committed) {
                    Some(before) => self.charge.subtract(before.bytes()),
                    None => self.topics.more(&topic),
                }
            }
        }
    }

    fn put(&mut self, group: &Arc<str>, topic: &Arc<str>, partition: PartitionIndex, committed: Committed) {
        if !self.groups.contains_key(group) {
            self.groups.insert(Arc::clone(group), Topics::new());
        }
        let topics = self.groups.get_mut(group).expect("it was just put there");
        if !topics.contains_key(topic) {
            topics.insert(Arc::clone(topic), Partitions::new());
        }
        let partitions = topics.get_mut(topic).expect("it was just put there");
        self.charge.add(committed.bytes());
        match partitions.insert(partition, committed) {
            Some(before) => self.charge.subtract(before.bytes()),
            None => self.topics.more(topic),
        }
    }

    /// A tombstone: forgets an offset, and what open transactions would make of it.
    pub fn forget(&mut self, group: &str, topic: &str, partition: PartitionIndex) {
        if let Some(topics) = self.groups.get_mut(group)
            && let Some(partitions) = topics.get_mut(topic)
        {
            if let Some(before) = partitions.remove(&partition) {
                self.charge.subtract(before.bytes());
                self.topics.fewer(topic, 1);
            }
            if partitions.is_empty() {
                topics.remove(topic);
            }
            if topics.is_empty() {
                self.groups.remove(group);
            }
        }
        let forgotten = self.pending.forget(group, topic, partition);
        self.charge.subtract(forgotten.iter().map(Committed::bytes).sum());
        self.topics.fewer(topic, forgotten.len());
    }

    /// A record of the log.
    pub fn replay(
        &mut self,
        producer: Option<ProducerId>,
        group: &Arc<str>,
        key: &OffsetKey,
        value: Option<OffsetValue>,
    ) {
        match value {
            Some(value) => self.apply(producer, group, &key.topic, key.partition, value),
            None => self.forget(group, &key.topic, key.partition),
        }
    }

    /// A producer's transaction has ended.
    pub fn transaction_ended(&mut self, producer: ProducerId, committed: bool) {
        for ((group, topic, partition), pending) in self.pending.take(producer) {
            self.charge.subtract(pending.bytes());
            self.topics.fewer(&topic, 1);
            if !committed {
                continue;
            }
            let existing = self
                .groups
                .get(&group)
                .and_then(|topics| topics.get(&topic)?.get(&partition));
            // A plain commit that came after the transaction's wins.
            if existing.is_none_or(|existing| existing.order < pending.order) {
                let topic = self.topics.name(&topic);
                self.put(&group, &topic, partition, pending);
            }
        }
    }

    /// Everything of a topic, with the id under which it was committed.
    fn of_topic(&self, topic: &str) -> Vec<(Arc<str>, PartitionIndex, TopicId)> {
        let committed = self.groups.iter().flat_map(|(group, topics)| {
            topics
                .get(topic)
                .into_iter()
                .flatten()
                .map(|(partition, committed)| (Arc::clone(group), *partition, committed.value.topic_id))
        });
        committed.chain(self.pending.of_topic(topic)).collect()
    }

    /// All that is committed, for comparing.
    #[cfg(test)]
    pub fn all(&self) -> Vec<(String, String, i32, OffsetValue)> {
        let mut all = Vec::new();
        for (group, topics) in &self.groups {
            for (topic, partitions) in topics {
                for (partition, committed) in partitions {
                    all.push((
                        group.to_string(),
                        topic.to_string(),
                        partition.0,
                        committed.value.clone(),
                    ));
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use tautline_core::ids::{LeaderEpoch, Offset};

    use super::*;

    const P: PartitionIndex = PartitionIndex(0);

    fn value(offset: i64) -> OffsetValue {
        OffsetValue {
            offset: Offset(offset),
            leader_epoch: LeaderEpoch::NONE,
            metadata: "".into(),
            commit_ms: 0,
            expire_ms: None,
            topic_id: TopicId::ZERO,
        }
    }

    fn offset(offsets: &Offsets) -> Option<i64> {
        offsets.get("g", "t", P).map(|value| value.offset.0)
    }

    #[test]
    fn kip_98_a_transaction_shows_its_offsets_when_it_is_committed() {
        let group: Arc<str> = "g".into();
        let mut offsets = Offsets::new(&CoordinatorMemory::of(usize::MAX));
        offsets.apply(Some(ProducerId(1)), &group, "t", P, value(1));
        assert_eq!(offset(&offsets), None);
        assert!(offsets.is_pending("g", "t", P));
        offsets.transaction_ended(ProducerId(1), true);
        assert_eq!(offset(&offsets), Some(1));
        assert!(!offsets.is_pending("g", "t", P));

        offsets.apply(Some(ProducerId(1)), &group, "t", P, value(2));
        offsets.transaction_ended(ProducerId(1), false);
        assert_eq!(offset(&offsets), Some(1));
        offsets.transaction_ended(ProducerId(1), true);
        assert_eq!(offset(&offsets), Some(1));
    }

    #[test]
    fn the_later_record_wins_whenever_its_transaction_ends() {
        let group: Arc<str> = "g".into();
        let mut offsets = Offsets::new(&CoordinatorMemory::of(usize::MAX));
        offsets.apply(Some(ProducerId(1)), &group, "t", P, value(1));
        offsets.apply(None, &group, "t", P, value(2));
        offsets.transaction_ended(ProducerId(1), true);
        assert_eq!(offset(&offsets), Some(2));
        offsets.apply(Some(ProducerId(2)), &group, "t", P, value(3));
        offsets.apply(Some(ProducerId(1)), &group, "t", P, value(4));
        offsets.transaction_ended(ProducerId(1), true);
        offsets.transaction_ended(ProducerId(2), true);
        assert_eq!(offset(&offsets), Some(4));
    }

    #[test]
    fn a_tombstone_forgets_what_is_pending_too() {
        let group: Arc<str> = "g".into();
        let mut offsets = Offsets::new(&CoordinatorMemory::of(usize::MAX));
        offsets.apply(None, &group, "t", P, value(1));
        offsets.apply(Some(ProducerId(1)), &group, "t", P, value(2));
        offsets.forget("g", "t", P);
        offsets.transaction_ended(ProducerId(1), true);
        assert_eq!(offset(&offsets), None);
        assert!(!offsets.has_group("g"));
        assert!(offsets.topics.is_empty());
        assert_eq!(offsets.charge.bytes(), 0);
    }
}
