//! A consumer group of the next-generation protocol (KIP-848), all its members driven by one thread.

use std::time::Duration;

use anyhow::{bail, ensure};
use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, FindCoordinatorRequest, GroupId,
    OffsetCommitRequest, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use tautline_core::error::ErrorCode;
use uuid::Uuid;

use crate::client::admin::Admin;
use crate::clock::{nanos, now_ns};
use crate::errors::{self, check};

/// Heartbeats of all members until a group that nobody disturbs is stable; more mean that it never will be.
const ROUNDS_MAX: usize = 100;
/// How long a broker may take to become a coordinator, and how often it is asked.
const FIND_WAIT: Duration = Duration::from_secs(30);
const FIND_PAUSE: Duration = Duration::from_millis(50);
/// How long a member may take to give up partitions.
const REBALANCE_TIMEOUT_MS: i32 = 60_000;
/// The last version of OffsetCommit that names topics.
const OFFSET_COMMIT_BY_NAME: i16 = 9;

/// The topic that is consumed.
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Uuid,
    /// How many partitions it has.
    pub partitions: i32,
}

/// A group.
pub struct Group {
    id: StrBytes,
    members: Vec<Member>,
    last_heartbeat_ns: u64,
}

struct Member {
    id: StrBytes,
    epoch: i32,
    owned: Vec<i32>,
    /// What it owns is not known to the broker yet.
    news: bool,
}

impl Group {
    /// A group whose members have not joined yet.
    pub fn new(id: String, members: usize) -> Group {
        let member = || Member {
            id: StrBytes::from_string(Uuid::new_v4().to_string()),
            epoch: 0,
            owned: Vec::new(),
            news: true,
        };
        Group {
            id: StrBytes::from_string(id),
            members: (0..members).map(|_| member()).collect(),
            last_heartbeat_ns: 0,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Waits until the broker coordinates the group: the first question makes it create the topic of positions.
    fn find(&self, broker: &mut Admin) -> anyhow::Result<()> {
        let request = FindCoordinatorRequest::default().with_coordinator_keys(vec![self.id.clone()]);
        let deadline_ns = now_ns() + nanos(FIND_WAIT);
        loop {
            let answer = broker.call(&request)?;
            let found = answer
                .coordinators
                .first()
                .map_or(answer.error_code, |one| one.error_code);
            if found == 0 || now_ns() > deadline_ns {
                return check(found, "FindCoordinator");
            }
            std::thread::sleep(FIND_PAUSE);
        }
    }

    /// Joins the first member, as soon as its coordinator has read its log.
    fn join_first(&mut self, broker: &mut Admin, topic: &Topic) -> anyhow::Result<()> {
        let deadline_ns = now_ns() + nanos(FIND_WAIT);
        loop {
            let answer = self.ask(broker, 0, Some(topic))?;
            let code = answer.error_code;
            if !errors::is(code, ErrorCode::CoordinatorLoadInProgress) || now_ns() > deadline_ns {
                return self.take(topic, 0, answer);
            }
            std::thread::sleep(FIND_PAUSE);
        }
    }

    /// Joins all members, and heartbeats until they share all partitions and nothing moves any more.
    pub fn form(&mut self, broker: &mut Admin, topic: &Topic) -> anyhow::Result<()> {
        self.find(broker)?;
        self.join_first(broker, topic)?;
        for _ in 0..ROUNDS_MAX {
            let mut moved = false;
            for member in 0..self.members.len() {
                let epoch = self.members[member].epoch;
                self.heartbeat(broker, topic, member)?;
                moved |= self.members[member].news || self.members[member].epoch != epoch;
            }
            let owned: usize = self.members.iter().map(|member| member.owned.len()).sum();
            if !moved && owned == topic.partitions as usize {
                return Ok(());
            }
        }
        bail!(
            "{} is not stable after {ROUNDS_MAX} heartbeats of each member",
            self.id
        )
    }

    /// Heartbeats of all members, if the last ones are an interval ago.
    pub fn keep_alive(&mut self, broker: &mut Admin, interval: Duration) -> anyhow::Result<()> {
        if now_ns() - self.last_heartbeat_ns < nanos(interval) {
            return Ok(());
        }
        for member in 0..self.members.len() {
            check(
                self.ask(broker, member, None)?.error_code,
                "ConsumerGroupHeartbeat",
            )?;
        }
        Ok(())
    }

    /// One member's heartbeat; it takes and gives up partitions as it is told.
    pub fn heartbeat(&mut self, broker: &mut Admin, topic: &Topic, member: usize) -> anyhow::Result<()> {
        let answer = self.ask(broker, member, Some(topic))?;
        self.take(topic, member, answer)
    }

    /// Takes and gives up partitions as the answer says.
    fn take(
        &mut self,
        topic: &Topic,
        member: usize,
        answer: ConsumerGroupHeartbeatResponse,
    ) -> anyhow::Result<()> {
        check(answer.error_code, "ConsumerGroupHeartbeat")?;
        let member = &mut self.members[member];
        member.news = false;
        member.epoch = answer.member_epoch;
        if let Some(assignment) = answer.assignment {
            let mut assigned: Vec<i32> = assignment
                .topic_partitions
                .into_iter()
                .filter(|partitions| partitions.topic_id == topic.id)
                .flat_map(|partitions| partitions.partitions)
                .collect();
            assigned.sort_unstable();
            member.news = assigned != member.owned;
            member.owned = assigned;
        }
        Ok(())
    }

    /// Without a topic only what a member that has no news says.
    fn ask(
        &mut self,
        broker: &mut Admin,
        member: usize,
        topic: Option<&Topic>,
    ) -> anyhow::Result<ConsumerGroupHeartbeatResponse> {
        self.last_heartbeat_ns = now_ns();
        let member = &self.members[member];
        let mut request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(GroupId(self.id.clone()))
            .with_member_id(member.id.clone())
            .with_member_epoch(member.epoch);
        if let Some(topic) = topic.filter(|_| member.news) {
            let owned = TopicPartitions::default()
                .with_topic_id(topic.id)
                .with_partitions(member.owned.clone());
            let owned = if member.owned.is_empty() {
                Vec::new()
            } else {
                vec![owned]
            };
            request = request.with_topic_partitions(Some(owned));
        }
        if let Some(topic) = topic.filter(|_| member.epoch == 0) {
            request = request
                .with_subscribed_topic_names(Some(vec![name_of(topic)]))
                .with_rebalance_timeout_ms(REBALANCE_TIMEOUT_MS);
        }
        broker.call(&request)
    }

    /// Commits `offset` for all partitions, in the name of the first member.
    pub fn commit(&mut self, broker: &mut Admin, topic: &Topic, offset: i64) -> anyhow::Result<()> {
        let partitions = (0..topic.partitions).map(|index| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
        });
        let topic = OffsetCommitRequestTopic::default()
            .with_name(name_of(topic))
            .with_partitions(partitions.collect());
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(self.id.clone()))
            .with_member_id(self.members[0].id.clone())
            .with_generation_id_or_member_epoch(self.members[0].epoch)
            .with_topics(vec![topic]);
        let answer = broker.call_at(&request, OFFSET_COMMIT_BY_NAME)?;
        ensure!(!answer.topics.is_empty(), "OffsetCommit answers nothing");
        for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            check(partition.error_code, "OffsetCommit")?;
        }
        Ok(())
    }
}

fn name_of(topic: &Topic) -> TopicName {
    TopicName(StrBytes::from_string(topic.name.clone()))
}
