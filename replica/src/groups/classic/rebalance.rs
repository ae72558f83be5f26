//! From one generation to the next.

use std::sync::Arc;

use bytes::Bytes;

use tautline_core::error::ErrorCode;

use super::{ClassicGroup, State};
use crate::groups::response::{Joined, JoinedMember, Synced};
use crate::groups::timers::TimerKind;
use crate::groups::turn::Turn;

/// How long the first members of an empty group wait for others: `group.initial.rebalance.delay.ms`, and as long again
/// whenever somebody came meanwhile, up to the rebalance timeout.
#[derive(Debug)]
pub(super) struct InitialDelay {
    /// The delay that runs.
    pub delay_ms: i64,
    /// What is left after it.
    pub remaining_ms: i64,
    /// Whether somebody came while it ran.
    pub has_grown: bool,
}

impl ClassicGroup {
    /// Begins a rebalance, or brings the one that runs on.
    pub(super) fn rebalance(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Preparing => self.maybe_complete_join(turn),
            State::Empty | State::Completing | State::Stable => self.prepare(turn),
        }
    }

    /// Begins a rebalance: all members are to join.
    pub(super) fn prepare(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::Completing {
            self.reset_assignments(turn, ErrorCode::RebalanceInProgress);
        }
        self.clear_unsynced(turn);
        if self.state == State::Empty {
            let delay_ms = i64::from(turn.config.initial_rebalance_delay_ms);
            self.initial_delay = Some(InitialDelay {
                delay_ms,
                remaining_ms: (self.rebalance_timeout_ms() - delay_ms).max(0),
                has_grown: false,
            });
            self.set_timer(turn, TimerKind::Join, delay_ms);
            self.enter(State::Preparing, turn.now.ms);
            return;
        }
        self.enter(State::Preparing, turn.now.ms);
        if self.all_have_joined() {
            self.complete_join(turn);
        } else {
            self.set_timer(turn, TimerKind::Join, self.rebalance_timeout_ms());
        }
    }

    /// Ends the join phase if nobody is missing, and no others are waited for.
    pub(super) fn maybe_complete_join(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::Preparing && self.initial_delay.is_none() && self.all_have_joined() {
            self.complete_join(turn);
        }
    }

    /// The time to join is over.
    pub(super) fn join_time_is_up(&mut self, turn: &mut Turn<'_>) {
        if self.state != State::Preparing {
            return;
        }
        if let Some(delay) = &mut self.initial_delay
            && delay.has_grown
            && delay.remaining_ms > 0
        {
            let next_ms = i64::from(turn.config.initial_rebalance_delay_ms).min(delay.remaining_ms);
            delay.remaining_ms = (delay.remaining_ms - delay.delay_ms).max(0);
            delay.delay_ms = next_ms;
            delay.has_grown = false;
            self.set_timer(turn, TimerKind::Join, next_ms);
            return;
        }
        self.complete_join(turn);
    }

    /// Ends the join phase: who has not joined is out, but for static members, and the leader gets to know all.
    pub(super) fn complete_join(&mut self, turn: &mut Turn<'_>) {
        self.cancel_timer(turn, TimerKind::Join);
        self.initial_delay = None;
        let missing = self.members.iter();
        let missing: Vec<Arc<str>> = missing
            .filter(|(_, member)| member.join.is_none() && member.instance_id.is_none())
            .map(|(member_id, _)| Arc::clone(member_id))
            .collect();
        for member_id in missing {
            self.dismiss(turn, &member_id);
        }
        if !self.members.is_empty() && !self.elect_leader() {
            // Only static members are left, and none has joined: wait for one, or for their sessions to end.
            self.set_timer(turn, TimerKind::Join, self.rebalance_timeout_ms());
            return;
        }
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.protocol = None;
            self.note_subscribed();
            self.enter(State::Empty, turn.now.ms);
            let record = self.record();
            turn.append(vec![record]);
            return;
        }
        self.protocol = self.select_protocol();
        self.note_subscribed();
        self.enter(State::Completing, turn.now.ms);
        for member_id in self.member_ids() {
            let joined = self.joined(&member_id, self.is_leader(&member_id));
            self.answer_join(turn, &member_id, joined);
            self.restart_session(turn, &member_id);
            if let Some(member) = self.members.get_mut(&member_id) {
                member.is_new = false;
                member.is_unsynced = true;
            }
        }
        self.unsynced = self.members.len();
        self.set_timer(turn, TimerKind::Sync, self.rebalance_timeout_ms());
    }

    /// Makes sure that the leader is one who has joined. Whether there is one.
    fn elect_leader(&mut self) -> bool {
        let has_joined = |id: &Arc<str>| self.members.get(id).is_some_and(|member| member.join.is_some());
        if !self.leader.as_ref().is_some_and(has_joined) {
            let joined = self.members.iter().find(|(_, member)| member.join.is_some());
            let Some((member_id, _)) = joined else {
                return false;
            };
            self.leader = Some(Arc::clone(member_id));
        }
        true
    }

    /// What a member is told of the current generation.
    pub(super) fn joined(&self, member_id: &str, with_members: bool) -> Joined {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        // Not one by one: each of thousands asks.
        let members = with_members.then_some(&self.members).into_iter().flatten();
        Joined {
            error: ErrorCode::None,
            generation_id: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_else(|| "".into()),
            skip_assignment: false,
            member_id: member_id.into(),
            members: members
                .map(|(member_id, member)| JoinedMember {
                    member_id: Arc::clone(member_id),
                    group_instance_id: member.instance_id.clone(),
                    metadata: member.metadata(protocol),
                })
                .collect(),
        }
    }

    /// Takes all assignments back; who waits for one is told why.
    pub(super) fn reset_assignments(&mut self, turn: &mut Turn<'_>, error: ErrorCode) {
        self.assign_each(|_, _| Bytes::new());
        for member_id in self.member_ids() {
            if self
                .members
                .get(&member_id)
                .is_some_and(|member| member.sync.is_some())
            {
                self.answer_sync(turn, &member_id, Synced::refused(error));
                self.restart_session(turn, &member_id);
            }
        }
    }

    fn clear_unsynced(&mut self, turn: &mut Turn<'_>) {
        if self.unsynced > 0 {
            for member in self.members.values_mut() {
                member.is_unsynced = false;
            }
            self.unsynced = 0;
        }
        self.cancel_timer(turn, TimerKind::Sync);
    }

    /// Takes a member out; what it waits for is answered UNKNOWN_MEMBER_ID, so that a client that lives joins anew.
    pub(super) fn dismiss(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        self.answer_join(turn, member_id, Joined::refused(ErrorCode::UnknownMemberId, ""));
        self.answer_sync(turn, member_id, Synced::refused(ErrorCode::UnknownMemberId));
        self.remove(turn, member_id);
    }
}
