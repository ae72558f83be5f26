//! An allocator that counts, for tests that say how much memory something may ask for.
//!
//! ```
//! use tautline_core::counting::{Counting, allocated};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! let (bytes, asked_bytes) = allocated(|| vec![0u8; 100]);
//! assert!(asked_bytes >= bytes.len());
//! ```
#![expect(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::stall;

/// The system's allocator; counts the bytes asked for on each thread.
pub struct Counting;

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// What was asked for by tasks of the shards that are watched.
static WATCHED_COUNT: AtomicUsize = AtomicUsize::new(0);
static WATCHED_BYTES: AtomicUsize = AtomicUsize::new(0);

fn count(size: usize) {
    // A thread that is being torn down has no counter, and no test looks at it.
    let _ = ALLOCATED_BYTES.try_with(|bytes| bytes.set(bytes.get() + size));
    if WATCHED.try_with(Cell::get) == Ok(true) && stall::is_in_a_task() {
        WATCHED_COUNT.fetch_add(1, Ordering::Relaxed);
        WATCHED_BYTES.fetch_add(size, Ordering::Relaxed);
    }
}

/// Has what the tasks of this shard ask for counted in [`counted`]. What the executor asks for beside them, which depends on how
/// often its timer fires and it sleeps, is not.
pub fn count_this_shard() {
    WATCHED.set(true);
}

/// How often the tasks of the shards that are counted have asked the allocator for memory, and for how many bytes.
pub fn counted() -> (usize, usize) {
    (
        WATCHED_COUNT.load(Ordering::Relaxed),
        WATCHED_BYTES.load(Ordering::Relaxed),
    )
}

// SAFETY: every call is passed on unchanged to the system's allocator; the counter allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps alloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `alloc` above, that is from the system's.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as for `dealloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs `work` and says how many bytes it asked the allocator for, freed or not.
pub fn allocated<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = ALLOCATED_BYTES.get();
    let result = work();
    (result, ALLOCATED_BYTES.get() - before)
}
