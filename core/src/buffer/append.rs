//! A buffer that is read while it is filled.

use std::ops::RangeBounds;

use super::memory::Memory;
use super::slice::resolve;
use super::{Buffer, Slice};

/// A buffer filled from the front by one writer; published bytes never change again.
pub struct AppendBuffer {
    memory: Memory,
    len: usize,
}

impl AppendBuffer {
    /// An empty append buffer over `buffer`'s memory.
    pub fn new(buffer: Buffer) -> AppendBuffer {
        AppendBuffer {
            memory: buffer.memory,
            len: 0,
        }
    }

    /// Bytes published so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was published yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes it can hold in all.
    pub fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Bytes that still fit.
    pub fn remaining(&self) -> usize {
        self.capacity() - self.len
    }

    /// Lets `fill` write the next `len` bytes (their old content is unspecified), then publishes them.
    ///
    /// # Panics
    /// When fewer than `len` bytes remain.
    pub fn append_with<R>(&mut self, len: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
        assert!(
            len <= self.remaining(),
            "append of {len} bytes into {} remaining",
            self.remaining()
        );
        // SAFETY: slices cover only bytes below `self.len`; these lie above it, and `&mut self` is the only writer.
        let room = unsafe { std::slice::from_raw_parts_mut(self.memory.start().add(self.len), len) };
        let result = fill(room);
        self.len += len;
        result
    }

    /// A view of published bytes.
    ///
    /// # Panics
    /// When the range reaches beyond [`AppendBuffer::len`].
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Slice {
        let (from, to) = resolve(range, self.len);
        // SAFETY: `from <= len <= capacity`.
        let start = unsafe { self.memory.start().add(from) };
        Slice::of_pool(self.memory.clone(), start, to - from)
    }
}
