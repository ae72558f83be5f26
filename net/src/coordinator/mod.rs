//! Group and transaction coordinators on the shards: one task for each partition of `__consumer_offsets` and
//! `__transaction_state`, on the shard that owns it.
//!
//! ```text
//!  handler, any shard                              the shard that owns the partition
//!    Broker::ask(key, request) ----- mailbox ----> Host: inbox -> Coordinator::step -> append -> committed --.
//!         ^                                                                                                  |
//!         '------------------------- mailbox ------------------------ answer <------------------------------'
//! ```
//!
//! What a coordinator decides is in `tautline-replica`, and so is the contract between it and its host
//! ([`tautline_replica::coordinator`]). A [`Host`] keeps that contract, and knows neither groups nor transactions; what differs
//! between them is said by [`Hosted`].

mod ask;
mod full_disk;
mod gate;
mod groups;
mod host;
mod hosted;
mod hosts;
mod internal_topic;
mod limits;
mod memory;
mod own_log;
mod pending;
mod replay;
mod serving;
#[cfg(test)]
mod tests;
mod transactions;

pub use ask::Ask;
pub use host::{Host, Surroundings, TransactionClaim};
pub use hosted::Hosted;
pub use hosts::Hosts;
pub use internal_topic::{InternalTopic, partition_of};
pub use limits::BATCH_BYTES_MAX;
pub use memory::coordinator_memory;
pub use transactions::{Adding, Ending, TransactionCounts, Transactions};
