//! Which messages raft gets to see. It panics on what can't be, and a peer's mistake must not stop a shard.
//!
//! Asked with nothing undrained, so that raft's log and the entries held are the same.

use tautline_core::ids::{LeaderEpoch, NodeId};

use super::entry::{Body, Entry};
use super::message::{Message, MessageBody};
use super::replica::Replica;

impl Replica {
    /// Whether a message can be what a sound peer says, and this replica may act on it now.
    pub(super) fn admits(&self, from: NodeId, message: &Message) -> bool {
        let log = &self.raw.raft.raft_log;
        let last = log.last_index();
        let copying = self.copy.is_some();
        if from == self.me || message.term == 0 {
            return false;
        }
        match &message.body {
            MessageBody::Append {
                prev_index,
                prev_epoch,
                entries,
                ..
            } => {
                let settled = entries.iter().take_while(|entry| entry.index <= log.committed);
                let same = settled.into_iter().all(|entry| {
                    let ours = self.raw.store().epoch_of(entry.index);
                    ours.is_none_or(|epoch| epoch == entry.epoch)
                });
                !copying && same && self.follows(*prev_index, *prev_epoch, entries)
            }
            MessageBody::AppendResponse { index, hint, .. } => {
                *index <= last && hint.is_none_or(|(hint, _)| hint <= last)
            }
            MessageBody::Heartbeat { commit, .. } => *commit <= last,
            // A forced election is the leader's own wish, so no promise to it is broken.
            MessageBody::Vote { transfer, .. } => self.may_vote() || (*transfer && !copying),
            MessageBody::TimeoutNow => !copying && self.pending.is_empty(),
            MessageBody::VoteResponse { .. } => !copying,
            MessageBody::HeartbeatResponse { .. } => true,
            MessageBody::Snapshot(_)
            | MessageBody::Sleep(_)
            | MessageBody::CopyRequest { .. }
            | MessageBody::Copied { .. } => false,
        }
    }

    /// Whether the first batch begins where the entry before it ends, if it is the same entry here.
    fn follows(&self, prev_index: u64, prev_epoch: LeaderEpoch, entries: &[Entry]) -> bool {
        let log = self.raw.store();
        if log.epoch_of(prev_index) != Some(prev_epoch) {
            // Raft refuses it, and tells the leader where to try.
            return true;
        }
        let first = entries.iter().find_map(|entry| match entry.body {
            Body::Batch(batch) => Some(batch.base_offset),
            _ => None,
        });
        first.is_none_or(|first| log.end_offset_of(prev_index) == Some(first))
    }
}
