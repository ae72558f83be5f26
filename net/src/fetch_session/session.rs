//! One fetch session: the partitions a client fetches, what it asked of each, and what it was told of each.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};

use super::ordered::{Ordered, Slot};
use crate::wire::{FetchPartition, PartitionData};

/// A topic as a session names it: by name below version 13, by id from there on (KIP-516).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchedTopic<'a> {
    /// Its name.
    Name(&'a str),
    /// Its id.
    Id(TopicId),
}

/// From where a client fetches a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPosition {
    /// The offset to start from.
    pub fetch_offset: Offset,
    /// The leader epoch the client knows, or -1 (KIP-320).
    pub current_leader_epoch: LeaderEpoch,
    /// The epoch of the last record fetched, or -1 (KIP-595).
    pub last_fetched_epoch: LeaderEpoch,
    /// How much to answer of this partition at most.
    pub bytes_max: i32,
}

impl From<&FetchPartition> for FetchPosition {
    fn from(partition: &FetchPartition) -> Self {
        Self {
            fetch_offset: Offset(partition.fetch_offset),
            current_leader_epoch: LeaderEpoch(partition.current_leader_epoch),
            last_fetched_epoch: LeaderEpoch(partition.last_fetched_epoch),
            bytes_max: partition.partition_max_bytes,
        }
    }
}

/// A partition of a session, as the next fetch serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionPartition<'s> {
    /// Names the partition when the fetch is finished.
    pub slot: Slot,
    /// Its topic.
    pub topic: FetchedTopic<'s>,
    /// Its index.
    pub partition: PartitionIndex,
    /// From where to fetch.
    pub position: FetchPosition,
}

/// What a client was told of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    high_watermark: i64,
    last_stable_offset: i64,
    log_start_offset: i64,
}

impl Told {
    /// Nothing yet: the next answer is sent whatever it says.
    const NOTHING: Self = Self {
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
    };

    fn by(answer: &PartitionData<'_>) -> Self {
        if answer.error_code != 0 {
            // So that the partition is sent again when the error goes away.
            return Self::NOTHING;
        }
        Self {
            high_watermark: answer.high_watermark,
            last_stable_offset: answer.last_stable_offset,
            log_start_offset: answer.log_start_offset,
        }
    }
}

#[derive(Debug)]
enum CachedTopic {
    Name(Rc<str>),
    Id(TopicId),
}

#[derive(Debug)]
struct Cached {
    topic: CachedTopic,
    partition: PartitionIndex,
    position: FetchPosition,
    told: Told,
}

type Slots = HashMap<PartitionIndex, Slot>;

/// Where partitions are, by topic. Keys are chosen by clients, so the maps are keyed with a secret.
#[derive(Debug)]
enum Index {
    Names(HashMap<Rc<str>, Slots>),
    Ids(HashMap<TopicId, Slots>),
}

/// The partitions of one session, in the order in which they are served.
#[derive(Debug)]
pub(super) struct FetchSession {
    partitions: Ordered<Cached>,
    index: Index,
    /// The epoch of the next request.
    pub(super) epoch: i32,
    pub(super) created_ms: i64,
    pub(super) used_ms: i64,
}

impl FetchSession {
    pub(super) fn new(uses_topic_ids: bool, partitions: usize, now_ms: i64) -> Self {
        let index = if uses_topic_ids {
            Index::Ids(HashMap::new())
        } else {
            Index::Names(HashMap::new())
        };
        Self {
            partitions: Ordered::with_capacity(partitions),
            index,
            epoch: 1,
            created_ms: now_ms,
            used_ms: now_ms,
        }
    }

    pub(super) fn uses_topic_ids(&self) -> bool {
        matches!(self.index, Index::Ids(_))
    }

    pub(super) fn len(&self) -> usize {
        self.partitions.len()
    }

    /// Adds a partition behind the last, or changes what is asked of it where it is.
    pub(super) fn put(
        &mut self,
        topic: FetchedTopic<'_>,
        partition: PartitionIndex,
        position: FetchPosition,
    ) {
        let (slots, topic) = match (&mut self.index, topic) {
            (Index::Names(names), FetchedTopic::Name(name)) => {
                let key = names
                    .get_key_value(name)
                    .map_or_else(|| Rc::from(name), |(key, _)| Rc::clone(key));
                (names.entry(Rc::clone(&key)).or_default(), CachedTopic::Name(key))
            }
            (Index::Ids(ids), FetchedTopic::Id(id)) => (ids.entry(id).or_default(), CachedTopic::Id(id)),
            // The cache refuses a request of the other kind before it comes here.
            _ => return,
        };
        match slots.entry(partition) {
            Entry::Vacant(entry) => {
                let cached = Cached {
                    topic,
                    partition,
                    position,
                    told: Told::NOTHING,
                };
                entry.insert(self.partitions.push(cached));
            }
            Entry::Occupied(entry) => {
                if let Some(cached) = self.partitions.get_mut(*entry.get()) {
                    cached.position = position;
                }
            }
        }
    }

    /// Removes a partition, if it is there.
    pub(super) fn forget(&mut self, topic: FetchedTopic<'_>, partition: PartitionIndex) {
        let slots = match (&mut self.index, topic) {
            (Index::Names(names), FetchedTopic::Name(name)) => names.get_mut(name),
            (Index::Ids(ids), FetchedTopic::Id(id)) => ids.get_mut(&id),
            _ => None,
        };
        let Some(slots) = slots else { return };
        let Some(slot) = slots.remove(&partition) else {
            return;
        };
        self.partitions.remove(slot);
        if slots.is_empty() {
            match (&mut self.index, topic) {
                (Index::Names(names), FetchedTopic::Name(name)) => drop(names.remove(name)),
                (Index::Ids(ids), FetchedTopic::Id(id)) => drop(ids.remove(&id)),
                _ => {}
            }
        }
    }

    pub(super) fn find(&self, topic: FetchedTopic<'_>, partition: PartitionIndex) -> Option<Slot> {
        let slots = match (&self.index, topic) {
            (Index::Names(names), FetchedTopic::Name(name)) => names.get(name),
            (Index::Ids(ids), FetchedTopic::Id(id)) => ids.get(&id),
            _ => None,
        };
        slots?.get(&partition).copied()
    }

    /// The partitions in the order in which to serve them.
    pub(super) fn iter(&self) -> impl Iterator<Item = SessionPartition<'_>> {
        self.partitions.iter().map(|(slot, cached)| SessionPartition {
            slot,
            topic: match &cached.topic {
                CachedTopic::Name(name) => FetchedTopic::Name(name),
                CachedTopic::Id(id) => FetchedTopic::Id(*id),
            },
            partition: cached.partition,
            position: cached.position,
        })
    }

    /// Remembers an answer of a full fetch, which is sent whatever it says.
    pub(super) fn tell(&mut self, slot: Slot, answer: &PartitionData<'_>) {
        if let Some(cached) = self.partitions.get_mut(slot) {
            cached.told = Told::by(answer);
        }
    }

    /// Remembers an answer, and says whether it must be sent: when it has records or an error, tells of a changed offset,
    /// or sends the client elsewhere. A partition whose records are sent is served last next time, so that a small
    /// `max_bytes` starves none (KIP-227).
    pub(super) fn answer(&mut self, slot: Slot, answer: &PartitionData<'_>) -> bool {
        // A partition forgotten in between has no memory, and its answer does no harm.
        let Some(cached) = self.partitions.get_mut(slot) else {
            return true;
        };
        let told = std::mem::replace(&mut cached.told, Told::by(answer));
        let has_records = answer
            .records
            .as_ref()
            .is_some_and(|records| records.size_bytes() > 0);
        let changed = told != cached.told || answer.error_code != 0;
        let redirects = answer.preferred_read_replica >= 0 || answer.diverging_epoch.epoch >= 0;
        if has_records {
            self.partitions.move_last(slot);
        }
        has_records || changed || redirects
    }
}
