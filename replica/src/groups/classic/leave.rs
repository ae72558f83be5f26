//! LeaveGroup.

use tautline_core::error::ErrorCode;

use super::{ClassicGroup, State};
use crate::coordinator::Token;
use crate::groups::consumer;
use crate::groups::group::Group;
use crate::groups::request::{LeaveGroup, LeavingMember};
use crate::groups::response::{GroupResponse, Left, LeftMember};
use crate::groups::turn::{Groups, Turn};

/// Takes members out of a group.
pub(crate) fn leave(groups: &mut Groups, turn: &mut Turn<'_>, token: Token, request: LeaveGroup) {
    let left = if request.group_id.is_empty() {
        Left {
            error: ErrorCode::InvalidGroupId,
            members: Vec::new(),
        }
    } else {
        let errors = match groups.get_mut(request.group_id.as_str()) {
            Some(Group::Classic(group)) => group.leave(turn, &request.members),
            _ => consumer::classic_leave(groups, turn, &request.group_id, &request.members),
        };
        let members = request.members.into_iter().zip(errors);
        Left {
            error: ErrorCode::None,
            members: members
                .map(|(member, error)| LeftMember {
                    member_id: member.member_id,
                    group_instance_id: member.group_instance_id,
                    error,
                })
                .collect(),
        }
    };
    turn.reply(token, GroupResponse::LeaveGroup(left));
}

impl ClassicGroup {
    fn leave(&mut self, turn: &mut Turn<'_>, members: &[LeavingMember]) -> Vec<ErrorCode> {
        let before = self.members.len();
        let errors: Vec<ErrorCode> = members
            .iter()
            .map(|member| self.leave_one(turn, member).err().unwrap_or(ErrorCode::None))
            .collect();
        match self.state {
            State::Completing | State::Stable if self.members.len() < before => self.prepare(turn),
            State::Preparing => self.maybe_complete_join(turn),
            State::Empty | State::Completing | State::Stable => {}
        }
        errors
    }

    fn leave_one(&mut self, turn: &mut Turn<'_>, member: &LeavingMember) -> Result<(), ErrorCode> {
        let instance_id = member.group_instance_id.as_deref();
        if self.pending.remove(&member.member_id) {
            self.cancel_session(turn, &member.member_id);
            return Ok(());
        }
        // Tools name a static member by its instance id alone.
        let member_id = if member.member_id.is_empty() {
            let current = instance_id.and_then(|instance_id| self.instances.get(instance_id));
            current.ok_or(ErrorCode::UnknownMemberId)?.to_string()
        } else {
            self.validate_member(&member.member_id, instance_id)?;
            member.member_id.clone()
        };
        self.dismiss(turn, &member_id);
        Ok(())
    }
}
