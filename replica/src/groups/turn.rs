//! What one step of the coordinator works with besides its groups and offsets, handed to the code of both kinds of groups.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use super::config::GroupConfig;
use super::group::Group;
use super::response::GroupResponse;
use super::timers::Timers;
use crate::coordinator::{CoordinatorBatch, CoordinatorRecord, Decision, Now, Token, TransactionalProducer};
use crate::memory::CoordinatorMemory;

/// The groups of a coordinator by their ids. Ordered, so that a seed replays any run, and no client can make it slow.
pub(crate) type Groups = BTreeMap<Arc<str>, Group>;

/// A step: what is known, the deadlines, and what was decided so far.
pub(crate) struct Turn<'a> {
    /// When, and in which cluster.
    pub now: Now<'a>,
    /// The broker's settings.
    pub config: &'a GroupConfig,
    /// What may be held in memory.
    pub memory: &'a CoordinatorMemory,
    /// All deadlines.
    pub timers: &'a mut Timers,
    /// What becomes of it.
    pub decided: &'a mut Decision<GroupResponse, Infallible>,
}

impl Turn<'_> {
    /// Appends records that are not part of a transaction: all that one call gives are appended together or not at all.
    pub fn append(&mut self, records: Vec<CoordinatorRecord>) {
        self.append_as(None, records);
    }

    /// Appends records, as part of a transaction where there is a producer.
    pub fn append_as(&mut self, producer: Option<TransactionalProducer>, records: Vec<CoordinatorRecord>) {
        if !records.is_empty() {
            self.decided.batches.push(CoordinatorBatch { producer, records });
        }
    }

    /// Answers once all that was appended is committed.
    pub fn reply(&mut self, token: Token, response: GroupResponse) {
        self.decided.replies.push((token, response));
    }

    /// Answers at once what a crash can't undo.
    pub fn reply_promptly(&mut self, token: Token, response: GroupResponse) {
        self.decided.prompt.push((token, response));
    }
}
