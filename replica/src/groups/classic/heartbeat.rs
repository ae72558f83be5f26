//! Heartbeat.

use tautline_core::error::ErrorCode;

use super::{ClassicGroup, State};
use crate::coordinator::Token;
use crate::groups::consumer;
use crate::groups::group::Group;
use crate::groups::request::Heartbeat;
use crate::groups::response::GroupResponse;
use crate::groups::turn::{Groups, Turn};

/// Notes that a member lives, and tells it whether to join again.
pub(crate) fn heartbeat(groups: &mut Groups, turn: &mut Turn<'_>, token: Token, request: &Heartbeat) {
    let heard = if request.group_id.is_empty() {
        Err(ErrorCode::InvalidGroupId)
    } else if let Some(Group::Classic(group)) = groups.get(request.group_id.as_str()) {
        group.heartbeat(turn, request)
    } else {
        consumer::classic_heartbeat(groups, turn, request)
    };
    match heard {
        // A crash does not undo that it was heard, and joining again is never wrong.
        Ok(state) => turn.reply_promptly(token, GroupResponse::Heartbeat(state)),
        Err(error) => turn.reply(token, GroupResponse::Heartbeat(error)),
    }
}

impl ClassicGroup {
    fn heartbeat(&self, turn: &mut Turn<'_>, request: &Heartbeat) -> Result<ErrorCode, ErrorCode> {
        self.validate_member(&request.member_id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        self.restart_session(turn, &request.member_id);
        match self.state {
            State::Empty => Err(ErrorCode::UnknownMemberId),
            State::Preparing => Ok(ErrorCode::RebalanceInProgress),
            State::Completing | State::Stable => Ok(ErrorCode::None),
        }
    }
}
