//! KIP-848's online migration: members of both protocols in a group, and groups that change their protocol.

use bytes::Bytes;

use super::*;
use crate::groups::MigrationPolicy;
use crate::groups::consumer::embedded::Assignment;
use crate::groups::request::{Heartbeat, JoinGroup, LeaveGroup, LeavingMember, SyncGroup};
use crate::groups::response::{Joined, Synced};
use crate::records::RecordWriter;

/// ConsumerProtocolSubscription version 1.
pub(super) fn subscription(topics: &[&str], owned: &[(&str, &[i32])]) -> Bytes {
    let mut writer = RecordWriter::fixed(1);
    writer
        .array(topics, |writer, topic| {
            writer.str(topic);
        })
        .nullable_bytes(None)
        .array(owned, |writer, (topic, partitions)| {
            writer.str(topic).array(*partitions, |writer, partition| {
                writer.i32(*partition);
            });
        });
    writer.finish().into()
}

pub(super) fn join_group(member: &str, topics: &[&str], owned: &[(&str, &[i32])]) -> JoinGroup {
    JoinGroup {
        group_id: GROUP.to_owned(),
        member_id: member.to_owned(),
        fresh_member_id: "fresh-classic".to_owned(),
        group_instance_id: None,
        client_id: "classic".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), subscription(topics, owned))],
        requires_known_member_id: true,
        supports_skipping_assignment: true,
        reason: None,
    }
}

pub(super) fn sync_group(member: &str, generation: i32, assignments: &[(&str, Bytes)]) -> SyncGroup {
    SyncGroup {
        group_id: GROUP.to_owned(),
        generation_id: generation,
        member_id: member.to_owned(),
        group_instance_id: None,
        protocol_type: Some("consumer".to_owned()),
        protocol_name: Some("range".to_owned()),
        assignments: assignments
            .iter()
            .map(|(member, assignment)| ((*member).to_owned(), assignment.clone()))
            .collect(),
    }
}

pub(super) fn encoded(topic: &str, partitions: &[i32]) -> Bytes {
    let partitions: Vec<_> = partitions.iter().copied().map(PartitionIndex).collect();
    Assignment::encode(1, [(topic, &partitions[..])]).into()
}

pub(super) fn decoded(assignment: &Bytes) -> Vec<(String, Vec<i32>)> {
    let topics = Assignment::decode(assignment).unwrap().partitions.into_iter();
    topics
        .map(|(topic, partitions)| {
            (
                topic.to_string(),
                partitions.iter().map(|partition| partition.0).collect(),
            )
        })
        .collect()
}

impl Fixture {
    pub fn join(&mut self, request: JoinGroup) -> Joined {
        match self.answer(GroupRequest::JoinGroup(request)) {
            GroupResponse::JoinGroup(joined) => joined,
            other => panic!("{other:?}"),
        }
    }

    pub fn sync(&mut self, request: SyncGroup) -> Synced {
        match self.answer(GroupRequest::SyncGroup(request)) {
            GroupResponse::SyncGroup(synced) => synced,
            other => panic!("{other:?}"),
        }
    }

    pub fn classic_heartbeat(&mut self, member: &str, generation: i32) -> ErrorCode {
        let request = Heartbeat {
            group_id: GROUP.to_owned(),
            generation_id: generation,
            member_id: member.to_owned(),
            group_instance_id: None,
        };
        match self.answer(GroupRequest::Heartbeat(request)) {
            GroupResponse::Heartbeat(error) => error,
            other => panic!("{other:?}"),
        }
    }

    pub fn leave_group(&mut self, members: &[(&str, Option<&str>)]) -> Vec<ErrorCode> {
        let members = members.iter().map(|(member_id, instance_id)| LeavingMember {
            member_id: (*member_id).to_owned(),
            group_instance_id: instance_id.map(str::to_owned),
            reason: None,
        });
        let request = LeaveGroup {
            group_id: GROUP.to_owned(),
            members: members.collect(),
        };
        match self.answer(GroupRequest::LeaveGroup(request)) {
            GroupResponse::LeaveGroup(left) => left.members.iter().map(|member| member.error).collect(),
            other => panic!("{other:?}"),
        }
    }

    pub fn is_classic(&self) -> bool {
        matches!(self.coordinator.groups().get(GROUP), Some(Group::Classic(_)))
    }

    /// A classic group of one member, which owns all of topic t.
    fn classic_of_one(partitions: u32) -> (Self, TopicId, String) {
        let mut fixture = Self::new();
        let t = fixture.create_topic("t", partitions);
        let id = fixture.join(join_group("", &["t"], &[])).member_id.to_string();
        let token = fixture.ask(GroupRequest::JoinGroup(join_group(&id, &["t"], &[])));
        fixture.advance(3_000);
        let Some(GroupResponse::JoinGroup(joined)) = fixture.answers.remove(&token) else {
            panic!("joined after the initial delay")
        };
        assert_eq!(
            (joined.error, joined.generation_id, &*joined.leader),
            (ErrorCode::None, 1, &*id)
        );
        let all: Vec<i32> = (0..partitions as i32).collect();
        let assignment = encoded("t", &all);
        let synced = fixture.sync(sync_group(&id, 1, &[(&id, assignment.clone())]));
        assert_eq!(synced.assignment, assignment);
        assert!(fixture.is_classic());
        (fixture, t, id)
    }
}

/// The whole way: a classic member, then one of each, then none of the classic protocol.
#[test]
fn kip_848_a_group_is_upgraded_member_by_member() {
    let (mut fixture, t, a) = Fixture::classic_of_one(4);
    // The first member of the consumer protocol brings the group over.
    expect(
        &fixture.heartbeat(joining("b", &["t"])),
        2,
        Some(&PartitionSet::EMPTY),
    );
    assert!(!fixture.is_classic());
    let types: Vec<i8> = fixture
        .describe()
        .members
        .iter()
        .map(|member| member.member_type)
        .collect();
    assert_eq!(types.iter().sum::<i8>(), 1, "{types:?}");
    fixture.restart();

    // The classic member is told to join again, gives up half, and is told once more to say so.
    assert_eq!(fixture.classic_heartbeat(&a, 1), ErrorCode::RebalanceInProgress);
    let joined = fixture.join(join_group(&a, &["t"], &[("t", &[0, 1, 2, 3])]));
    assert_eq!(
        (joined.error, joined.generation_id, &*joined.leader),
        (ErrorCode::None, 1, "")
    );
    assert_eq!(joined.protocol_name.as_deref(), Some("range"));
    let synced = fixture.sync(sync_group(&a, 1, &[]));
    assert_eq!(decoded(&synced.assignment), [("t".to_owned(), vec![0, 1])]);
    expect(&fixture.heartbeat(quiet("b", 2)), 2, None);
    assert_eq!(fixture.classic_heartbeat(&a, 1), ErrorCode::RebalanceInProgress);
    let joined = fixture.join(join_group(&a, &["t"], &[("t", &[0, 1])]));
    assert_eq!(joined.generation_id, 2);
    let synced = fixture.sync(sync_group(&a, 2, &[]));
    assert_eq!(decoded(&synced.assignment), [("t".to_owned(), vec![0, 1])]);
    assert_eq!(fixture.classic_heartbeat(&a, 2), ErrorCode::None);
    expect(&fixture.heartbeat(quiet("b", 2)), 2, Some(&set(t, 2..4)));
    assert_eq!(fixture.describe().state, "Stable");

    // It leaves, and comes back with the new protocol.
    assert_eq!(fixture.leave_group(&[(&a, None)]), [ErrorCode::None]);
    expect(&fixture.heartbeat(quiet("b", 2)), 3, Some(&set(t, 0..4)));
    expect(
        &fixture.heartbeat(joining("c", &["t"])),
        4,
        Some(&PartitionSet::EMPTY),
    );
    assert_eq!(fixture.group().classic_count, 0);
    fixture.restart();
}

#[test]
fn kip_848_a_group_is_downgraded_when_its_last_consumer_leaves() {
    let (mut fixture, t, a) = Fixture::classic_of_one(2);
    fixture.heartbeat(joining("b", &["t"]));
    fixture.join(join_group(&a, &["t"], &[]));
    fixture.sync(sync_group(&a, 2, &[]));
    expect(&fixture.heartbeat(quiet("b", 2)), 2, Some(&set(t, [1])));
    fixture.heartbeat(quiet("b", -1));
    assert!(fixture.is_classic());
    fixture.restart();
    assert!(fixture.is_classic());
    let Some(Group::Classic(classic)) = fixture.coordinator.groups().get(GROUP) else {
        panic!()
    };
    let members: Vec<_> = classic.members().collect();
    assert_eq!(
        decoded(&members[0].1.assignment),
        [("t".to_owned(), vec![0])],
        "it keeps what it owned, until it has joined"
    );
    // A rebalance had begun before the restart, and goes on.
    assert_eq!(classic.describe().state, "PreparingRebalance");
    assert_eq!(fixture.classic_heartbeat(&a, 2), ErrorCode::RebalanceInProgress);
    let token = fixture.ask(GroupRequest::JoinGroup(join_group(&a, &["t"], &[])));
    let Some(GroupResponse::JoinGroup(joined)) = fixture.answers.remove(&token) else {
        panic!("nobody else is waited for")
    };
    assert_eq!(
        (joined.error, joined.generation_id, &*joined.leader),
        (ErrorCode::None, 3, &*a)
    );
    // And up again.
    fixture.heartbeat(joining("c", &["t"]));
    assert!(!fixture.is_classic());
}

#[test]
fn a_downgrade_begins_a_rebalance() {
    let (mut fixture, _, a) = Fixture::classic_of_one(2);
    fixture.heartbeat(joining("b", &["t"]));
    fixture.join(join_group(&a, &["t"], &[]));
    fixture.sync(sync_group(&a, 2, &[]));
    fixture.heartbeat(quiet("b", 2));
    // B dies.
    for _ in 0..10 {
        fixture.advance(5_000);
        if fixture.is_classic() {
            break;
        }
        assert_eq!(fixture.classic_heartbeat(&a, 2), ErrorCode::None);
    }
    assert!(fixture.is_classic());
    assert_eq!(fixture.classic_heartbeat(&a, 2), ErrorCode::RebalanceInProgress);
    let joined = fixture.join(join_group(&a, &["t"], &[]));
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
    // It was not dead. GROUP_ID_NOT_FOUND would end its client, so it is told to join again, and brings the group over.
    expect_error(
        &fixture.heartbeat(quiet("b", 2)),
        ErrorCode::UnknownMemberId,
        "Member b is not a member of group g",
    );
    fixture.heartbeat(joining("b", &["t"]));
    assert!(!fixture.is_classic());
}

#[test]
fn members_that_wait_in_the_classic_group_are_told_to_join_again() {
    let (mut fixture, t, a) = Fixture::classic_of_one(2);
    let other = "other".to_owned();
    let asks = JoinGroup {
        fresh_member_id: other.clone(),
        ..join_group("", &["t"], &[])
    };
    assert_eq!(fixture.join(asks).error, ErrorCode::MemberIdRequired);
    let waiting = fixture.ask(GroupRequest::JoinGroup(join_group(&other, &["t"], &[])));
    assert!(!fixture.answers.contains_key(&waiting));
    fixture.heartbeat(joining("b", &["t"]));
    let Some(GroupResponse::JoinGroup(joined)) = fixture.answers.remove(&waiting) else {
        panic!()
    };
    assert_eq!(joined.error, ErrorCode::RebalanceInProgress);
    // All three are members, and A still owns all.
    assert_eq!(fixture.group().members.len(), 3);
    assert_eq!(fixture.group().members[&*a].current.assigned, set(t, 0..2));
    let joined = fixture.join(join_group(&other, &["t"], &[]));
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::None, 2));
    // Who does not come back is removed by its own session timeout, or by its rebalance timeout.
    fixture.advance(10_001);
    assert_eq!(fixture.group().members.len(), 1);
    expect(&fixture.heartbeat(quiet("b", 2)), 4, Some(&set(t, 0..2)));
}

#[test]
fn a_classic_member_that_does_not_join_or_sync_in_time_is_removed() {
    let (mut fixture, _, a) = Fixture::classic_of_one(2);
    fixture.heartbeat(joining("b", &["t"]));
    for _ in 0..4 {
        assert_eq!(fixture.classic_heartbeat(&a, 1), ErrorCode::RebalanceInProgress);
        fixture.advance(5_000);
        fixture.heartbeat(quiet("b", 2));
    }
    assert_eq!(fixture.classic_heartbeat(&a, 1), ErrorCode::UnknownMemberId);
    let joined = fixture.join(join_group("c", &["t"], &[]));
    let generation = joined.generation_id;
    for _ in 0..4 {
        fixture.classic_heartbeat("c", generation);
        fixture.advance(5_000);
        fixture.heartbeat(quiet("b", 2));
    }
    assert_eq!(
        fixture.classic_heartbeat("c", generation),
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn classic_requests_to_a_consumer_group_are_checked() {
    let (mut fixture, _, a) = Fixture::classic_of_one(2);
    fixture.heartbeat(joining("b", &["t"]));
    let asks_for_id = fixture.join(join_group("", &["t"], &[]));
    assert_eq!(
        (asks_for_id.error, &*asks_for_id.member_id),
        (ErrorCode::MemberIdRequired, "fresh-classic")
    );
    let other_type = JoinGroup {
        protocol_type: "connect".to_owned(),
        ..join_group("c", &["t"], &[])
    };
    assert_eq!(
        fixture.join(other_type).error,
        ErrorCode::InconsistentGroupProtocol
    );
    let other_name = JoinGroup {
        protocols: vec![("sticky".to_owned(), subscription(&["t"], &[]))],
        ..join_group("c", &["t"], &[])
    };
    assert_eq!(
        fixture.join(other_name).error,
        ErrorCode::InconsistentGroupProtocol
    );
    let malformed = JoinGroup {
        protocols: vec![("range".to_owned(), Bytes::from_static(b"\0\x01\xff"))],
        ..join_group("c", &["t"], &[])
    };
    assert_eq!(
        fixture.join(malformed).error,
        ErrorCode::InconsistentGroupProtocol
    );
    assert_eq!(
        fixture.classic_heartbeat("b", 2),
        ErrorCode::UnknownMemberId,
        "speaks the other protocol"
    );
    assert_eq!(fixture.classic_heartbeat(&a, 7), ErrorCode::IllegalGeneration);
    assert_eq!(
        fixture.sync(sync_group(&a, 1, &[])).error,
        ErrorCode::RebalanceInProgress
    );
    assert_eq!(
        fixture.sync(sync_group(&a, 7, &[])).error,
        ErrorCode::IllegalGeneration
    );
    assert_eq!(
        fixture.sync(sync_group("x", 1, &[])).error,
        ErrorCode::UnknownMemberId
    );
    fixture.join(join_group(&a, &["t"], &[]));
    let other_name = SyncGroup {
        protocol_name: Some("sticky".to_owned()),
        ..sync_group(&a, 2, &[])
    };
    assert_eq!(
        fixture.sync(other_name).error,
        ErrorCode::InconsistentGroupProtocol
    );
    let left = fixture.leave_group(&[("b", None), ("x", None), (&a, None), (&a, None), ("", Some("i"))]);
    let unknown = ErrorCode::UnknownMemberId;
    assert_eq!(left, [unknown, unknown, ErrorCode::None, unknown, unknown]);
    assert_eq!(fixture.group().members.len(), 1);
}

#[test]
fn the_policy_forbids_either_way() {
    for policy in [MigrationPolicy::Disabled, MigrationPolicy::Downgrade] {
        let (mut fixture, _, _) = Fixture::classic_of_one(2);
        fixture.config.consumer_migration_policy = policy;
        fixture.restart();
        let point = fixture.log.len();
        let why = "Group g is not a consumer group";
        expect_error(
            &fixture.heartbeat(joining("b", &["t"])),
            ErrorCode::GroupIdNotFound,
            why,
        );
        assert!(fixture.is_classic() && fixture.log.len() == point);
    }
    for policy in [MigrationPolicy::Disabled, MigrationPolicy::Upgrade] {
        let (mut fixture, t, a) = Fixture::classic_of_one(2);
        fixture.heartbeat(joining("b", &["t"]));
        fixture.config.consumer_migration_policy = policy;
        fixture.restart();
        fixture.heartbeat(quiet("b", -1));
        assert!(!fixture.is_classic());
        // The classic members go on in the consumer group.
        fixture.join(join_group(&a, &["t"], &[]));
        let generation = fixture.group().epoch;
        let synced = fixture.sync(sync_group(&a, generation, &[]));
        assert_eq!(decoded(&synced.assignment), [("t".to_owned(), vec![0, 1])]);
        assert_eq!(fixture.group().members[&*a].current.assigned, set(t, 0..2));
    }
}

#[test]
fn a_group_that_is_not_of_consumers_is_not_upgraded() {
    let mut fixture = Fixture::new();
    fixture.create_topic("t", 1);
    let connect = JoinGroup {
        protocol_type: "connect".to_owned(),
        requires_known_member_id: false,
        ..join_group("", &["t"], &[])
    };
    fixture.ask(GroupRequest::JoinGroup(connect));
    expect_error(
        &fixture.heartbeat(joining("b", &["t"])),
        ErrorCode::GroupIdNotFound,
        "not a consumer group",
    );
    expect_error(
        &fixture.heartbeat(quiet("b", 1)),
        ErrorCode::GroupIdNotFound,
        "not a consumer group",
    );
    // Nor one whose members can't be read.
    let mut fixture = Fixture::new();
    fixture.create_topic("t", 1);
    let malformed = JoinGroup {
        protocols: vec![("range".to_owned(), Bytes::from_static(b"?"))],
        requires_known_member_id: false,
        ..join_group("", &["t"], &[])
    };
    fixture.ask(GroupRequest::JoinGroup(malformed));
    expect_error(
        &fixture.heartbeat(joining("b", &["t"])),
        ErrorCode::GroupIdNotFound,
        "not a consumer group",
    );
    assert!(fixture.is_classic());
}

#[test]
fn a_group_without_members_makes_way_for_the_other_protocol() {
    let (mut fixture, t, a) = Fixture::classic_of_one(1);
    fixture.leave_group(&[(&a, None)]);
    assert!(fixture.is_classic());
    expect(&fixture.heartbeat(joining("b", &["t"])), 1, Some(&set(t, [0])));
    fixture.restart();
    fixture.heartbeat(quiet("b", -1));
    assert!(
        !fixture.is_classic(),
        "nobody is left to go back to the classic protocol"
    );
    let pending = fixture.join(join_group("", &["t"], &[]));
    assert_eq!(pending.error, ErrorCode::MemberIdRequired);
    assert!(fixture.is_classic());
    fixture.restart();
    assert!(fixture.is_classic());
}

/// A static member that comes back with the classic protocol takes the place of the last consumer.
#[test]
fn a_static_member_comes_back_with_the_other_protocol() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 2);
    let of_instance = |member: &str| ConsumerGroupHeartbeat {
        instance_id: Some("i".to_owned()),
        ..joining(member, &["t"])
    };
    expect(&fixture.heartbeat(of_instance("a")), 1, Some(&set(t, 0..2)));
    let back = JoinGroup {
        group_instance_id: Some("i".to_owned()),
        ..join_group("", &["t"], &[("t", &[0, 1])])
    };
    let joined = fixture.join(back);
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::None, 1));
    assert!(fixture.is_classic());
    // Nothing has changed for it, and so nothing is rebalanced.
    let sync = SyncGroup {
        group_instance_id: Some("i".to_owned()),
        ..sync_group("fresh-classic", 1, &[])
    };
    let synced = fixture.sync(sync);
    assert_eq!(decoded(&synced.assignment), [("t".to_owned(), vec![0, 1])]);
    fixture.restart();
    // And back: a classic member can't say that it leaves for a while, and gives way.
    expect(&fixture.heartbeat(of_instance("b")), 1, Some(&set(t, 0..2)));
    assert!(!fixture.is_classic());
    assert_eq!(fixture.group().members.len(), 1);
    fixture.restart();
}
