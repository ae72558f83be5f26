//! The coordinator itself: it hands each request, timer and record to the part that knows.

use std::convert::Infallible;
use std::sync::Arc;

use super::classic::{self, ClassicGroup};
use super::config::GroupConfig;
use super::group::Group;
use super::offsets::{self, Expiry, Offsets};
use super::record::{GroupMetadata, Key, OffsetKey, OffsetValue, offset_tombstone};
use super::request::GroupRequest;
use super::response::GroupResponse;
use super::timers::{TimerKind, Timers};
use super::turn::{Groups, Turn};
use super::{admin, consumer};
use crate::coordinator::{Coordinator, Decision, Now, Token, TransactionalProducer};
use crate::memory::CoordinatorMemory;
use crate::records::RecordError;

type GroupDecision = Decision<GroupResponse, Infallible>;

/// All groups of one partition of `__consumer_offsets`.
///
/// `image_changed` and `replayed` forget the offsets of topics that the image does not have, so the image must be as new as
/// the log: whoever committed knew the topic.
#[derive(Debug)]
pub struct GroupCoordinator {
    config: GroupConfig,
    memory: CoordinatorMemory,
    groups: Groups,
    offsets: Offsets,
    expiry: Expiry,
    timers: Timers,
}

impl GroupCoordinator {
    /// A coordinator that knows no group, and shares the memory with others: replay the log into it first.
    #[must_use]
    pub fn new(config: GroupConfig, memory: CoordinatorMemory) -> Self {
        Self {
            config,
            groups: Groups::new(),
            offsets: Offsets::new(&memory),
            memory,
            expiry: Expiry::default(),
            timers: Timers::default(),
        }
    }

    /// Number of groups, with or without members.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The state of each group, by name.
    pub fn states(&self) -> impl Iterator<Item = &'static str> {
        self.groups.values().map(Group::state_name)
    }

    /// The groups, for tests of their parts.
    #[cfg(test)]
    pub(super) const fn groups(&self) -> &Groups {
        &self.groups
    }

    /// What was committed.
    #[cfg(test)]
    pub(super) const fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// Number of deadlines that are set.
    #[cfg(test)]
    pub(super) fn timer_count(&self) -> usize {
        self.timers.len()
    }

    /// Hands over the parts that steps change.
    fn with<'a>(
        &'a mut self,
        now: Now<'a>,
        decided: &'a mut GroupDecision,
    ) -> (&'a mut Groups, &'a mut Offsets, Turn<'a>) {
        let turn = Turn {
            now,
            config: &self.config,
            memory: &self.memory,
            timers: &mut self.timers,
            decided,
        };
        (&mut self.groups, &mut self.offsets, turn)
    }

    /// Forgets the offsets of topics that were deleted.
    fn forget_deleted_topics(&mut self, now: Now<'_>, decided: &mut GroupDecision) {
        let (_, offsets, mut turn) = self.with(now, decided);
        let gone = offsets.of_deleted_topics(now.image);
        let records: Vec<_> = gone
            .into_iter()
            .map(|(group, topic, partition)| {
                offsets.forget(&group, &topic, partition);
                offset_tombstone(&group, &topic, partition)
            })
            .collect();
        offsets::append_tombstones(&mut turn, records);
    }

    fn replay_offset(
        &mut self,
        producer: Option<TransactionalProducer>,
        key: &OffsetKey,
        value: Option<OffsetValue>,
        timestamp_ms: i64,
    ) {
        let id: Arc<str> = match self.groups.get_key_value(key.group.as_str()) {
            Some((id, _)) => Arc::clone(id),
            None => key.group.as_str().into(),
        };
        // An offset without a group belongs to consumers that are no members.
        if value.is_some() && !self.groups.contains_key(&id) {
            let group = ClassicGroup::simple(&self.memory, Arc::clone(&id), timestamp_ms);
            self.groups.insert(Arc::clone(&id), Group::Classic(group));
        }
        let producer = producer.map(|producer| producer.id);
        self.offsets.replay(producer, &id, key, value);
    }

    fn replay_group(&mut self, id: &str, metadata: Option<GroupMetadata>) {
        match metadata {
            Some(metadata) => {
                let id: Arc<str> = id.into();
                let group = ClassicGroup::from_record(&self.memory, Arc::clone(&id), metadata);
                self.groups.insert(id, Group::Classic(group));
            }
            None => {
                self.groups.remove(id);
            }
        }
    }
}

impl Coordinator for GroupCoordinator {
    type Request = GroupRequest;
    type Response = GroupResponse;
    type Effect = Infallible;

    fn step(&mut self, now: Now<'_>, token: Token, request: GroupRequest, decided: &mut GroupDecision) {
        let (groups, offsets, mut turn) = self.with(now, decided);
        let turn = &mut turn;
        match request {
            GroupRequest::JoinGroup(request) => classic::join(groups, turn, token, &request),
            GroupRequest::SyncGroup(request) => classic::sync(groups, turn, token, &request),
            GroupRequest::Heartbeat(request) => classic::heartbeat(groups, turn, token, &request),
            GroupRequest::LeaveGroup(request) => classic::leave(groups, turn, token, request),
            GroupRequest::OffsetCommit(request) => offsets::commit(groups, offsets, turn, token, &request),
            GroupRequest::TxnOffsetCommit(request) => {
                offsets::commit_in_transaction(groups, offsets, turn, token, &request);
            }
            GroupRequest::OffsetFetch(request) => offsets::fetch(groups, offsets, turn, token, request),
            GroupRequest::OffsetDelete(request) => offsets::delete(groups, offsets, turn, token, &request),
            GroupRequest::DeleteGroups(request) => admin::delete(groups, offsets, turn, token, request),
            GroupRequest::DescribeGroups(request) => admin::describe(groups, turn, token, &request.group_ids),
            GroupRequest::ListGroups(request) => admin::list(groups, turn, token, &request),
            GroupRequest::ConsumerGroupHeartbeat(request) => {
                consumer::heartbeat(groups, turn, token, &request)
            }
            GroupRequest::ConsumerGroupDescribe(request) => consumer::describe(groups, turn, token, &request),
        }
    }

    /// Heartbeats of classic members; those of a consumer group may assign.
    fn writes_nothing(&self, request: &GroupRequest) -> bool {
        let GroupRequest::Heartbeat(heartbeat) = request else {
            return false;
        };
        matches!(
            self.groups.get(heartbeat.group_id.as_str()),
            Some(Group::Classic(_))
        )
    }

    fn tick(&mut self, now: Now<'_>, decided: &mut GroupDecision) {
        while let Some(key) = self.timers.pop_due(now.monotonic_ms) {
            let (groups, _, mut turn) = self.with(now, decided);
            match key.kind {
                TimerKind::Join | TimerKind::Sync | TimerKind::Session => {
                    classic::timer(groups, &mut turn, &key)
                }
                TimerKind::ConsumerSession
                | TimerKind::ConsumerRebalance
                | TimerKind::ConsumerClassicJoin
                | TimerKind::ConsumerRegex => consumer::timer(groups, &mut turn, &key),
            }
        }
        let mut expiry = std::mem::take(&mut self.expiry);
        let (groups, offsets, mut turn) = self.with(now, decided);
        expiry.tick(groups, offsets, &mut turn);
        self.expiry = expiry;
    }

    fn deadline_ms(&self) -> Option<i64> {
        let deadlines = [self.timers.next_ms(), self.expiry.next_ms()];
        deadlines.into_iter().flatten().min()
    }

    fn image_changed(&mut self, now: Now<'_>, decided: &mut GroupDecision) {
        self.forget_deleted_topics(now, decided);
        let (groups, _, mut turn) = self.with(now, decided);
        consumer::image_changed(groups, &mut turn);
    }

    /// A member whose client is gone stays until its session ends, as in Kafka.
    fn abandoned(&mut self, _token: Token) {}

    fn replay(
        &mut self,
        producer: Option<TransactionalProducer>,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp_ms: i64,
    ) -> Result<(), String> {
        let describe = |what: &str, error: RecordError| format!("{what}: {error}");
        match Key::read(key).map_err(|error| describe("key", error))? {
            Key::Offset(key) => {
                let value = value.map(OffsetValue::read).transpose();
                let value = value.map_err(|error| describe("OffsetCommitValue", error))?;
                self.replay_offset(producer, &key, value, timestamp_ms);
            }
            Key::Group(id) => {
                let metadata = value.map(GroupMetadata::read).transpose();
                let metadata = metadata.map_err(|error| describe("GroupMetadataValue", error))?;
                self.replay_group(&id, metadata);
            }
            Key::Other(version) => {
                if !consumer::replay(&mut self.groups, &self.memory, key, value)? {
                    return Err(format!("key of version {version}, which is not known"));
                }
            }
        }
        Ok(())
    }

    fn transaction_ended(&mut self, _now_ms: i64, producer: TransactionalProducer, committed: bool) {
        self.offsets.transaction_ended(producer.id, committed);
    }

    fn replayed(&mut self, now: Now<'_>, decided: &mut GroupDecision) {
        let (groups, _, mut turn) = self.with(now, decided);
        for group in groups.values_mut() {
            if let Group::Classic(group) = group {
                group.start(&mut turn);
            }
        }
        consumer::replayed(groups, &mut turn);
        let mut expiry = std::mem::take(&mut self.expiry);
        let (_, _, turn) = self.with(now, decided);
        expiry.start(&turn);
        self.expiry = expiry;
        self.forget_deleted_topics(now, decided);
    }
}
