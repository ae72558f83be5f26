//! How long a leader may serve reads without asking: until the first follower of a quorum may forget it.
//!
//! A follower that takes a heartbeat promises not to vote for another before [`ELECTION_TICKS`](super::limits::ELECTION_TICKS) of
//! its ticks have gone by, also if it restarts (it is silent for so long then). The leader counts from when it *sent* the
//! heartbeat, by its own clock, which must go on while the process is stopped. A transfer of leadership asks a follower to break
//! its promise, and the message may come late: after one there is no lease for the rest of the term.

use tautline_core::ids::NodeId;

use super::limits::LEASE_NS;
use super::state::Replicas;

/// See the module. Of one term.
#[derive(Debug, Default)]
pub(super) struct Lease {
    term: u64,
    /// The latest heartbeat that each peer has answered, by when it was sent.
    answered: Vec<(NodeId, u64)>,
    transferred: bool,
}

impl Lease {
    fn enter(&mut self, term: u64) {
        if self.term != term {
            *self = Self {
                term,
                ..Self::default()
            };
        }
    }

    /// A peer has answered the heartbeat that was sent then.
    pub fn answered(&mut self, term: u64, peer: NodeId, sent_ns: u64) {
        self.enter(term);
        match self.answered.iter_mut().find(|(other, _)| *other == peer) {
            Some((_, last)) => *last = sent_ns.max(*last),
            None => self.answered.push((peer, sent_ns)),
        }
    }

    /// Leadership was offered to another.
    pub fn transferred(&mut self, term: u64) {
        self.enter(term);
        self.transferred = true;
    }

    /// When the last heartbeat was sent that a peer has answered.
    pub fn last_answer_ns(&self, peer: NodeId) -> Option<u64> {
        self.answered
            .iter()
            .find(|(other, _)| *other == peer)
            .map(|&(_, sent_ns)| sent_ns)
    }

    /// Whether it holds.
    pub fn holds(&mut self, term: u64, me: NodeId, replicas: &Replicas, now_ns: u64) -> bool {
        self.enter(term);
        if self.transferred && !planted!(LeaseOutlivesTransfer) {
            return false;
        }
        let sent = |voter: &NodeId| {
            if *voter == me {
                Some(now_ns)
            } else {
                self.last_answer_ns(*voter)
            }
        };
        let mut sent: Vec<_> = replicas.voters.iter().map(sent).collect();
        sent.sort_unstable_by(|a, b| b.cmp(a));
        let begun = sent.get(replicas.quorum() - 1).copied().flatten();
        begun.is_some_and(|begun| now_ns < begun + LEASE_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_while_a_quorum_remembers() {
        let nodes = [1, 2, 3, 4, 5].map(NodeId);
        let replicas = Replicas {
            voters: nodes.to_vec(),
            learners: vec![NodeId(9)],
        };
        let mut lease = Lease::default();
        lease.answered(7, nodes[1], 1_000);
        lease.answered(7, NodeId(9), 9_000);
        assert!(
            !lease.holds(7, nodes[0], &replicas, 1_000),
            "a learner has no vote to keep"
        );
        lease.answered(7, nodes[2], 3_000);
        lease.answered(7, nodes[3], 2_000);
        lease.answered(7, nodes[3], 1_500);
        assert!(lease.holds(7, nodes[0], &replicas, 2_000 + LEASE_NS - 1));
        assert!(
            !lease.holds(7, nodes[0], &replicas, 2_000 + LEASE_NS),
            "the third of five counts"
        );
        assert!(!lease.holds(8, nodes[0], &replicas, 2_000), "another term");
    }

    #[test]
    fn not_after_a_transfer() {
        let replicas = Replicas {
            voters: vec![NodeId(1)],
            learners: vec![],
        };
        let mut lease = Lease::default();
        assert!(lease.holds(1, NodeId(1), &replicas, 0));
        lease.transferred(1);
        assert!(!lease.holds(1, NodeId(1), &replicas, 0));
        assert!(lease.holds(2, NodeId(1), &replicas, 0));
    }
}
