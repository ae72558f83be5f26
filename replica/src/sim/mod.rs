//! A deterministic simulator: whole clusters of the real state machines of [`quorum`](crate::quorum), under a simulated clock,
//! network and disk, with clients, and a judge that sees everything.
//!
//! A run is a [`Plan`], drawn from a seed: how many nodes and partitions, which clients, and what goes wrong when. [`run`] gives
//! the first line of CORRECTNESS.md that does not hold, and a trace. The same plan gives the same run, byte for byte;
//! [`minimize`] leaves out faults as long as the same line stays broken.
//!
//! Real are: elections, replication, leases, sleep, copies, recovery, the frames' bytes and their checks, and record batches.
//! Models are: the log and what it remembers of producers (`log.rs`, `producers.rs`; the contract of `store/`), disk (`disk.rs`), network
//! (`network.rs`), and what `net/` will do (`host.rs`).
//!
//! What may go wrong ([`Kind`]): a node dies and comes back with any prefix of each file that was not synced; it stops and goes on;
//! its disk is slow, or full; nodes don't hear each other, both ways or one; frames are lost, doubled, damaged, overtaken; leaders hand
//! over; replicas come and go; logs are trimmed. Each node's clock runs at its own speed.
//!
//! What must hold (`judge.rs`), by the lines of CORRECTNESS.md: 1 an acknowledgement is durable on a quorum and `min.insync.replicas`;
//! 2 no stale read; 3 the high watermark is an exclusive bound, only grows, and shows only what is committed; 4 and 5 each batch of an
//! idempotent producer once and in order, across leaders and restarts; 8 only what was never acknowledged is cut; 10 a fetch
//! makes progress; 11 replicas change one step at a time; 12 a full disk loses nothing; and: one leader an epoch, which has all that is
//! committed; the same prefix everywhere; progress while a quorum lives; replicas come to be the same, and sleep.

mod client;
mod clients;
mod disk;
mod ending;
mod fault;
mod faults;
mod host;
mod judge;
mod log;
mod network;
mod plan;
mod producers;
mod queue;
mod run;
mod trace;
mod turns;
mod world;

#[cfg(test)]
mod tests;

pub use fault::{Fault, KINDS, Kind};
pub use judge::Violation;
pub use plan::Plan;
pub use run::{Outcome, minimize, run};
