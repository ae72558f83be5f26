//! SyncGroup.

use std::collections::BTreeMap;

use bytes::Bytes;

use tautline_core::error::ErrorCode;

use super::{ClassicGroup, State};
use crate::coordinator::Token;
use crate::groups::consumer;
use crate::groups::group::Group;
use crate::groups::limits::GROUP_BYTES_MAX;
use crate::groups::request::SyncGroup;
use crate::groups::response::{GroupResponse, Synced};
use crate::groups::timers::TimerKind;
use crate::groups::turn::{Groups, Turn};

/// Gives a member its assignment, once the leader has brought it.
pub(crate) fn sync(groups: &mut Groups, turn: &mut Turn<'_>, token: Token, request: &SyncGroup) {
    let synced = if request.group_id.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else if let Some(Group::Classic(group)) = groups.get_mut(request.group_id.as_str()) {
        match group.sync(turn, token, request) {
            Ok(()) => return,
            Err(error) => Err(error),
        }
    } else {
        consumer::classic_sync(groups, turn, request)
    };
    let synced = synced.unwrap_or_else(Synced::refused);
    turn.reply(token, GroupResponse::SyncGroup(synced));
}

/// Whether a client and the group know a protocol, and not the same.
fn differ(client: Option<&str>, group: Option<&str>) -> bool {
    client.is_some_and(|client| group.is_some_and(|group| client != group))
}

impl ClassicGroup {
    fn sync(&mut self, turn: &mut Turn<'_>, token: Token, request: &SyncGroup) -> Result<(), ErrorCode> {
        let member_id = request.member_id.as_str();
        self.validate_member(member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        if differ(request.protocol_type.as_deref(), self.protocol_type.as_deref())
            || differ(request.protocol_name.as_deref(), self.protocol.as_deref())
        {
            return Err(ErrorCode::InconsistentGroupProtocol);
        }
        match self.state {
            State::Empty => return Err(ErrorCode::UnknownMemberId),
            State::Preparing => return Err(ErrorCode::RebalanceInProgress),
            State::Completing | State::Stable => {}
        }
        self.note_synced(member_id);
        if self.unsynced == 0 {
            self.cancel_timer(turn, TimerKind::Sync);
        }
        // Who waited until now has asked again.
        self.answer_sync(turn, member_id, Synced::refused(ErrorCode::RebalanceInProgress));
        let is_stable = self.state == State::Stable;
        if let Some(member) = self.members.get_mut(member_id) {
            member.sync = Some(token);
        }
        if is_stable {
            let synced = self.synced(member_id);
            self.answer_sync(turn, member_id, synced);
            self.restart_session(turn, member_id);
        } else if self.is_leader(member_id) {
            self.assign(turn, request);
        }
        Ok(())
    }

    /// The leader has assigned: all members get what is theirs.
    fn assign(&mut self, turn: &mut Turn<'_>, request: &SyncGroup) {
        let assignments = request.assignments.iter();
        let assignments: BTreeMap<&str, &Bytes> =
            assignments.map(|(id, bytes)| (id.as_str(), bytes)).collect();
        // Those of the generation before went when this one began.
        let bytes = assignments
            .iter()
            .filter(|(id, _)| self.members.contains_key(**id));
        let bytes: usize = bytes.map(|(_, bytes)| bytes.len()).sum();
        if !turn.memory.has_room(bytes) {
            self.reset_assignments(turn, ErrorCode::CoordinatorNotAvailable);
            self.prepare(turn);
            return;
        }
        self.assign_each(|member_id, _| {
            assignments
                .get(member_id)
                .map_or_else(Bytes::new, |bytes| (*bytes).clone())
        });
        if self.bytes > GROUP_BYTES_MAX {
            self.reset_assignments(turn, ErrorCode::UnknownServerError);
            self.prepare(turn);
            return;
        }
        self.enter(State::Stable, turn.now.ms);
        let record = self.record();
        turn.append(vec![record]);
        for member_id in self.member_ids() {
            if self
                .members
                .get(&member_id)
                .is_some_and(|member| member.sync.is_some())
            {
                let synced = self.synced(&member_id);
                self.answer_sync(turn, &member_id, synced);
                self.restart_session(turn, &member_id);
            }
        }
    }

    fn synced(&self, member_id: &str) -> Synced {
        let member = self.members.get(member_id);
        Synced {
            error: ErrorCode::None,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol.clone(),
            assignment: member.map(|member| member.assignment.clone()).unwrap_or_default(),
        }
    }
}
