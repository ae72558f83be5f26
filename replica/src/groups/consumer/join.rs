//! A ConsumerGroupHeartbeat on its way to its group, which it may make.

use std::sync::Arc;

use tautline_core::error::ErrorCode;

use super::edit::Edit;
use super::group::{ConsumerGroup, JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH};
use super::heartbeat::{no_memory, unknown_member};
use super::leave::{leave, not_a_consumer_group};
use super::timing::{self, edit};
use super::upgrade::upgraded;
use super::validate;
use crate::Refusal;
use crate::coordinator::Token;
use crate::groups::group::Group;
use crate::groups::limits::{GROUP_MEMORY_BYTES, GROUPS_MAX};
use crate::groups::request::ConsumerGroupHeartbeat;
use crate::groups::response::{ConsumerHeartbeat, GroupResponse};
use crate::groups::turn::{Groups, Turn};

/// Answers a heartbeat.
pub(crate) fn heartbeat(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    token: Token,
    request: &ConsumerGroupHeartbeat,
) {
    let answer = validate::check(request, turn.config).and_then(|()| match request.member_epoch {
        LEAVE_EPOCH | LEAVE_STATIC_EPOCH => leave(groups, turn, request),
        _ => join_or_stay(groups, turn, request),
    });
    let response = answer.unwrap_or_else(|refusal| ConsumerHeartbeat::refused(refusal.code, refusal.message));
    turn.reply(token, GroupResponse::ConsumerGroupHeartbeat(response));
}

fn join_or_stay(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    request: &ConsumerGroupHeartbeat,
) -> Result<ConsumerHeartbeat, Refusal> {
    let id = request.group_id.as_str();
    if let Some(answer) = edit(groups, turn, id, |edit| edit.heartbeat(request)) {
        return answer;
    }
    let found = groups.get(id);
    if request.member_epoch != JOIN_EPOCH {
        return Err(no_such_member(request, found));
    }
    if found.is_none() && groups.len() >= GROUPS_MAX {
        return Err(Refusal::new(
            ErrorCode::CoordinatorNotAvailable,
            format!("This broker coordinates {GROUPS_MAX} groups already."),
        ));
    }
    if !turn.memory.has_room_for_newcomer(GROUP_MEMORY_BYTES) {
        return Err(no_memory());
    }
    let id: Arc<str> = Arc::from(id);
    let mut records = Vec::new();
    if let Some(found) = found {
        found.append_tombstones(&id, &mut records);
    }
    let mut group = match found {
        Some(Group::Classic(classic)) if !classic.is_empty() => {
            let (group, made) = upgraded(&id, classic, turn.memory, turn.config, turn.now.image)
                .ok_or_else(|| not_a_consumer_group(&id, true))?;
            records.extend(made);
            group
        }
        _ => ConsumerGroup::new(turn.memory, Arc::clone(&id)),
    };
    // Nothing has changed until here, so that a refusal leaves all as it was.
    let mut edit = Edit::new(turn, &mut group);
    edit.records = records;
    let answer = edit.heartbeat(request)?;
    let records = edit.records;
    turn.append(records);
    if let Some(Group::Classic(mut classic)) = groups.insert(Arc::clone(&id), Group::Consumer(group)) {
        turn.timers.cancel_group(&id);
        classic.dissolve(turn);
        timing::edit(groups, turn, &id, |edit| edit.start());
    }
    Ok(answer)
}

/// What someone is told who claims to be a member where there is no consumer group. The group may have gone back to the classic
/// protocol without it, when it was silent: then it is to join again, which may bring the group over once more. Kafka says
/// GROUP_ID_NOT_FOUND there too, which is the end of a client.
fn no_such_member(request: &ConsumerGroupHeartbeat, found: Option<&Group>) -> Refusal {
    match found {
        Some(Group::Classic(classic)) if classic.is_of_consumers() && !classic.is_empty() => {
            unknown_member(&request.group_id, &request.member_id, None)
        }
        _ => not_a_consumer_group(&request.group_id, found.is_some()),
    }
}
