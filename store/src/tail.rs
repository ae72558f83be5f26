//! The tail cache of one log: the append chunks themselves.
//!
//! A chunk holds whole batches of one segment, and lies in memory as it will lie in the file: file position = chunk base +
//! offset in the chunk, with the base at a block boundary. A chunk that continues another begins with a copy of the partial block
//! in which that one ended, so that every block of the file lies whole in one chunk. Bytes below a chunk's length never change;
//! readers and writes in flight hold slices of them.
//!
//! Chunks are in log order without gaps, and only the oldest leaves: from the first chunk's first batch on, all is here.

use std::collections::VecDeque;

use tautline_core::buffer::{AppendBuffer, Buffer, OutOfMemory, Pool, Slice};
use tautline_core::ids::Offset;

use crate::limits::{
    BLOCK_BYTES, CHUNK_AHEAD_BYTES, CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNK_FAST_MS, CHUNK_SLOW_MS,
};

/// A run of batches of one segment.
pub(crate) struct Chunk {
    pub sequence: u64,
    /// File position of the buffer's first byte.
    pub base: u64,
    /// File position of the chunk's first own batch.
    pub first: u64,
    pub first_offset: Offset,
    pub end_offset: Offset,
    buffer: AppendBuffer,
}

impl Chunk {
    /// File position behind its last batch.
    pub fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// The bytes between two file positions.
    pub fn slice(&self, from: u64, to: u64) -> Slice {
        self.buffer
            .slice((from - self.base) as usize..(to - self.base) as usize)
    }

    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }
}

/// The bytes of the last, partial block of a log whose chunk was given back.
struct Partial {
    sequence: u64,
    end: u64,
    bytes: Box<[u8]>,
}

/// See the module.
pub(crate) struct Tail {
    chunks: VecDeque<Chunk>,
    partial: Option<Partial>,
    next_chunk_bytes: usize,
    /// When the last chunk was begun.
    begun_ms: i64,
    /// Memory for the next chunk, got ready ahead of need, or that being under way.
    spare: Spare,
}

enum Spare {
    None,
    UnderWay,
    Ready(Buffer),
}

/// The start of the block in which `position` lies.
pub(crate) fn block_start(position: u64) -> u64 {
    position - position % BLOCK_BYTES
}

impl Tail {
    pub fn new() -> Tail {
        Tail {
            chunks: VecDeque::new(),
            partial: None,
            next_chunk_bytes: CHUNK_BYTES_MIN,
            begun_ms: 0,
            spare: Spare::None,
        }
    }

    /// The tail of a recovered log that ends at `end` of a segment; `bytes` are those of its last block.
    pub fn recovered(sequence: u64, end: u64, bytes: &[u8]) -> Tail {
        debug_assert_eq!(bytes.len() as u64, end % BLOCK_BYTES);
        Tail {
            partial: Some(Partial {
                sequence,
                end,
                bytes: bytes.into(),
            }),
            ..Tail::new()
        }
    }

    pub fn chunks(&self) -> &VecDeque<Chunk> {
        &self.chunks
    }

    /// Makes room for a batch of `len` bytes at `position`; gives the size of the chunk it had to add, 0 for none.
    pub fn reserve(
        &mut self,
        pool: &Pool,
        sequence: u64,
        position: u64,
        len: usize,
        offset: Offset,
        now_ms: i64,
    ) -> Result<usize, OutOfMemory> {
        if let Some(last) = self.chunks.back()
            && last.sequence == sequence
            && last.buffer.remaining() >= len
        {
            return Ok(0);
        }
        let partial_len = (position % BLOCK_BYTES) as usize;
        let needed = partial_len + len;
        let memory = match std::mem::replace(&mut self.spare, Spare::None) {
            Spare::Ready(buffer) if buffer.len() >= needed => buffer,
            _ => pool.take(self.next_chunk_bytes.max(needed))?,
        };
        let mut buffer = AppendBuffer::new(memory);
        if partial_len > 0 {
            buffer.append_with(partial_len, |room| {
                room.copy_from_slice(&self.partial_block(sequence, position))
            });
        }
        if !self.chunks.is_empty() {
            let took_ms = now_ms - self.begun_ms;
            if took_ms < CHUNK_FAST_MS {
                self.next_chunk_bytes = (self.next_chunk_bytes * 2).min(CHUNK_BYTES_MAX);
            } else if took_ms > CHUNK_SLOW_MS {
                self.next_chunk_bytes = (self.next_chunk_bytes / 2).max(CHUNK_BYTES_MIN);
            }
        }
        self.begun_ms = now_ms;
        let capacity = buffer.capacity();
        self.partial = None;
        self.chunks.push_back(Chunk {
            sequence,
            base: block_start(position),
            first: position,
            first_offset: offset,
            end_offset: offset,
            buffer,
        });
        Ok(capacity)
    }

    fn partial_block(&self, sequence: u64, position: u64) -> Vec<u8> {
        if let Some(last) = self.chunks.back() {
            assert!(
                last.sequence == sequence && last.end() == position,
                "batches of a segment are contiguous"
            );
            return last.slice(block_start(position), position).to_vec();
        }
        let partial = self
            .partial
            .as_ref()
            .expect("the partial block is kept while there is no chunk");
        assert!(
            partial.sequence == sequence && partial.end == position,
            "batches of a segment are contiguous"
        );
        partial.bytes.to_vec()
    }

    /// Copies a batch in, after [`Tail::reserve`]; `patch` puts its place in the log into the copy.
    pub fn append(&mut self, batch: &[u8], end_offset: Offset, patch: impl FnOnce(&mut [u8])) {
        let chunk = self.chunks.back_mut().expect("reserve has made room");
        chunk.buffer.append_with(batch.len(), |room| {
            room.copy_from_slice(batch);
            patch(room);
        });
        chunk.end_offset = end_offset;
    }

    /// Size of the chunk to get ready ahead of need, if it is time to: asked once.
    pub fn wants_spare(&mut self) -> Option<usize> {
        let last = self.chunks.back()?;
        let due = last.buffer.remaining() < last.buffer.capacity() / 2;
        let wanted = due && self.next_chunk_bytes >= CHUNK_AHEAD_BYTES && matches!(self.spare, Spare::None);
        if wanted {
            self.spare = Spare::UnderWay;
        }
        wanted.then_some(self.next_chunk_bytes)
    }

    /// Takes the memory that [`Tail::wants_spare`] asked for.
    pub fn put_spare(&mut self, buffer: Option<Buffer>) {
        if matches!(self.spare, Spare::UnderWay) {
            self.spare = buffer.map_or(Spare::None, Spare::Ready);
        }
    }

    /// The chunk from which the block at `position` is written: the latest that has it.
    pub fn chunk_for_block(&self, sequence: u64, position: u64) -> Option<usize> {
        let after = self
            .chunks
            .partition_point(|c| (c.sequence, c.base) <= (sequence, position));
        after
            .checked_sub(1)
            .filter(|&i| self.chunks[i].sequence == sequence)
    }

    /// The chunk with the batch that contains `offset`, if it is in memory.
    pub fn chunk_for_offset(&self, offset: Offset) -> Option<usize> {
        let after = self.chunks.partition_point(|c| c.first_offset <= offset);
        after
            .checked_sub(1)
            .filter(|&i| offset < self.chunks[i].end_offset)
    }

    /// Drops the oldest chunk if another follows and `written` says that the file has it; gives its size.
    pub fn evict_oldest(&mut self, written: impl FnOnce(u64, u64) -> bool) -> Option<usize> {
        let oldest = self.chunks.front()?;
        if self.chunks.len() < 2 || !written(oldest.sequence, oldest.end()) {
            return None;
        }
        self.chunks.pop_front().map(|chunk| chunk.capacity())
    }

    /// Drops all chunks, which the file has, and keeps the last block; gives how many bytes that frees.
    pub fn give_back(&mut self) -> usize {
        let freed = self.bytes();
        if let Some(last) = self.chunks.back() {
            let end = last.end();
            let bytes = last.slice(block_start(end), end).to_vec().into_boxed_slice();
            self.partial = Some(Partial {
                sequence: last.sequence,
                end,
                bytes,
            });
        }
        self.chunks = VecDeque::new();
        self.next_chunk_bytes = CHUNK_BYTES_MIN;
        self.spare = Spare::None;
        freed
    }

    /// Takes out the chunks of deleted segments.
    pub fn forget_through(&mut self, sequence: u64) -> Vec<Chunk> {
        let dead = self
            .chunks
            .iter()
            .take_while(|chunk| chunk.sequence <= sequence)
            .count();
        self.chunks.drain(..dead).collect()
    }

    /// Memory of all chunks.
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Chunk::capacity).sum()
    }
}
