//! What coordinators hold in memory, against one budget for all of a shard's.
//!
//! Each group, the offsets of each group coordinator and the transactions of each transaction coordinator have a charge that
//! follows what they hold and goes with them, so that nothing is forgotten when a coordinator is dropped. What a log says is held in any case, also over the budget; what would be
//! new is refused before it is decided, as long as there is [no
//! room](CoordinatorMemory::has_room).

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

/// Bytes by which coordinators take memory from the source.
const MEMORY_STEP_BYTES: usize = 256 << 10;

/// One part of so many is left to those who are there.
const NEWCOMERS_SPARE_SHARE: usize = 8;

/// Where the budget comes from: it is taken as it is needed, and shared with others.
pub trait MemorySource {
    /// Takes so many bytes, all or none.
    fn take(&self, bytes: usize) -> bool;

    /// Gives back what was taken.
    fn give_back(&self, bytes: usize);
}

/// The budget of a shard's coordinators; clones share it.
#[derive(Clone)]
pub struct CoordinatorMemory(Rc<Shared>);

struct Shared {
    /// None for as much as there is.
    source: Option<Box<dyn MemorySource>>,
    max_bytes: usize,
    used_bytes: Cell<usize>,
    taken_bytes: Cell<usize>,
}

impl CoordinatorMemory {
    /// At most `max_bytes`, as far as the source has them.
    #[must_use]
    pub fn new(max_bytes: usize, source: Box<dyn MemorySource>) -> Self {
        Self::from(max_bytes, Some(source))
    }

    /// At most `max_bytes`, which belong to nobody else.
    #[must_use]
    pub fn of(max_bytes: usize) -> Self {
        Self::from(max_bytes, None)
    }

    fn from(max_bytes: usize, source: Option<Box<dyn MemorySource>>) -> Self {
        Self(Rc::new(Shared {
            source,
            max_bytes,
            used_bytes: Cell::new(0),
            taken_bytes: Cell::new(0),
        }))
    }

    /// Bytes that are held, or somewhat more.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.get()
    }

    /// Whether those who are there may hold so many bytes more.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.fits(bytes, self.0.max_bytes)
    }

    /// Whether somebody new may hold so many bytes. A part of the budget is left to those who are there: while they rebalance they
    /// have no assignments, and the newcomers would have taken the memory for the next ones.
    #[must_use]
    pub fn has_room_for_newcomer(&self, bytes: usize) -> bool {
        let max_bytes = self.0.max_bytes;
        self.fits(bytes, max_bytes - max_bytes / NEWCOMERS_SPARE_SHARE)
    }

    fn fits(&self, bytes: usize, max_bytes: usize) -> bool {
        let wanted = self.used_bytes().saturating_add(bytes);
        wanted <= max_bytes && self.take(wanted)
    }

    /// Sees to it that so many bytes are taken.
    fn take(&self, wanted_bytes: usize) -> bool {
        let taken_bytes = self.0.taken_bytes.get();
        if wanted_bytes <= taken_bytes {
            return true;
        }
        let more = (wanted_bytes - taken_bytes).next_multiple_of(MEMORY_STEP_BYTES);
        let is_taken = self.0.source.as_ref().is_none_or(|source| source.take(more));
        if is_taken {
            self.0.taken_bytes.set(taken_bytes + more);
        }
        is_taken
    }

    fn change(&self, before: usize, after: usize) {
        let used_bytes = self.used_bytes() - before + after;
        self.0.used_bytes.set(used_bytes);
        // What there is no room for is held nevertheless.
        self.take(used_bytes);
        let spare = self.0.taken_bytes.get().saturating_sub(used_bytes);
        if spare > 2 * MEMORY_STEP_BYTES {
            let back = (spare / MEMORY_STEP_BYTES - 1) * MEMORY_STEP_BYTES;
            self.0.taken_bytes.set(self.0.taken_bytes.get() - back);
            if let Some(source) = &self.0.source {
                source.give_back(back);
            }
        }
    }
}

impl fmt::Debug for CoordinatorMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.used_bytes(), self.0.max_bytes)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(source) = &self.source {
            source.give_back(self.taken_bytes.get());
        }
    }
}

/// What one holder holds.
#[derive(Debug)]
pub(crate) struct Charge {
    memory: CoordinatorMemory,
    bytes: usize,
}

impl Charge {
    /// A holder of so many bytes.
    pub fn new(memory: &CoordinatorMemory, bytes: usize) -> Self {
        memory.change(0, bytes);
        Self {
            memory: memory.clone(),
            bytes,
        }
    }

    /// The bytes that it holds.
    #[cfg(test)]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The budget.
    pub const fn memory(&self) -> &CoordinatorMemory {
        &self.memory
    }

    /// It holds so many bytes now.
    pub fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            self.memory.change(self.bytes, bytes);
            self.bytes = bytes;
        }
    }

    /// It holds more.
    pub fn add(&mut self, bytes: usize) {
        self.set(self.bytes + bytes);
    }

    /// It holds less.
    pub fn subtract(&mut self, bytes: usize) {
        self.set(self.bytes - bytes);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.change(self.bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: usize = MEMORY_STEP_BYTES;

    /// Lends so many bytes.
    struct Lender(Rc<Cell<usize>>);

    impl MemorySource for Lender {
        fn take(&self, bytes: usize) -> bool {
            let left = self.0.get().checked_sub(bytes);
            left.inspect(|left| self.0.set(*left)).is_some()
        }

        fn give_back(&self, bytes: usize) {
            self.0.set(self.0.get() + bytes);
        }
    }

    #[test]
    fn what_is_held_is_taken_from_the_source_and_given_back() {
        let left = Rc::new(Cell::new(10 * STEP));
        let memory = CoordinatorMemory::new(100 * STEP, Box::new(Lender(Rc::clone(&left))));
        let mut charge = Charge::new(&memory, 1);
        assert_eq!((memory.used_bytes(), left.get()), (1, 9 * STEP));
        assert!(memory.has_room(10 * STEP - 1) && !memory.has_room(10 * STEP));
        charge.set(STEP);
        assert_eq!(left.get(), 8 * STEP, "one step is kept for what comes next");
        charge.add(50 * STEP);
        assert_eq!(
            memory.used_bytes(),
            51 * STEP,
            "a log may say more than there is room for"
        );
        assert!(!memory.has_room(1));
        charge.subtract(50 * STEP);
        assert!(memory.has_room(STEP));
        drop(charge);
        assert_eq!(memory.used_bytes(), 0);
        drop(memory);
        assert_eq!(left.get(), 10 * STEP);
    }

    #[test]
    fn no_more_than_the_bound_is_promised() {
        let memory = CoordinatorMemory::of(100);
        let one = Charge::new(&memory, 60);
        assert!(memory.has_room(40) && !memory.has_room(41) && !memory.has_room(usize::MAX));
        assert!(memory.has_room_for_newcomer(28) && !memory.has_room_for_newcomer(29));
        drop(one);
        assert!(memory.has_room(100));
    }
}
