//! A cleaned segment's file: written beside the log under a name of its own, synced, and only then given its name.
//!
//! ```text
//! {sequence}-{generation}.cleaning  -- all batches, header, fsync -->  {sequence}-{generation}.log   (rename, fsync of the directory)
//! ```
//!
//! Written past the page cache in pieces, so that neither a producer's write nor the page cache meets more than a piece at a
//! time. For helper threads.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::Arc;

use tautline_core::batch::Batch;
use tautline_core::buffer::{BLOCK_SIZE, Buffer};
use tautline_core::ids::Offset;
use zerocopy::IntoBytes;

use super::fault::Fault;
use super::pass::Job;
use crate::atomic_file::sync_dir;
use crate::fault::{FaultPlan, Stop};
use crate::format::{CLEANED_HEADER_AT, CleanedHeader, SegmentHeader};
use crate::index::{Place, SparseIndex};
use crate::limits::{BLOCK_BYTES, CLEANER_IO_BYTES, SEGMENT_BYTES_MAX, SEGMENT_HEADER_BYTES};
use crate::segment::SegmentId;

/// See the module.
pub(super) struct Output {
    file: File,
    unfinished: PathBuf,
    /// The piece being filled; its first byte lies at `at`.
    piece: Buffer,
    at: u64,
    filled: usize,
    index: SparseIndex,
    max_timestamp_ms: i64,
    named: bool,
    faults: Option<Arc<FaultPlan>>,
}

/// What is known of a file that has its name.
pub(super) struct Written {
    pub end_position: u64,
    pub max_timestamp_ms: i64,
    pub index: SparseIndex,
    /// Bytes written since the last batch was added.
    pub bytes: u64,
}

impl Output {
    pub fn create(job: &Job, id: SegmentId, base_offset: Offset) -> Result<Output, Fault> {
        job.stop(Stop::Create)?;
        let unfinished = job.dir.unfinished(id);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        if job.direct {
            options.custom_flags(rustix::fs::OFlags::DIRECT.bits() as i32);
        }
        let piece = job.memory.take_sparing(CLEANER_IO_BYTES)?;
        Ok(Output {
            file: options.open(&unfinished)?,
            unfinished,
            piece,
            at: SEGMENT_HEADER_BYTES,
            filled: 0,
            index: SparseIndex::new(Place {
                offset: base_offset,
                position: SEGMENT_HEADER_BYTES,
            }),
            max_timestamp_ms: -1,
            named: false,
            faults: job.faults.clone(),
        })
    }

    /// Position behind the last batch.
    pub fn position(&self) -> u64 {
        self.at + self.filled as u64
    }

    /// Whether a batch of that size can follow at all.
    pub fn fits(&self, size_bytes: usize) -> bool {
        self.position() + size_bytes as u64 + BLOCK_BYTES <= SEGMENT_BYTES_MAX
    }

    /// Adds a batch; gives how many bytes that has written. The timestamp is its largest, if it has records.
    pub fn append(&mut self, job: &Job, batch: &[u8], max_timestamp_ms: Option<i64>) -> Result<u64, Fault> {
        let offset = Batch::parse(batch)
            .expect("it was just made, or read")
            .0
            .base_offset();
        let place = Place {
            offset,
            position: self.position(),
        };
        self.index
            .note(place, self.max_timestamp_ms, job.index_interval_bytes);
        self.max_timestamp_ms = self.max_timestamp_ms.max(max_timestamp_ms.unwrap_or(-1));
        let mut written = 0;
        let mut rest = batch;
        while !rest.is_empty() {
            let len = rest.len().min(CLEANER_IO_BYTES - self.filled);
            self.piece[self.filled..self.filled + len].copy_from_slice(&rest[..len]);
            self.filled += len;
            rest = &rest[len..];
            if self.filled == CLEANER_IO_BYTES {
                job.stop(Stop::Write)?;
                self.file.write_all_at(&self.piece[..CLEANER_IO_BYTES], self.at)?;
                self.at += CLEANER_IO_BYTES as u64;
                self.filled = 0;
                written += CLEANER_IO_BYTES as u64;
            }
        }
        Ok(written)
    }

    /// Makes the file durable and gives it its name.
    pub fn finish(
        mut self,
        job: &Job,
        id: SegmentId,
        first_sequence: u64,
        offsets: (Offset, Offset),
        aborted: Option<&[u8]>,
    ) -> Result<Written, Fault> {
        let end_position = self.position();
        let mut bytes = BLOCK_BYTES;
        if self.filled > 0 {
            let len = self.filled.next_multiple_of(BLOCK_SIZE);
            self.piece[self.filled..len].fill(0);
            job.stop(Stop::Write)?;
            self.file.write_all_at(&self.piece[..len], self.at)?;
            bytes += len as u64;
        }
        let header = SegmentHeader::new(job.topic_id, job.partition, id.sequence, job.now_ms);
        let cleaned = CleanedHeader::new(id.generation, first_sequence, offsets, end_position);
        let block = &mut self.piece[..BLOCK_SIZE];
        block.fill(0);
        block[..size_of::<SegmentHeader>()].copy_from_slice(header.as_bytes());
        block[CLEANED_HEADER_AT..][..size_of::<CleanedHeader>()].copy_from_slice(cleaned.as_bytes());
        self.file.write_all_at(block, 0)?;
        self.file.set_len(end_position)?;
        job.stop(Stop::Sync)?;
        self.file.sync_all()?;
        // Hints, which are made again if they are lost.
        fs::write(job.dir.index(id), self.index.to_file(id.sequence, end_position))?;
        if let Some(aborted) = aborted {
            fs::write(job.dir.aborted(id), aborted)?;
        }
        job.stop(Stop::Rename)?;
        fs::rename(&self.unfinished, job.dir.file(id))?;
        self.named = true;
        job.stop(Stop::SyncName)?;
        sync_dir(&job.dir.path)?;
        Ok(Written {
            end_position,
            max_timestamp_ms: self.max_timestamp_ms,
            index: self.index.clone(),
            bytes,
        })
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let crashed = self
            .faults
            .as_ref()
            .is_some_and(|faults| faults.stopped_at().is_some());
        if !self.named && !crashed {
            // What stays is put in the trash by the next start.
            for kind in ["cleaning", "index", "aborted"] {
                let _ = fs::remove_file(self.unfinished.with_extension(kind));
            }
        }
    }
}

const _: () = assert!(CLEANER_IO_BYTES.is_multiple_of(BLOCK_SIZE));
const _: () = assert!(SEGMENT_HEADER_BYTES.is_multiple_of(BLOCK_BYTES));
