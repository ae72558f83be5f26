//! What Produce requests are taken apart into, used by one after the other so that none has to ask for memory.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use tautline_core::ids::TopicId;

use super::Outcome;
use super::check::Refusal;
use crate::broker::{Appending, Partition};
use crate::handlers::name::Name;
use crate::wire::Writer;

/// How many a shard keeps.
const SPARE_MAX: usize = 256;
/// Larger ones are not kept.
const PARTITIONS_KEPT_MAX: usize = 64;
/// Bytes of a response whose buffer is kept.
const RESPONSE_BYTES_KEPT_MAX: usize = 16 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Scratch>> = const { RefCell::new(Vec::new()) };
}

/// A topic that was asked for, and how many of its partitions.
pub(super) struct Asked {
    pub name: Name,
    pub id: TopicId,
    pub partitions: usize,
}

/// A batch on its way.
pub(super) enum Started {
    Refused(Refusal),
    /// This shard owns the partition.
    Here(Rc<Partition>, Appending),
    /// Another does, or a coordinator is asked first.
    Elsewhere(LocalBoxFuture<'static, Outcome>),
}

/// See the module.
#[derive(Default)]
pub(super) struct Scratch {
    /// In the request's order.
    pub topics: Vec<Asked>,
    /// Of all topics: index, topic and batch.
    pub partitions: Vec<(i32, TopicId, Started)>,
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
        self.partitions.clear();
        self.writer.clear();
        let is_small = self.partitions.capacity() <= PARTITIONS_KEPT_MAX
            && self.topics.capacity() <= PARTITIONS_KEPT_MAX
            && self.writer.capacity() <= RESPONSE_BYTES_KEPT_MAX;
        if is_small {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < SPARE_MAX {
                    spare.push(self);
                }
            });
        }
    }
}
