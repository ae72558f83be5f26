//! From the classic protocol to the consumer protocol, with all members: a classic group becomes a consumer group when the
//! first member of the consumer protocol joins (KIP-848, "Online upgrade").
//!
//! The members keep their generation as their epoch, and what the leader gave them last as what they own; they go on with
//! the classic protocol as members of the consumer group.

use std::collections::BTreeSet;
use std::sync::Arc;

use tautline_core::ids::{PartitionIndex, TopicId};

use super::PartitionSet;
use super::edit::Edit;
use super::embedded::{Assignment, Subscription};
use super::group::ConsumerGroup;
use super::record::{
    ClassicMember, ConsumerRecord, CurrentAssignment, GroupEpoch, MemberMetadata, MemberState, bytes_of,
    sorted_names,
};
use crate::coordinator::CoordinatorRecord;
use crate::groups::classic::{ClassicGroup, Member};
use crate::groups::config::GroupConfig;
use crate::groups::limits::GROUP_BYTES_MAX;
use crate::memory::CoordinatorMemory;
use crate::metadata::MetadataImage;

/// The consumer group that a classic one becomes, with the records that make it; None if that can't be, or may not.
pub(super) fn upgraded(
    id: &Arc<str>,
    classic: &ClassicGroup,
    memory: &CoordinatorMemory,
    config: &GroupConfig,
    image: &MetadataImage,
) -> Option<(ConsumerGroup, Vec<CoordinatorRecord>)> {
    if !config.consumer_migration_policy.upgrades()
        || !classic.is_of_consumers()
        || classic.members().len() > config.consumer_max_size
    {
        return None;
    }
    let converted: Vec<Converted> = classic
        .members()
        .map(|(id, member)| convert(id, classic, member, image))
        .collect::<Option<_>>()?;
    // A leader that gave a partition to two gave it to the first. What nobody was given may still be with the one who had it
    // when it joined: it gives that up after it has synced.
    let mut taken = BTreeSet::new();
    let mut untaken = |set: &PartitionSet| set.filtered(|topic, partition| taken.insert((topic, partition)));
    let given: Vec<PartitionSet> = converted.iter().map(|member| untaken(&member.given)).collect();
    let members: Vec<(Arc<str>, MemberMetadata, PartitionSet)> = converted
        .into_iter()
        .zip(given)
        .map(|(member, given)| (member.id, member.metadata, given.union(&untaken(&member.had))))
        .collect();

    let epoch = classic.generation();
    let mut group = ConsumerGroup::new(memory, Arc::clone(id));
    let mut records = Vec::new();
    let write = |group: &mut ConsumerGroup, records: &mut Vec<CoordinatorRecord>, record: ConsumerRecord| {
        records.push(record.encode(id));
        group.apply(record);
    };
    for (id, metadata, _) in &members {
        let record = ConsumerRecord::Member(Arc::clone(id), Some(metadata.clone()));
        write(&mut group, &mut records, record);
    }
    let first = GroupEpoch {
        epoch,
        metadata_hash: group.current_metadata_hash(image),
    };
    write(&mut group, &mut records, ConsumerRecord::Group(Some(first)));
    for (id, _, owned) in &members {
        let record = ConsumerRecord::Target(Arc::clone(id), Some(owned.clone()));
        write(&mut group, &mut records, record);
    }
    write(&mut group, &mut records, ConsumerRecord::TargetEpoch(Some(epoch)));
    for (id, _, owned) in members {
        let current = CurrentAssignment {
            epoch,
            previous_epoch: epoch,
            state: MemberState::Stable,
            assigned: owned,
            pending_revocation: PartitionSet::EMPTY,
        };
        write(
            &mut group,
            &mut records,
            ConsumerRecord::Current(id, Some(current)),
        );
    }
    // What all members named is in each of their records.
    (bytes_of(&records) <= GROUP_BYTES_MAX).then_some((group, records))
}

/// A classic member on its way.
struct Converted {
    id: Arc<str>,
    metadata: MemberMetadata,
    /// What the leader gave it.
    given: PartitionSet,
    /// What it said that it had when it joined.
    had: PartitionSet,
}

/// A classic member as a member of a consumer group; None if it does not speak the consumers' protocol, or would lose what its
/// assignor added.
fn convert(id: &Arc<str>, group: &ClassicGroup, member: &Member, image: &MetadataImage) -> Option<Converted> {
    let subscription = Subscription::decode(&group.chosen_metadata(member)).ok()?;
    let assignment = Assignment::decode(&member.assignment).ok()?;
    if assignment.has_user_data {
        return None;
    }
    let had = by_id(&subscription.owned, image);
    let metadata = MemberMetadata {
        instance_id: member.instance_id.clone(),
        rack_id: subscription.rack_id,
        client_id: Arc::clone(&member.client_id),
        client_host: Arc::clone(&member.client_host),
        subscribed_topic_names: sorted_names(subscription.topics),
        subscribed_topic_regex: None,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: None,
        classic: Some(ClassicMember {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
        }),
    };
    Some(Converted {
        id: Arc::clone(id),
        metadata,
        given: by_id(&assignment.partitions, image),
        had,
    })
}

/// Partitions by topic ids; those of topics that don't exist are left out.
pub(super) fn by_id(topics: &[(Arc<str>, Vec<PartitionIndex>)], image: &MetadataImage) -> PartitionSet {
    topics
        .iter()
        .filter_map(|(name, partitions)| {
            let id: TopicId = image.topic(name)?.id;
            Some((id, partitions.clone()))
        })
        .collect()
}

impl Edit<'_> {
    /// Time begins for all members.
    pub fn start(&mut self) {
        let members: Vec<Arc<str>> = self.group.members.keys().cloned().collect();
        for member in &members {
            self.heard_of(member);
            self.watch_revocation(member);
        }
        self.schedule_patterns();
    }
}
