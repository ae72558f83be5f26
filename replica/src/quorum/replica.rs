//! One replica of one partition: raft around the descriptors of the partition's batches.
//!
//! Inputs are methods here; what they lead to is collected by `drain` (`drain.rs`), once a turn. Promises:
//! - A vote or an acknowledgement leaves only after all that it rests on is durable. So does a follower's word to its leader.
//! - The high watermark only grows, is the end of a committed entry, and never lies beyond the log's end.
//! - Nothing is served before the leader has committed an entry of its own epoch, and after that only under a lease or with a
//!   quorum's word.
//! - Nothing that is committed is truncated.
//!
//! A replica whose disk has failed goes silent: the others elect a leader among themselves.

use std::collections::{BTreeMap, VecDeque};

use raft::prelude::{HardState as RaftHardState, Message as RaftMessage};
use raft::{Config, RawNode, StateRole};
use tautline_core::ids::{LeaderEpoch, NodeId, Offset};

use super::copy::Copy;
use super::entry::{BatchDescriptor, VoterChange, epoch_of, node_of, raft_id};
use super::entry_log::EntryLog;
use super::event::{Event, Read, Refused};
use super::lease::Lease;
use super::limits::{
    APPENDS_IN_FLIGHT_MAX, ELECTION_TICKS, HEARTBEAT_TICKS, IDLE_TICKS, READS_WAITING_MAX,
    UNCOMMITTED_ENTRIES_MAX,
};
use super::message::{GroupId, Message, MessageBody, read_context};
use super::pending::Pending;
use super::random::Random;
use super::recovery::{LoggedBatch, merge};
use super::settings::Settings;
use super::shown::Shown;
use super::state::{BytesAt, HardState, QuorumState, Replicas, Write};

/// See the module.
pub struct Replica {
    pub(super) group: GroupId,
    pub(super) me: NodeId,
    pub(super) settings: Settings,
    pub(super) raw: RawNode<EntryLog>,
    random: Random,
    drawn: (u64, StateRole, usize),
    /// Writes that are on their way to the disk, and what waits for them.
    pub(super) pending: VecDeque<Pending>,
    pub(super) next_ticket: u64,
    /// Writes and messages of our own, for the next drain.
    pub(super) writes: Vec<Write>,
    pub(super) messages: Vec<(NodeId, Message)>,
    /// Where the bytes are of entries that came with the messages since the last drain.
    pub(super) arrived: Vec<(u64, LeaderEpoch, BytesAt)>,
    pub(super) heartbeat_from: (NodeId, u64),
    pub(super) lease: Lease,
    last_read: u64,
    pub(super) copy: Option<Copy>,
    /// Followers that are being given a copy, and for how many ticks they have not asked for more.
    pub(super) copying_to: BTreeMap<NodeId, usize>,
    /// Questions of such followers, for the host.
    pub(super) asked_for_copy: Vec<Event>,
    /// An answer to the leader that a copy is whole.
    pub(super) announce_copy: bool,
    /// Ticks until this replica votes: those before a restart may have been promised to a leader.
    silent_ticks: usize,
    pub(super) idle_ticks: usize,
    pub(super) asleep: bool,
    pub(super) failed: bool,
    pub(super) shown: Shown,
}

impl Replica {
    /// Goes on from what the journal and the log hold. The host cuts its log to [`Replica::end_offset`] before anything else:
    /// what is behind it was never acknowledged.
    #[must_use]
    pub fn recover(
        me: NodeId,
        group: GroupId,
        settings: Settings,
        state: QuorumState,
        batches: impl IntoIterator<Item = LoggedBatch>,
        seed: u64,
    ) -> Self {
        let copy = state
            .copying
            .clone()
            .map(|copying| Copy::resumed(copying, state.anchor.offset));
        let recovered = merge(&state.anchor, &state, batches);
        let log = EntryLog::new(
            state.anchor,
            recovered.entries,
            state.hard,
            settings.entries_per_append_max,
        );
        let mut replica = Self {
            group,
            me,
            settings,
            raw: new_raft(me, log),
            random: Random::new(seed),
            drawn: (0, StateRole::Follower, 0),
            pending: VecDeque::new(),
            next_ticket: 1,
            writes: Vec::new(),
            messages: Vec::new(),
            arrived: Vec::new(),
            heartbeat_from: (me, 0),
            lease: Lease::default(),
            last_read: 0,
            copy,
            copying_to: BTreeMap::new(),
            asked_for_copy: Vec::new(),
            announce_copy: false,
            silent_ticks: ELECTION_TICKS + 1,
            idle_ticks: 0,
            asleep: false,
            failed: false,
            shown: Shown::default(),
        };
        replica.redraw();
        if replica.raw.store().replicas().voters == [me] && replica.copy.is_none() {
            // There is nobody to ask, and nobody to whom anything was promised.
            let _ = replica.raw.campaign();
        }
        replica
    }

    /// Where the log ends as far as this replica has agreed to it.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        match &self.copy {
            Some(copy) => copy.end_offset(),
            None => self.raw.store().end_offset(),
        }
    }

    /// Everything below is committed.
    #[must_use]
    pub fn high_watermark(&self) -> Offset {
        self.shown.high_watermark
    }

    /// The epoch this replica leads, if it does.
    #[must_use]
    pub fn leads(&self) -> Option<LeaderEpoch> {
        (self.raw.raft.state == StateRole::Leader && !self.failed).then(|| epoch_of(self.raw.raft.term))
    }

    /// The leader, if it is known, and the current epoch.
    #[must_use]
    pub fn leader(&self) -> (Option<NodeId>, LeaderEpoch) {
        let known = if self.failed {
            None
        } else {
            node_of(self.raw.raft.leader_id)
        };
        (known, epoch_of(self.raw.raft.term))
    }

    /// The epoch of the last entry that this replica knows to be committed.
    #[must_use]
    pub fn committed_epoch(&self) -> LeaderEpoch {
        let log = self.raw.store();
        let committed = self.raw.raft.raft_log.committed.min(log.last_index_held());
        log.epoch_of(committed).expect("what is committed is held")
    }

    /// Whether a node is one of its replicas.
    #[must_use]
    pub fn has_replica(&self, node: NodeId) -> bool {
        self.raw.store().replicas().contains(node)
    }

    /// Who replicates, as of the last change that is committed and applied here.
    #[must_use]
    pub fn replicas(&self) -> &Replicas {
        self.raw.store().replicas()
    }

    /// Whether it costs no tick.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        self.asleep
    }

    /// Appends a batch that the host has put at [`Replica::end_offset`], with this epoch in its header.
    ///
    /// # Errors
    /// The host takes the batch out of its log again: check [`Replica::can_append`] before.
    pub fn propose(&mut self, batch: BatchDescriptor) -> Result<(), Refused> {
        self.can_append()?;
        self.wake();
        let data = batch.to_bytes().to_vec();
        self.raw.propose(Vec::new(), data).map_err(|_| Refused::Backlog)?;
        let (index, epoch) = (self.raw.raft.raft_log.last_index(), epoch_of(self.raw.raft.term));
        self.arrived.push((index, epoch, BytesAt::Own));
        Ok(())
    }

    /// Whether a batch would be taken now.
    ///
    /// # Errors
    /// Why not.
    pub fn can_append(&self) -> Result<(), Refused> {
        self.may_lead()?;
        if self.raw.raft.lead_transferee.is_some() || self.is_removed() {
            return Err(Refused::Transferring);
        }
        let log = &self.raw.raft.raft_log;
        if log.last_index() - log.committed.min(log.persisted) >= UNCOMMITTED_ENTRIES_MAX {
            return Err(Refused::Backlog);
        }
        Ok(())
    }

    /// Where the next batch of this leader goes: entries of this turn count.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        let unstable = self.raw.raft.raft_log.unstable_entries();
        unstable
            .iter()
            .map(super::entry::Entry::of_raft)
            .fold(self.end_offset(), |at, entry| entry.body.end_offset(at))
    }

    /// Changes who replicates, one step.
    ///
    /// # Errors
    /// [`Refused`]; a leader does not remove itself, it hands over first.
    pub fn change(&mut self, change: VoterChange) -> Result<(), Refused> {
        self.may_lead()?;
        self.wake();
        let replicas = self.raw.store().replicas();
        let sensible = match change {
            VoterChange::AddLearner(node) => !replicas.contains(node),
            VoterChange::Promote(node) => replicas.learners.contains(&node) && self.has_caught_up(node),
            VoterChange::Remove(node) => replicas.contains(node) && node != self.me,
        };
        // The entry of its own epoch first: raft's proof of one change at a time needs it.
        let settled = self.raw.raft.commit_to_current_term() && !self.raw.raft.has_pending_conf();
        if !sensible || !settled || self.raw.raft.lead_transferee.is_some() {
            return Err(Refused::Change);
        }
        let proposed = self.raw.propose_conf_change(change.to_bytes(), change.to_raft());
        proposed.map_err(|_| Refused::Change)
    }

    /// Begins to hand leadership to another voter, which stands for election when it has everything.
    ///
    /// # Errors
    /// It doesn't lead, or the other has no vote.
    pub fn transfer(&mut self, to: NodeId) -> Result<(), Refused> {
        self.may_lead()?;
        if !self.raw.store().replicas().voters.contains(&to) || to == self.me {
            return Err(Refused::Change);
        }
        self.wake();
        self.lease.transferred(self.raw.raft.term);
        self.raw.transfer_leader(raft_id(to));
        Ok(())
    }

    /// Whether a fetch, or a question for an offset, may be answered by this leader.
    pub fn read(&mut self, now_ns: u64) -> Read {
        if let Err(refused) = self.may_lead() {
            return Read::Refused(refused);
        }
        self.wake();
        if !self.raw.raft.commit_to_current_term() {
            if planted!(ReadBeforeOwnEpoch) {
                return Read::Now(self.shown.high_watermark);
            }
            return Read::Refused(Refused::NotYet);
        }
        let (term, replicas) = (self.raw.raft.term, self.raw.store().replicas());
        if self.lease.holds(term, self.me, replicas, now_ns) || planted!(ReadWithoutLease) {
            return Read::Now(self.shown.high_watermark);
        }
        if self.raw.raft.pending_read_count() >= READS_WAITING_MAX {
            return Read::Refused(Refused::Backlog);
        }
        self.last_read += 1;
        self.raw.read_index(read_context(self.last_read));
        Read::Later(self.last_read)
    }

    /// Whether this replica is none any more: one that was elected while it was being removed leads on until it hands over.
    fn is_removed(&self) -> bool {
        !self.raw.store().replicas().contains(self.me)
    }

    /// Hands leadership to the voter that has most, if this replica is none any more.
    fn leave(&mut self) {
        if !self.is_removed() || self.raw.raft.lead_transferee.is_some() {
            return;
        }
        let voters = &self.raw.store().replicas().voters;
        let most = voters
            .iter()
            .copied()
            .max_by_key(|&voter| (self.matched(voter), std::cmp::Reverse(voter)));
        if let Some(successor) = most {
            let _ = self.transfer(successor);
        }
    }

    fn may_lead(&self) -> Result<(), Refused> {
        if self.failed {
            return Err(Refused::Failed);
        }
        self.leads().map(|_| ()).ok_or(Refused::NotLeader)
    }

    /// A tick has gone by.
    pub fn tick(&mut self, now_ns: u64) {
        if self.failed || self.asleep {
            return;
        }
        self.silent_ticks = self.silent_ticks.saturating_sub(1);
        if self.tick_copy() {
            return;
        }
        let leads = self.raw.raft.state == StateRole::Leader;
        // One that can't write its log down does not stand for election.
        if leads || self.pending.is_empty() {
            self.raw.tick();
        }
        if leads {
            self.leave();
            self.tick_copies();
            self.idle_ticks += 1;
            if self.idle_ticks >= IDLE_TICKS && self.everybody_has_everything(now_ns) {
                self.send_to_sleep();
            }
        }
        self.redraw();
    }

    /// A message has come. `bytes` are where its batches are, in their order, checked against their descriptors.
    pub fn step(&mut self, from: NodeId, message: &Message, bytes: Vec<BytesAt>) {
        if self.failed {
            return;
        }
        match &message.body {
            MessageBody::Sleep(index) => return self.fall_asleep(from, message.term, *index),
            MessageBody::CopyRequest { from: start, to } => return self.copy_asked(from, *start, *to),
            MessageBody::Copied {
                from: start,
                end,
                batches,
            } => {
                return self.copied(from, *start, *end, batches, bytes);
            }
            _ => {}
        }
        if !matches!(message.body, MessageBody::HeartbeatResponse { .. }) {
            self.idle_ticks = 0;
        }
        self.asleep = false;
        if let MessageBody::Snapshot(anchor) = &message.body {
            return self.copy_offered(from, message.term, anchor);
        }
        if let (Some(_), MessageBody::Append { prev_index, .. }) = (&self.copy, &message.body) {
            return self.refuse_append(from, message.term, *prev_index);
        }
        if !self.admits(from, message) {
            return;
        }
        match &message.body {
            MessageBody::Heartbeat { sent_ns, .. } => self.heartbeat_from = (from, *sent_ns),
            MessageBody::HeartbeatResponse { sent_ns, .. } if message.term == self.raw.raft.term => {
                self.lease.answered(message.term, from, *sent_ns);
            }
            MessageBody::Append { entries, .. } => {
                let batches = entries
                    .iter()
                    .filter(|entry| matches!(entry.body, super::Body::Batch(_)));
                self.arrived.extend(
                    batches
                        .zip(bytes)
                        .map(|(entry, at)| (entry.index, entry.epoch, at)),
                );
            }
            _ => {}
        }
        let raft_message = message.to_raft(from, self.me).expect("the others are raft's");
        self.step_raft(raft_message);
        if matches!(message.body, MessageBody::Heartbeat { .. }) && message.term == self.raw.raft.term {
            self.announce_copy(from, message.term);
            if let Some(copy) = &mut self.copy {
                copy.ask(from);
            }
        }
    }

    pub(super) fn step_raft(&mut self, message: RaftMessage) {
        // An error is a message from nobody that raft knows, or that it forwards: neither is ours to answer.
        let _ = self.raw.step(message);
        self.redraw();
    }

    /// Whether this replica votes at all now.
    pub(super) fn may_vote(&self) -> bool {
        self.silent_ticks == 0 && self.copy.is_none()
    }

    /// A peer that this group depends on has not been heard of for as long as an election takes.
    pub fn lost(&mut self, peer: NodeId) {
        if !self.asleep || planted!(SleepersNeverWake) {
            return;
        }
        self.wake();
        if self.leader().0 == Some(peer) {
            // While it slept, the node has counted for it.
            self.raw.raft.election_elapsed = ELECTION_TICKS;
        }
    }

    /// The disk has refused a write, or failed: nothing is known of this replica's log until it is recovered.
    pub fn fail(&mut self) {
        self.failed = true;
        self.asleep = false;
    }

    pub(super) fn wake(&mut self) {
        self.idle_ticks = 0;
        self.asleep = false;
    }

    /// Raft draws its election timeouts from the thread's own generator; put ours in their place.
    pub(super) fn redraw(&mut self) {
        let raft = &self.raw.raft;
        if (self.drawn.0, self.drawn.1) != (raft.term, raft.state) || self.drawn.2 == 0 {
            let timeout = ELECTION_TICKS + self.random.below(ELECTION_TICKS as u64) as usize;
            self.drawn = (raft.term, raft.state, timeout);
        }
        self.raw.raft.set_randomized_election_timeout(self.drawn.2);
    }
}

/// Raft over a log, as we use it.
pub(super) fn new_raft(me: NodeId, log: EntryLog) -> RawNode<EntryLog> {
    let config = Config {
        id: raft_id(me),
        election_tick: ELECTION_TICKS,
        heartbeat_tick: HEARTBEAT_TICKS,
        applied: log.anchor().index,
        // Of descriptors; `EntryLog` counts the batches' own bytes.
        max_size_per_msg: super::limits::ENTRIES_PER_APPEND_MAX as u64 * 40,
        max_inflight_msgs: APPENDS_IN_FLIGHT_MAX,
        check_quorum: true,
        pre_vote: true,
        batch_append: true,
        ..Config::default()
    };
    let logger = slog::Logger::root(slog::Discard, slog::o!());
    RawNode::new(&config, log, &logger).expect("the configuration is sound and the log in memory")
}

/// What raft holds to be durable, as ours.
pub(super) fn hard_state(hard: &RaftHardState) -> HardState {
    HardState::of_raft(hard)
}

#[cfg(test)]
#[path = "replica_tests.rs"]
mod tests;
