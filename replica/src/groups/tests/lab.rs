//! A coordinator with a log and a clock, as its host would have them, but all in memory.
//!
//! It checks what holds always: a token gets one answer, a batch has records and a bounded size, a replay of the log takes
//! every record.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use bytes::Bytes;
use uuid::Uuid;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};

use crate::coordinator::{Coordinator, CoordinatorBatch, Decision, Now, Token, TransactionalProducer};
use crate::groups::limits::BATCH_BYTES_MAX;
use crate::groups::request::*;
use crate::groups::response::*;
use crate::groups::{GroupConfig, GroupCoordinator};
use crate::memory::CoordinatorMemory;
use crate::metadata::{MetadataImage, MetadataRecord};
use crate::records::RecordWriter;

/// What the log has.
#[derive(Clone, Debug)]
pub enum Entry {
    Batch(CoordinatorBatch),
    Ended(TransactionalProducer, bool),
}

/// See the module.
pub struct Lab {
    pub coordinator: GroupCoordinator,
    pub config: GroupConfig,
    pub memory: CoordinatorMemory,
    /// The clock that nobody sets.
    pub now_ms: i64,
    /// By how much the wall clock is ahead of it.
    pub ahead_ms: i64,
    pub image: MetadataImage,
    pub log: Vec<(i64, Entry)>,
    pub answers: BTreeMap<Token, GroupResponse>,
    pub waiting: BTreeSet<Token>,
    /// How much of the log is committed, where that is not all.
    pub committed: Option<usize>,
    /// Answers that wait until more is.
    held: Vec<(Token, GroupResponse)>,
    next_token: u64,
    next_id: u64,
}

impl Lab {
    pub fn new() -> Self {
        Self::with(GroupConfig::default())
    }

    pub fn with(config: GroupConfig) -> Self {
        Self::with_memory(config, CoordinatorMemory::of(usize::MAX))
    }

    pub fn with_memory(config: GroupConfig, memory: CoordinatorMemory) -> Self {
        let mut lab = Self {
            coordinator: GroupCoordinator::new(config.clone(), memory.clone()),
            config,
            memory,
            now_ms: 1_000_000,
            ahead_ms: 0,
            image: MetadataImage::default(),
            log: Vec::new(),
            answers: BTreeMap::new(),
            waiting: BTreeSet::new(),
            committed: None,
            held: Vec::new(),
            next_token: 0,
            next_id: 0,
        };
        for topic in ["t", "u", "v"] {
            lab.create_topic(topic);
        }
        lab.restart();
        lab
    }

    pub fn create_topic(&mut self, name: &str) -> TopicId {
        self.next_id += 1;
        let id = TopicId(Uuid::from_u128(self.next_id.into()));
        let record = MetadataRecord::Topic {
            id,
            name: name.to_owned(),
            partition_count: 100,
        };
        self.image.apply(&record).unwrap();
        id
    }

    pub fn delete_topic(&mut self, name: &str) {
        let id = self.image.topic(name).unwrap().id;
        self.image.apply(&MetadataRecord::RemoveTopic { id }).unwrap();
    }

    /// The wall clock.
    pub fn wall_ms(&self) -> i64 {
        self.now_ms + self.ahead_ms
    }

    /// Has the coordinator do something, and takes what it decides.
    pub fn run(
        &mut self,
        what: impl FnOnce(&mut GroupCoordinator, Now<'_>, &mut Decision<GroupResponse, Infallible>),
    ) {
        let mut decided = Decision::default();
        let now = Now {
            ms: self.wall_ms(),
            monotonic_ms: self.now_ms,
            image: &self.image,
        };
        what(&mut self.coordinator, now, &mut decided);
        for batch in decided.batches {
            assert!(!batch.records.is_empty());
            let records = batch.records.iter();
            let bytes: usize = records
                .map(|record| record.key.len() + record.value.as_ref().map_or(0, Vec::len))
                .sum();
            assert!(bytes <= BATCH_BYTES_MAX);
            self.log.push((self.now_ms + self.ahead_ms, Entry::Batch(batch)));
        }
        for (token, _) in decided.replies.iter().chain(&decided.prompt) {
            assert!(
                self.waiting.remove(token),
                "{token:?} is answered twice, or was never asked"
            );
        }
        self.answers.extend(decided.prompt);
        self.held.extend(decided.replies);
        if self.committed.is_none() {
            self.answers.extend(self.held.drain(..));
        }
    }

    /// From here on what is appended is not committed yet.
    pub fn hold(&mut self) {
        self.committed.get_or_insert(self.log.len());
    }

    /// All that was appended is committed.
    pub fn commit(&mut self) {
        self.committed = None;
        self.answers.extend(self.held.drain(..));
    }

    /// A crash that keeps some of what was not committed.
    pub fn crash(&mut self, kept: usize) {
        if let Some(committed) = self.committed.take() {
            let uncommitted = self.log.len() - committed;
            self.log.truncate(committed + kept % (uncommitted + 1));
        }
        self.held.clear();
        self.answers.clear();
        self.restart();
    }

    pub fn ask(&mut self, request: GroupRequest) -> Token {
        self.next_token += 1;
        let token = Token(self.next_token);
        self.waiting.insert(token);
        self.run(|coordinator, now, decided| coordinator.step(now, token, request, decided));
        token
    }

    /// Takes an answer, if it has come.
    pub fn answer(&mut self, token: Token) -> Option<GroupResponse> {
        self.answers.remove(&token)
    }

    /// Asks what is answered at once.
    pub fn now(&mut self, request: GroupRequest) -> GroupResponse {
        let token = self.ask(request);
        self.answer(token).expect("it is answered at once")
    }

    /// Lets time pass, and the coordinator act whenever it wants to.
    pub fn pass(&mut self, ms: i64) {
        let until = self.now_ms + ms;
        while let Some(deadline) = self.coordinator.deadline_ms().filter(|at| *at <= until) {
            self.now_ms = deadline.max(self.now_ms);
            self.run(Coordinator::tick);
        }
        self.now_ms = until;
    }

    pub fn image_changed(&mut self) {
        self.run(Coordinator::image_changed);
    }

    pub fn end_transaction(&mut self, producer: TransactionalProducer, committed: bool) {
        self.log.push((self.wall_ms(), Entry::Ended(producer, committed)));
        self.coordinator
            .transaction_ended(self.now_ms + self.ahead_ms, producer, committed);
    }

    /// A crash, and a coordinator that replays the log.
    pub fn restart(&mut self) {
        self.waiting.clear();
        let mut coordinator = GroupCoordinator::new(self.config.clone(), self.memory.clone());
        for (at, entry) in &self.log {
            match entry {
                Entry::Batch(batch) => {
                    for record in &batch.records {
                        let replayed =
                            coordinator.replay(batch.producer, &record.key, record.value.as_deref(), *at);
                        assert_eq!(replayed, Ok(()));
                    }
                }
                Entry::Ended(producer, committed) => {
                    coordinator.transaction_ended(*at, *producer, *committed);
                }
            }
        }
        self.coordinator = coordinator;
        self.run(Coordinator::replayed);
    }

    /// A client that joins for the first time.
    pub fn joining(&mut self, group: &str) -> JoinGroup {
        self.next_id += 1;
        JoinGroup {
            group_id: group.to_owned(),
            member_id: String::new(),
            fresh_member_id: format!("c-{:06}", self.next_id),
            group_instance_id: None,
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: 60_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), subscription(&["t"]))],
            requires_known_member_id: false,
            supports_skipping_assignment: true,
            reason: None,
        }
    }

    pub fn join(&mut self, request: &JoinGroup) -> Token {
        self.next_id += 1;
        let request = JoinGroup {
            fresh_member_id: format!("c-{:06}", self.next_id),
            ..request.clone()
        };
        self.ask(GroupRequest::JoinGroup(request))
    }

    pub fn join_now(&mut self, request: &JoinGroup) -> Joined {
        let token = self.join(request);
        self.joined(token)
    }

    pub fn joined(&mut self, token: Token) -> Joined {
        match self.answer(token) {
            Some(GroupResponse::JoinGroup(joined)) => joined,
            other => panic!("{other:?}"),
        }
    }

    pub fn synced(&mut self, token: Token) -> Synced {
        match self.answer(token) {
            Some(GroupResponse::SyncGroup(synced)) => synced,
            other => panic!("{other:?}"),
        }
    }

    pub fn sync(&mut self, group: &str, joined: &Joined, assignments: &[(&str, &str)]) -> Token {
        let assignments = assignments.iter();
        self.ask(GroupRequest::SyncGroup(SyncGroup {
            group_id: group.to_owned(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.to_string(),
            group_instance_id: None,
            protocol_type: joined.protocol_type.as_deref().map(str::to_owned),
            protocol_name: joined.protocol_name.as_deref().map(str::to_owned),
            assignments: assignments
                .map(|(id, bytes)| ((*id).to_owned(), Bytes::copy_from_slice(bytes.as_bytes())))
                .collect(),
        }))
    }

    pub fn heartbeat(&mut self, group: &str, joined: &Joined) -> ErrorCode {
        let heartbeat = Heartbeat {
            group_id: group.to_owned(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.to_string(),
            group_instance_id: None,
        };
        match self.now(GroupRequest::Heartbeat(heartbeat)) {
            GroupResponse::Heartbeat(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub fn leave(&mut self, group: &str, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let leave = LeaveGroup {
            group_id: group.to_owned(),
            members: members
                .iter()
                .map(|(member_id, instance_id)| LeavingMember {
                    member_id: (*member_id).to_owned(),
                    group_instance_id: instance_id.map(str::to_owned),
                    reason: None,
                })
                .collect(),
        };
        match self.now(GroupRequest::LeaveGroup(leave)) {
            GroupResponse::LeaveGroup(left) => left.members.into_iter().map(|member| member.error).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub fn describe(&mut self, group: &str) -> DescribedGroup {
        let group_ids = vec![group.to_owned()];
        match self.now(GroupRequest::DescribeGroups(DescribeGroups { group_ids })) {
            GroupResponse::DescribeGroups(mut groups) => groups.remove(0),
            other => panic!("{other:?}"),
        }
    }

    /// A Stable group of so many members, the leader first.
    pub fn stable(&mut self, group: &str, members: usize) -> Vec<Joined> {
        let requests: Vec<JoinGroup> = (0..members).map(|_| self.joining(group)).collect();
        self.stable_of(group, &requests)
    }

    /// A Stable group of those who ask so, each assigned its own id; the leader first.
    pub fn stable_of(&mut self, group: &str, requests: &[JoinGroup]) -> Vec<Joined> {
        let tokens: Vec<Token> = requests.iter().map(|request| self.join(request)).collect();
        while tokens.iter().any(|token| self.waiting.contains(token)) {
            self.pass(1_000);
        }
        let mut joined: Vec<Joined> = tokens.into_iter().map(|token| self.joined(token)).collect();
        self.sync_all(group, &mut joined);
        joined
    }

    /// Everyone syncs, and is assigned its own id; the leader is put first.
    pub fn sync_all(&mut self, group: &str, joined: &mut [Joined]) {
        joined.sort_by_key(|joined| joined.leader != joined.member_id);
        let ids: Vec<String> = joined.iter().map(|joined| joined.member_id.to_string()).collect();
        let assignments: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
        for (index, joined) in joined.iter().enumerate() {
            assert_eq!(joined.error, ErrorCode::None);
            let assignments = if index == 0 { &assignments[..] } else { &[] };
            let token = self.sync(group, joined, assignments);
            let synced = self.synced(token);
            assert_eq!(synced.error, ErrorCode::None);
            assert_eq!(synced.assignment, joined.member_id.as_bytes());
        }
        assert_eq!(self.describe(group).state, "Stable");
    }

    pub fn commit_as(&mut self, group: &str, member_id: &str, generation: i32, offset: i64) -> ErrorCode {
        let request = committing(group, member_id, generation, "t", offset);
        match self.now(GroupRequest::OffsetCommit(request)) {
            GroupResponse::OffsetCommit(committed) => committed.topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    }

    pub fn commit_in(&mut self, producer: TransactionalProducer, group: &str, offset: i64) -> ErrorCode {
        let request = committing_in(producer, group, "t", offset);
        match self.now(GroupRequest::TxnOffsetCommit(request)) {
            GroupResponse::TxnOffsetCommit(committed) => committed.topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    }

    pub fn fetch(&mut self, request: OffsetFetch) -> FetchedOffsets {
        match self.now(GroupRequest::OffsetFetch(request)) {
            GroupResponse::OffsetFetch(fetched) => fetched,
            other => panic!("{other:?}"),
        }
    }

    /// The offset of a topic's first partition, -1 for none.
    pub fn offset(&mut self, group: &str, topic: &str) -> i64 {
        let fetched = self.fetch(fetching(group, topic));
        assert_eq!(fetched.error, ErrorCode::None);
        fetched.topics[0].partitions[0].offset.0
    }
}

/// A consumer's metadata.
pub fn subscription(topics: &[&str]) -> Bytes {
    let mut writer = RecordWriter::fixed(0);
    writer
        .array(topics, |writer, topic| {
            writer.str(topic);
        })
        .nullable_bytes(None);
    writer.finish().into()
}

/// The id and request of a member that joins again.
pub fn again(request: &JoinGroup, joined: &Joined) -> JoinGroup {
    JoinGroup {
        member_id: joined.member_id.to_string(),
        ..request.clone()
    }
}

pub fn producer(id: i64) -> TransactionalProducer {
    TransactionalProducer {
        id: ProducerId(id),
        epoch: ProducerEpoch(0),
    }
}

fn topic(name: &str, offset: i64) -> CommitTopic {
    CommitTopic {
        name: name.to_owned(),
        id: TopicId::ZERO,
        partitions: vec![CommitPartition {
            partition: PartitionIndex(0),
            offset: Offset(offset),
            leader_epoch: LeaderEpoch(1),
            metadata: Some("m".to_owned()),
        }],
    }
}

pub fn committing(group: &str, member_id: &str, generation: i32, name: &str, offset: i64) -> OffsetCommit {
    OffsetCommit {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: generation,
        member_id: member_id.to_owned(),
        group_instance_id: None,
        knows_member_epochs: true,
        retention_time_ms: None,
        topics: vec![topic(name, offset)],
    }
}

pub fn committing_in(
    producer: TransactionalProducer,
    group: &str,
    name: &str,
    offset: i64,
) -> TxnOffsetCommit {
    TxnOffsetCommit {
        group_id: group.to_owned(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        generation_id_or_member_epoch: -1,
        member_id: String::new(),
        group_instance_id: None,
        topics: vec![topic(name, offset)],
    }
}

pub fn fetching(group: &str, topic: &str) -> OffsetFetch {
    OffsetFetch {
        group_id: group.to_owned(),
        member_id: None,
        member_epoch: -1,
        topics: Some(vec![TopicPartitions {
            name: topic.to_owned(),
            id: TopicId::ZERO,
            partitions: vec![PartitionIndex(0)],
        }]),
        require_stable: false,
    }
}
