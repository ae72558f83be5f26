//! Groups of the next-generation consumer protocol (KIP-848): the coordinator assigns partitions, and each member goes there at
//! its own pace.
//!
//! ```text
//!   ConsumerGroupHeartbeat -> validate -> join / leave
//!                                            |
//!                     +----------------------+ Edit: every record is applied as it is decided
//!                     v
//!   member ---> group epoch ---> target assignment ---> member epoch, what it owns
//!   heartbeat   resolve          assign, assignor/      reconcile
//! ```
//!
//! [`ConsumerGroup`] is a function of its records, in Kafka's own formats (`record/`). Members that speak the classic protocol
//! take part (`classic_members`), so that a group can go from one protocol to the other while it works (`upgrade`,
//! `downgrade`).

mod assign;
mod assignor;
mod classic_members;
mod describe;
mod downgrade;
mod edit;
mod embedded;
mod group;
mod heartbeat;
mod join;
mod leave;
mod offsets;
mod partition_set;
mod pattern;
mod reconcile;
mod record;
mod replay;
mod resolve;
mod timing;
mod upgrade;
mod validate;

pub(crate) use classic_members::{
    heartbeat as classic_heartbeat, join as classic_join, leave as classic_leave, sync as classic_sync,
};
pub(crate) use describe::describe;
pub(crate) use group::ConsumerGroup;
pub(crate) use join::heartbeat;
use partition_set::PartitionSet;
pub(crate) use replay::replay;
pub(crate) use timing::{image_changed, replayed, timer};

#[cfg(test)]
mod tests;
