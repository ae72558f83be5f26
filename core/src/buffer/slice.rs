//! Immutable bytes that any core may hold.

use std::ops::{Bound, Deref, RangeBounds};
use std::sync::Arc;

use super::memory::Memory;

#[derive(Clone)]
#[expect(dead_code, reason = "held for its reference count")]
enum Owner {
    Pool(Memory),
    Vec(Arc<Vec<u8>>),
}

/// A reference-counted view of immutable bytes. Cloning and slicing copy nothing.
#[derive(Clone)]
pub struct Slice {
    start: *const u8,
    len: usize,
    _owner: Option<Owner>,
}

// SAFETY: the viewed bytes never change while a slice exists, and the owner's count is atomic.
unsafe impl Send for Slice {}
// SAFETY: as above.
unsafe impl Sync for Slice {}

impl Slice {
    /// A view of `len` published bytes from `start` on, which lie in `memory`.
    pub(super) fn of_pool(memory: Memory, start: *const u8, len: usize) -> Slice {
        Slice {
            start,
            len,
            _owner: Some(Owner::Pool(memory)),
        }
    }

    /// A view of bytes that live as long as the program.
    pub const fn from_static(bytes: &'static [u8]) -> Slice {
        Slice {
            start: bytes.as_ptr(),
            len: bytes.len(),
            _owner: None,
        }
    }

    /// Takes over a vector, without copying it; the memory is not charged to a pool and not aligned.
    pub fn from_vec(bytes: Vec<u8>) -> Slice {
        Slice::of_vec(Arc::new(bytes))
    }

    /// A view of all of a vector, which nobody changes as long as it is shared.
    pub(super) fn of_vec(owner: Arc<Vec<u8>>) -> Slice {
        Slice {
            start: owner.as_ptr(),
            len: owner.len(),
            _owner: Some(Owner::Vec(owner)),
        }
    }

    /// A narrower view of the same memory.
    ///
    /// # Panics
    /// When the range does not lie within the slice.
    pub fn slice(&self, range: impl RangeBounds<usize>) -> Slice {
        let (from, to) = resolve(range, self.len);
        // SAFETY: `from <= len`, so the pointer stays within (or one past) the allocation.
        Slice {
            start: unsafe { self.start.add(from) },
            len: to - from,
            _owner: self._owner.clone(),
        }
    }
}

impl Default for Slice {
    fn default() -> Self {
        Slice::from_static(&[])
    }
}

impl Deref for Slice {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the owner keeps the memory alive and nothing writes to these bytes (they were published).
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl AsRef<[u8]> for Slice {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::fmt::Debug for Slice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slice({} bytes)", self.len)
    }
}

/// The bounds of a range within `len` bytes.
///
/// # Panics
/// When it reaches beyond them.
pub(super) fn resolve(range: impl RangeBounds<usize>, len: usize) -> (usize, usize) {
    let from = match range.start_bound() {
        Bound::Included(&n) => n,
        Bound::Excluded(&n) => n + 1,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(&n) => n + 1,
        Bound::Excluded(&n) => n,
        Bound::Unbounded => len,
    };
    assert!(
        from <= to && to <= len,
        "range {from}..{to} of a slice of {len} bytes"
    );
    (from, to)
}
