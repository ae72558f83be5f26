//! What administrators ask: DescribeGroups, ListGroups, DeleteGroups.

use tautline_core::error::ErrorCode;

use super::group::Group;
use super::offsets::{Offsets, append_tombstones, tombstones_of_group};
use super::request::{DeleteGroups, ListGroups};
use super::response::{DescribedGroup, GroupResponse, ListedGroup};
use super::turn::{Groups, Turn};
use crate::coordinator::Token;

/// Tells of classic groups.
pub(crate) fn describe(groups: &Groups, turn: &mut Turn<'_>, token: Token, group_ids: &[String]) {
    let described = group_ids.iter().map(|id| match groups.get(id.as_str()) {
        Some(Group::Classic(group)) => group.describe(),
        Some(Group::Consumer(_)) => no_such_group(id, format!("Group {id} is not a classic group.")),
        None => no_such_group(id, format!("Group {id} not found.")),
    });
    let described = described.collect();
    turn.reply(token, GroupResponse::DescribeGroups(described));
}

fn no_such_group(id: &str, why: String) -> DescribedGroup {
    DescribedGroup {
        error_message: Some(why),
        state: "Dead",
        ..DescribedGroup::refused(id, ErrorCode::GroupIdNotFound)
    }
}

/// Tells which groups there are.
pub(crate) fn list(groups: &Groups, turn: &mut Turn<'_>, token: Token, request: &ListGroups) {
    let is_one_of = |names: &[String], name: &str| {
        names.is_empty() || names.iter().any(|one| one.trim().eq_ignore_ascii_case(name))
    };
    let listed = groups.iter().map(|(id, group)| ListedGroup {
        group_id: id.clone(),
        protocol_type: match group {
            Group::Classic(group) => group.protocol_type(),
            Group::Consumer(_) => super::classic::CONSUMER.into(),
        },
        state: group.state_name(),
        group_type: match group {
            Group::Classic(_) => "classic",
            Group::Consumer(_) => "consumer",
        },
    });
    let listed = listed
        .filter(|group| {
            is_one_of(&request.states, group.state) && is_one_of(&request.types, group.group_type)
        })
        .collect();
    turn.reply(token, GroupResponse::ListGroups(listed));
}

/// Forgets groups without members, and their offsets.
pub(crate) fn delete(
    groups: &mut Groups,
    offsets: &mut Offsets,
    turn: &mut Turn<'_>,
    token: Token,
    request: DeleteGroups,
) {
    let mut results = Vec::with_capacity(request.group_ids.len());
    for id in request.group_ids {
        let error = match groups.get(id.as_str()) {
            None => ErrorCode::GroupIdNotFound,
            Some(group) if !group.is_empty() => ErrorCode::NonEmptyGroup,
            Some(group) => {
                // Offsets first: a crash in between leaves a group that can be deleted still.
                let mut records = tombstones_of_group(offsets, &id);
                group.append_tombstones(&id, &mut records);
                append_tombstones(turn, records);
                turn.timers.cancel_group(&id.as_str().into());
                groups.remove(id.as_str());
                ErrorCode::None
            }
        };
        results.push((id, error));
    }
    turn.reply(token, GroupResponse::DeleteGroups(results));
}
