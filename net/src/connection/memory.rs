//! A shard's memory for requests too long for a receive buffer, shared by its connections.
//!
//! A long request takes its memory in three stages: a little when it begins, more as it proves itself by its bytes, all of the
//! rest at once. Each stage has a budget of its own, and the last takes all it will ever need, so there is always one that ends
//! and gives its memory back: requests under way never wait for each other in a circle, and large ones that do not get on don't
//! keep small ones out. What is only announced is never charged. While somebody waits for memory the sweeper has little patience
//! with those that hold it and send nothing.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tautline_core::buffer::{BLOCK_SIZE, Buffer, Pool, Slice};
use tautline_core::sync::Signal;
use tautline_core::time::timeout;

/// How many bytes of structures a byte of a request other than Produce is taken apart into. A partition to fetch is 16 bytes on
/// the wire and some 500 while it is waited for.
const WORK_FACTOR: usize = 32;
/// So much of each such request is not charged: the fetch of a small consumer.
const WORK_FREE_BYTES: usize = 512;
/// Such requests are taken up to this length, however little memory there is.
const WORK_BYTES_MIN: usize = 1 << 20;
/// The budget's part of the shard's memory: one in so many. The tail cache takes two of the others.
const POOL_SHARE: usize = 4;
/// One response's part of the memory that is free: one in so many.
const RESPONSE_SHARE: usize = 8;
/// What a response may carry however little is free.
const RESPONSE_BYTES_MIN: usize = 64 << 10;
/// How many stages there are.
const STAGES: usize = Stage::Work as usize + 1;
/// A request waits that long for memory; then its connection is closed.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// The pool itself can be out of memory because others hold it; it is asked again so often.
const POOL_RETRY: Duration = Duration::from_millis(5);

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Stage {
    /// It has begun.
    Begun,
    /// A good part of what its buffer can hold has come.
    Growing,
    /// It is given its full length.
    Whole,
    /// It is being worked on. What a Produce carries is passed on as it is; other requests are taken apart into structures that
    /// take [`WORK_FACTOR`] times their bytes.
    Work,
}

/// No memory came free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no memory for a request of {bytes} bytes within {WAIT_MAX:?} (raise --memory)")]
pub struct NoMemory {
    /// The request's length.
    pub bytes: usize,
}

/// See the module.
pub struct RequestMemory {
    pool: Pool,
    limit_bytes: usize,
    used_bytes: [Cell<usize>; STAGES],
    freed: Signal,
}

impl RequestMemory {
    /// A share of a shard's pool.
    pub fn new(pool: Pool) -> Rc<RequestMemory> {
        let limit_bytes = pool.limit_bytes() / POOL_SHARE;
        Rc::new(RequestMemory {
            pool,
            limit_bytes,
            used_bytes: Default::default(),
            freed: Signal::new(),
        })
    }

    /// The longest request there is ever memory for.
    pub fn request_bytes_max(&self) -> usize {
        // Buffers are powers of two long.
        1 << (self.limit_bytes / 2).ilog2()
    }

    /// The most record bytes this shard may add to one response, but for a first batch: they are pinned until the client has
    /// read them. A part of what is free, so that clients that don't read never take all of it.
    pub fn response_bytes_max(&self) -> usize {
        let limit = self.pool.limit_bytes();
        let mut free = limit - self.pool.used_bytes().min(limit);
        if free < limit / RESPONSE_SHARE {
            // What is on the free lists is free as well.
            self.pool.trim();
            free = limit - self.pool.used_bytes().min(limit);
        }
        (free / RESPONSE_SHARE).max(RESPONSE_BYTES_MIN)
    }

    /// A response, or what stands between its records, in memory of the pool, or of the allocator where that is spent.
    pub fn response(&self, bytes: &[u8]) -> Slice {
        match self.pool.take(bytes.len()) {
            Ok(mut buffer) => {
                buffer[..bytes.len()].copy_from_slice(bytes);
                buffer.freeze().slice(..bytes.len())
            }
            Err(_) => Slice::from_vec(bytes.to_vec()),
        }
    }

    /// Bytes held by requests now.
    pub fn used_bytes(&self) -> usize {
        self.used_bytes.iter().map(Cell::get).sum()
    }

    /// Whether somebody waits for memory.
    pub fn is_short(&self) -> bool {
        self.freed.waiters() > 0
    }

    fn allowed(&self, stage: Stage) -> usize {
        match stage {
            Stage::Begun | Stage::Growing => self.limit_bytes / 4,
            Stage::Whole | Stage::Work => self.limit_bytes / 2,
        }
    }

    /// Takes a buffer of at least `bytes`, waiting for memory if need be.
    ///
    /// # Errors
    /// None came free in time.
    pub async fn take(self: &Rc<Self>, stage: Stage, bytes: usize) -> Result<ChargedBuffer, NoMemory> {
        self.waited_for(bytes, || self.try_take(stage, bytes)).await
    }

    /// What `attempt` gives, at once or as soon as memory comes free.
    async fn waited_for<T>(&self, bytes: usize, attempt: impl Fn() -> Option<T>) -> Result<T, NoMemory> {
        if let Some(taken) = attempt() {
            return Ok(taken);
        }
        let waiting = async {
            loop {
                let freed = self.freed.wait();
                if let Some(taken) = attempt() {
                    return taken;
                }
                // The pool may come free elsewhere.
                let _ = timeout(POOL_RETRY, freed).await;
            }
        };
        Box::pin(timeout(WAIT_MAX, waiting))
            .await
            .map_err(|_| NoMemory { bytes })
    }

    /// Reserves what work on a request of `bytes` other than Produce takes, waiting for it if need be.
    ///
    /// # Errors
    /// None came free in time.
    pub async fn charge_work(self: &Rc<Self>, bytes: usize) -> Result<Charge, NoMemory> {
        let charged = bytes.saturating_sub(WORK_FREE_BYTES) * WORK_FACTOR;
        self.waited_for(bytes, || self.try_charge(Stage::Work, charged))
            .await
    }

    /// The longest request other than Produce that is taken.
    pub fn work_bytes_max(&self) -> usize {
        self.request_bytes_max()
            .min(WORK_BYTES_MIN.max(self.allowed(Stage::Work) / WORK_FACTOR))
    }

    fn try_charge(self: &Rc<Self>, stage: Stage, bytes: usize) -> Option<Charge> {
        let used = self.used_bytes[stage as usize].get();
        // An empty budget takes any request that was let in.
        if used > 0 && bytes > 0 && used + bytes > self.allowed(stage) {
            return None;
        }
        self.used_bytes[stage as usize].set(used + bytes);
        Some(Charge {
            memory: self.clone(),
            stage,
            bytes,
        })
    }

    fn try_take(self: &Rc<Self>, stage: Stage, bytes: usize) -> Option<ChargedBuffer> {
        // Buffers are powers of two long.
        let charge = self.try_charge(stage, bytes.max(BLOCK_SIZE).next_power_of_two())?;
        let buffer = self.pool.take(bytes).ok()?;
        Some(ChargedBuffer { buffer, charge })
    }
}

/// A buffer, and its place in the budget.
pub struct ChargedBuffer {
    /// The memory.
    pub buffer: Buffer,
    /// Given back when the request is answered.
    pub charge: Charge,
}

/// A part of the budget, given back when it is dropped.
pub struct Charge {
    memory: Rc<RequestMemory>,
    stage: Stage,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        let used = &self.memory.used_bytes[self.stage as usize];
        used.set(used.get() - self.bytes);
        self.memory.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tautline_core::shard::test_on_shard;

    #[test]
    fn a_stage_has_room_that_no_other_can_take() {
        test_on_shard(|| async {
            let memory = RequestMemory::new(Pool::new(16 << 20));
            let begun: Vec<_> = std::iter::from_fn(|| memory.try_take(Stage::Begun, 4096)).collect();
            assert_eq!(begun.len() * 4096, 1 << 20);
            let growing: Vec<_> = std::iter::from_fn(|| memory.try_take(Stage::Growing, 128 << 10)).collect();
            assert_eq!(growing.len() * (128 << 10), 1 << 20);
            let whole = memory.try_take(Stage::Whole, memory.request_bytes_max()).unwrap();
            assert_eq!(whole.buffer.len(), 2 << 20);
            assert!(memory.try_take(Stage::Whole, 4096).is_none());
            assert!(memory.try_take(Stage::Growing, 4096).is_none());
            drop((begun, growing, whole));
            assert_eq!(memory.used_bytes(), 0);
        });
    }

    #[test]
    fn who_waits_is_served_when_memory_comes_free_and_told_when_none_does() {
        test_on_shard(|| async {
            let memory = RequestMemory::new(Pool::new(16 << 20));
            let held = memory.take(Stage::Whole, 4 << 20).await.unwrap();
            let waiting = memory.clone();
            let waiter = tautline_core::task::spawn(tautline_core::task::Queue::Fetch, async move {
                waiting
                    .take(Stage::Begun, 4096)
                    .await
                    .map(|taken| taken.buffer.len())
            });
            tautline_core::task::yield_now().await;
            drop(held);
            assert_eq!(waiter.await, Ok(4096));
        });
    }
}
