//! What a store counts. Plain numbers of one core, read on that core.

use std::cell::{Cell, RefCell};

use tautline_core::histogram::Latency;

/// A number that only grows, or a level.
#[derive(Debug, Default)]
pub struct Count(Cell<u64>);

impl Count {
    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.get()
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.set(self.0.get().wrapping_add(n));
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.set(n);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.set(self.0.get().wrapping_sub(n));
    }
}

/// Everything a store counts since it was opened.
#[derive(Default)]
pub struct Metrics {
    /// Batches appended.
    pub appends: Count,
    /// Their bytes.
    pub append_bytes: Count,
    /// Batches that were sent again and not stored again.
    pub duplicates: Count,
    /// Batches acknowledged before they were durable (relaxed topics).
    pub unsynced_acks: Count,
    /// Write requests.
    pub writes: Count,
    /// Write requests that were durable when they completed.
    pub durable_writes: Count,
    /// Bytes written, padding included.
    pub write_bytes: Count,
    /// Calls of fdatasync.
    pub syncs: Count,
    /// Failed writes and syncs.
    pub write_errors: Count,
    /// Segments begun.
    pub rolls: Count,
    /// Segment files that were not ready when they were needed.
    pub pool_waits: Count,
    /// Reads answered from memory.
    pub tail_reads: Count,
    /// Reads that went to a file.
    pub cold_reads: Count,
    /// Bytes read from files.
    pub cold_read_bytes: Count,
    /// Damaged batches met (a level: it does not shrink).
    pub damage: Count,
    /// Bytes of append chunks in memory now.
    pub cache_bytes: Count,
    /// Checkpoints written.
    pub checkpoints: Count,
    /// Segments deleted.
    pub segments_deleted: Count,
    /// Cleanings of compacted logs that came to their end.
    pub cleaner_runs: Count,
    /// Cleanings that failed.
    pub cleaner_errors: Count,
    /// Bytes read by the cleaner.
    pub cleaner_read_bytes: Count,
    /// Bytes written by it.
    pub cleaner_write_bytes: Count,
    /// When the last cleaning began that came to its end, milliseconds since the epoch (a level).
    pub cleaner_last_run_ms: Count,
    /// How long it took, milliseconds (a level).
    pub cleaner_last_took_ms: Count,
    /// The dirty part of the dirtiest compacted log, percent of what can be cleaned (a level).
    pub cleaner_dirty_percent_max: Count,
    /// Compacted logs that can't be cleaned, because of damage or of a batch that can't be taken apart (a level).
    pub cleaner_uncleanable_logs: Count,
    /// Logs open now.
    pub logs: Count,
    /// From the submission of a write to its completion.
    pub write_latency: RefCell<Latency>,
}
