//! What will happen, in order of time, and at one time in the order in which it was said.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The queue.
#[derive(Debug)]
pub(super) struct Queue<T> {
    heap: BinaryHeap<Reverse<Item<T>>>,
    said: u64,
    now_ns: u64,
}

#[derive(Debug)]
struct Item<T> {
    at_ns: u64,
    said: u64,
    what: T,
}

impl<T> Queue<T> {
    pub fn new() -> Self {
        Self {
            heap: BinaryHeap::new(),
            said: 0,
            now_ns: 0,
        }
    }

    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    pub fn at(&mut self, at_ns: u64, what: T) {
        self.said += 1;
        self.heap.push(Reverse(Item {
            at_ns: at_ns.max(self.now_ns),
            said: self.said,
            what,
        }));
    }

    pub fn after(&mut self, delay_ns: u64, what: T) {
        self.at(self.now_ns + delay_ns, what);
    }

    /// The next thing; time goes on to it.
    pub fn next(&mut self) -> Option<T> {
        let Reverse(item) = self.heap.pop()?;
        self.now_ns = item.at_ns;
        Some(item.what)
    }
}

impl<T> PartialEq for Item<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.at_ns, self.said) == (other.at_ns, other.said)
    }
}

impl<T> Eq for Item<T> {}

impl<T> PartialOrd for Item<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Item<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ns, self.said).cmp(&(other.at_ns, other.said))
    }
}
