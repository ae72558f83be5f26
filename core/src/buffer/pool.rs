//! A core's pool of buffers, and its budget.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;

use super::memory::{Block, FREE_LIST_BYTES_MAX, Memory, Shared, class_of};
use super::{BLOCK_SIZE, Buffer};

/// What [`Pool::take_sparing`] leaves: one part of so many.
const SPARED_SHARE: usize = 8;

thread_local! {
    static CURRENT: RefCell<Option<Pool>> = const { RefCell::new(None) };
}

/// The pool's budget is spent: the caller applies back-pressure or answers a retriable error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "memory budget exhausted: {wanted_bytes} bytes wanted, {used_bytes} of {limit_bytes} in use (raise --memory)"
)]
pub struct OutOfMemory {
    /// Size of the refused request.
    pub wanted_bytes: usize,
    /// Bytes held by buffers and free lists.
    pub used_bytes: usize,
    /// The budget.
    pub limit_bytes: usize,
}

/// One core's buffers. Clones share the same lists and budget.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// A pool that never holds more than `limit_bytes`.
    pub fn new(limit_bytes: usize) -> Pool {
        let free = std::array::from_fn(|class| ArrayQueue::new(FREE_LIST_BYTES_MAX / (BLOCK_SIZE << class)));
        Pool {
            shared: Arc::new(Shared {
                free,
                used_bytes: AtomicUsize::new(0),
                limit_bytes,
            }),
        }
    }

    /// The pool of the shard that runs on this thread.
    ///
    /// # Panics
    /// Outside a shard.
    pub fn current() -> Pool {
        CURRENT
            .with_borrow(|pool| pool.clone())
            .expect("Pool::current is called on a shard's thread")
    }

    pub(crate) fn install(self) {
        CURRENT.set(Some(self));
    }

    /// Takes a zero-or-stale-filled buffer of at least `min_len` bytes (rounded up to a power of two of 4 KiB or more).
    ///
    /// # Errors
    /// When the budget does not allow it even after the free lists were emptied.
    pub fn take(&self, min_len: usize) -> Result<Buffer, OutOfMemory> {
        let len = min_len
            .max(BLOCK_SIZE)
            .checked_next_power_of_two()
            .ok_or_else(|| self.refusal(min_len))?;
        if let Some(block) = class_of(len).and_then(|class| self.shared.free[class].pop()) {
            return Ok(self.wrap(block));
        }
        if !self.shared.charge(len) {
            self.trim();
            if !self.shared.charge(len) {
                return Err(self.refusal(len));
            }
        }
        match Block::allocate(len) {
            Some(block) => Ok(self.wrap(block)),
            None => {
                self.shared.used_bytes.fetch_sub(len, Ordering::Relaxed);
                Err(self.refusal(len))
            }
        }
    }

    /// Takes a buffer as [`Pool::take`] does, for work that can be put off: an eighth of the budget is left to others.
    ///
    /// # Errors
    /// When the budget, less that eighth, does not allow it.
    pub fn take_sparing(&self, min_len: usize) -> Result<Buffer, OutOfMemory> {
        let budget = self.shared.limit_bytes - self.shared.limit_bytes / SPARED_SHARE;
        let is_over = || self.used_bytes().saturating_add(min_len) > budget;
        if is_over() {
            self.trim();
            if is_over() {
                return Err(self.refusal(min_len));
            }
        }
        self.take(min_len)
    }

    /// Charges bytes that are held outside of buffers, all or none, until they are [discharged](Pool::discharge). Whether the
    /// budget allows it.
    pub fn charge(&self, bytes: usize) -> bool {
        self.shared.charge(bytes) || {
            self.trim();
            self.shared.charge(bytes)
        }
    }

    /// Gives back bytes that were charged.
    pub fn discharge(&self, bytes: usize) {
        self.shared.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Gives the free lists' memory back to the allocator.
    pub fn trim(&self) {
        for list in &self.shared.free {
            while let Some(block) = list.pop() {
                self.shared.used_bytes.fetch_sub(block.len, Ordering::Relaxed);
            }
        }
    }

    /// Bytes held by live buffers and free lists.
    pub fn used_bytes(&self) -> usize {
        self.shared.used_bytes.load(Ordering::Relaxed)
    }

    /// The budget in bytes.
    pub fn limit_bytes(&self) -> usize {
        self.shared.limit_bytes
    }

    fn wrap(&self, block: Box<Block>) -> Buffer {
        Buffer {
            memory: Memory::new(block, self.shared.clone()),
        }
    }

    fn refusal(&self, wanted_bytes: usize) -> OutOfMemory {
        OutOfMemory {
            wanted_bytes,
            used_bytes: self.used_bytes(),
            limit_bytes: self.limit_bytes(),
        }
    }
}
