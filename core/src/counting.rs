//! An allocator that counts, and a `memcpy` that does, for tests that say how much memory something may ask for, and how often bytes
//! may be copied.
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
//!
//! Copies are counted where [`count_copies!`](crate::count_copies) stands beside the allocator: it is the program's `memcpy` then, to
//! which every copy comes whose length the compiler does not know.
#![expect(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::buffer::BLOCK_SIZE;
use crate::stall;

/// Copies of no more bytes are not counted: values that are moved, headers, the block in which a write of a log ends.
pub const SMALL_COPY_BYTES: usize = BLOCK_SIZE;

/// The system's allocator; counts the bytes asked for on each thread.
pub struct Counting;

thread_local! {
    static ALLOCATED_BYTES: Cell<usize> = const { Cell::new(0) };
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// What was asked for by tasks of the shards that are watched.
static WATCHED_COUNT: AtomicUsize = AtomicUsize::new(0);
static WATCHED_BYTES: AtomicUsize = AtomicUsize::new(0);
/// What they copied.
static COPY_COUNT: AtomicUsize = AtomicUsize::new(0);
static COPY_BYTES: AtomicUsize = AtomicUsize::new(0);

fn is_watched() -> bool {
    WATCHED.try_with(Cell::get) == Ok(true) && stall::is_in_a_task()
}

fn count(size: usize) {
    // A thread that is being torn down has no counter, and no test looks at it.
    let _ = ALLOCATED_BYTES.try_with(|bytes| bytes.set(bytes.get() + size));
    if is_watched() {
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

/// How often the tasks of the shards that are counted have copied more than [`SMALL_COPY_BYTES`] at a time, and how many bytes.
pub fn copied() -> (usize, usize) {
    (
        COPY_COUNT.load(Ordering::Relaxed),
        COPY_BYTES.load(Ordering::Relaxed),
    )
}

/// Notes a copy, for [`count_copies!`](crate::count_copies).
#[doc(hidden)]
pub fn note_copy(size: usize) {
    if size > SMALL_COPY_BYTES && is_watched() {
        COPY_COUNT.fetch_add(1, Ordering::Relaxed);
        COPY_BYTES.fetch_add(size, Ordering::Relaxed);
    }
}

/// Has the copies of a program counted in [`copied`]: defines its `memcpy` and `memmove`.
#[macro_export]
macro_rules! count_copies {
    () => {
        #[allow(unsafe_code, missing_docs)]
        mod counted_copies {
            use std::ffi::c_void;

            unsafe extern "C" {
                fn __memcpy_chk(
                    to: *mut c_void,
                    from: *const c_void,
                    size: usize,
                    room: usize,
                ) -> *mut c_void;
                fn __memmove_chk(
                    to: *mut c_void,
                    from: *const c_void,
                    size: usize,
                    room: usize,
                ) -> *mut c_void;
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, size: usize) -> *mut c_void {
                $crate::counting::note_copy(size);
                // SAFETY: the caller keeps memcpy's contract; glibc's checked one does the same where the room suffices.
                unsafe { __memcpy_chk(to, from, size, usize::MAX) }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, size: usize) -> *mut c_void {
                $crate::counting::note_copy(size);
                // SAFETY: as above.
                unsafe { __memmove_chk(to, from, size, usize::MAX) }
            }
        }
    };
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
