//! What Fetch requests are taken apart into, used by one after the other so that none has to ask for memory.

use std::cell::RefCell;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_replica::metadata::TopicImage;
use uuid::Uuid;

use crate::broker::{Broker, Findings, Wanted};
use crate::fetch_session::{FetchPosition, Slot};
use crate::handlers::name::Name;
use crate::wire::{PartitionData, Writer};

/// How many a shard keeps.
const SPARE_MAX: usize = 64;
/// Larger ones are not kept.
const PARTITIONS_KEPT_MAX: usize = 128;
/// Record slices and file ranges that one may have room for and be kept: those of a partition are few.
const PARTS_KEPT_MAX: usize = 4 * PARTITIONS_KEPT_MAX;
/// Bytes of a response, without its records, whose buffer is kept.
const RESPONSE_BYTES_KEPT_MAX: usize = 16 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Scratch>> = const { RefCell::new(Vec::new()) };
}

/// A topic as the client names it.
pub(super) struct Topic {
    /// Its id, or nil where it goes by its name.
    pub id: Uuid,
    pub name: Name,
}

impl Topic {
    fn is(&self, name: &str, id: Uuid) -> bool {
        self.id == id && (!id.is_nil() || self.name.as_str() == name)
    }

    /// Whether the client means the same topic by both.
    pub fn is_named_as(&self, other: &Topic) -> bool {
        self.is(other.name.as_str(), other.id)
    }

    fn found(&self) -> Option<&TopicImage> {
        match &self.name {
            Name::Known(topic) => Some(topic),
            Name::Unknown(_) => None,
        }
    }
}

/// A partition to answer for.
pub(super) struct Asked {
    /// The place of its topic.
    pub topic: usize,
    /// Its place in the fetch session.
    pub slot: Option<Slot>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Scratch {
    /// Neighbours in the request are different topics.
    pub topics: Vec<Topic>,
    /// In the order in which they are served.
    pub asked: Vec<Asked>,
    /// What is wanted of each.
    pub wanted: Vec<Wanted>,
    /// What it has given.
    pub findings: Findings,
    /// What is answered for each.
    pub answers: Vec<PartitionData<'static>>,
    /// The places of those that the response tells of.
    pub told: Vec<usize>,
    pub writer: Writer,
}

impl Scratch {
    /// An empty one.
    pub fn take() -> Scratch {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Keeps the memory for others.
    pub fn give_back(mut self) {
        self.topics.clear();
        self.asked.clear();
        self.wanted.clear();
        self.findings.clear();
        self.answers.clear();
        self.told.clear();
        self.writer.clear();
        // The others are no longer than these.
        let is_small = self.asked.capacity() <= PARTITIONS_KEPT_MAX
            && self.findings.partitions.capacity() <= PARTITIONS_KEPT_MAX
            && self.findings.parts.capacity() <= PARTS_KEPT_MAX
            && self.writer.capacity() <= RESPONSE_BYTES_KEPT_MAX;
        if is_small {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < SPARE_MAX {
                    spare.push(self);
                }
            });
        }
    }

    /// Adds a partition behind the others, of a topic that goes by its name or its id.
    pub fn ask(
        &mut self,
        broker: &Broker,
        (name, id): (&str, Uuid),
        index: PartitionIndex,
        from: FetchPosition,
        slot: Option<Slot>,
    ) {
        if self.topics.last().is_none_or(|last| !last.is(name, id)) {
            let name = Name::new(broker.find_topic(name, TopicId(id)), name);
            self.topics.push(Topic { id, name });
        }
        let topic = self.topics.len() - 1;
        self.wanted.push(want(broker, &self.topics[topic], index, from));
        self.asked.push(Asked { topic, slot });
    }
}

fn want(broker: &Broker, topic: &Topic, index: PartitionIndex, from: FetchPosition) -> Wanted {
    let found = topic.found();
    let id = found.map_or(TopicId(topic.id), |topic| topic.id);
    let owner = match found {
        Some(topic) if topic.has_partition(index) => Ok(broker.owner(topic.id, index)),
        None if !topic.id.is_nil() => Err(ErrorCode::UnknownTopicId),
        _ => Err(ErrorCode::UnknownTopicOrPartition),
    };
    Wanted {
        topic: id,
        index,
        offset: from.fetch_offset,
        max_bytes: from.bytes_max.max(0) as usize,
        known_epoch: from.current_leader_epoch.0,
        owner,
    }
}
