//! Walking over a segment file at recovery, batch by batch, on a helper thread.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tautline_core::batch::{BATCH_HEADER_BYTES, Batch, BatchError};
use tautline_core::buffer::BLOCK_SIZE;
use tautline_core::ids::Offset;

use crate::aborted::Aborted;
use crate::format::{CleanedHeader, HeaderError, SegmentHeader};
use crate::index::{Place, SparseIndex};
use crate::leader_epochs::LeaderEpochs;
use crate::limits::{SCAN_WINDOW_BYTES, SEGMENT_HEADER_BYTES};
use crate::producers::Producers;

/// A segment file, read through a window that moves forward.
pub(super) struct Scanner {
    file: File,
    len: u64,
    window: Vec<u8>,
    at: u64,
}

/// What the batches behind the checkpoint add to it.
pub(super) struct Replay {
    /// Offset of the next batch.
    pub expected: Offset,
    pub epochs: LeaderEpochs,
    pub producers: Producers,
    pub now_ms: i64,
    /// Of the segment being read.
    pub max_timestamp_ms: i64,
    /// Nothing is known: the first batch says where the log begins.
    pub any_offset: bool,
    /// Batches may lie behind gaps of offsets.
    pub gaps: bool,
    /// Aborted transactions whose markers the segment being read has.
    pub aborted: Vec<Aborted>,
}

impl Scanner {
    pub fn open(path: &Path) -> io::Result<Scanner> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Scanner {
            file,
            len,
            window: Vec::new(),
            at: 0,
        })
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn header(&mut self) -> io::Result<Result<SegmentHeader, HeaderError>> {
        Ok(SegmentHeader::parse(&self.range(0, BLOCK_SIZE as u64)?))
    }

    /// What a cleaned file says of itself, if that is what it is, and sound.
    pub fn cleaned_header(&self) -> io::Result<Option<CleanedHeader>> {
        Ok(CleanedHeader::parse(&self.range(0, BLOCK_SIZE as u64)?))
    }

    /// The bytes between two positions; fewer if the file ends before.
    pub fn range(&self, from: u64, to: u64) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; to.min(self.len).saturating_sub(from) as usize];
        self.file.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    }

    /// The window from `position` on, with `len` bytes at least unless the file ends before.
    fn bytes(&mut self, position: u64, len: usize) -> io::Result<&[u8]> {
        let end = (position + len as u64).min(self.len);
        if position < self.at || end > self.at + self.window.len() as u64 {
            self.window = self.range(position, position + len.max(SCAN_WINDOW_BYTES) as u64)?;
            self.at = position;
        }
        Ok(&self.window[((position - self.at) as usize).min(self.window.len())..])
    }

    /// The batch at a position, if it is whole and its checksum is right.
    fn sound(&mut self, position: u64) -> io::Result<Option<Batch<'_>>> {
        let len = self.len;
        let needed = match Batch::parse(self.bytes(position, BATCH_HEADER_BYTES)?) {
            Ok((batch, _)) => batch.size_bytes(),
            Err(BatchError::Truncated { needed }) if position + needed as u64 <= len => needed,
            Err(_) => return Ok(None),
        };
        let batch = Batch::parse(self.bytes(position, needed)?)
            .ok()
            .map(|(batch, _)| batch);
        Ok(batch.filter(|batch| batch.verify_crc().is_ok()))
    }

    /// Offset of the segment's first batch, if that is sound.
    pub fn first_sound_offset(&mut self) -> io::Result<Option<Offset>> {
        Ok(self.sound(SEGMENT_HEADER_BYTES)?.map(|batch| batch.base_offset()))
    }

    /// Takes up the batches of a cleaned file up to `end`, as long as each lies behind the one before; gives where that ends.
    pub fn replay_cleaned(&mut self, end: u64, replay: &mut Replay) -> io::Result<u64> {
        let mut position = SEGMENT_HEADER_BYTES;
        while position < end
            && let Some(batch) = self.sound(position)?
            && replay.may_follow(&batch)
        {
            replay.take(&batch);
            position += batch.size_bytes() as u64;
        }
        Ok(position)
    }

    /// Takes up the batches from `position` on, as long as each follows the one before; gives where that ends.
    pub fn replay(
        &mut self,
        mut position: u64,
        replay: &mut Replay,
        index: &mut SparseIndex,
        index_interval_bytes: u64,
    ) -> io::Result<u64> {
        while let Some(batch) = self.sound(position)?
            && replay.follows(&batch)
        {
            index.note(
                Place {
                    offset: batch.base_offset(),
                    position,
                },
                replay.max_timestamp_ms,
                index_interval_bytes,
            );
            replay.take(&batch);
            position += batch.size_bytes() as u64;
        }
        Ok(position)
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        // Direct writes follow: pages left in the cache would only have to be thrown out by them.
        let _ = rustix::fs::fadvise(&self.file, 0, None, rustix::fs::Advice::DontNeed);
    }
}

impl Replay {
    fn follows(&self, batch: &Batch<'_>) -> bool {
        (self.gaps || batch.base_offset() == self.expected) && self.may_follow(batch)
    }

    /// As [`Replay::follows`], in a file from which compaction has taken batches.
    fn may_follow(&self, batch: &Batch<'_>) -> bool {
        batch.base_offset() >= self.expected
            && self
                .epochs
                .latest()
                .is_none_or(|latest| batch.leader_epoch() >= latest)
    }

    /// See [`Segment::open_from`](crate::segment::Segment::open_from); of a segment that begins here.
    pub fn open_from(&self) -> Offset {
        self.producers.first_open().unwrap_or(self.expected)
    }

    fn take(&mut self, batch: &Batch<'_>) {
        self.epochs.note(batch.leader_epoch(), batch.base_offset());
        let aborted = self
            .producers
            .note(batch, batch.base_offset(), batch.max_timestamp(), self.now_ms);
        self.aborted.extend(aborted);
        // Compaction leaves batches without a record, to keep a producer's sequence or the end of what it has cleaned.
        if batch.record_count() > 0 {
            self.max_timestamp_ms = self.max_timestamp_ms.max(batch.max_timestamp());
        }
        self.expected = batch.next_offset();
    }
}
