//! LeaveGroup (13), versions 0-5: members leave a classic group, by themselves or by an administrator's hand. KIP-345 (many members,
//! static ones), KIP-800 (reasons).

use std::borrow::Cow;

use tautline_core::error::ErrorCode;
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::{LeaveGroup, LeavingMember};
use tautline_replica::groups::response::{Left, LeftMember};

use super::grouped::{ask, told};
use crate::connection::{Call, Reply};
use crate::wire::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse, WireError};

/// First version with many members.
const MEMBERS_VERSION: i16 = 3;

/// Has the members leave.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: LeaveGroupRequest<'_> = call.decode()?;
    let group = request.group_id.to_string();
    let left = if group.is_empty() {
        refused(ErrorCode::InvalidGroupId)
    } else {
        let leave = LeaveGroup {
            members: members(&call, request),
            group_id: group.clone(),
        };
        match ask(&call, &group, GroupRequest::LeaveGroup(leave)).await {
            Ok(answer) => told!(LeaveGroup, answer),
            Err(error) => refused(error),
        }
    };
    Ok(answer(&call, &left))
}

fn refused(error: ErrorCode) -> Left {
    Left {
        error,
        members: Vec::new(),
    }
}

fn members(call: &Call, request: LeaveGroupRequest<'_>) -> Vec<LeavingMember> {
    if call.version < MEMBERS_VERSION {
        return vec![LeavingMember {
            member_id: request.member_id.into_owned(),
            group_instance_id: None,
            reason: None,
        }];
    }
    let members = request.members.into_iter().map(|member| LeavingMember {
        member_id: member.member_id.into_owned(),
        group_instance_id: member.group_instance_id.map(Cow::into_owned),
        reason: member.reason.map(Cow::into_owned),
    });
    members.collect()
}

fn answer(call: &Call, left: &Left) -> Reply {
    // Before there were many members the only one's error was the answer's.
    let only = left.members.first().filter(|_| call.version < MEMBERS_VERSION);
    let error = only
        .filter(|_| left.error == ErrorCode::None)
        .map_or(left.error, |only| only.error);
    let members = left.members.iter().map(member);
    call.reply(&LeaveGroupResponse {
        error_code: error.code(),
        members: members.collect(),
        ..Default::default()
    })
}

fn member(left: &LeftMember) -> MemberResponse<'_> {
    MemberResponse {
        member_id: left.member_id.as_str().into(),
        group_instance_id: left.group_instance_id.as_deref().map(Into::into),
        error_code: left.error.code(),
    }
}
