//! What a replica has told its host last, so that it tells only what has changed; and how it sees its followers.

use raft::StateRole;
use tautline_core::ids::{LeaderEpoch, NodeId, Offset};

use super::entry::{node_of, raft_id};
use super::event::{Event, Output};
use super::limits::IN_SYNC_SILENCE_NS;
use super::replica::Replica;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shown {
    leadership: Option<(LeaderEpoch, Option<NodeId>)>,
    pub high_watermark: Offset,
    durable: Offset,
    acknowledged: Offset,
    in_sync: Vec<NodeId>,
}

impl Shown {
    /// Forgets all but the high watermark, which never goes back.
    pub fn forget(&mut self) {
        *self = Self {
            high_watermark: self.high_watermark,
            ..Self::default()
        };
    }
}

impl Replica {
    /// The end of what is committed, as this replica knows it.
    pub(super) fn committed_end(&self) -> Offset {
        let log = self.raw.store();
        let committed = self.raw.raft.raft_log.committed.min(log.last_index_held());
        let end = log.end_offset_of(committed).expect("what is committed is held");
        if self.copy.is_some() {
            return self.shown.high_watermark;
        }
        let end = if planted!(HighWatermarkIsTheLogsEnd) {
            log.end_offset()
        } else {
            end
        };
        if planted!(HighWatermarkOneTooFar) {
            (end + 1).min(log.end_offset())
        } else {
            end
        }
    }

    /// The end of what so many replicas have on their disks.
    fn replicated_end(&self, replicas: usize) -> Offset {
        let log = self.raw.store();
        let mut matched: Vec<u64> = log
            .replicas()
            .voters
            .iter()
            .filter_map(|&voter| self.matched(voter))
            .collect();
        matched.sort_unstable_by(|a, b| b.cmp(a));
        let index = matched.get(replicas.max(1) - 1).copied().unwrap_or(0);
        // One that lags behind the anchor holds up what is acknowledged, which doesn't go back.
        log.end_offset_of(index.min(log.last_index_held()))
            .unwrap_or_default()
    }

    /// Up to which index a replica has the leader's entries on its disk.
    pub(super) fn matched(&self, node: NodeId) -> Option<u64> {
        self.raw
            .raft
            .prs()
            .get(raft_id(node))
            .map(|progress| progress.matched)
    }

    /// Whether a follower has what is committed, and so may vote.
    pub(super) fn has_caught_up(&self, node: NodeId) -> bool {
        self.matched(node)
            .is_some_and(|matched| matched >= self.raw.raft.raft_log.committed)
    }

    /// Who has everything committed and answers: a leader's in-sync replicas, in the order of their ids.
    #[must_use]
    pub fn in_sync(&self, now_ns: u64) -> Vec<NodeId> {
        let voters = self.raw.store().replicas().voters.iter().copied();
        let in_sync = voters.filter(|&voter| {
            let heard = self.lease.last_answer_ns(voter);
            let answers = self
                .raw
                .raft
                .prs()
                .get(raft_id(voter))
                .is_some_and(|progress| progress.recent_active);
            let heard = answers || heard.is_some_and(|sent_ns| now_ns < sent_ns + IN_SYNC_SILENCE_NS);
            // It may lack what came since its last word, but never what was committed without it: that needs a quorum.
            voter == self.me || ((heard || self.asleep) && self.has_nearly_caught_up(voter))
        });
        in_sync.collect()
    }

    /// Not further behind than what may be under way.
    fn has_nearly_caught_up(&self, node: NodeId) -> bool {
        let lag = self.settings.entries_kept_min as u64;
        self.matched(node)
            .is_some_and(|matched| matched + lag >= self.raw.raft.raft_log.committed)
    }

    /// Whether a producer with acks=all can be served: else NOT_ENOUGH_REPLICAS.
    #[must_use]
    pub fn has_enough_in_sync(&self, now_ns: u64) -> bool {
        self.in_sync(now_ns).len() >= self.settings.min_insync_replicas || planted!(MinInsyncIgnored)
    }

    /// Whether a leader's followers lack nothing, not even the news of it, and all are alive.
    pub(super) fn everybody_has_everything(&self, now_ns: u64) -> bool {
        let raft = &self.raw.raft;
        let last = raft.raft_log.last_index();
        let peers = raft
            .prs()
            .iter()
            .filter_map(|(&id, progress)| Some((node_of(id)?, progress)));
        let mut peers = peers.filter(|(node, _)| *node != self.me);
        let alive = |node| {
            self.lease
                .last_answer_ns(node)
                .is_some_and(|sent_ns| now_ns < sent_ns + IN_SYNC_SILENCE_NS)
        };
        let settled =
            raft.raft_log.committed == last && raft.raft_log.applied == last && self.pending.is_empty();
        settled
            && raft.lead_transferee.is_none()
            && raft.pending_read_count() == 0
            && peers.all(|(node, progress)| {
                progress.matched == last && progress.committed_index == last && alive(node)
            })
    }

    /// Tells what has changed since the last time.
    pub(super) fn show(&mut self, now_ns: u64, out: &mut Output) {
        let group = self.group;
        let mut tell = |event| out.events.push((group, event));
        let (leader, epoch) = self.leader();
        let leads = self.raw.raft.state == StateRole::Leader && !self.failed;
        let new_leadership = self.shown.leadership != Some((epoch, leader));
        if new_leadership {
            self.shown.leadership = Some((epoch, leader));
            (self.shown.acknowledged, self.shown.durable) = (Offset(0), Offset(0));
            tell(Event::Leadership { epoch, leader });
        }
        if self.failed {
            return;
        }
        let committed = self.committed_end();
        if committed > self.shown.high_watermark {
            self.shown.high_watermark = committed;
            tell(Event::HighWatermark(committed));
        }
        if !leads {
            self.shown.in_sync.clear();
            return;
        }
        let log = self.raw.store();
        let persisted = self.raw.raft.raft_log.persisted.min(log.last_index_held());
        let durable = log.end_offset_of(persisted).unwrap_or(log.anchor().offset);
        let local = planted!(AckOneBeforeDurable)
            .then(|| log.end_offset())
            .unwrap_or(durable);
        if local > self.shown.durable {
            self.shown.durable = local;
            tell(Event::Durable(local));
        }
        let needed = if planted!(MinInsyncIgnored) {
            1
        } else {
            self.settings.min_insync_replicas
        };
        let acknowledged = self.shown.high_watermark.min(self.replicated_end(needed));
        let acknowledged = if planted!(AckAllWhenOnlyLocal) {
            durable
        } else {
            acknowledged
        };
        if acknowledged > self.shown.acknowledged {
            self.shown.acknowledged = acknowledged;
            tell(Event::Acknowledged(acknowledged));
        }
        let in_sync = self.in_sync(now_ns);
        if in_sync != self.shown.in_sync {
            self.shown.in_sync = in_sync.clone();
            tell(Event::InSync(in_sync));
        }
    }
}
