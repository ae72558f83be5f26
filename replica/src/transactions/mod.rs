//! The transaction coordinator of one partition of `__transaction_state`: whose turn it is to write under a transactional id,
//! which partitions its transaction has written to, and how it ends (KIP-98, KIP-360, KIP-890).
//!
//! ```text
//!          AddPartitionsToTxn            EndTxn                    all markers written
//!  Empty -----------------------> Ongoing ------> PrepareCommit -----------------------> CompleteCommit
//!    ^                            |     \                                                     |
//!    |                            |      `------> PrepareAbort ------------------------> CompleteAbort
//!    |                            `--- timeout, new InitProducerId: PrepareAbort, epoch bumped
//!    `--------------- InitProducerId, from all but Ongoing and Prepare* ----------------------'
//! ```
//!
//! Promises:
//! - A transaction is decided by its Prepare record and by nothing else. The answer to EndTxn goes out when that record is
//!   committed; markers are asked for from then on, again after each replay, until every partition's is written.
//! - While a transaction is decided and not complete, whatever would change it waits for a moment, and is then answered
//!   CONCURRENT_TRANSACTIONS, which clients retry.
//! - The epoch of a transactional id never goes back: a producer id's epochs grow, and where they end a new producer id begins at 0.
//!
//! What is *absent* here: which partitions exist (handlers look that up before they ask), the writing of markers (the host's),
//! and two-phase commit (KIP-939).

mod add;
mod config;
mod coordinator;
mod end;
pub mod limits;
mod markers;
mod overdue;
mod partitions;
mod query;
mod record;
mod refusals;
mod request;
mod response;
mod state;
mod take;
#[cfg(test)]
mod tests;
mod timers;
mod transaction;
mod version;
mod waiting;

pub use config::TransactionConfig;
pub use coordinator::TransactionCoordinator;
pub use request::{
    AddPartitionsToTxn, EndTxn, InitProducerId, ListTransactions, MarkersWritten, Pattern, TransactionRequest,
};
pub use response::{
    Effect, Instance, TransactionDescription, TransactionListing, TransactionResponse, WriteMarkers,
};
pub use state::TransactionState;
pub use version::TransactionVersion;

use std::sync::Arc;

use tautline_core::ids::{PartitionIndex, ProducerEpoch};

/// A partition by its topic's name, as transaction requests and records have it.
pub type TopicPartition = (Arc<str>, PartitionIndex);

/// The last epoch that a producer id is given out with: the one after it is kept to fence whoever holds it.
pub const LAST_EPOCH: ProducerEpoch = ProducerEpoch(i16::MAX - 1);
