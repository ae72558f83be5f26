//! What the logs of a store share: memory, descriptors, loaded indexes, places for writes, the tail cache's budget, the refilling
//! of the segment pool. One core's, like its logs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use rustc_hash::FxHashMap;
use tautline_core::blocking;
use tautline_core::buffer::Pool;
use tautline_core::sync::Signal;
use tautline_core::task::{Queue, spawn, yield_now};

use crate::caches::{self, AbortedLists, Descriptors, Indexes};
use crate::config::StoreOptions;
use crate::data_dir::DataDir;
use crate::disk::Disk;
use crate::limits::{
    POOL_STEP_PAUSE, TAIL_CACHE_BEGINS_BYTES, TAIL_CACHE_GROWTH_BYTES, WRITES_IN_FLIGHT_MAX,
};
use crate::log::Log;
use crate::metrics::Metrics;
use crate::tail::Chunk;

/// See the module.
pub(crate) struct Shared {
    pub data: Arc<DataDir>,
    pub options: StoreOptions,
    pub disk: Disk,
    pub memory: Pool,
    pub metrics: Metrics,
    pub indexes: Indexes,
    pub aborted: AbortedLists,
    pub descriptors: Descriptors,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: Cell<i64>,
    pub logs: RefCell<FxHashMap<u64, Weak<Log>>>,
    /// Directories on their way to the trash: a log of the same name waits until they are gone.
    pub deleting: RefCell<Vec<PathBuf>>,
    pub deleted: Signal,
    /// Logs whose checkpoints are to be written in the background, each once.
    pub to_checkpoint: RefCell<VecDeque<Weak<Log>>>,
    pub writes_checkpoints: Cell<bool>,
    /// The trash is being emptied.
    pub sweeping: Cell<bool>,
    numbers: Cell<u64>,
    /// Logs in the order in which their chunks were added: whose chunk is oldest comes first.
    chunks: RefCell<VecDeque<Weak<Log>>>,
    writes: Cell<usize>,
    write_ended: Signal,
    refilling: Cell<bool>,
    /// What the tail cache may hold for now, at most its budget.
    tail_cache_limit: Cell<usize>,
}

impl Shared {
    pub fn new(data: Arc<DataDir>, options: StoreOptions) -> Shared {
        Shared {
            disk: Disk::new(options.faults.clone()),
            tail_cache_limit: Cell::new(options.tail_cache_bytes.min(TAIL_CACHE_BEGINS_BYTES)),
            producer_id_expiration_ms: Cell::new(options.producer_id_expiration_ms),
            data,
            options,
            memory: Pool::current(),
            metrics: Metrics::default(),
            indexes: caches::indexes(),
            aborted: caches::aborted_lists(),
            descriptors: caches::descriptors(),
            logs: RefCell::default(),
            deleting: RefCell::default(),
            deleted: Signal::new(),
            to_checkpoint: RefCell::default(),
            writes_checkpoints: Cell::new(false),
            sweeping: Cell::new(false),
            numbers: Cell::new(0),
            chunks: RefCell::default(),
            writes: Cell::new(0),
            write_ended: Signal::new(),
            refilling: Cell::new(false),
        }
    }

    /// The number of the next log to be opened.
    pub fn take_number(&self) -> u64 {
        self.numbers.replace(self.numbers.get() + 1)
    }

    /// The logs that are open.
    pub fn open_logs(&self) -> Vec<Rc<Log>> {
        self.logs.borrow().values().filter_map(Weak::upgrade).collect()
    }

    /// Waits for a place among the writes in flight.
    pub async fn begin_write(&self) {
        while self.writes.get() >= WRITES_IN_FLIGHT_MAX {
            self.write_ended.wait().await;
        }
        self.writes.set(self.writes.get() + 1);
    }

    pub fn end_write(&self) {
        self.writes.set(self.writes.get() - 1);
        if self.writes.get() + 1 == WRITES_IN_FLIGHT_MAX {
            self.write_ended.notify_all();
        }
    }

    /// Books a chunk that `log` has added.
    pub fn added_chunk(&self, log: &Log, bytes: usize) {
        self.metrics.cache_bytes.add(bytes as u64);
        self.chunks.borrow_mut().push_back(log.me.clone());
        self.trim_tail_cache();
    }

    /// Lets the tail cache grow a little beyond what it holds, for as long as it is within its budget: see
    /// [`TAIL_CACHE_GROWTH_BYTES`].
    pub fn grow_tail_cache(&self) {
        let held = self.metrics.cache_bytes.get() as usize;
        let limit = (held + TAIL_CACHE_GROWTH_BYTES).max(TAIL_CACHE_BEGINS_BYTES);
        self.tail_cache_limit
            .set(limit.min(self.options.tail_cache_bytes));
    }

    /// Evicts the oldest chunks beyond the limit.
    pub fn trim_tail_cache(&self) {
        let surplus = self
            .metrics
            .cache_bytes
            .get()
            .saturating_sub(self.tail_cache_limit.get() as u64);
        if surplus > 0 {
            self.shrink_tail_cache(surplus as usize);
        }
    }

    /// Drops the oldest chunks until `bytes` are free, or none can be dropped.
    pub fn shrink_tail_cache(&self, bytes: usize) {
        let mut freed = 0;
        let mut tries = self.chunks.borrow().len();
        while freed < bytes && tries > 0 {
            tries -= 1;
            let Some(owner) = self.chunks.borrow_mut().pop_front() else {
                return;
            };
            let Some(log) = owner.upgrade() else { continue };
            // The log that asks for memory is borrowed: its own chunks stay.
            let Ok(mut state) = log.state.try_borrow_mut() else {
                self.chunks.borrow_mut().push_back(owner);
                continue;
            };
            match state.evict_chunk() {
                Some(bytes) => {
                    freed += bytes;
                    self.metrics.cache_bytes.sub(bytes as u64);
                }
                None if state.tail.chunks().is_empty() => {}
                None => self.chunks.borrow_mut().push_back(owner),
            }
        }
    }

    /// Whether the directory is on its way to the trash.
    pub fn is_deleting(&self, path: &Path) -> bool {
        self.deleting.borrow().iter().any(|deleting| deleting == path)
    }

    /// Waits until it is not.
    pub async fn until_deleted(&self, path: &Path) {
        while self.is_deleting(path) {
            self.deleted.wait().await;
        }
    }

    pub fn forget(&self, number: u64) {
        self.logs.borrow_mut().remove(&number);
        self.descriptors.remove_if(|((log, _), _)| *log == number);
        self.indexes.remove_if(|(log, _)| *log == number);
        self.aborted.remove_if(|(log, _)| *log == number);
    }

    /// Has missing segment files made, in the background, one at a time.
    pub fn refill_pool(self: &Rc<Shared>) {
        if self.refilling.replace(true) {
            return;
        }
        let shared = Rc::downgrade(self);
        spawn(Queue::Background, async move {
            loop {
                let Some(data) = shared.upgrade().map(|shared| shared.data.clone()) else {
                    return;
                };
                match blocking::run(move || data.pool().refill_one(POOL_STEP_PAUSE)).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(%error, "no segment file can be made ahead of need");
                        break;
                    }
                }
            }
            if let Some(shared) = shared.upgrade() {
                shared.refilling.set(false);
            }
        });
    }

    /// Frees memory of a tail one chunk at a time: the system takes back a megabyte in some 70 us, and whole segments would hold
    /// the core for tens of milliseconds.
    pub fn free_in_background(self: &Rc<Shared>, chunks: Vec<Chunk>) {
        if chunks.is_empty() {
            return;
        }
        let shared = self.clone();
        spawn(Queue::Background, async move {
            for chunk in chunks {
                shared.metrics.cache_bytes.sub(chunk.capacity() as u64);
                drop(chunk);
                yield_now().await;
            }
        });
    }
}
