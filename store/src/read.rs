//! Reading a log: whole batches, from memory where the tail cache has them, from the segment files otherwise (`cold.rs`).

use tautline_core::batch::Batch;
use tautline_core::buffer::Slice;
use tautline_core::ids::Offset;

use crate::aborted::AbortedTransaction;
use crate::error::ReadError;
use crate::index::SparseIndex;
use crate::log::Log;
use crate::part::Part;
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

/// How far a read went: over whole batches, in order, without gaps between the parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Number of bytes.
    pub size_bytes: usize,
    /// Offset behind the last batch, if there is one.
    pub next_offset: Offset,
}

/// What was read, with its bytes.
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

impl Extent {
    /// Nothing (yet).
    pub fn is_empty(&self) -> bool {
        self.size_bytes == 0
    }
}

impl ReadResult {
    /// These bytes.
    pub(crate) fn new(parts: Vec<Part>, extent: Extent) -> ReadResult {
        ReadResult {
            parts,
            size_bytes: extent.size_bytes,
            next_offset: extent.next_offset,
        }
    }

    /// Without the bytes.
    pub fn extent(&self) -> Extent {
        Extent {
            size_bytes: self.size_bytes,
            next_offset: self.next_offset,
        }
    }

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
        let mut parts = Vec::new();
        let extent = self.read_into(from, &mut parts).await?;
        Ok(ReadResult::new(parts, extent))
    }

    /// [`Log::read`] that adds the bytes to `parts`, so that what is in memory is read without asking for any.
    ///
    /// # Errors
    /// [`ReadError`]; nothing was added.
    pub async fn read_into(&self, from: ReadFrom, parts: &mut Vec<Part>) -> Result<Extent, ReadError> {
        if let Some(extent) = self.read_tail(&from, parts)? {
            return Ok(extent);
        }
        // In a box: those who read in memory, which are most, shall not carry room for what a file takes.
        let mut cold = Box::pin(self.read_cold(from, true)).await?;
        parts.append(&mut cold.parts);
        Ok(cold.extent())
    }

    /// [`Log::read`] for the broker's own use: into memory, whatever readers of other nodes are given.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_to_memory(&self, from: ReadFrom) -> Result<ReadResult, ReadError> {
        let mut parts = Vec::new();
        if let Some(extent) = self.read_tail(&from, &mut parts)? {
            return Ok(ReadResult::new(parts, extent));
        }
        self.read_cold(from, false).await
    }

    /// [`Log::read`] for a `read_committed` consumer: up to the last stable offset, with what is to be passed over.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn read_committed(&self, from: ReadFrom) -> Result<CommittedRead, ReadError> {
        let mut parts = Vec::new();
        let (extent, aborted) = self.read_committed_into(from, &mut parts).await?;
        Ok(CommittedRead {
            read: ReadResult::new(parts, extent),
            aborted,
        })
    }

    /// [`Log::read_committed`] that adds the bytes to `parts`, as [`Log::read_into`] does.
    ///
    /// # Errors
    /// [`ReadError`]; nothing was added.
    pub async fn read_committed_into(
        &self,
        from: ReadFrom,
        parts: &mut Vec<Part>,
    ) -> Result<(Extent, Vec<AbortedTransaction>), ReadError> {
        let before = parts.len();
        loop {
            let bound = from.bound.min(self.last_stable_offset());
            let segments = self.segments_replaced();
            let read = self.read_into(ReadFrom { bound, ..from }, parts).await?;
            if read.is_empty() {
                return Ok((read, Vec::new()));
            }
            let aborted = self.aborted_between(from.offset, read.next_offset).await;
            // Compaction takes records and what is known of them away together: of both the same age is needed.
            if self.segments_replaced() != segments {
                parts.truncate(before);
                continue;
            }
            let start = self.start_offset();
            let aborted = if from.offset < start {
                let (offset, end) = (from.offset, self.end_offset());
                Err(ReadError::OffsetOutOfRange { offset, start, end })
            } else {
                aborted
            };
            return match aborted {
                Ok(aborted) => Ok((read, aborted)),
                Err(error) => {
                    parts.truncate(before);
                    Err(error)
                }
            };
        }
    }

    /// Adds what can be answered at once to `parts`; `None` if a file has to be read.
    ///
    /// # Errors
    /// [`ReadError`]; nothing was added.
    pub(crate) fn read_tail(
        &self,
        from: &ReadFrom,
        parts: &mut Vec<Part>,
    ) -> Result<Option<Extent>, ReadError> {
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
            return Ok(Some(Extent::default()));
        }
        let result = state
            .tail
            .chunk_for_offset(offset)
            .map(|first| read_chunks(&state, first, from, parts));
        if result.is_some() {
            self.shared.metrics.tail_reads.add(1);
        }
        Ok(result)
    }
}

/// Adds the batches of the chunks from the first on.
fn read_chunks(state: &State, first: usize, from: &ReadFrom, parts: &mut Vec<Part>) -> Extent {
    let mut extent = Extent::default();
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
        let budget = from.max_bytes.saturating_sub(extent.size_bytes) as u64;
        let (end, next_offset) = cut(
            chunk,
            index,
            start,
            budget,
            from.bound,
            from.min_one_batch && n == 0,
        );
        if end > start {
            let slice = chunk.slice(start, end);
            extent.size_bytes += slice.len();
            extent.next_offset = next_offset;
            parts.push(Part::Memory(slice));
        }
        if end < chunk.end() {
            break;
        }
    }
    extent
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
