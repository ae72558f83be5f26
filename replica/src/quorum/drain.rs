//! What a replica's inputs lead to: writes, messages, events.
//!
//! Raft says of each message whether it may leave before the writes of the same drain are durable. A leader's appends may: its
//! followers write at the same time as itself. Whatever a follower or a candidate says may not.

use raft::Ready;
use raft::prelude::{Entry as RaftEntry, EntryType, Message as RaftMessage, MessageType};
use tautline_core::ids::NodeId;

use super::entry::{Body, Entry, raft_id};
use super::event::{Event, Output};
use super::message::{Message, MessageBody};
use super::pending::{Pending, Then};
use super::replica::{Replica, hard_state};
use super::state::{BytesAt, Control, Replicas, Write};

impl Replica {
    /// Collects what there is to do. Gives the ticket of its writes, if there are any: [`Replica::persisted`] takes it.
    pub fn drain(&mut self, now_ns: u64, out: &mut Output) -> Option<u64> {
        let mut wrote = None;
        if !self.failed {
            while let Some(mut pending) = self.gather(now_ns, out) {
                let writes = pending.ticket > 0;
                if writes {
                    wrote = Some(pending.ticket);
                } else if let Some(last) = self.pending.back() {
                    // It rests on earlier writes.
                    pending.ticket = last.ticket;
                } else {
                    self.release(pending, out);
                    continue;
                }
                if planted!(AckBeforeDurable) {
                    out.messages.append(&mut pending.messages);
                }
                if planted!(LeaderCountsItselfBeforeDurable)
                    && self.leads().is_some()
                    && let Some(ready) = pending.ready.take()
                {
                    self.raw.on_persist_ready(ready);
                }
                self.pending.push_back(pending);
            }
            self.arrived.clear();
        }
        self.show(now_ns, out);
        wrote
    }

    /// Everything up to this ticket is durable. [`Replica::drain`] says what follows.
    pub fn persisted(&mut self, ticket: u64, out: &mut Output) {
        while self
            .pending
            .front()
            .is_some_and(|pending| pending.ticket <= ticket)
            && !self.failed
        {
            let pending = self.pending.pop_front().expect("there is a first");
            self.release(pending, out);
        }
    }

    fn release(&mut self, pending: Pending, out: &mut Output) {
        if let Some(ready) = pending.ready {
            self.raw.on_persist_ready(ready);
        }
        out.messages.extend(pending.messages);
        for then in pending.then {
            match then {
                Then::Settled(offset) => out.events.push((self.group, Event::Settled(offset))),
                Then::BeginCopy => self.begin_copy(),
                Then::AnchorCopy => self.anchor_copy(),
                Then::EndCopy => self.end_copy(),
            }
        }
        self.redraw();
    }

    /// One round: raft's ready, and what we have to say ourselves.
    fn gather(&mut self, now_ns: u64, out: &mut Output) -> Option<Pending> {
        let group = self.group;
        out.messages.append(&mut self.messages);
        out.events
            .extend(self.asked_for_copy.drain(..).map(|asked| (group, asked)));
        if planted!(CommitBeforeOwnEpoch) && self.leads().is_some() {
            let index = self.raw.raft.mut_prs().maximal_committed_index().0;
            let last = self.raw.raft.raft_log.last_index();
            self.raw.raft.raft_log.commit_to(index.min(last));
        }
        let mut pending = Pending::default();
        let mut writes = std::mem::take(&mut self.writes);
        if let Some(copy) = &mut self.copy {
            pending.then.extend(copy.then.take());
        }
        let ready = self.raw.has_ready();
        if ready {
            let ready = self.raw.ready();
            self.take_ready(ready, now_ns, &mut writes, &mut pending, out);
        }
        if self.copy.is_none()
            && let Some(write) = self.settle(&mut pending)
        {
            writes.push(write);
        }
        if !ready && writes.is_empty() && pending.then.is_empty() {
            return None;
        }
        if !writes.is_empty() {
            pending.ticket = self.next_ticket;
            self.next_ticket += 1;
        }
        out.writes.extend(writes.into_iter().map(|write| (group, write)));
        Some(pending)
    }

    fn take_ready(
        &mut self,
        mut ready: Ready,
        now_ns: u64,
        writes: &mut Vec<Write>,
        pending: &mut Pending,
        out: &mut Output,
    ) {
        pending.ready = Some(ready.number());
        assert!(ready.snapshot().is_empty(), "copies go beside raft");
        if let Some(hard) = ready.hs() {
            let hard = hard_state(hard);
            self.raw.mut_store().set_hard(hard);
            if ready.must_sync() && !(planted!(VoteNotKept) && ready.entries().is_empty()) {
                writes.push(Write::HardState(hard));
            }
        }
        for read in ready.take_read_states() {
            let number = super::message::read_of(&read.request_ctx);
            let offset = self.committed_end();
            out.events.push((self.group, Event::ReadReady(number, offset)));
        }
        self.send(ready.take_messages(), now_ns, &mut out.messages);
        self.append(ready.take_entries(), writes);
        self.send(ready.take_persisted_messages(), now_ns, &mut pending.messages);
        let committed = ready.take_committed_entries();
        self.raw.advance_append_async(ready);
        self.apply(&committed, out);
    }

    /// Hands new entries to the disk; those that they replace go first.
    fn append(&mut self, entries: Vec<RaftEntry>, writes: &mut Vec<Write>) {
        let Some(first) = entries.first() else { return };
        let mut first_index = first.index;
        let log = self.raw.mut_store();
        if first_index <= log.last_index_held() {
            if planted!(TruncateOneTooMany) && first_index > log.anchor().index + 1 {
                first_index -= 1;
            }
            let to = log
                .end_offset_of(first_index - 1)
                .expect("what is committed is held, and stays");
            if planted!(TruncateOneTooMany) {
                first_index = first.index;
            }
            log.truncate(first_index);
            writes.push(Write::TruncateControls(first_index));
            writes.push(Write::TruncateLog(to));
        }
        for entry in &entries {
            let entry = Entry::of_raft(entry);
            if matches!(entry.body, Body::Voters(_)) {
                // The change before this one is committed. A restart must not forget that: two steps back, a quorum of the old
                // replicas and one of the new need not meet.
                writes.push(Write::HardState(hard_state(&self.raw.raft.hard_state())));
            }
            let log = self.raw.mut_store();
            let offset = log.end_offset();
            log.append(entry);
            writes.push(match entry.body {
                Body::Batch(batch) => {
                    let mut found = self.arrived.iter().rev();
                    let at = found.find(|(index, epoch, _)| (*index, *epoch) == (entry.index, entry.epoch));
                    let bytes = at
                        .map(|(_, _, bytes)| bytes.clone())
                        .expect("batches come with their entries");
                    let own = planted!(FollowerStampsItsOwnEpoch) && bytes != BytesAt::Own;
                    let epoch = if own {
                        super::entry::epoch_of(self.raw.raft.term)
                    } else {
                        entry.epoch
                    };
                    Write::Append { epoch, batch, bytes }
                }
                Body::EpochStart | Body::Voters(_) => Write::Control(Control { entry, offset }),
            });
        }
    }

    /// Takes what is committed and durable here.
    fn apply(&mut self, entries: &[RaftEntry], out: &mut Output) {
        let Some(last) = entries.last() else { return };
        for entry in entries {
            if entry.get_entry_type() == EntryType::EntryNormal {
                continue;
            }
            let Body::Voters(change) = Entry::of_raft(entry).body else {
                unreachable!("of its type")
            };
            // A change that makes no sense was not proposed, and is applied by nobody.
            if let Ok(state) = self.raw.apply_conf_change(&change.to_raft()) {
                let replicas = Replicas::of_raft(&state);
                self.raw.mut_store().set_replicas(replicas.clone());
                out.events.push((self.group, Event::Replicas(replicas)));
            }
        }
        self.raw.advance_apply_to(last.index);
        self.raw.mut_store().applied(last.index);
    }

    /// Puts raft's messages in our words.
    fn send(&mut self, messages: Vec<RaftMessage>, now_ns: u64, out: &mut Vec<(NodeId, Message)>) {
        for raft_message in messages {
            let (kind, to) = (raft_message.get_msg_type(), raft_message.to);
            let echoes = kind == MessageType::MsgHeartbeatResponse && to == raft_id(self.heartbeat_from.0);
            let stamp_ns = match kind {
                MessageType::MsgHeartbeat => now_ns,
                MessageType::MsgHeartbeatResponse if echoes => self.heartbeat_from.1,
                _ => 0,
            };
            let Some((to, mut message)) = Message::of_raft(self.group, raft_message, stamp_ns) else {
                continue;
            };
            if let MessageBody::Snapshot(anchor) = &mut message.body {
                anchor.offset = self
                    .raw
                    .store()
                    .end_offset_of(anchor.index)
                    .expect("an applied entry is held");
                self.copying_to.insert(to, 0);
            }
            super::split::split(message, |part| out.push((to, part)));
        }
    }
}
