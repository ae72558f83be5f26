//! The group coordinator: all groups and committed offsets of one partition of `__consumer_offsets`.
//!
//! ```text
//!   GroupRequest -> GroupCoordinator -+-> classic/    members elect a leader, the leader assigns
//!                                     +-> consumer/   the coordinator assigns (KIP-848)
//!                                     +-> offsets     what was committed, for both
//!   all of them work on a Turn: time, settings, groups, timers, and what was decided
//! ```
//!
//! It runs on the core that owns the partition, under a host that keeps the contract of [`crate::coordinator`]. Records are in
//! Kafka's own formats, so that Kafka's tools read them.

mod admin;
mod classic;
mod config;
mod consumer;
mod coordinator;
mod group;
pub mod limits;
mod offsets;
mod record;
mod refusal;
pub mod request;
pub mod response;
#[cfg(test)]
mod tests;
mod timers;
mod turn;

pub use config::{GroupConfig, MigrationPolicy};
pub use coordinator::GroupCoordinator;
pub use request::GroupRequest;
pub use response::GroupResponse;
