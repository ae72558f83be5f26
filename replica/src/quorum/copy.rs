//! A follower that needs entries which its leader no longer keeps gets a copy of the log, from where the leader's log starts or
//! its own committed prefix ends, up to an entry that is committed: raft's snapshot, whose bytes are the log itself.
//!
//! The order in which things become durable is the point:
//! 1. The follower notes that it copies. From then on it has no vote and accepts no entries, also after a restart, so that what it
//!    cuts off is missed by nobody: it counts as down.
//! 2. It cuts its log behind what it knows to be committed, and asks for the rest piece by piece.
//! 3. When all is durable it notes the reached entry as its anchor: not before, since journal and log are files of their own, and
//!    an anchor beyond the log's end would be believed. When that is durable too, it takes part again.
//!
//! What is copied is committed, so it may come from a node that leads no longer.

use raft::prelude::{Message as RaftMessage, MessageType};
use tautline_core::ids::{NodeId, Offset};

use super::entry::{raft_id, term_of};
use super::entry_log::EntryLog;
use super::event::Event;
use super::limits::{COPY_RETRY_TICKS, COPY_SILENCE_TICKS};
use super::message::{Message, MessageBody};
use super::pending::{Pending, Then};
use super::recovery::LoggedBatch;
use super::replica::{Replica, new_raft};
use super::state::{Anchor, BytesAt, Copying, Write};

/// A copy under way, in the follower.
#[derive(Debug)]
pub(super) struct Copy {
    copying: Copying,
    stage: Stage,
    ticks: usize,
    /// What the last writes allow.
    pub then: Option<Then>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The vote is being given up.
    Announced,
    /// This offset comes next.
    At(Offset),
    /// All is there, and is being made durable.
    Whole,
}

impl Copy {
    /// One that a restart has interrupted. What of the log was cut and what was copied is not known, so it begins again, from
    /// the follower's own anchor.
    pub fn resumed(copying: Copying, anchor: Offset) -> Self {
        Self {
            copying,
            stage: Stage::At(anchor),
            ticks: COPY_RETRY_TICKS,
            then: None,
        }
    }

    pub fn end_offset(&self) -> Offset {
        match self.stage {
            Stage::At(next) => next,
            Stage::Announced | Stage::Whole => self.copying.target.offset,
        }
    }

    /// What is committed is the same everywhere, so whoever leads now may go on with it.
    pub fn ask(&mut self, source: NodeId) {
        self.copying.source = source;
    }
}

impl Replica {
    /// The leader says that entries don't help any more.
    pub(super) fn copy_offered(&mut self, from: NodeId, term: u64, target: &Anchor) {
        if term != self.raw.raft.term
            || self.raw.raft.leader_id != raft_id(from)
            || !target.replicas.contains(self.me)
        {
            return;
        }
        let raft_log = &self.raw.raft.raft_log;
        if target.index <= raft_log.committed || raft_log.match_term(target.index, term_of(target.epoch)) {
            // It is there already: raft moves the commit index, and tells the leader.
            return self.step_raft(self.offer_to_raft(from, term, target));
        }
        let newer = self.copy.as_ref().is_none_or(|copy| {
            copy.copying.target.index < target.index && matches!(copy.stage, Stage::At(_))
        });
        if !newer || !self.pending.is_empty() {
            return;
        }
        let copying = Copying {
            target: target.clone(),
            source: from,
        };
        self.writes.push(Write::Copying(copying.clone()));
        match &mut self.copy {
            Some(copy) => copy.copying = copying,
            None => {
                let stage = Stage::Announced;
                self.copy = Some(Copy {
                    copying,
                    stage,
                    ticks: 0,
                    then: Some(Then::BeginCopy),
                });
            }
        }
    }

    fn offer_to_raft(&self, from: NodeId, term: u64, target: &Anchor) -> RaftMessage {
        let mut message = RaftMessage::default();
        message.set_msg_type(MessageType::MsgSnapshot);
        (message.from, message.to, message.term) = (raft_id(from), raft_id(self.me), term);
        let metadata = message.mut_snapshot().mut_metadata();
        (metadata.index, metadata.term) = (target.index, term_of(target.epoch));
        metadata.set_conf_state(target.replicas.to_raft());
        message
    }

    /// It is durable that this replica has no vote: the log may be cut.
    pub(super) fn begin_copy(&mut self) {
        let end = self.shown.high_watermark.max(self.raw.store().anchor().offset);
        let end = if planted!(CopyKeepsWhatIsNotCommitted) {
            self.raw.store().end_offset()
        } else {
            end
        };
        self.writes.push(Write::ResetLog(end));
        let copy = self.copy.as_mut().expect("it was begun");
        copy.stage = Stage::At(end);
        self.ask_for_more();
        self.finish_copy();
    }

    fn ask_for_more(&mut self) {
        let Some(copy) = &mut self.copy else { return };
        copy.ticks = 0;
        let Stage::At(from) = copy.stage else { return };
        if from >= copy.copying.target.offset {
            return;
        }
        let body = MessageBody::CopyRequest {
            from,
            to: copy.copying.target.offset,
        };
        self.messages.push((
            copy.copying.source,
            Message {
                group: self.group,
                term: self.raw.raft.term,
                body,
            },
        ));
    }

    /// True if there is a copy, and so nothing else to tick.
    pub(super) fn tick_copy(&mut self) -> bool {
        let Some(copy) = &mut self.copy else { return false };
        copy.ticks += 1;
        if copy.ticks >= COPY_RETRY_TICKS {
            self.ask_for_more();
            self.finish_copy();
        }
        true
    }

    /// A piece has come.
    pub(super) fn copied(
        &mut self,
        from: NodeId,
        start: Offset,
        end: Offset,
        batches: &[LoggedBatch],
        bytes: Vec<BytesAt>,
    ) {
        let Some(copy) = &mut self.copy else { return };
        let target = copy.copying.target.offset;
        let Stage::At(next) = copy.stage else { return };
        if from != copy.copying.source || start < next || end > target || start > target {
            // An answer to an earlier question, or a source that has lost what it offered: its leader will offer more.
            return;
        }
        if start > next {
            self.writes.push(Write::ResetLog(start));
        }
        let pieces = batches.iter().zip(bytes);
        self.writes.extend(pieces.map(|(found, bytes)| Write::Append {
            epoch: found.epoch,
            batch: found.batch,
            bytes,
        }));
        copy.stage = Stage::At(end);
        self.ask_for_more();
        self.finish_copy();
    }

    /// If all is there, waits until it is durable.
    fn finish_copy(&mut self) {
        let Some(copy) = &mut self.copy else { return };
        let target = &copy.copying.target;
        if matches!(copy.stage, Stage::At(next) if next >= target.offset) {
            (copy.stage, copy.then) = (Stage::Whole, Some(Then::AnchorCopy));
            if planted!(CopyAnchoredBeforeDurable) {
                self.anchor_copy();
            }
        }
    }

    /// The copied batches are durable.
    pub(super) fn anchor_copy(&mut self) {
        let Some(copy) = &mut self.copy else { return };
        self.writes.push(Write::Anchor(copy.copying.target.clone()));
        copy.then = Some(Then::EndCopy);
    }

    /// The copy is durable: raft begins anew behind it.
    pub(super) fn end_copy(&mut self) {
        let Some(copy) = &self.copy else { return };
        let mut hard = self.raw.store().hard();
        hard.commit = copy.copying.target.index;
        let log = EntryLog::new(
            copy.copying.target.clone(),
            Vec::new(),
            hard,
            self.settings.entries_per_append_max,
        );
        self.raw = new_raft(self.me, log);
        self.pending.iter_mut().for_each(|pending| pending.ready = None);
        self.copy = None;
        self.announce_copy = true;
        self.copying_to.clear();
        self.shown.forget();
    }

    /// Refuses a leader's entries while there is a copy: the leader tries earlier ones, and then offers a copy that it has.
    pub(super) fn refuse_append(&mut self, leader: NodeId, term: u64, prev_index: u64) {
        if term != self.raw.raft.term {
            return;
        }
        let anchor = self.raw.store().anchor();
        let hint = Some((anchor.index.min(prev_index), anchor.epoch));
        let body = MessageBody::AppendResponse {
            index: prev_index,
            commit: anchor.index,
            hint,
        };
        self.messages.push((
            leader,
            Message {
                group: self.group,
                term,
                body,
            },
        ));
    }

    /// Tells a leader what this replica has copied: it is committed, so it is the same in the leader's log.
    pub(super) fn announce_copy(&mut self, leader: NodeId, term: u64) {
        if !self.announce_copy || term != self.raw.raft.term {
            return;
        }
        self.announce_copy = false;
        let index = self.raw.store().anchor().index;
        let body = MessageBody::AppendResponse {
            index,
            commit: index,
            hint: None,
        };
        self.messages.push((
            leader,
            Message {
                group: self.group,
                term,
                body,
            },
        ));
    }

    /// A follower asks this replica for batches; only what is committed is given.
    pub(super) fn copy_asked(&mut self, peer: NodeId, from: Offset, to: Offset) {
        if self.copy.is_some() || to > self.shown.high_watermark || from >= to {
            return;
        }
        self.asked_for_copy.push(Event::CopyAsked { peer, from, to });
    }

    /// The host's answer to [`Event::CopyAsked`]; none if its log begins behind what was asked for.
    pub fn give_copy(&mut self, peer: NodeId, from: Offset, end: Offset, batches: Vec<LoggedBatch>) {
        if let Some(silent) = self.copying_to.get_mut(&peer) {
            *silent = 0;
        }
        let body = MessageBody::Copied { from, end, batches };
        self.messages.push((
            peer,
            Message {
                group: self.group,
                term: self.raw.raft.term,
                body,
            },
        ));
    }

    /// Gives up copies that nobody asks for any more: raft itself would wait for ever.
    pub(super) fn tick_copies(&mut self) {
        let mut given_up = Vec::new();
        self.copying_to.retain(|&peer, silent| {
            *silent += 1;
            let lost = *silent >= COPY_SILENCE_TICKS;
            if lost {
                given_up.push(peer);
            }
            !lost
        });
        for peer in given_up {
            self.raw
                .report_snapshot(raft_id(peer), raft::SnapshotStatus::Failure);
        }
    }

    /// Moves the anchor, when more entries are held than anybody needs.
    pub(super) fn settle(&mut self, pending: &mut Pending) -> Option<Write> {
        let settings = self.settings;
        let (held, last) = (self.raw.store().len(), self.raw.store().last_index_held());
        let applied = self.raw.raft.raft_log.applied;
        let everybody = if self.raw.raft.state == raft::StateRole::Leader {
            self.raw
                .raft
                .prs()
                .iter()
                .map(|(_, progress)| progress.matched)
                .min()
                .unwrap_or(0)
        } else if self.asleep {
            last
        } else {
            0
        };
        let index = if held > settings.entries_kept_max {
            applied.min(last - settings.entries_kept_max as u64 / 2)
        } else if held > 2 * settings.entries_kept_min {
            everybody
                .min(applied)
                .min(last - settings.entries_kept_min as u64)
        } else {
            return None;
        };
        // Not for every entry: a write of its own each time.
        let step = (settings.entries_kept_min as u64).max(1);
        if index < self.raw.store().anchor().index + step {
            return None;
        }
        let anchor = self.raw.mut_store().settle(index).clone();
        pending.then.push(Then::Settled(anchor.offset));
        Some(Write::Anchor(anchor))
    }
}
