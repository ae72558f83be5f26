//! What waits for a write to be durable.

use tautline_core::ids::{NodeId, Offset};

use super::message::Message;

/// What one drain has handed to the disk, and holds back until it is there.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Of the last write among it.
    pub ticket: u64,
    /// The last of raft's readies.
    pub ready: Option<u64>,
    /// Messages that may leave.
    pub messages: Vec<(NodeId, Message)>,
    /// What else may happen.
    pub then: Vec<Then>,
}

/// A step that a write allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The log below may go.
    Settled(Offset),
    /// The vote is given up, so the log may be cut and copied.
    BeginCopy,
    /// The copy's batches are there.
    AnchorCopy,
    /// The log is whole again.
    EndCopy,
}
