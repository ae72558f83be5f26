//! What becomes of a group, or a member, that has run out of time.

use std::sync::Arc;

use super::{ClassicGroup, State};
use crate::groups::group::Group;
use crate::groups::timers::{TimerKey, TimerKind};
use crate::groups::turn::{Groups, Turn};

/// A timer of a classic group is due.
pub(crate) fn timer(groups: &mut Groups, turn: &mut Turn<'_>, key: &TimerKey) {
    let Some(Group::Classic(group)) = groups.get_mut(&key.group) else {
        return;
    };
    match key.kind {
        TimerKind::Join => group.join_time_is_up(turn),
        TimerKind::Sync => group.sync_time_is_up(turn),
        TimerKind::Session => group.session_is_over(turn, &key.member),
        _ => {}
    }
}

impl ClassicGroup {
    fn key(&self, kind: TimerKind, member: Arc<str>) -> TimerKey {
        TimerKey {
            group: Arc::clone(&self.id),
            kind,
            member,
        }
    }

    /// Sets a timer of the group.
    pub(super) fn set_timer(&self, turn: &mut Turn<'_>, kind: TimerKind, after_ms: i64) {
        turn.timers
            .set(&self.key(kind, Arc::from("")), turn.now.monotonic_ms + after_ms);
    }

    /// Forgets a timer of the group.
    pub(super) fn cancel_timer(&self, turn: &mut Turn<'_>, kind: TimerKind) {
        turn.timers.cancel(&self.key(kind, Arc::from("")));
    }

    /// Begins a session, or another one.
    pub(super) fn start_session(&self, turn: &mut Turn<'_>, member_id: &Arc<str>, timeout_ms: i32) {
        let key = self.key(TimerKind::Session, Arc::clone(member_id));
        turn.timers
            .set(&key, turn.now.monotonic_ms + i64::from(timeout_ms));
    }

    /// A member has been heard of.
    pub(super) fn restart_session(&self, turn: &mut Turn<'_>, member_id: &str) {
        if let Some((member_id, member)) = self.members.get_key_value(member_id) {
            self.start_session(turn, member_id, member.session_timeout_ms);
        }
    }

    /// Forgets a session.
    pub(super) fn cancel_session(&self, turn: &mut Turn<'_>, member_id: &str) {
        turn.timers
            .cancel(&self.key(TimerKind::Session, Arc::from(member_id)));
    }

    fn session_is_over(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        if self.pending.remove(member_id) {
            self.pending_is_gone(turn);
        } else if let Some(member) = self.members.get(member_id)
            && !member.is_excused()
        {
            self.dismiss(turn, member_id);
            self.member_is_gone(turn);
        }
    }

    /// An id that was given out will not be used.
    pub(super) fn pending_is_gone(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::Preparing && self.all_have_joined() {
            self.complete_join(turn);
        }
    }

    /// A member was taken out because it was silent.
    fn member_is_gone(&mut self, turn: &mut Turn<'_>) {
        match self.state {
            State::Empty => {}
            State::Preparing if self.all_have_joined() => self.complete_join(turn),
            State::Preparing => {}
            State::Completing | State::Stable => self.prepare(turn),
        }
    }

    /// Members that have not asked for their assignment are out.
    fn sync_time_is_up(&mut self, turn: &mut Turn<'_>) {
        if self.unsynced == 0 || !matches!(self.state, State::Completing | State::Stable) {
            return;
        }
        let unsynced = self.members.iter().filter(|(_, member)| member.is_unsynced);
        let unsynced: Vec<Arc<str>> = unsynced.map(|(member_id, _)| Arc::clone(member_id)).collect();
        for member_id in unsynced {
            self.dismiss(turn, &member_id);
        }
        self.prepare(turn);
    }

    /// Time begins after a replay, or after the group was a consumer group.
    pub(crate) fn start(&mut self, turn: &mut Turn<'_>) {
        for member_id in self.member_ids() {
            self.restart_session(turn, &member_id);
        }
        // The bound may have been lowered: a rebalance gives members a chance to commit before some are turned away. Without
        // a leader it came from a consumer group, and its members do not have what they are to have.
        let lacks_leader = self.leader.is_none() && !self.members.is_empty();
        if lacks_leader || self.members.len() > turn.config.max_size {
            self.prepare(turn);
        }
    }
}
