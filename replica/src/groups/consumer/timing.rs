//! What time does to consumer groups: silent members and those that hold on to partitions are removed, expressions are
//! resolved again. And what else happens to all groups at once: a replay has ended, topics have changed.

use super::edit::Edit;
use super::leave;
use super::record::MemberState;
use crate::groups::group::Group;
use crate::groups::timers::{TimerKey, TimerKind};
use crate::groups::turn::{Groups, Turn};

/// The timers that a member may have.
pub(super) const OF_MEMBER: [TimerKind; 3] = [
    TimerKind::ConsumerSession,
    TimerKind::ConsumerRebalance,
    TimerKind::ConsumerClassicJoin,
];

/// A timer of a consumer group is due.
pub(crate) fn timer(groups: &mut Groups, turn: &mut Turn<'_>, key: &TimerKey) {
    let Some(Group::Consumer(group)) = groups.get(&key.group) else {
        return;
    };
    match key.kind {
        TimerKind::ConsumerRegex => {
            edit(groups, turn, &key.group, |edit| {
                if edit.resolve_due_patterns() {
                    edit.bump_epoch();
                }
            });
        }
        TimerKind::ConsumerRebalance
            if group
                .members
                .get(&key.member)
                .is_none_or(|member| member.current.state != MemberState::UnrevokedPartitions) => {}
        _ if group.members.contains_key(&key.member) => {
            leave::fence(groups, turn, &key.group, std::slice::from_ref(&key.member));
        }
        _ => {}
    }
}

/// The log was replayed: every member is given time to be heard of.
pub(crate) fn replayed(groups: &mut Groups, turn: &mut Turn<'_>) {
    for_each_group(groups, turn, |edit| {
        // The topics may have changed while nobody looked.
        edit.group.patterns_stale = true;
        edit.start();
    });
}

/// Topics were made, have grown or were deleted: looked at with each group's next heartbeat.
pub(crate) fn image_changed(groups: &mut Groups, turn: &mut Turn<'_>) {
    for_each_group(groups, turn, |edit| {
        edit.group.topics_changed = true;
        if !edit.group.patterns.is_empty() {
            edit.group.patterns_stale = true;
            edit.schedule_patterns();
        }
    });
}

/// Changes a consumer group; None if there is none of that id.
pub(super) fn edit<R>(
    groups: &mut Groups,
    turn: &mut Turn<'_>,
    id: &str,
    change: impl FnOnce(&mut Edit<'_>) -> R,
) -> Option<R> {
    let Some(Group::Consumer(group)) = groups.get_mut(id) else {
        return None;
    };
    let mut edit = Edit::new(turn, group);
    let result = change(&mut edit);
    let records = edit.records;
    turn.append(records);
    Some(result)
}

fn for_each_group(groups: &mut Groups, turn: &mut Turn<'_>, mut change: impl FnMut(&mut Edit<'_>)) {
    for group in groups.values_mut() {
        if let Group::Consumer(group) = group {
            let mut edit = Edit::new(turn, group);
            change(&mut edit);
            assert!(
                edit.records.is_empty(),
                "what befalls all groups at once is decided later"
            );
        }
    }
}
