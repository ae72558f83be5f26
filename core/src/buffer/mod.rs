//! Aligned, reference-counted memory from a bounded per-core pool.
//!
//! A [`Buffer`] is taken from a [`Pool`], filled by one owner, and frozen into [`Slice`]s that any core may hold. An
//! [`AppendBuffer`] is filled from the front by one writer while slices of what it has already published are read
//! elsewhere: it is the tail cache of a log. Memory returns to its pool from whatever core drops the last reference.
//!
//! Promise: what a pool has handed out plus what its free lists hold never exceeds its budget ([`Pool::limit_bytes`]).
#![expect(unsafe_code, reason = "shared memory with a published prefix")]

mod append;
mod memory;
mod owned;
mod pool;
mod room;
mod slice;
#[cfg(test)]
mod tests;

pub use append::AppendBuffer;
pub use owned::Buffer;
pub use pool::{OutOfMemory, Pool};
pub use room::Room;
pub use slice::Slice;

/// The unit of direct I/O: every pool buffer is aligned to it and a multiple of it long.
pub const BLOCK_SIZE: usize = 4096;
