//! Cleaning one log, as its core sees it: what is cleaned, with which memory, and what is remembered of it.

use std::cell::Cell;

use tautline_core::blocking;
use tautline_core::buffer::{BLOCK_SIZE, Buffer};
use tautline_core::ids::Offset;
use tautline_core::sync::Signal;

use super::choose::Cleanable;
use super::fault::{CleanError, Fault};
use super::group::SourceSegment;
use super::offset_map::OffsetMap;
use super::pace::Pace;
use super::pass::{Job, Moved, Pass};
use super::walk::Walk;
use crate::atomic_file::Replace;
use crate::damage::Damage;
use crate::limits::CLEANER_MAP_BYTES_MIN;
use crate::log::Log;
use crate::segment::SegmentId;

/// What a cleaning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// All below is clean.
    pub upto: Offset,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Different keys in what was dirty.
    pub keys: u64,
    /// Memory that was there for them.
    pub map_bytes: u64,
    /// How long it took, milliseconds.
    pub took_ms: u64,
}

/// A log's part in it.
#[derive(Default)]
pub(crate) struct Cleaning {
    under_way: Cell<bool>,
    over: Signal,
    /// A batch that can't be taken apart, or is damaged: the log is not cleaned before it is gone.
    obstacle: Cell<Option<Offset>>,
    /// The store does not clean it before.
    not_before_ms: Cell<i64>,
}

/// Held while a log is cleaned, or shall not be.
pub(crate) struct Turn<'a>(&'a Cleaning);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.under_way.set(false);
        self.0.over.notify_all();
    }
}

impl Cleaning {
    /// Waits until the log is not being cleaned; a log that has failed is not for long.
    pub async fn over(&self) {
        while self.under_way.get() {
            self.over.wait().await;
        }
    }

    /// Waits until the log is not being cleaned, and keeps it so.
    pub async fn hold(&self) -> Turn<'_> {
        while self.under_way.replace(true) {
            self.over.wait().await;
        }
        Turn(self)
    }

    /// Whether the last cleaning failed not long ago.
    pub(super) fn is_resting(&self, now: i64) -> bool {
        now < self.not_before_ms.get()
    }

    pub(super) fn rest_until(&self, ms: i64) {
        self.not_before_ms.set(ms);
    }
}

impl Log {
    /// Cleans the log, as far as its keys fit the memory for them, whether or not it is time to; `None` if there is nothing to be
    /// cleaned, or it is being cleaned. The store does so by itself when it is time.
    ///
    /// # Errors
    /// [`CleanError`]. Segments that were cleaned before stay so.
    pub async fn clean(&self, now_ms: i64) -> Result<Option<Cleaned>, CleanError> {
        if self.cleaning.under_way.replace(true) {
            return Ok(None);
        }
        let _turn = Turn(&self.cleaning);
        let Some(Ok(cleanable)) = self.dirt(now_ms) else {
            return Ok(None);
        };
        let (job, sources) = self.job(&cleanable, now_ms);
        let memory = self.map_memory(&cleanable)?;
        let map_bytes = memory.len() as u64;
        let cleaner = &self.shared.options.cleaner;
        let pace = Pace::new(cleaner.io_bytes_per_second_max / cleaner.logs_at_a_time.max(1) as u64);
        let pass = blocking::run_patiently(move || Pass::new(job, OffsetMap::new(memory))).await;
        let mut walk = Walk::new(self, pass, pace);
        let ended = walk.run(&sources).await;
        let took_ms = walk.pace.elapsed_ns() / 1_000_000;
        let Moved {
            read_bytes,
            written_bytes,
        } = walk.pace.moved;
        let keys = walk.end().await as u64;
        let upto = ended?;
        let metrics = &self.shared.metrics;
        metrics.cleaner_runs.add(1);
        metrics.cleaner_last_run_ms.set(now_ms.max(0) as u64);
        metrics.cleaner_last_took_ms.set(took_ms);
        tracing::info!(log = %self.identity, %upto, keys, read_bytes, written_bytes, took_ms, "cleaned");
        Ok(Some(Cleaned {
            upto,
            read_bytes,
            written_bytes,
            keys,
            map_bytes,
            took_ms,
        }))
    }

    /// All below was cleaned.
    pub fn cleaned_to(&self) -> Offset {
        self.state.borrow().cleaned_to
    }

    /// What can be cleaned: `None` if nothing, or the log is not compacted; `Err` if something is in the way.
    pub(super) fn dirt(&self, now: i64) -> Option<Result<Cleanable, ()>> {
        let state = self.state.borrow();
        if !state.config.compact || state.failed.is_some() || state.closing {
            return None;
        }
        let cleanable = state.cleanable(now)?;
        let obstacle = self.cleaning.obstacle.get();
        let blocked = obstacle.is_some_and(|offset| offset >= state.start_offset);
        Some(if blocked || state.is_damaged_below(cleanable.end) {
            Err(())
        } else {
            Ok(cleanable)
        })
    }

    fn job(&self, cleanable: &Cleanable, now_ms: i64) -> (Job, Vec<SourceSegment>) {
        let state = self.state.borrow();
        let job = Job {
            dir: self.dir.clone(),
            topic_id: self.identity.topic_id,
            partition: self.identity.partition,
            direct: self.shared.data.direct_io(),
            memory: self.shared.memory.clone(),
            faults: self.shared.options.faults.clone(),
            index_interval_bytes: state.config.index_interval_bytes,
            delete_retention_ms: state.config.delete_retention_ms,
            now_ms,
            start: state.start_offset,
            dirty_from: cleanable.dirty_from,
            end: cleanable.end,
            producers: state.producers.snapshot(),
        };
        (job, state.sources(cleanable))
    }

    /// Memory for the map: for a key a record at most, within `log.cleaner.dedupe.buffer.size`; less if there is not that much.
    fn map_memory(&self, cleanable: &Cleanable) -> Result<Buffer, CleanError> {
        let cleaner = &self.shared.options.cleaner;
        let limit = (cleaner.dedupe_buffer_bytes / cleaner.logs_at_a_time.max(1)).max(BLOCK_SIZE);
        let records = (cleanable.end - cleanable.dirty_from).max(1) as u64;
        let wanted = OffsetMap::bytes_for(records).min(limit as u64) as usize;
        // Buffers come in powers of two.
        let mut bytes = wanted.next_power_of_two().min(1 << limit.ilog2());
        loop {
            match self.shared.memory.take_sparing(bytes) {
                Ok(memory) => return Ok(memory),
                Err(_) if bytes / 2 >= CLEANER_MAP_BYTES_MIN => bytes /= 2,
                Err(_) => return Err(CleanError::OutOfMemory),
            }
        }
    }

    /// Closes the active segment if it has to be cleaned soon.
    pub(crate) fn close_overdue_active(&self, now: i64) {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        if state.failed.is_none() && state.is_active_overdue(now) {
            let at = state.segments.len() - 1;
            self.seal(state, at);
        }
    }

    pub(super) fn take_generation(&self) -> u64 {
        let mut state = self.state.borrow_mut();
        state.next_generation += 1;
        state.next_generation - 1
    }

    /// Remembers how far the log is clean, durably.
    pub(super) async fn note_clean(&self, upto: Offset) -> Result<(), CleanError> {
        {
            let mut state = self.state.borrow_mut();
            state.cleaned_to = upto;
            state.dirty = true;
        }
        Ok(self.checkpoint(Replace::Durably).await?)
    }

    /// What a fault on a helper thread means for the log.
    pub(super) fn cleaning_met(&self, fault: Fault, segment: SegmentId) -> CleanError {
        match fault {
            Fault::Damaged { position, from, to } => {
                self.cleaning.obstacle.set(Some(from));
                self.note_damage(Damage {
                    sequence: segment.sequence,
                    position,
                    from,
                    to: Some(to),
                });
                CleanError::Damaged(from)
            }
            Fault::Unreadable(offset) => {
                self.cleaning.obstacle.set(Some(offset));
                CleanError::Unreadable(offset)
            }
            Fault::OutOfMemory => CleanError::OutOfMemory,
            Fault::Io(error) => {
                // Retention may have taken it.
                let there = self.state.borrow().segments.iter().any(|s| s.id() == segment);
                if there {
                    CleanError::Io(error)
                } else {
                    CleanError::Ended
                }
            }
        }
    }
}
