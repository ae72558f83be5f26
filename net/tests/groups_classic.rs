//! Classic groups against a real broker: rebalances, static members, and what keeps a group going when its members or its
//! coordinator do not.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::groups::{Member, QUICK, code, describe, find, found};
use common::{TestBroker, on_one_and_two_shards};
use tautline_core::error::ErrorCode;

fn quick(shards: usize) -> TestBroker {
    TestBroker::start(shards, QUICK)
}

/// Two members, one after the other: the second makes the first rejoin.
#[test]
fn members_share_a_group() {
    for shards in [1, 2] {
        let broker = quick(shards);
        let client = &mut broker.connect();
        found(client, "g");
        let mut first = Member::new(&broker, "g");
        first.alone();
        assert_eq!(first.generation, 1);
        assert_eq!(first.heartbeat(), ErrorCode::None);
        let mut second = Member::new(&broker, "g");
        second.join();
        while first.heartbeat() != ErrorCode::RebalanceInProgress {}
        first.join();
        let joined = first.joined();
        assert_eq!(joined.generation_id, 2);
        assert_eq!((&joined.leader, joined.members.len()), (&first.id, 2));
        assert!(
            joined
                .members
                .iter()
                .all(|member| &member.metadata[..] == b"metadata")
        );
        assert_eq!(
            second.joined().members.len(),
            0,
            "who does not lead learns of nobody"
        );
        // Whoever does not lead waits for the leader.
        second.sync(&[]);
        let (one, two) = (first.id.clone(), second.id.clone());
        first.sync(&[(&one, b"1"), (&two, b"2")]);
        assert_eq!((first.synced(), second.synced()), (b"1".to_vec(), b"2".to_vec()));
        let group = describe(client, "g");
        assert_eq!((&*group.group_state, &*group.protocol_data), ("Stable", "range"));
        let member = &group.members[0];
        assert_eq!((&*member.client_id, &*member.client_host), ("test", "/127.0.0.1"));
        assert!(member.member_id.starts_with("test-"));
        assert_eq!(second.leave(), ErrorCode::None);
        assert_eq!(first.heartbeat(), ErrorCode::RebalanceInProgress);
        first.alone();
        assert_eq!(first.generation, 3);
        broker.stop();
    }
}

#[test]
fn strangers_and_latecomers_are_told_so() {
    let broker = quick(2);
    found(&mut broker.connect(), "g");
    let mut member = Member::new(&broker, "g");
    let mut stranger = Member::new(&broker, "g");
    stranger.id = common::text("nobody");
    assert_eq!(stranger.heartbeat(), ErrorCode::UnknownMemberId);
    member.alone();
    assert_eq!(stranger.heartbeat(), ErrorCode::UnknownMemberId);
    assert_eq!(stranger.leave(), ErrorCode::UnknownMemberId);
    stranger.sync(&[]);
    assert_eq!(stranger.try_synced().unwrap_err(), ErrorCode::UnknownMemberId);
    assert_eq!(
        stranger.commit("t", &[(0, 1)]),
        [ErrorCode::UnknownTopicOrPartition]
    );
    member.generation += 1;
    assert_eq!(member.heartbeat(), ErrorCode::IllegalGeneration);
    member.sync(&[]);
    assert_eq!(member.try_synced().unwrap_err(), ErrorCode::IllegalGeneration);
    let mut nameless = Member::new(&broker, "");
    assert_eq!(nameless.heartbeat(), ErrorCode::InvalidGroupId);
    nameless.id = common::text("x");
    nameless.join();
    assert_eq!(nameless.try_joined().unwrap_err(), ErrorCode::InvalidGroupId);
    let mut hasty = Member::new(&broker, "g2");
    (hasty.session_timeout_ms, hasty.id) = (1, common::text("x"));
    hasty.join();
    assert_eq!(hasty.try_joined().unwrap_err(), ErrorCode::InvalidSessionTimeout);
}

/// KIP-345: an instance that comes back takes its place, and fences the one that had it.
#[test]
fn a_static_member_keeps_its_place() {
    let broker = quick(2);
    found(&mut broker.connect(), "g");
    let mut before = Member::new(&broker, "g").with_instance("i");
    before.alone();
    let mut after = Member::new(&broker, "g").with_instance("i");
    after.join();
    let joined = after.joined();
    assert_eq!(joined.generation_id, before.generation, "no rebalance");
    after.sync(&[]);
    assert_eq!(after.synced(), b"all", "the assignment it had");
    assert_eq!(before.heartbeat(), ErrorCode::FencedInstanceId);
    assert_eq!(
        before.commit("t", &[(0, 1)]),
        [ErrorCode::UnknownTopicOrPartition]
    );
    assert_eq!(after.heartbeat(), ErrorCode::None);
}

/// Members that join and die over and over hold up those who live for no longer than a session.
#[test]
fn who_dies_waiting_is_forgotten() {
    let broker = quick(2);
    let client = &mut broker.connect();
    found(client, "g");
    let end = AtomicBool::new(false);
    let mut living = [Member::new(&broker, "g"), Member::new(&broker, "g")];
    std::thread::scope(|scope| {
        for member in &mut living {
            scope.spawn(|| member.live(&end));
        }
        for _ in 0..50 {
            let mut loser = Member::new(&broker, "g");
            loser.session_timeout_ms = 100;
            loser.join();
        }
        loop {
            let group = describe(client, "g");
            if &*group.group_state == "Stable" && group.members.len() == 2 {
                break end.store(true, Ordering::Relaxed);
            }
        }
    });
}

/// A broker that is killed in the middle of a rebalance: the members that were in the last generation are known to it, and the
/// group comes together again.
#[test]
fn a_rebalance_survives_the_coordinator() {
    for shards in [1, 2] {
        let mut broker = quick(shards);
        found(&mut broker.connect(), "g");
        let mut first = Member::new(&broker, "g");
        first.alone();
        let mut second = Member::new(&broker, "g");
        second.join();
        while first.heartbeat() != ErrorCode::RebalanceInProgress {}
        let client = &mut broker.crash_and_restart(3 - shards);
        found(client, "g");
        let group = describe(client, "g");
        assert_eq!((&*group.group_state, group.members.len()), ("Stable", 1));
        assert_eq!(group.members[0].member_id, first.id);
        (first.client, second.client) = (broker.connect(), broker.connect());
        assert_eq!(
            first.heartbeat(),
            ErrorCode::None,
            "its generation is the one it had"
        );
        second.join();
        assert_eq!(second.try_joined().unwrap_err(), ErrorCode::UnknownMemberId);
        second.id = Default::default();
        second.join();
        while first.heartbeat() != ErrorCode::RebalanceInProgress {}
        first.join();
        assert_eq!(first.joined().generation_id, 2);
        second.joined();
    }
}

/// `group.max.size`, and what lies beyond.
#[test]
fn a_full_group_turns_others_away() {
    let broker = TestBroker::start(2, &[QUICK, &["--set", "group.max.size=1"]].concat());
    found(&mut broker.connect(), "g");
    let mut member = Member::new(&broker, "g");
    member.alone();
    let mut other = Member::new(&broker, "g");
    assert_eq!(other.try_take_id(), ErrorCode::GroupMaxSizeReached);
    assert_eq!(member.heartbeat(), ErrorCode::None);
}

/// Metadata of the size that one request may have, in a group that stays within its bound.
#[test]
fn big_metadata_goes_around_and_too_much_of_it_is_refused() {
    const BIG: usize = 900 << 10;
    let broker = quick(1);
    let client = &mut broker.connect();
    found(client, "g");
    let big = || {
        let mut member = Member::new(&broker, "g");
        member.metadata = vec![7; BIG];
        member
    };
    let mut first = big();
    first.alone();
    first.join();
    assert_eq!(first.joined().members[0].metadata.len(), BIG);
    let id = first.id.clone();
    first.sync(&[(&id, &vec![8; BIG])]);
    assert_eq!(first.synced().len(), BIG);
    assert_eq!(describe(client, "g").members[0].member_assignment.len(), BIG);
    let mut others: Vec<Member> = Vec::new();
    loop {
        let mut other = big();
        match other.try_take_id() {
            ErrorCode::MemberIdRequired => other.join(),
            error => break assert_eq!(error, ErrorCode::GroupMaxSizeReached),
        }
        others.push(other);
        assert!(others.len() < 50, "no group is that large");
    }
    assert!(others.len() > 10, "{}", others.len());
    assert_eq!(first.heartbeat(), ErrorCode::RebalanceInProgress);
}

/// A thousand members, each with a connection of its own, come together and apart.
#[test]
fn a_thousand_members_rebalance() {
    let broker = quick(2);
    let client = &mut broker.connect();
    found(client, "g");
    let mut members: Vec<Member> = (0..1000).map(|_| Member::new(&broker, "g")).collect();
    members.iter_mut().for_each(Member::take_id);
    let (first, others) = members.split_first_mut().expect("there are some");
    first.alone();
    others.iter_mut().for_each(Member::join);
    while describe(client, "g").members.len() < 1000 {}
    first.join();
    let joined = first.joined();
    assert_eq!(joined.members.len(), 1000);
    for member in &mut *others {
        assert_eq!(member.joined().leader, first.id);
        member.sync(&[]);
    }
    let assignments: Vec<_> = joined
        .members
        .iter()
        .map(|it| (&it.member_id, it.member_id.as_bytes()))
        .collect();
    first.sync(&assignments);
    assert_eq!(first.synced(), first.id.as_bytes());
    for member in others {
        assert_eq!(member.synced(), member.id.as_bytes());
    }
    assert_eq!(&*describe(client, "g").group_state, "Stable");
    broker.stop();
}

/// The internal topic is there after the first question, also when all come at once.
#[test]
fn the_first_question_makes_the_topic() {
    on_one_and_two_shards(|broker, _| {
        let mut clients: Vec<_> = (0..8).map(|_| broker.connect()).collect();
        let asked = kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest::default()
            .with_key_type(0)
            .with_coordinator_keys(vec![common::text("g")]);
        for client in &mut clients {
            client.send(6, &asked);
        }
        for client in &mut clients {
            let found = client
                .receive::<kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest>(6);
            assert_eq!(code(found.coordinators[0].error_code), ErrorCode::None);
            assert_eq!(found.coordinators[0].node_id.0, 1);
        }
        assert_eq!(
            common::topics(&mut clients[0]),
            [("__consumer_offsets".to_owned(), 50)]
        );
        assert_eq!(find(&mut clients[1], "another"), ErrorCode::None);
    });
}
