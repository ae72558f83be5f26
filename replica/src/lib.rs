//! Replicated state machines, sans I/O.
//!
//! Nothing in this crate reads a clock, a disk, a socket or a source of randomness: they enter as parameters, so that a seed
//! replays any run.
//!
//! - [`quorum`]: how a partition's replicas agree on its batches. Not hosted by the broker yet.
//! - [`sim`]: whole clusters of them from a seed, with everything that can go wrong.
//! - [`metadata`]: what is agreed on. A log of [`MetadataRecord`](metadata::MetadataRecord)s, and the
//!   [`MetadataImage`](metadata::MetadataImage) that replaying them gives, the same on every shard and every node.
//! - [`controller`]: what may be agreed on next. Decisions that look at an image and answer with records to append, or refuse
//!   with one of Kafka's error codes.
//! - [`records`]: the primitives of records of internal topics.
//! - [`coordinator`]: the contract of group and transaction coordinators, each a function of one partition's log.
//! - [`memory`]: what coordinators hold, against a budget that they share.
//! - [`transactions`]: the coordinator of transactions.
//! - [`groups`]: the coordinator of consumer groups and their offsets.
//!
//! What is *absent* here: knowledge of how the records get to disk or to other nodes, and of the wire format of a request.

#[macro_use]
mod planted;

pub mod controller;
pub mod coordinator;
pub mod groups;
pub mod memory;
pub mod metadata;
pub mod names;
pub mod quorum;
mod re2;
pub mod records;
mod refusal;
pub mod sim;
pub mod transactions;

pub use refusal::Refusal;
