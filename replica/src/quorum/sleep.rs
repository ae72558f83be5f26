//! A group without work costs no tick: its leader sends it to sleep when all its followers have everything, and any message but
//! an answer to a heartbeat wakes it.
//!
//! While it sleeps nobody in it counts time, so the node does: when a peer has not been heard of, all groups with it wake
//! ([`Replica::lost`](super::Replica::lost)). A leader that sleeps has no lease: a read wakes it and asks a quorum. A follower
//! that missed the word goes on counting, stands for election, and is told by the others, whom it wakes, that there is a leader.

use tautline_core::ids::NodeId;

use super::entry::raft_id;
use super::message::{Message, MessageBody};
use super::replica::Replica;

impl Replica {
    pub(super) fn send_to_sleep(&mut self) {
        let replicas = self.raw.store().replicas();
        let last = self.raw.raft.raft_log.last_index();
        let peers: Vec<_> = replicas.all().filter(|&peer| peer != self.me).collect();
        for peer in peers {
            let body = MessageBody::Sleep(last);
            self.messages.push((
                peer,
                Message {
                    group: self.group,
                    term: self.raw.raft.term,
                    body,
                },
            ));
        }
        self.asleep = true;
    }

    /// The leader says that there is nothing to do.
    pub(super) fn fall_asleep(&mut self, from: NodeId, term: u64, index: u64) {
        let raft = &self.raw.raft;
        let log = &raft.raft_log;
        let same = term == raft.term && raft.leader_id == raft_id(from) && raft.id != raft_id(from);
        let everything = log.last_index() == index && log.committed == index && log.applied == index;
        if same && everything && self.pending.is_empty() && self.copy.is_none() {
            self.asleep = true;
        }
    }
}
