//! Members leave a consumer group, by themselves or because they were silent for too long.

use std::sync::Arc;

use tautline_core::error::ErrorCode;

use super::PartitionSet;
use super::downgrade;
use super::edit::Edit;
use super::group::{ConsumerGroup, LEAVE_STATIC_EPOCH};
use super::heartbeat::{fenced_instance, unknown_member};
use super::record::{ConsumerRecord, CurrentAssignment};
use super::timing::edit;
use crate::Refusal;
use crate::groups::group::Group;
use crate::groups::request::ConsumerGroupHeartbeat;
use crate::groups::response::ConsumerHeartbeat;
use crate::groups::timers::TimerKind;
use crate::groups::turn::{Groups, Turn};

/// A heartbeat that says goodbye.
///
/// # Errors
/// GROUP_ID_NOT_FOUND, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID.
pub(super) fn leave(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    request: &ConsumerGroupHeartbeat,
) -> Result<ConsumerHeartbeat, Refusal> {
    let group = match groups.get(request.group_id.as_str()) {
        Some(Group::Consumer(group)) => group,
        found => return Err(not_a_consumer_group(&request.group_id, found.is_some())),
    };
    let member = leaving(group, &request.member_id, request.instance_id.as_deref())?;
    let id = Arc::clone(&group.id);
    if request.member_epoch == LEAVE_STATIC_EPOCH {
        edit(groups, turn, &id, |edit| edit.leave_for_a_while(&member));
    } else {
        fence(groups, turn, &id, std::slice::from_ref(&member));
    }
    Ok(ConsumerHeartbeat {
        error: ErrorCode::None,
        error_message: None,
        member_id: Some(member),
        member_epoch: request.member_epoch,
        heartbeat_interval_ms: 0,
        assignment: None,
    })
}

/// The member of that id, if it is the one that has the instance id.
pub(super) fn leaving(group: &ConsumerGroup, id: &str, instance: Option<&str>) -> Result<Arc<str>, Refusal> {
    let found = match instance {
        None => group.members.get_key_value(id),
        Some(instance) => group.static_member(instance),
    };
    let (known, _) = found.ok_or_else(|| unknown_member(&group.id, id, instance))?;
    if **known != *id {
        return Err(fenced_instance(id, instance.unwrap_or_default(), known));
    }
    Ok(Arc::clone(known))
}

/// Removes members; if only members that speak the classic protocol are left, the group becomes a classic one.
pub(super) fn fence(groups: &mut Groups, turn: &mut Turn<'_>, group: &Arc<str>, members: &[Arc<str>]) {
    if !downgrade::without(groups, turn, group, members) {
        edit(groups, turn, group, |edit| edit.remove_members(members));
    }
}

impl Edit<'_> {
    /// A static member means to be back before its session ends: until then it keeps what it owns, but for what it had to give
    /// up.
    fn leave_for_a_while(&mut self, member: &Arc<str>) {
        let current = CurrentAssignment {
            epoch: LEAVE_STATIC_EPOCH,
            pending_revocation: PartitionSet::EMPTY,
            ..self.group.members[member].current.clone()
        };
        self.write(ConsumerRecord::Current(Arc::clone(member), Some(current)));
        self.timers
            .cancel(&self.timer(TimerKind::ConsumerRebalance, member));
    }
}

/// GROUP_ID_NOT_FOUND, as Kafka words it.
pub(super) fn not_a_consumer_group(id: &str, exists: bool) -> Refusal {
    let message = if exists {
        format!("Group {id} is not a consumer group.")
    } else {
        format!("Consumer group {id} not found.")
    };
    Refusal::new(ErrorCode::GroupIdNotFound, message)
}
