//! From the consumer protocol to the classic one: a consumer group in which only members that speak the classic protocol are left
//! becomes a classic group (KIP-848, "Online downgrade").
//!
//! Members keep what they own as their assignment, with what they had yet to give up, so that the group could become a consumer
//! group again at once. Unless each of them owns just what it was to own, a rebalance begins.

use std::sync::Arc;

use bytes::Bytes;

use super::embedded::{Assignment, Subscription};
use super::group::{ConsumerGroup, Member};
use super::record::bytes_of;
use crate::groups::classic::{self, ClassicGroup};
use crate::groups::group::Group;
use crate::groups::limits::BATCH_BYTES_MAX;
use crate::groups::turn::{Groups, Turn};
use crate::metadata::MetadataImage;

/// Makes the group a classic one without those who leave, if that can and may be. Whether it did.
pub(super) fn without(groups: &mut Groups, turn: &mut Turn<'_>, id: &Arc<str>, leaving: &[Arc<str>]) -> bool {
    let Some(Group::Consumer(group)) = groups.get(id) else {
        return false;
    };
    // Looked at first, as it is so for most groups.
    if group.classic_count + leaving.len() < group.members.len() {
        return false;
    }
    let stays = |id: &Arc<str>| !leaving.contains(id);
    let staying = group.members.iter().filter(|(id, _)| stays(id)).count();
    if staying == 0 || !may_downgrade(group, turn, staying, stays) {
        return false;
    }
    let rebalances = !leaving.is_empty()
        || group.epoch != group.target_epoch
        || !group
            .members
            .values()
            .all(|member| member.is_reconciled_to(group.target_epoch));
    let Some(mut classic) = downgraded(group, turn, stays, rebalances) else {
        return false;
    };
    let mut records = Vec::new();
    group.append_tombstones(id, &mut records);
    records.push(classic.first_record());
    if bytes_of(&records) > BATCH_BYTES_MAX {
        return false;
    }
    turn.append(records);
    turn.timers.cancel_group(id);
    classic.start(turn);
    groups.insert(Arc::clone(id), Group::Classic(classic));
    true
}

fn may_downgrade(
    group: &ConsumerGroup,
    turn: &Turn<'_>,
    staying: usize,
    stays: impl Fn(&Arc<str>) -> bool,
) -> bool {
    turn.config.consumer_migration_policy.downgrades()
        && staying <= turn.config.max_size
        && group
            .members
            .iter()
            .all(|(id, member)| member.metadata.classic.is_some() || !stays(id))
}

fn downgraded(
    group: &ConsumerGroup,
    turn: &Turn<'_>,
    stays: impl Fn(&Arc<str>) -> bool,
    rebalances: bool,
) -> Option<ClassicGroup> {
    let members = group
        .members
        .iter()
        .filter(|(id, _)| stays(id))
        .map(|(id, member)| (Arc::clone(id), converted(member)))
        .collect();
    let assignment = |id: &str, metadata: &[u8]| {
        let version = Subscription::decode(metadata).map_or(0, |subscription| subscription.version);
        let current = &group.members[id].current;
        let owned = current.assigned.union(&current.pending_revocation);
        encoded(version, &owned, turn.now.image)
    };
    ClassicGroup::of_consumers(
        turn.memory,
        Arc::clone(&group.id),
        turn.now.ms,
        group.epoch,
        members,
        rebalances,
        assignment,
    )
}

fn converted(member: &Member) -> classic::Member {
    let metadata = &member.metadata;
    let classic = metadata.classic.as_ref();
    classic::Member {
        instance_id: metadata.instance_id.clone(),
        client_id: Arc::clone(&metadata.client_id),
        client_host: Arc::clone(&metadata.client_host),
        rebalance_timeout_ms: metadata.rebalance_timeout_ms,
        session_timeout_ms: classic.map_or(0, |classic| classic.session_timeout_ms),
        protocols: classic.map_or_else(Vec::new, |classic| classic.protocols.clone()),
        assignment: Bytes::new(),
        join: None,
        sync: None,
        is_new: false,
        is_unsynced: false,
    }
}

/// Partitions as an assignment of the consumers' protocol; those of topics that don't exist are left out.
pub(super) fn encoded(version: i16, partitions: &super::PartitionSet, image: &MetadataImage) -> Bytes {
    let topics: Vec<_> = partitions
        .topics()
        .filter_map(|(id, partitions)| Some((&*image.topic_by_id(id)?.name, partitions)))
        .collect();
    Assignment::encode(version, topics).into()
}
