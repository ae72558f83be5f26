//! Consumer groups through the whole coordinator: a fixture that keeps its log, and clients as KIP-848 has them.

mod heartbeats;
mod migration;
mod offsets;
mod regex;
mod restarts;
mod scale;
mod schedules;
mod statics;

use std::collections::BTreeMap;
use std::convert::Infallible;

use uuid::Uuid;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};

use super::PartitionSet;
use super::group::ConsumerGroup;
use super::record::ConsumerRecord;
use crate::coordinator::{Coordinator, CoordinatorRecord, Decision, Now, Token};
use crate::groups::group::Group;
use crate::groups::request::{ConsumerGroupDescribe, ConsumerGroupHeartbeat, GroupRequest};
use crate::groups::response::{ConsumerHeartbeat, DescribedConsumerGroup, GroupResponse};
use crate::groups::{GroupConfig, GroupCoordinator};
use crate::memory::CoordinatorMemory;
use crate::metadata::{MetadataImage, MetadataRecord};

/// The group that most tests are about.
pub(super) const GROUP: &str = "g";

/// A coordinator with its log, its clock and its cluster.
pub(super) struct Fixture {
    pub coordinator: GroupCoordinator,
    pub config: GroupConfig,
    pub memory: CoordinatorMemory,
    pub image: MetadataImage,
    /// The clock that nobody sets.
    pub now_ms: i64,
    /// By how much the wall clock is ahead of it.
    pub ahead_ms: i64,
    pub log: Vec<CoordinatorRecord>,
    /// Answers that were given and not asked for yet.
    pub answers: BTreeMap<Token, GroupResponse>,
    next_token: u64,
    next_topic: u128,
}

impl Fixture {
    pub fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    pub fn with(config: GroupConfig) -> Self {
        Self::with_memory(config, CoordinatorMemory::of(usize::MAX))
    }

    pub fn with_memory(config: GroupConfig, memory: CoordinatorMemory) -> Self {
        let mut fixture = Self {
            coordinator: GroupCoordinator::new(config.clone(), memory.clone()),
            config,
            memory,
            image: MetadataImage::default(),
            now_ms: 1_000_000,
            ahead_ms: 0,
            log: Vec::new(),
            answers: BTreeMap::new(),
            next_token: 0,
            next_topic: 1,
        };
        fixture.restart();
        fixture
    }

    fn decide(
        &mut self,
        act: impl FnOnce(&mut GroupCoordinator, Now<'_>, &mut Decision<GroupResponse, Infallible>),
    ) {
        let mut decided = Decision::default();
        let now = Now {
            ms: self.now_ms + self.ahead_ms,
            monotonic_ms: self.now_ms,
            image: &self.image,
        };
        act(&mut self.coordinator, now, &mut decided);
        for batch in decided.batches {
            assert!(!batch.records.is_empty(), "no batch is empty");
            self.log.extend(batch.records);
        }
        for (token, answer) in decided.replies.into_iter().chain(decided.prompt) {
            assert!(self.answers.insert(token, answer).is_none(), "one answer each");
        }
    }

    /// Asks; the answer may come later.
    pub fn ask(&mut self, request: GroupRequest) -> Token {
        let token = Token(self.next_token);
        self.next_token += 1;
        self.decide(|coordinator, now, decided| coordinator.step(now, token, request, decided));
        token
    }

    pub fn answer(&mut self, request: GroupRequest) -> GroupResponse {
        let token = self.ask(request);
        self.answers.remove(&token).expect("answered at once")
    }

    pub fn heartbeat(&mut self, request: ConsumerGroupHeartbeat) -> ConsumerHeartbeat {
        match self.answer(GroupRequest::ConsumerGroupHeartbeat(request)) {
            GroupResponse::ConsumerGroupHeartbeat(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    pub fn describe(&mut self) -> DescribedConsumerGroup {
        let request = ConsumerGroupDescribe {
            group_ids: vec![GROUP.to_owned()],
        };
        match self.answer(GroupRequest::ConsumerGroupDescribe(request)) {
            GroupResponse::ConsumerGroupDescribe(mut groups) => groups.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass, and what is due happen when it is.
    pub fn advance(&mut self, ms: i64) {
        let end = self.now_ms + ms;
        while let Some(due) = self.coordinator.deadline_ms().filter(|due| *due <= end) {
            self.now_ms = due.max(self.now_ms);
            self.decide(|coordinator, now, decided| coordinator.tick(now, decided));
        }
        self.now_ms = end;
    }

    pub fn change_image(&mut self, record: &MetadataRecord) {
        self.image.apply(record).unwrap();
        self.decide(|coordinator, now, decided| coordinator.image_changed(now, decided));
    }

    pub fn create_topic(&mut self, name: &str, partition_count: u32) -> TopicId {
        let id = TopicId(Uuid::from_u128(self.next_topic));
        self.next_topic += 1;
        let record = MetadataRecord::Topic {
            id,
            name: name.to_owned(),
            partition_count,
        };
        self.change_image(&record);
        id
    }

    pub fn grow_topic(&mut self, id: TopicId, partition_count: u32) {
        self.change_image(&MetadataRecord::PartitionCount { id, partition_count });
    }

    pub fn delete_topic(&mut self, id: TopicId) {
        self.change_image(&MetadataRecord::RemoveTopic { id });
    }

    /// Replays the log into another coordinator, and checks that it is the same as the one that wrote it.
    pub fn restart(&mut self) {
        let held = self.memory.used_bytes();
        let before = std::mem::replace(
            &mut self.coordinator,
            GroupCoordinator::new(self.config.clone(), self.memory.clone()),
        );
        self.replay_log();
        let hard = |coordinator: &GroupCoordinator| -> BTreeMap<String, String> {
            let groups = coordinator.groups().iter();
            groups
                .filter_map(|(id, group)| match group {
                    Group::Consumer(group) => Some((id.to_string(), hard_state(group))),
                    Group::Classic(_) => None,
                })
                .collect()
        };
        let is_all_hard = |group: &Group| matches!(group, Group::Consumer(_));
        if before.groups().values().all(is_all_hard) {
            assert_eq!(self.memory.used_bytes() - held, held, "both hold the same");
        }
        let (before, after) = (hard(&before), hard(&self.coordinator));
        assert_eq!(before, after, "a replay gives the state that was");
    }

    /// Replays the log into another coordinator, whatever became of the one that wrote it.
    pub fn replay_log(&mut self) {
        self.coordinator = GroupCoordinator::new(self.config.clone(), self.memory.clone());
        for record in &self.log {
            self.coordinator
                .replay(
                    None,
                    &record.key,
                    record.value.as_deref(),
                    self.now_ms + self.ahead_ms,
                )
                .unwrap();
        }
        self.decide(|coordinator, now, decided| coordinator.replayed(now, decided));
    }

    /// Keeps the last record of each key, in the order of the log.
    pub fn compact(&mut self) {
        let mut kept: Vec<CoordinatorRecord> = Vec::new();
        for (index, record) in self.log.iter().enumerate() {
            if !self.log[index + 1..].iter().any(|later| later.key == record.key) {
                kept.push(record.clone());
            }
        }
        self.log = kept;
    }

    pub fn group(&self) -> &ConsumerGroup {
        match self.coordinator.groups().get(GROUP) {
            Some(Group::Consumer(group)) => group,
            other => panic!("{other:?}"),
        }
    }

    /// The records of the group that were appended since a point of the log.
    pub fn records_since(&self, point: usize) -> Vec<ConsumerRecord> {
        self.log[point..]
            .iter()
            .filter_map(|record| ConsumerRecord::decode(&record.key, record.value.as_deref()).unwrap())
            .map(|(_, record)| record)
            .collect()
    }
}

/// What of a group is in the log.
fn hard_state(group: &ConsumerGroup) -> String {
    let mut owners: Vec<_> = group.owners.iter().collect();
    owners.sort();
    format!(
        "{} {} {} {} {:#?} {:#?} {:#?} {owners:#?} {:#?} {:#?} {:#?} {}",
        group.epoch,
        group.metadata_hash,
        group.has_partition_metadata,
        group.target_epoch,
        group.members,
        group.static_members,
        group.targets,
        group.subscriptions,
        group.patterns,
        group.resolved,
        group.classic_count
    )
}

/// A heartbeat that says nothing new.
pub(super) fn quiet(member_id: &str, member_epoch: i32) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        group_id: GROUP.to_owned(),
        member_id: member_id.to_owned(),
        makes_own_id: false,
        fresh_member_id: "fresh".to_owned(),
        member_epoch,
        instance_id: None,
        rack_id: None,
        rebalance_timeout_ms: -1,
        subscribed_topic_names: None,
        subscribed_topic_regex: None,
        server_assignor: None,
        topic_partitions: None,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
    }
}

/// A heartbeat that joins.
pub(super) fn joining(member_id: &str, topics: &[&str]) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        rebalance_timeout_ms: 30_000,
        subscribed_topic_names: Some(topics.iter().map(|&topic| topic.to_owned()).collect()),
        topic_partitions: Some(Vec::new()),
        ..quiet(member_id, 0)
    }
}

/// A heartbeat that tells what the member owns.
pub(super) fn owning(member_id: &str, member_epoch: i32, owned: &PartitionSet) -> ConsumerGroupHeartbeat {
    let owned = owned
        .topics()
        .map(|(topic, partitions)| (topic, partitions.to_vec()));
    ConsumerGroupHeartbeat {
        topic_partitions: Some(owned.collect()),
        ..quiet(member_id, member_epoch)
    }
}

pub(super) fn set(topic: TopicId, partitions: impl IntoIterator<Item = i32>) -> PartitionSet {
    partitions
        .into_iter()
        .map(|partition| (topic, PartitionIndex(partition)))
        .collect()
}

pub(super) fn assigned(answer: &ConsumerHeartbeat) -> Option<PartitionSet> {
    answer
        .assignment
        .as_ref()
        .map(|topics| topics.iter().cloned().collect())
}

/// What a member is told that does well.
#[track_caller]
pub(super) fn expect(answer: &ConsumerHeartbeat, epoch: i32, assignment: Option<&PartitionSet>) {
    assert_eq!(answer.error, ErrorCode::None, "{answer:?}");
    assert_eq!(answer.member_epoch, epoch, "{answer:?}");
    assert_eq!(assigned(answer).as_ref(), assignment, "{answer:?}");
}

#[track_caller]
pub(super) fn expect_error(answer: &ConsumerHeartbeat, error: ErrorCode, message: &str) {
    assert_eq!(answer.error, error, "{answer:?}");
    let told = answer.error_message.as_deref().unwrap_or_default();
    assert!(told.contains(message), "{told}");
    assert_eq!((answer.member_epoch, &answer.assignment), (0, &None));
}
