//! A buffer with one owner.

use std::ops::{Deref, DerefMut};

use super::Slice;
use super::memory::Memory;

/// A uniquely owned, 4096-aligned buffer; its length is its capacity.
pub struct Buffer {
    pub(super) memory: Memory,
}

impl Buffer {
    /// Makes the buffer immutable and shareable.
    pub fn freeze(self) -> Slice {
        let len = self.memory.len();
        let start = self.memory.start();
        Slice::of_pool(self.memory, start, len)
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the block is initialised, `len` bytes long, and borrowed through `self`.
        unsafe { std::slice::from_raw_parts(self.memory.start(), self.memory.len()) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is unique.
        unsafe { std::slice::from_raw_parts_mut(self.memory.start(), self.memory.len()) }
    }
}
