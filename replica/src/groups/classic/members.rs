//! Who belongs to a group: the counts, votes and ids that go with members are changed here and nowhere else.

use std::sync::Arc;

use bytes::Bytes;

use tautline_core::error::ErrorCode;

use super::{ClassicGroup, Member};
use crate::coordinator::Token;
use crate::groups::response::{GroupResponse, Joined, Synced};
use crate::groups::turn::Turn;

impl ClassicGroup {
    /// Adds a member; the first becomes the leader.
    pub(super) fn add(&mut self, member_id: &Arc<str>, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.instances
                .insert(Arc::clone(instance_id), Arc::clone(member_id));
        }
        if self.leader.is_none() {
            self.leader = Some(Arc::clone(member_id));
        }
        self.votes.add(&member);
        self.bytes += member.bytes(member_id);
        self.joining += usize::from(member.join.is_some());
        self.unsynced += usize::from(member.is_unsynced);
        let before = self.members.insert(Arc::clone(member_id), member);
        debug_assert!(before.is_none(), "a member is added once");
        self.recharge();
    }

    /// Takes a member out, with its timer; another one leads if it led.
    pub(super) fn remove(&mut self, turn: &mut Turn<'_>, member_id: &str) -> Option<Member> {
        let member = self.take(member_id)?;
        self.cancel_session(turn, member_id);
        if let Some(instance_id) = &member.instance_id {
            self.instances.remove(instance_id);
        }
        if self.is_leader(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        Some(member)
    }

    /// Takes a member out of the counts, but leaves it leader and owner of its instance id.
    pub(super) fn take(&mut self, member_id: &str) -> Option<Member> {
        let member = self.members.remove(member_id)?;
        self.votes.remove(&member);
        self.bytes -= member.bytes(member_id);
        self.joining -= usize::from(member.join.is_some());
        self.unsynced -= usize::from(member.is_unsynced);
        self.recharge();
        Some(member)
    }

    /// Changes a member by what `change` makes of it.
    pub(super) fn update(&mut self, member_id: &str, change: impl FnOnce(&mut Member)) {
        let Some(member) = self.members.get_mut(member_id) else {
            return;
        };
        self.votes.remove(member);
        self.bytes -= member.bytes(member_id);
        change(member);
        self.votes.add(member);
        self.bytes += member.bytes(member_id);
        self.recharge();
    }

    /// Gives every member an assignment.
    pub(super) fn assign_each(&mut self, mut assignment: impl FnMut(&str, &Member) -> Bytes) {
        for (member_id, member) in &mut self.members {
            let assigned = assignment(member_id, member);
            self.bytes = self.bytes - member.assignment.len() + assigned.len();
            member.assignment = assigned;
        }
        self.recharge();
    }

    /// Has a member wait in JoinGroup. Who waited for it until now is told to try again.
    pub(super) fn await_join(&mut self, turn: &mut Turn<'_>, member_id: &str, token: Token) {
        let superseded = Joined::refused(ErrorCode::RebalanceInProgress, member_id);
        self.answer_join(turn, member_id, superseded);
        if let Some(member) = self.members.get_mut(member_id) {
            member.join = Some(token);
            self.joining += 1;
        }
    }

    /// Answers the JoinGroup in which a member waits, if it does.
    pub(super) fn answer_join(&mut self, turn: &mut Turn<'_>, member_id: &str, joined: Joined) {
        if let Some(token) = self
            .members
            .get_mut(member_id)
            .and_then(|member| member.join.take())
        {
            self.joining -= 1;
            turn.reply(token, GroupResponse::JoinGroup(joined));
        }
    }

    /// Answers the SyncGroup in which a member waits, if it does.
    pub(super) fn answer_sync(&mut self, turn: &mut Turn<'_>, member_id: &str, synced: Synced) {
        if let Some(token) = self
            .members
            .get_mut(member_id)
            .and_then(|member| member.sync.take())
        {
            turn.reply(token, GroupResponse::SyncGroup(synced));
        }
    }

    /// Notes that a member has sent SyncGroup.
    pub(super) fn note_synced(&mut self, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id)
            && std::mem::take(&mut member.is_unsynced)
        {
            self.unsynced -= 1;
        }
    }

    /// Whether every member waits in JoinGroup, and nobody is about to.
    pub(super) fn all_have_joined(&self) -> bool {
        self.joining == self.members.len() && self.pending.is_empty()
    }

    /// The longest time that a member has to join.
    pub(super) fn rebalance_timeout_ms(&self) -> i64 {
        let timeouts = self.members.values().map(|member| member.rebalance_timeout_ms);
        i64::from(timeouts.max().unwrap_or(0).max(0))
    }

    /// The ids of all members.
    pub(super) fn member_ids(&self) -> Vec<Arc<str>> {
        self.members.keys().cloned().collect()
    }
}
