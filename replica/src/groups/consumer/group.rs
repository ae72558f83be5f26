//! A consumer group: its members, what they are to own, and what they own.
//!
//! Invariants:
//! - [`ConsumerGroup::apply`] alone changes what is in the log, for new records and for replayed ones, so that a replay leads to
//!   the same group. What is soft is marked.
//! - `owners` has each partition that some member owns or has yet to give up, with that member.
//! - No member is given a partition that has an owner: see [`reconcile`](super::reconcile).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use tautline_core::ids::{PartitionIndex, TopicId};

use super::PartitionSet;
use super::pattern::Resolving;
use super::record::{ConsumerRecord, CurrentAssignment, MemberMetadata, MemberState, ResolvedPattern};
use crate::coordinator::CoordinatorRecord;
use crate::groups::limits::{
    GROUP_MEMORY_BYTES, MEMBER_MEMORY_BYTES, NAME_MEMORY_BYTES, PARTITION_MEMORY_BYTES,
};
use crate::memory::{Charge, CoordinatorMemory};
use crate::metadata::MetadataImage;

/// A member that asks to join.
pub(crate) const JOIN_EPOCH: i32 = 0;
/// A member that leaves.
pub(crate) const LEAVE_EPOCH: i32 = -1;
/// A static member that leaves and means to be back before its session ends.
pub(crate) const LEAVE_STATIC_EPOCH: i32 = -2;

/// A member of a consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// What it asked for.
    pub metadata: MemberMetadata,
    /// What it owns.
    pub current: CurrentAssignment,
}

impl Member {
    /// Whether it owns what it is to own.
    pub(crate) fn is_reconciled_to(&self, target_epoch: i32) -> bool {
        self.current.state == MemberState::Stable && self.current.epoch == target_epoch
    }
}

/// One consumer group.
#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    pub(super) id: Arc<str>,
    /// Grows with every change of members, subscriptions or topics; 0 until the first.
    pub(super) epoch: i32,
    /// Of the subscribed topics when the epoch was set.
    pub(super) metadata_hash: i64,
    /// Whether the log has a record of Kafka 4.0 that is to be deleted.
    pub(super) has_partition_metadata: bool,
    /// The group epoch that the targets were made for.
    pub(super) target_epoch: i32,
    pub(super) members: BTreeMap<Arc<str>, Member>,
    /// Member ids of static members by their instance ids.
    pub(super) static_members: BTreeMap<Arc<str>, Arc<str>>,
    /// What each member is to own.
    pub(super) targets: BTreeMap<Arc<str>, PartitionSet>,
    pub(super) owners: FxHashMap<(TopicId, PartitionIndex), Arc<str>>,
    /// Distinct lists of subscribed names, with how many members have each.
    pub(super) subscriptions: BTreeMap<Arc<[Arc<str>]>, usize>,
    /// Subscribed regular expressions, with how many members have each.
    pub(super) patterns: BTreeMap<Arc<str>, usize>,
    /// The topics that match them, as far as that is known.
    pub(super) resolved: BTreeMap<Arc<str>, ResolvedPattern>,
    /// Members that speak the classic protocol.
    pub(super) classic_count: usize,
    /// Bytes of all members, lists that they share once; see [`Self::bytes_with`].
    pub(super) bytes: usize,
    /// Names in those lists.
    names: usize,
    /// What it holds in memory.
    charge: Charge,
    /// Soft: when targets were last assigned, on the clock that nobody sets.
    pub(super) assigned_ms: Option<i64>,
    /// Soft: topics have changed since they were last looked at.
    pub(super) topics_changed: bool,
    /// Soft: expressions that are being resolved.
    pub(super) resolving: Option<Resolving>,
    /// Soft: topics have changed since all expressions began to be resolved.
    pub(super) patterns_stale: bool,
    /// Soft: when expressions were last resolved, on the clock that nobody sets; `None` until that is asked for the first time, and
    /// taken from the records.
    pub(super) resolved_ms: Option<i64>,
}

impl ConsumerGroup {
    /// A group that nobody has joined.
    pub(crate) fn new(memory: &CoordinatorMemory, id: Arc<str>) -> Self {
        Self {
            charge: Charge::new(memory, GROUP_MEMORY_BYTES + id.len()),
            id,
            epoch: 0,
            metadata_hash: 0,
            has_partition_metadata: false,
            target_epoch: 0,
            members: BTreeMap::new(),
            static_members: BTreeMap::new(),
            targets: BTreeMap::new(),
            owners: FxHashMap::default(),
            subscriptions: BTreeMap::new(),
            patterns: BTreeMap::new(),
            resolved: BTreeMap::new(),
            classic_count: 0,
            bytes: 0,
            names: 0,
            assigned_ms: None,
            topics_changed: true,
            resolving: None,
            patterns_stale: false,
            resolved_ms: None,
        }
    }

    /// Whether it has no member.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Kafka's name of its state.
    pub(crate) fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.target_epoch {
            "Assigning"
        } else if self
            .members
            .values()
            .all(|member| member.is_reconciled_to(self.target_epoch))
        {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// Changes what the record says. One that names what is not there, as the end of a compacted log may, does nothing.
    pub(crate) fn apply(&mut self, record: ConsumerRecord) {
        match record {
            ConsumerRecord::Group(Some(group)) => {
                self.epoch = group.epoch;
                self.metadata_hash = group.metadata_hash;
            }
            // The group goes with the map it is in.
            ConsumerRecord::Group(None) => {}
            ConsumerRecord::PartitionMetadata(value) => self.has_partition_metadata = value.is_some(),
            ConsumerRecord::TargetEpoch(epoch) => self.target_epoch = epoch.unwrap_or(-1),
            ConsumerRecord::Target(member, Some(target)) => {
                self.targets.insert(member, target);
            }
            ConsumerRecord::Target(member, None) => {
                self.targets.remove(&member);
            }
            ConsumerRecord::Member(id, Some(metadata)) => self.set_metadata(id, metadata),
            ConsumerRecord::Member(id, None) => self.remove_member(&id),
            ConsumerRecord::Current(id, Some(current)) => self.set_current(id, current),
            ConsumerRecord::Current(id, None) => {
                if self.members.contains_key(&id) {
                    let left = CurrentAssignment {
                        epoch: LEAVE_EPOCH,
                        previous_epoch: LEAVE_EPOCH,
                        ..CurrentAssignment::NEW
                    };
                    self.set_current(id, left);
                }
            }
            ConsumerRecord::Pattern(pattern, Some(resolved)) => {
                self.resolved.insert(pattern, resolved);
            }
            ConsumerRecord::Pattern(pattern, None) => {
                self.resolved.remove(&pattern);
            }
        }
        self.recharge();
    }

    /// Notes what it holds in memory.
    fn recharge(&mut self) {
        let resolved = self.resolved.values().map(|resolved| resolved.topics.len());
        let names = self.names + resolved.sum::<usize>();
        self.charge.set(
            GROUP_MEMORY_BYTES
                + self.id.len()
                + self.bytes
                + self.members.len() * MEMBER_MEMORY_BYTES
                + self.owners.len() * PARTITION_MEMORY_BYTES
                + names * NAME_MEMORY_BYTES,
        );
    }

    /// Whether there is memory for a member that is what it asks to be.
    pub(crate) fn has_memory_for(&self, id: &str, asked: &MemberMetadata) -> bool {
        let names = if self.subscriptions.contains_key(&asked.subscribed_topic_names) {
            0
        } else {
            asked.subscribed_topic_names.len()
        };
        let more = self.bytes_with(id, asked).saturating_sub(self.bytes) + names * NAME_MEMORY_BYTES;
        let memory = self.charge.memory();
        if self.members.contains_key(id) {
            more == 0 || memory.has_room(more)
        } else {
            memory.has_room_for_newcomer(more + MEMBER_MEMORY_BYTES)
        }
    }

    fn set_metadata(&mut self, id: Arc<str>, mut metadata: MemberMetadata) {
        // Members that subscribe to the same share one list.
        let names = &mut metadata.subscribed_topic_names;
        if let Some((shared, _)) = self.subscriptions.get_key_value(names) {
            *names = Arc::clone(shared);
        }
        let before = self
            .members
            .get_mut(&id)
            .map(|member| std::mem::replace(&mut member.metadata, metadata.clone()));
        match before {
            Some(before) => self.uncount(&id, &before),
            None => {
                let member = Member {
                    metadata: metadata.clone(),
                    current: CurrentAssignment::NEW,
                };
                self.members.insert(Arc::clone(&id), member);
            }
        }
        self.count(id, metadata);
    }

    fn remove_member(&mut self, id: &Arc<str>) {
        if let Some(member) = self.members.remove(id) {
            self.disown(id, &member.current);
            self.uncount(id, &member.metadata);
        }
    }

    fn set_current(&mut self, id: Arc<str>, current: CurrentAssignment) {
        if !self.members.contains_key(&id) {
            self.set_metadata(Arc::clone(&id), MemberMetadata::default());
        }
        let member = self.members.get_mut(&id).expect("it is there or was just made");
        let before = std::mem::replace(&mut member.current, current.clone());
        self.disown(&id, &before);
        for key in current.assigned.iter().chain(current.pending_revocation.iter()) {
            self.owners.insert(key, Arc::clone(&id));
        }
    }

    fn disown(&mut self, id: &Arc<str>, current: &CurrentAssignment) {
        for key in current.assigned.iter().chain(current.pending_revocation.iter()) {
            if self.owners.get(&key) == Some(id) {
                self.owners.remove(&key);
            }
        }
    }

    /// Its bytes once a member is what it asks to be. The ids count twice, as each record of a member repeats them.
    pub(crate) fn bytes_with(&self, id: &str, asked: &MemberMetadata) -> usize {
        let before = self
            .members
            .get(id)
            .map_or(0, |member| self.member_bytes(id, &member.metadata));
        let is_shared = self.subscriptions.contains_key(&asked.subscribed_topic_names);
        let names = if is_shared {
            0
        } else {
            bytes_of(&asked.subscribed_topic_names)
        };
        self.bytes - before + self.member_bytes(id, asked) + names
    }

    fn member_bytes(&self, id: &str, metadata: &MemberMetadata) -> usize {
        2 * (self.id.len() + id.len()) + metadata.bytes()
    }

    fn count(&mut self, id: Arc<str>, metadata: MemberMetadata) {
        self.bytes += self.member_bytes(&id, &metadata);
        if !self.subscriptions.contains_key(&metadata.subscribed_topic_names) {
            self.bytes += bytes_of(&metadata.subscribed_topic_names);
            self.names += metadata.subscribed_topic_names.len();
        }
        *self
            .subscriptions
            .entry(metadata.subscribed_topic_names)
            .or_default() += 1;
        if let Some(pattern) = metadata.subscribed_topic_regex {
            *self.patterns.entry(pattern).or_default() += 1;
        }
        if let Some(instance) = metadata.instance_id {
            self.static_members.insert(instance, id);
        }
        self.classic_count += usize::from(metadata.classic.is_some());
    }

    fn uncount(&mut self, id: &Arc<str>, metadata: &MemberMetadata) {
        self.bytes -= self.member_bytes(id, metadata);
        decrement(&mut self.subscriptions, &metadata.subscribed_topic_names);
        if !self.subscriptions.contains_key(&metadata.subscribed_topic_names) {
            self.bytes -= bytes_of(&metadata.subscribed_topic_names);
            self.names -= metadata.subscribed_topic_names.len();
        }
        if let Some(pattern) = &metadata.subscribed_topic_regex {
            decrement(&mut self.patterns, pattern);
        }
        if let Some(instance) = &metadata.instance_id
            && self.static_members.get(instance) == Some(id)
        {
            self.static_members.remove(instance);
        }
        self.classic_count -= usize::from(metadata.classic.is_some());
    }

    /// The member that has the instance id.
    pub(crate) fn static_member(&self, instance_id: &str) -> Option<(&Arc<str>, &Member)> {
        let id = self.static_members.get(instance_id)?;
        self.members.get_key_value(id)
    }

    /// What a member is to own.
    pub(crate) fn target(&self, member: &str) -> &PartitionSet {
        const NOTHING: &PartitionSet = &PartitionSet::EMPTY;
        self.targets.get(member).unwrap_or(NOTHING)
    }

    /// Names of the topics that somebody subscribes to, by name or by expression; they need not exist.
    pub(crate) fn subscribed_topics(&self) -> BTreeSet<&str> {
        let by_name = self.subscriptions.keys().flat_map(|names| names.iter());
        let by_pattern = self
            .patterns
            .keys()
            .filter_map(|pattern| self.resolved.get(pattern))
            .flat_map(|resolved| resolved.topics.iter());
        by_name.chain(by_pattern).map(|name| &**name).collect()
    }

    /// A hash of the subscribed topics that exist: it changes when one is made, grows, or is deleted. 0 where there is none.
    pub(crate) fn current_metadata_hash(&self, image: &MetadataImage) -> i64 {
        let topics = self.subscribed_topics();
        let mut topics = topics.into_iter().filter_map(|name| image.topic(name)).peekable();
        if topics.peek().is_none() {
            return 0;
        }
        // FNV-1a: it is stored, and so must be the same in every version of this program.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for topic in topics {
            let id = topic.id.0.into_bytes();
            for byte in id.into_iter().chain(topic.partition_count.to_be_bytes()) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash as i64
    }

    /// Whether a member subscribes to the topic, by name or by regular expression.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        let named = |names: &Arc<[Arc<str>]>| names.binary_search_by(|name| (**name).cmp(topic)).is_ok();
        self.subscriptions.keys().any(named)
            || self
                .patterns
                .keys()
                .filter_map(|pattern| self.resolved.get(pattern))
                .any(|resolved| named(&resolved.topics))
    }

    /// Adds the records that forget it.
    pub(crate) fn append_tombstones(&self, id: &str, records: &mut Vec<CoordinatorRecord>) {
        records.extend(self.tombstones().iter().map(|record| record.encode(id)));
    }

    /// The records that delete the group, in an order in which each can be replayed.
    fn tombstones(&self) -> Vec<ConsumerRecord> {
        let ids: BTreeSet<&Arc<str>> = self.members.keys().chain(self.targets.keys()).collect();
        let each = |tombstone: fn(Arc<str>) -> ConsumerRecord| {
            ids.clone().into_iter().map(move |id| tombstone(Arc::clone(id)))
        };
        let mut records: Vec<ConsumerRecord> = each(|id| ConsumerRecord::Current(id, None))
            .chain(each(|id| ConsumerRecord::Target(id, None)))
            .collect();
        records.push(ConsumerRecord::TargetEpoch(None));
        records.extend(each(|id| ConsumerRecord::Member(id, None)));
        records.extend(
            self.resolved
                .keys()
                .map(|pattern| ConsumerRecord::Pattern(Arc::clone(pattern), None)),
        );
        if self.has_partition_metadata {
            records.push(ConsumerRecord::PartitionMetadata(None));
        }
        records.push(ConsumerRecord::Group(None));
        records
    }
}

/// The bytes of names.
pub(super) fn bytes_of(names: &[Arc<str>]) -> usize {
    names.iter().map(|name| name.len()).sum()
}

fn decrement<K: Ord + ?Sized, Q: Ord + std::borrow::Borrow<K>>(counts: &mut BTreeMap<Q, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
