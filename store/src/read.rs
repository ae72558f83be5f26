//! Reading a log: whole batches, from memory where the tail cache has them, from the segment files otherwise (`cold.rs`).

use tautline_core::batch::Batch;
use tautline_core::buffer::Slice;
use tautline_core::file::File;
use tautline_core::ids::Offset;

use crate::aborted::AbortedTransaction;
use crate::error::ReadError;
use crate::index::SparseIndex;
use crate::log::Log;
use crate::state::State;
use crate::tail::Chunk;

/// What a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadFrom {
    /// Any offset of the first batch.
    pub offset: Offset,
    /// Batches that would go beyond are left out.
    pub max_bytes: usize,
    /// The first batch is given even if it alone is larger (KIP-74).
    pub min_one_batch: bool,
    /// Batches that reach beyond this offset are left out: the high watermark, the last stable offset, or the end.
    pub bound: Offset,
}

/// Some of the bytes of a read.
#[derive(Clone)]
pub enum Part {
    /// In memory.
    Memory(Slice),
    /// In a buffered file: to be sent by sendfile, off the core's thread.
    File {
        /// The file; it stays readable while this is held, also if its segment is deleted.
        file: File,
        /// First byte.
        at: u64,
        /// Number of bytes.
        len: usize,
    },
}

/// Whole batches, in order, without gaps between the parts.
#[derive(Clone, Default)]
pub struct ReadResult {
    /// The bytes.
    pub parts: Vec<Part>,
    /// Their number.
    pub size_bytes: usize,
    /// Offset behind the last batch, if there is one.
    pub next_offset: Offset,
}

/// What a `read_committed` consumer gets.
#[derive(Clone, Default)]
pub struct CommittedRead {
    /// Whole batches below the last stable offset.
    pub read: ReadResult,
    /// The transactions among them that were aborted, or reach over them: records of these producers are passed over, from the
    /// offset on to the producer's next abort marker.
    pub aborted: Vec<AbortedTransaction>,
}

impl ReadResult {
    /// Nothing (yet).
    pub fn is_empty(&self) -> bool {
        self.size_bytes == 0
    }

    pub(crate) fn push(&mut self, slice: Slice, next_offset: Offset) {
        self.size_bytes += slice.len();
        self.next_offset = next_offset;
        self.parts.push(Part::Memory(slice));
    }
}

impl Log {
    /// The batches from the one that contains an offset on. Empty at the bound; it never waits for appends.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read(&self, from: ReadFrom) -> Result<ReadResult, ReadError> {
        if let Some(result) = self.read_tail(&from)? {
            return Ok(result);
        }
        self.read_cold(from, true).await
    }

    /// [`Log::read`] for the broker's own use: into memory, whatever readers of other nodes are given.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_to_memory(&self, from: ReadFrom) -> Result<ReadResult, ReadError> {
        if let Some(result) = self.read_tail(&from)? {
            return Ok(result);
        }
        self.read_cold(from, false).await
    }

    /// [`Log::read`] for a `read_committed` consumer: up to the last stable offset, with what is to be passed over.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_committed(&self, from: ReadFrom) -> Result<CommittedRead, ReadError> {
        loop {
            let bound = from.bound.min(self.last_stable_offset());
            let segments = self.segments_replaced();
            let read = self.read(ReadFrom { bound, ..from }).await?;
            if read.is_empty() {
                return Ok(CommittedRead {
                    read,
                    aborted: Vec::new(),
                });
            }
            let aborted = self.aborted_between(from.offset, read.next_offset).await;
            // Compaction takes records and what is known of them away together: of both the same age is needed.
            if self.segments_replaced() != segments {
                continue;
            }
            let start = self.start_offset();
            if from.offset < start {
                return Err(ReadError::OffsetOutOfRange {
                    offset: from.offset,
                    start,
                    end: self.end_offset(),
                });
            }
            return Ok(CommittedRead {
                read,
                aborted: aborted?,
            });
        }
    }

    /// What can be answered at once; `None` if a file has to be read.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn read_tail(&self, from: &ReadFrom) -> Result<Option<ReadResult>, ReadError> {
        let state = self.state.borrow();
        let (offset, start, end) = (from.offset, state.start_offset, state.end_offset);
        if offset < start || offset > end {
            return Err(ReadError::OffsetOutOfRange { offset, start, end });
        }
        if state
            .damage
            .iter()
            .any(|d| offset >= d.from && d.to.is_none_or(|to| offset < to))
        {
            return Err(ReadError::Corrupt { offset });
        }
        if offset >= from.bound.min(end) {
            return Ok(Some(ReadResult::default()));
        }
        let result = state
            .tail
            .chunk_for_offset(offset)
            .map(|first| self.read_chunks(&state, first, from));
        if result.is_some() {
            self.shared.metrics.tail_reads.add(1);
        }
        Ok(result)
    }

    fn read_chunks(&self, state: &State, first: usize, from: &ReadFrom) -> ReadResult {
        let mut result = ReadResult::default();
        for (n, chunk) in state.tail.chunks().iter().skip(first).enumerate() {
            let index = state
                .segments
                .binary_search_by_key(&chunk.sequence, |s| s.sequence)
                .ok();
            let index = index
                .and_then(|at| state.segments[at].live.as_ref())
                .map(|live| &live.index);
            let start = if n == 0 {
                find(chunk, index, from.offset)
            } else {
                chunk.first
            };
            let budget = from.max_bytes.saturating_sub(result.size_bytes) as u64;
            let (end, next_offset) = cut(
                chunk,
                index,
                start,
                budget,
                from.bound,
                from.min_one_batch && n == 0,
            );
            if end > start {
                result.push(chunk.slice(start, end), next_offset);
            }
            if end < chunk.end() {
                break;
            }
        }
        result
    }
}

/// The batch at a position of a chunk.
fn batch_at(bytes: &[u8], chunk: &Chunk, position: u64) -> Option<(u64, Offset)> {
    let (batch, _) = Batch::parse(&bytes[(position - chunk.first) as usize..]).ok()?;
    Some((position + batch.size_bytes() as u64, batch.next_offset()))
}

/// Where in a chunk the batch with `offset` begins.
fn find(chunk: &Chunk, index: Option<&SparseIndex>, offset: Offset) -> u64 {
    let bytes = chunk.slice(chunk.first, chunk.end());
    let hint = index.map_or(chunk.first, |index| index.at_or_before(offset).position);
    let mut position = hint.max(chunk.first);
    while let Some((end, next)) = batch_at(&bytes, chunk, position)
        && next <= offset
    {
        position = end;
    }
    position
}

/// Where in a chunk a read that begins at `start` ends: the position, and the offset of the batch there.
fn cut(
    chunk: &Chunk,
    index: Option<&SparseIndex>,
    start: u64,
    budget: u64,
    bound: Offset,
    min_one: bool,
) -> (u64, Offset) {
    if chunk.end() - start <= budget && chunk.end_offset <= bound {
        return (chunk.end(), chunk.end_offset);
    }
    let bytes = chunk.slice(chunk.first, chunk.end());
    let hint = index.map(|index| index.at_or_before_position(start + budget, bound));
    let hint = hint.filter(|hint| hint.position > start && hint.position <= chunk.end());
    let (mut end, mut next_offset) =
        hint.map_or((start, chunk.first_offset), |hint| (hint.position, hint.offset));
    while let Some((batch_end, next)) = batch_at(&bytes, chunk, end)
        && next <= bound
        && (batch_end - start <= budget || min_one && end == start)
    {
        (end, next_offset) = (batch_end, next);
    }
    (end, next_offset)
}
