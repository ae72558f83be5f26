//! One partition's log. It lives on the shard that owns the partition, and no other thread sees it.
//!
//! Appends are synchronous and go to memory; one writer task per log carries them to the file, one write in flight, and what
//! arrives meanwhile joins the next write. Promises:
//! - [`Log::committed`] resolves with `Ok` only when the bytes are on stable storage (`flush.messages` = 1, the default), or at
//!   once where the topic was told to be relaxed; [`Metrics::unsynced_acks`](crate::Metrics) counts the latter.
//! - start offset <= last stable offset <= high watermark <= end offset; each is an exclusive bound, and all but the end grow
//!   only (a replicated log may begin anew at a later offset).
//! - A transaction is decided by its marker alone, and no record of it gets behind that (`producers/`).
//! - After a failed write nothing that was not acknowledged is ever acknowledged, and the log takes no more writes.
//! - The end of a replicated log is cut on request, never below the high watermark, and what was cut does not come back (`cut.rs`).
//! - What a reader gets are whole batches, byte for byte as they were appended.
//!
//! This file has what can be asked of it; `append.rs`, `writer.rs`, `read.rs`, `retention.rs` and `recovery.rs`
//! have what is done with it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use tautline_core::ids::{LeaderEpoch, Offset};
use tautline_core::parts::Parts;
use tautline_core::sync::Signal;

use crate::compact::Cleaning;
use crate::config::{LogConfig, LogDir, LogIdentity};
use crate::damage::Damage;
use crate::error::LogError;
use crate::leader_epochs::{EpochEnd, LeaderEpochs};
use crate::producers::ActiveProducer;
use crate::shared::Shared;
use crate::state::State;

/// See the module.
pub struct Log {
    pub(crate) shared: Rc<Shared>,
    pub(crate) identity: LogIdentity,
    pub(crate) dir: LogDir,
    /// Tells this log from all others of the store, also from earlier ones of the same name.
    pub(crate) number: u64,
    pub(crate) me: Weak<Log>,
    pub(crate) state: RefCell<State>,
    /// Rings when `durable_end` or `written_end` moves, and when the log fails.
    pub(crate) progress: Signal,
    /// Wakes the writer.
    pub(crate) work: Signal,
    /// Room for the parts of its next write.
    pub(crate) parts: Cell<Parts>,
    pub(crate) appended: Signal,
    /// One checkpoint is written at a time.
    pub(crate) checkpointing: Cell<bool>,
    pub(crate) checkpointed: Signal,
    pub(crate) cleaning: Cleaning,
}

impl Log {
    /// Which log it is.
    pub fn identity(&self) -> &LogIdentity {
        &self.identity
    }

    /// Its settings.
    pub fn config(&self) -> LogConfig {
        self.state.borrow().config.clone()
    }

    /// Changes its settings; the next append and the next write follow them.
    pub fn configure(&self, config: LogConfig) {
        self.state.borrow_mut().config = config;
        self.wake_writer();
    }

    /// Whether only the last record of each key is kept, so that each must have one.
    pub fn is_compacted(&self) -> bool {
        self.state.borrow().config.compact
    }

    /// First offset that can be read.
    pub fn start_offset(&self) -> Offset {
        self.state.borrow().start_offset
    }

    /// Offset of the next batch.
    pub fn end_offset(&self) -> Offset {
        self.state.borrow().end_offset
    }

    /// All below is on stable storage.
    pub fn durable_end(&self) -> Offset {
        self.state.borrow().durable_end
    }

    /// When the last write that completed was begun, and when it completed, in nanoseconds on the monotonic clock: asked when
    /// [`Log::committed`] is done, it is the write that carried the batch.
    pub fn last_write_ns(&self) -> (u64, u64) {
        self.state.borrow().last_write_ns
    }

    /// All below is answered to producers: the durable end, or the end of a relaxed topic's log.
    pub fn committed_end(&self) -> Offset {
        self.state.borrow().committed_end()
    }

    /// All below can be seen by consumers.
    pub fn high_watermark(&self) -> Offset {
        self.state.borrow().high_watermark
    }

    /// All below is decided, and seen by `read_committed` consumers: the high watermark, or the first offset of a transaction
    /// below it that is open, or whose marker is not below it.
    pub fn last_stable_offset(&self) -> Offset {
        self.state.borrow().last_stable_offset()
    }

    /// Moves the high watermark forward, never beyond the end, and with it the last stable offset; readers that wait on
    /// [`Log::appended`] look again.
    pub fn advance_high_watermark(&self, to: Offset) {
        let mut state = self.state.borrow_mut();
        let to = to.min(state.end_offset);
        if to > state.high_watermark {
            state.high_watermark = to;
            state.producers.high_watermark(to);
            drop(state);
            self.appended.notify_all();
        }
    }

    /// All replicas of a replicated log have what is below, or need no more of it than a copy has: deleting and cleaning may go so
    /// far. Never back.
    pub fn settle(&self, below: Offset) {
        let mut state = self.state.borrow_mut();
        state.settled = state.settled.max(below);
    }

    /// Rings when there may be more to read: the high watermark or the start offset has moved, or the log is closed.
    pub fn appended(&self) -> &Signal {
        &self.appended
    }

    /// Waits until all below `upto` is durable, or taken, where the topic is relaxed.
    ///
    /// # Errors
    /// The log failed or was closed before; what happened to the batch is then not known.
    pub async fn committed(&self, upto: Offset) -> Result<(), LogError> {
        loop {
            let moved = {
                let state = self.state.borrow();
                if state.durable_end >= upto {
                    return Ok(());
                }
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
                if state.committed_end() >= upto {
                    return Ok(());
                }
                self.progress.wait()
            };
            moved.await;
        }
    }

    /// Waits until all that was appended so far is on stable storage, whatever the topic's settings.
    ///
    /// # Errors
    /// The log failed.
    pub async fn flush(&self) -> Result<(), LogError> {
        let end = {
            let mut state = self.state.borrow_mut();
            state.sync_until = state.end_offset;
            state.end_offset
        };
        self.wake_writer();
        loop {
            let moved = {
                let state = self.state.borrow();
                if state.durable_end >= end {
                    return Ok(());
                }
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
                self.progress.wait()
            };
            moved.await;
        }
    }

    /// Waits until an append that was refused as [`Backlog`](crate::AppendError::Backlog) can be tried again.
    pub async fn room(&self) {
        loop {
            let moved = {
                let state = self.state.borrow();
                if state.failed.is_some() || state.unwritten_bytes < crate::limits::UNWRITTEN_BYTES_MAX / 2 {
                    return;
                }
                self.progress.wait()
            };
            moved.await;
        }
    }

    /// The latest leader epoch in the log.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.state.borrow().epochs.latest()
    }

    /// Its leader epochs, oldest first.
    pub fn leader_epochs(&self) -> LeaderEpochs {
        self.state.borrow().epochs.clone()
    }

    /// The epoch of the batch with that offset.
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        self.state.borrow().epochs.epoch_of(offset)
    }

    /// Where an epoch ends (KIP-101, KIP-279): `None` if it is not known, or later than any in the log.
    pub fn end_offset_for(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let state = self.state.borrow();
        state.epochs.end_offset_for(epoch, state.end_offset)
    }

    /// Bytes of batches in the log.
    pub fn size_bytes(&self) -> u64 {
        self.state.borrow().size_bytes()
    }

    /// How often compaction has put a cleaned segment in place of others.
    pub(crate) fn segments_replaced(&self) -> u64 {
        self.state.borrow().segments_replaced
    }

    /// Number of its segments.
    pub fn segment_count(&self) -> usize {
        self.state.borrow().segments.len()
    }

    /// Its idempotent producers (KIP-664).
    pub fn producers(&self) -> Vec<ActiveProducer> {
        self.state.borrow().producers.active()
    }

    /// What was found damaged.
    pub fn damage(&self) -> Vec<Damage> {
        self.state.borrow().damage.clone()
    }

    /// Why it takes no writes, if it does not.
    pub fn failure(&self) -> Option<LogError> {
        self.state.borrow().failed.clone()
    }

    /// Stops taking writes, for `error`; those who wait are told.
    pub(crate) fn fail(&self, error: LogError) {
        let mut state = self.state.borrow_mut();
        if state.failed.is_none() {
            if !matches!(error, LogError::Closed) {
                tracing::error!(log = %self.identity, %error, "the log takes no more writes");
            }
            state.failed = Some(error);
        }
        drop(state);
        self.progress.notify_all();
        self.work.notify_all();
        self.appended.notify_all();
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.shared
            .metrics
            .cache_bytes
            .sub(self.state.get_mut().tail.bytes() as u64);
        self.shared.metrics.logs.sub(1);
    }
}
