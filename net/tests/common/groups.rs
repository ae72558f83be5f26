//! Members of groups, step by step, and offsets.

use std::sync::atomic::{AtomicBool, Ordering};

use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_protocol::messages::describe_groups_response::DescribedGroup;
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::heartbeat_request::HeartbeatRequest;
use kafka_protocol::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_protocol::messages::join_group_response::JoinGroupResponse;
use kafka_protocol::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_protocol::messages::sync_group_response::SyncGroupResponse;
use kafka_protocol::protocol::StrBytes;
use tautline_core::error::ErrorCode;

use super::{Client, TestBroker, text, topic_name};

/// Versions that the members speak.
pub const JOIN: i16 = 9;
/// Likewise.
pub const SYNC: i16 = 5;

/// Arguments for a broker whose groups don't wait for more members, with so few partitions that it starts quickly.
pub const QUICK: &[&str] = &[
    "--set",
    "group.initial.rebalance.delay.ms=0",
    "--set",
    "offsets.topic.num.partitions=5",
    "--set",
    "group.min.session.timeout.ms=100",
];

/// A group's id in the codec's type.
pub fn group_id(group: &str) -> GroupId {
    GroupId(text(group))
}

/// Looks for the coordinator of a group, which creates its topic.
pub fn find(client: &mut Client, group: &str) -> ErrorCode {
    let request = FindCoordinatorRequest::default()
        .with_key_type(0)
        .with_coordinator_keys(vec![text(group)]);
    let found = client.ask(6, &request).coordinators.remove(0);
    code(found.error_code)
}

/// The coordinator of a group, once it has loaded.
pub fn found(client: &mut Client, group: &str) {
    assert_eq!(find(client, group), ErrorCode::None);
    loop {
        match fetch(client, group, "none", &[0]) {
            Err(ErrorCode::CoordinatorLoadInProgress) => std::thread::yield_now(),
            answer => break assert!(answer.is_ok(), "{answer:?}"),
        }
    }
}

/// The error code of that number.
pub fn code(number: i16) -> ErrorCode {
    ErrorCode::from_code(number).expect("one of Kafka's codes")
}

/// A member of a group, with a connection of its own.
pub struct Member {
    pub client: Client,
    pub group: String,
    pub id: StrBytes,
    pub instance: Option<String>,
    pub generation: i32,
    pub session_timeout_ms: i32,
    pub protocol_type: &'static str,
    pub protocol: &'static str,
    pub metadata: Vec<u8>,
}

impl Member {
    /// One that has not joined yet.
    pub fn new(broker: &TestBroker, group: &str) -> Member {
        Member {
            client: broker.connect(),
            group: group.to_owned(),
            id: StrBytes::default(),
            instance: None,
            generation: -1,
            session_timeout_ms: 60_000,
            protocol_type: "consumer",
            protocol: "range",
            metadata: b"metadata".to_vec(),
        }
    }

    /// A static one.
    pub fn with_instance(mut self, instance: &str) -> Member {
        self.instance = Some(instance.to_owned());
        self
    }

    fn join_request(&self) -> JoinGroupRequest {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text(self.protocol))
            .with_metadata(self.metadata.clone().into());
        JoinGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_session_timeout_ms(self.session_timeout_ms)
            .with_rebalance_timeout_ms(60_000)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_protocol_type(text(self.protocol_type))
            .with_protocols(vec![protocol])
    }

    /// Asks for a member id, which is what a new member is told first (KIP-394), unless there is no room for it.
    pub fn try_take_id(&mut self) -> ErrorCode {
        let asked = self.client.ask(JOIN, &self.join_request());
        self.id = asked.member_id;
        code(asked.error_code)
    }

    /// Asks for a member id, and gets one.
    pub fn take_id(&mut self) {
        assert_eq!(self.try_take_id(), ErrorCode::MemberIdRequired);
    }

    /// Does as consumers do until told to end: joins, has all assigned to those who lead, and joins again when told to.
    pub fn live(&mut self, end: &AtomicBool) {
        let mut in_step = false;
        while !end.load(Ordering::Relaxed) {
            if in_step {
                in_step = self.heartbeat() == ErrorCode::None;
                continue;
            }
            self.join();
            let joined = match self.try_joined() {
                Ok(joined) => joined,
                Err(ErrorCode::UnknownMemberId) => {
                    self.id = StrBytes::default();
                    continue;
                }
                Err(_) => continue,
            };
            let assignments = joined
                .members
                .iter()
                .map(|it| (&it.member_id, it.member_id.as_bytes()));
            self.sync(&assignments.collect::<Vec<_>>());
            in_step = self.try_synced().is_ok();
        }
    }

    /// Begins to join.
    pub fn join(&mut self) {
        if self.id.is_empty() && self.instance.is_none() {
            self.take_id();
        }
        let request = self.join_request();
        self.client.send(JOIN, &request);
    }

    /// Ends a join.
    pub fn try_joined(&mut self) -> Result<JoinGroupResponse, ErrorCode> {
        let joined = self.client.receive::<JoinGroupRequest>(JOIN);
        match code(joined.error_code) {
            ErrorCode::None => {
                self.id = joined.member_id.clone();
                self.generation = joined.generation_id;
                Ok(joined)
            }
            error => Err(error),
        }
    }

    /// Ends a join that succeeds.
    pub fn joined(&mut self) -> JoinGroupResponse {
        self.try_joined().expect("the member joins")
    }

    /// Begins to sync; the leader with the assignment of each member.
    pub fn sync(&mut self, assignments: &[(&StrBytes, &[u8])]) {
        let assignments = assignments.iter().map(|(member, assignment)| {
            SyncGroupRequestAssignment::default()
                .with_member_id((*member).clone())
                .with_assignment(assignment.to_vec().into())
        });
        let request = SyncGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.as_deref().map(text))
            .with_protocol_type(Some(text(self.protocol_type)))
            .with_protocol_name(Some(text(self.protocol)))
            .with_assignments(assignments.collect());
        self.client.send(SYNC, &request);
    }

    /// Ends a sync.
    pub fn try_synced(&mut self) -> Result<SyncGroupResponse, ErrorCode> {
        let synced = self.client.receive::<SyncGroupRequest>(SYNC);
        match code(synced.error_code) {
            ErrorCode::None => Ok(synced),
            error => Err(error),
        }
    }

    /// Ends a sync; gives the assignment.
    pub fn synced(&mut self) -> Vec<u8> {
        self.try_synced()
            .expect("the member is assigned")
            .assignment
            .to_vec()
    }

    /// Joins and syncs as the only member.
    pub fn alone(&mut self) {
        self.join();
        assert_eq!(self.joined().leader, self.id);
        let id = self.id.clone();
        self.sync(&[(&id, b"all")]);
        assert_eq!(self.synced(), b"all");
    }

    /// Says that it lives.
    pub fn heartbeat(&mut self) -> ErrorCode {
        let request = HeartbeatRequest::default()
            .with_group_id(group_id(&self.group))
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.as_deref().map(text));
        code(self.client.ask(4, &request).error_code)
    }

    /// Leaves.
    pub fn leave(&mut self) -> ErrorCode {
        let member = MemberIdentity::default()
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.as_deref().map(text));
        let request = LeaveGroupRequest::default()
            .with_group_id(group_id(&self.group))
            .with_members(vec![member]);
        let left = self.client.ask(5, &request);
        assert_eq!(left.error_code, 0);
        code(left.members[0].error_code)
    }

    /// Commits offsets as a member.
    pub fn commit(&mut self, topic: &str, offsets: &[(i32, i64)]) -> Vec<ErrorCode> {
        let request = commit_request(&self.group, topic, offsets)
            .with_generation_id_or_member_epoch(self.generation)
            .with_member_id(self.id.clone())
            .with_group_instance_id(self.instance.as_deref().map(text));
        commit_codes(&mut self.client, 9, &request)
    }
}

/// A commit of offsets of one topic by a consumer that is no member.
pub fn commit_request(group: &str, topic: &str, offsets: &[(i32, i64)]) -> OffsetCommitRequest {
    let partitions = offsets.iter().map(|&(index, offset)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(index)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(0)
            .with_committed_metadata(Some(text("kept")))
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(partitions.collect());
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic])
}

/// The error of each partition of the only topic.
pub fn commit_codes(client: &mut Client, version: i16, request: &OffsetCommitRequest) -> Vec<ErrorCode> {
    let response = client.ask(version, request);
    let partitions = response.topics[0].partitions.iter();
    partitions.map(|it| code(it.error_code)).collect()
}

/// Commits without being a member.
pub fn commit(client: &mut Client, group: &str, topic: &str, offsets: &[(i32, i64)]) -> Vec<ErrorCode> {
    commit_codes(client, 8, &commit_request(group, topic, offsets))
}

/// Committed offsets of one topic.
pub fn fetch(
    client: &mut Client,
    group: &str,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<i64>, ErrorCode> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(topic_name(topic))
        .with_partition_indexes(partitions.to_vec());
    let asked = OffsetFetchRequestGroup::default()
        .with_group_id(group_id(group))
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![asked]);
    let found = client.ask(8, &request).groups.remove(0);
    match code(found.error_code) {
        ErrorCode::None => Ok(found.topics[0]
            .partitions
            .iter()
            .map(|it| it.committed_offset)
            .collect()),
        error => Err(error),
    }
}

/// A group as it is.
pub fn describe(client: &mut Client, group: &str) -> DescribedGroup {
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(group)]);
    client.ask(6, &request).groups.remove(0)
}
