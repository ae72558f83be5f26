//! Blocks of memory with the count of those who hold them, and the shared part of a pool that they go home to.
//!
//! The count lies beside the block and goes home with it, so that what a pool hands out from its free lists asks the allocator for
//! nothing.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use crossbeam_queue::ArrayQueue;

use super::BLOCK_SIZE;

/// Size classes kept on free lists: 4 KiB, 8 KiB, ... 1 MiB. Larger buffers come straight from the allocator.
pub(super) const CLASS_COUNT: usize = 9;
/// Bytes that one class may keep on its free list.
pub(super) const FREE_LIST_BYTES_MAX: usize = 8 << 20;

const _: () = assert!(BLOCK_SIZE.is_power_of_two());
const _: () = assert!(BLOCK_SIZE << (CLASS_COUNT - 1) <= FREE_LIST_BYTES_MAX);

/// Plain memory. On a free list nobody holds it and it has no home, so that pools end.
pub(super) struct Block {
    start: NonNull<u8>,
    pub len: usize,
    holders: AtomicUsize,
    home: Option<Arc<Shared>>,
}

// SAFETY: a block is plain memory owned by whoever holds the value.
unsafe impl Send for Block {}

fn layout(len: usize) -> Layout {
    Layout::from_size_align(len, BLOCK_SIZE).expect("buffer lengths are far below isize::MAX")
}

impl Block {
    pub fn allocate(len: usize) -> Option<Box<Block>> {
        // SAFETY: the layout is never of size zero: lengths are at least BLOCK_SIZE.
        let start = NonNull::new(unsafe { alloc_zeroed(layout(len)) })?;
        Some(Box::new(Block {
            start,
            len,
            holders: AtomicUsize::new(0),
            home: None,
        }))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: `start` came from `allocate` with the same layout, and whoever drops the block is the last to hold it.
        unsafe { dealloc(self.start.as_ptr(), layout(self.len)) }
    }
}

/// What the clones of a pool share.
pub(super) struct Shared {
    pub free: [ArrayQueue<Box<Block>>; CLASS_COUNT],
    pub used_bytes: AtomicUsize,
    pub limit_bytes: usize,
}

impl Shared {
    pub fn charge(&self, len: usize) -> bool {
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(len).filter(|&sum| sum <= self.limit_bytes)
            })
            .is_ok()
    }
}

/// The free list for buffers of this length.
pub(super) fn class_of(len: usize) -> Option<usize> {
    let class = (len / BLOCK_SIZE).trailing_zeros() as usize;
    (class < CLASS_COUNT).then_some(class)
}

/// A block that is held: clones are the same block, and the last one sends it home.
pub(super) struct Memory {
    block: NonNull<Block>,
}

// SAFETY: through a shared `Memory` only bytes that were published before sharing are read (see `AppendBuffer`), and the count
// is atomic.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// The only holder of a block, which goes to `home` in the end.
    pub fn new(mut block: Box<Block>, home: Arc<Shared>) -> Memory {
        *block.holders.get_mut() = 1;
        block.home = Some(home);
        Memory {
            block: NonNull::from(Box::leak(block)),
        }
    }

    fn block(&self) -> &Block {
        // SAFETY: the block lives as long as somebody holds it, and is not changed meanwhile but for its count.
        unsafe { self.block.as_ref() }
    }

    pub fn start(&self) -> *mut u8 {
        self.block().start.as_ptr()
    }

    pub fn len(&self) -> usize {
        self.block().len
    }
}

impl Clone for Memory {
    fn clone(&self) -> Memory {
        // As in Arc: who clones holds it already, so nothing has to be ordered. There is never room for so many as to overflow.
        self.block().holders.fetch_add(1, Ordering::Relaxed);
        Memory { block: self.block }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if self.block().holders.fetch_sub(1, Ordering::Release) != 1 {
            return;
        }
        // What the others did with it happened before.
        fence(Ordering::Acquire);
        // SAFETY: it was leaked from a box in `new`, and nobody else holds it any more.
        let mut block = unsafe { Box::from_raw(self.block.as_ptr()) };
        let home = block.home.take().expect("a block that is held has a home");
        let len = block.len;
        let surplus = match class_of(len) {
            Some(class) => home.free[class].push(block).err(),
            None => Some(block),
        };
        if surplus.is_some() {
            home.used_bytes.fetch_sub(len, Ordering::Relaxed);
        }
    }
}
