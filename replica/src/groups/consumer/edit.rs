//! A change of one consumer group within a step: each record is applied to the group as it is decided, and all of them are
//! appended together. What may be refused is checked before the first.

use std::sync::Arc;

use super::group::{ConsumerGroup, Member};
use super::record::{ConsumerRecord, GroupEpoch, MemberState};
use super::{assign, timing};
use crate::coordinator::{CoordinatorRecord, Now};
use crate::groups::config::GroupConfig;
use crate::groups::limits::{ASSIGNED_AT_ONCE_MAX, ASSIGNED_PER_PAUSE_MS};
use crate::groups::timers::{TimerKey, TimerKind, Timers};
use crate::groups::turn::Turn;

/// One group with what a step knows and may change.
pub(super) struct Edit<'a> {
    pub now: Now<'a>,
    pub config: &'a GroupConfig,
    pub timers: &'a mut Timers,
    pub group: &'a mut ConsumerGroup,
    /// What is to be appended.
    pub records: Vec<CoordinatorRecord>,
}

impl<'a> Edit<'a> {
    /// Begins a change.
    pub fn new(turn: &'a mut Turn<'_>, group: &'a mut ConsumerGroup) -> Self {
        Self {
            now: turn.now,
            config: turn.config,
            timers: turn.timers,
            group,
            records: Vec::new(),
        }
    }

    /// Decides a record.
    pub fn write(&mut self, record: ConsumerRecord) {
        self.records.push(record.encode(&self.group.id));
        self.group.apply(record);
    }

    /// Begins a new epoch, in which targets are assigned anew.
    pub fn bump_epoch(&mut self) {
        let epoch = GroupEpoch {
            epoch: self.group.epoch + 1,
            metadata_hash: self.group.current_metadata_hash(self.now.image),
        };
        self.group.topics_changed = false;
        if self.group.has_partition_metadata {
            self.write(ConsumerRecord::PartitionMetadata(None));
        }
        self.write(ConsumerRecord::Group(Some(epoch)));
    }

    /// Whether a subscribed topic was made, has grown or was deleted since the epoch began.
    pub fn topics_differ(&mut self) -> bool {
        std::mem::take(&mut self.group.topics_changed)
            && self.group.current_metadata_hash(self.now.image) != self.group.metadata_hash
    }

    /// Assigns targets where the epoch has moved on since they were assigned. In a large group not before a pause is over: until
    /// then members go on with the targets they have, and the next one that is heard of has them assigned.
    pub fn assign(&mut self) {
        if self.group.epoch > self.group.target_epoch && !self.pauses() {
            self.group.assigned_ms = Some(self.now.monotonic_ms);
            for record in assign::targets(self.group, self.config, self.now.image) {
                self.write(record);
            }
        }
    }

    /// Whether it was assigned too short a time ago.
    fn pauses(&self) -> bool {
        let size = self.group.members.len() + self.group.owners.len();
        let for_size_ms = if size > ASSIGNED_AT_ONCE_MAX {
            (size / ASSIGNED_PER_PAUSE_MS) as i64
        } else {
            0
        };
        let pause_ms = for_size_ms.max(self.config.consumer_assignment_interval_ms);
        self.group
            .assigned_ms
            .is_some_and(|assigned_ms| self.now.monotonic_ms - assigned_ms < pause_ms)
    }

    /// Removes members and what they leave behind, and begins a new epoch.
    pub fn remove_members(&mut self, ids: &[Arc<str>]) {
        for id in ids {
            self.remove_member(id);
        }
        if !ids.is_empty() {
            self.forget_unused_patterns();
            self.bump_epoch();
        }
    }

    /// Removes a member as such.
    pub fn remove_member(&mut self, id: &Arc<str>) {
        self.write(ConsumerRecord::Current(Arc::clone(id), None));
        self.write(ConsumerRecord::Target(Arc::clone(id), None));
        self.write(ConsumerRecord::Member(Arc::clone(id), None));
        for kind in timing::OF_MEMBER {
            self.timers.cancel(&self.timer(kind, id));
        }
    }

    /// Puts a new member in the place of one with the same instance id: it is to own and owns the same.
    pub fn replace_member(&mut self, before: &Arc<str>, member: &Arc<str>) {
        let mut copy = self.group.members[before].clone();
        copy.current.epoch = 0;
        copy.current.previous_epoch = 0;
        let target = self.group.target(before).clone();
        self.remove_member(before);
        let Member { metadata, current } = copy;
        self.write(ConsumerRecord::Member(Arc::clone(member), Some(metadata)));
        self.write(ConsumerRecord::Target(Arc::clone(member), Some(target)));
        self.write(ConsumerRecord::Current(Arc::clone(member), Some(current)));
    }

    /// The key of a timer of a member.
    pub fn timer(&self, kind: TimerKind, member: &Arc<str>) -> TimerKey {
        TimerKey {
            group: Arc::clone(&self.group.id),
            kind,
            member: Arc::clone(member),
        }
    }

    /// What was set for the group under that name, or else what the broker has for all.
    pub fn setting(&self, name: &str, broker: i32) -> i32 {
        let own = self.now.image.group_configs(&self.group.id);
        let value = own.and_then(|own| own.get(name)?.trim().parse().ok());
        value.unwrap_or(broker)
    }

    /// A member has been heard of: its session begins anew.
    pub fn heard_of(&mut self, member: &Arc<str>) {
        let timeout_ms = match &self.group.members[member].metadata.classic {
            Some(classic) => classic.session_timeout_ms,
            None => self.setting(
                "consumer.session.timeout.ms",
                self.config.consumer_session_timeout_ms,
            ),
        };
        let key = self.timer(TimerKind::ConsumerSession, member);
        self.timers
            .set(&key, self.now.monotonic_ms + i64::from(timeout_ms));
    }

    /// Sets or lifts the time that a member has to give up partitions.
    pub fn watch_revocation(&mut self, member: &Arc<str>) {
        let key = self.timer(TimerKind::ConsumerRebalance, member);
        let watched = &self.group.members[member];
        // Classic members have to join and sync in time instead.
        if watched.current.state == MemberState::UnrevokedPartitions && watched.metadata.classic.is_none() {
            let timeout_ms = i64::from(watched.metadata.rebalance_timeout_ms.max(0));
            self.timers.set(&key, self.now.monotonic_ms + timeout_ms);
        } else {
            self.timers.cancel(&key);
        }
    }
}
