//! The shared foundation of Tautline: the per-core runtime, and the vocabulary of the log.
//!
//! A *shard* is one pinned thread with an executor, an `io_uring` ring, a buffer pool and a mailbox; see [`shard`]. The
//! vocabulary (ids, error codes, record batches) knows no Kafka API and no file layout. All `unsafe` of the project is here.

pub mod batch;
pub mod blocking;
pub mod buffer;
mod buffer_ring;
pub mod checksum;
pub mod counting;
pub mod cpu;
pub mod error;
mod eventfd;
pub mod file;
pub mod histogram;
pub mod ids;
pub mod limits;
pub mod mailbox;
mod nudge;
pub mod parts;
pub mod preflight;
pub mod remote;
pub mod right_of_way;
pub mod ring;
pub mod shard;
pub mod socket;
pub mod stage;
pub mod stall;
pub mod steps;
pub mod sync;
pub mod task;
pub mod time;
