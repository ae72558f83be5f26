//! One member's way from what it owns to what it is to own (KIP-848, "Rebalance process").
//!
//! ```text
//!              has to give up some                 the rest is free
//!   Stable -----------------------> Unrevoked --+-----------------> Stable
//!      ^  \                             |       |                     ^
//!      |   `--- nothing to give up -----+-------'  others own some    |
//!      `------------------------------- Unreleased <------------------'
//! ```
//!
//! Promises: a partition is added only if it has no owner; what a member has to give up stays its own until it says that it
//! does not have it; while it has to give up something, its epoch does not come to the target's.

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};

use super::PartitionSet;
use super::record::{CurrentAssignment, MemberState};
use crate::Refusal;

/// What a member is to come to.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The epoch of the target assignment.
    pub epoch: i32,
    /// What the member is to own.
    pub partitions: &'a PartitionSet,
}

/// Where a member is next; the same if it can't move on. `owned` is what it says that it has, None if it did not say.
///
/// # Errors
/// FENCED_MEMBER_EPOCH for a member whose state is not known, until it says that it owns nothing.
pub(crate) fn reconcile(
    current: &CurrentAssignment,
    target: Target<'_>,
    owned: Option<&PartitionSet>,
    has_owner: impl Fn(TopicId, PartitionIndex) -> bool,
) -> Result<CurrentAssignment, Refusal> {
    let still_owns = |revoked: &PartitionSet| owned.is_none_or(|owned| owned.intersects(revoked));
    let epoch = match current.state {
        MemberState::Stable if current.epoch == target.epoch => return Ok(current.clone()),
        MemberState::Stable | MemberState::UnreleasedPartitions => current.epoch,
        MemberState::UnrevokedPartitions if still_owns(&current.pending_revocation) => {
            return Ok(current.clone());
        }
        MemberState::UnrevokedPartitions => current.epoch + 1,
        MemberState::Unknown if owned.is_some_and(PartitionSet::is_empty) => target.epoch,
        MemberState::Unknown => {
            return Err(Refusal::new(
                ErrorCode::FencedMemberEpoch,
                "The consumer group member is in a unknown state. The member must abandon all its partitions and rejoin.",
            ));
        }
    };
    // Of an epoch that stays the one before it stays: its answer may be lost as long as the member has not said the new one.
    let previous_epoch_to = |epoch: i32| {
        if epoch == current.epoch {
            current.previous_epoch
        } else {
            current.epoch
        }
    };
    let mut assigned = current.assigned.intersection(target.partitions);
    let to_revoke = current.assigned.difference(target.partitions);
    if !to_revoke.is_empty() && still_owns(&to_revoke) {
        return Ok(CurrentAssignment {
            epoch,
            previous_epoch: previous_epoch_to(epoch),
            state: MemberState::UnrevokedPartitions,
            assigned,
            pending_revocation: to_revoke,
        });
    }
    let missing = target.partitions.difference(&assigned);
    let free = missing.filtered(|topic, partition| !has_owner(topic, partition));
    let state = if free.len() < missing.len() {
        MemberState::UnreleasedPartitions
    } else {
        MemberState::Stable
    };
    if !free.is_empty() {
        assigned = assigned.union(&free);
    }
    Ok(CurrentAssignment {
        epoch: target.epoch,
        previous_epoch: previous_epoch_to(target.epoch),
        state,
        assigned,
        pending_revocation: PartitionSet::EMPTY,
    })
}
