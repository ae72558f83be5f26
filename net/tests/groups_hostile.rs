//! Groups against a real broker: what members are told that are not who they say, or not of this time, or too many; and that the
//! group goes on, or comes together again by itself.

mod common;
#[path = "common/transactions.rs"]
mod transactions;

use common::consumers::{Consumer, state};
use common::groups::{Member, QUICK, code, commit, commit_codes, commit_request, found, group_id};
use common::{HANGS, TestBroker, Witness, create, text, topic_name, within};
use kafka_protocol::messages::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use tautline_core::error::ErrorCode;

/// KIP-345: who had the instance id before.
#[test]
fn a_fenced_instance_may_do_nothing() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 1, &[]);
    found(client, "g");
    let mut fenced = Member::new(&broker, "g").with_instance("i");
    fenced.alone();
    let mut living = Member::new(&broker, "g").with_instance("i");
    living.join();
    living.joined();
    living.sync(&[]);
    living.synced();
    let why = ErrorCode::FencedInstanceId;
    assert_eq!(fenced.heartbeat(), why);
    fenced.sync(&[]);
    assert_eq!(fenced.try_synced().unwrap_err(), why);
    assert_eq!(fenced.commit("t", &[(0, 1)]), [why]);
    fenced.join();
    assert_eq!(fenced.try_joined().unwrap_err(), why);
    assert_eq!(fenced.leave(), why);
    // Nor has an instance that nobody knows a member.
    fenced.instance = Some("other".to_owned());
    assert_eq!(fenced.heartbeat(), ErrorCode::UnknownMemberId);
    assert_eq!(living.heartbeat(), ErrorCode::None);
    assert_eq!(living.commit("t", &[(0, 1)]), [ErrorCode::None]);
}

/// Names of assignors, and of what is assigned, on which the group can't agree.
#[test]
fn other_protocols_are_refused() {
    let broker = TestBroker::start(2, QUICK);
    found(&mut broker.connect(), "g");
    let mut member = Member::new(&broker, "g");
    member.alone();
    let why = ErrorCode::InconsistentGroupProtocol;
    for (protocol_type, protocol) in [
        ("consumer", "sticky"),
        ("connect", "range"),
        ("consumer", ""),
        ("", "range"),
    ] {
        let mut other = Member::new(&broker, "g");
        (other.protocol_type, other.protocol) = (protocol_type, protocol);
        assert_eq!(other.try_take_id(), why, "{protocol_type:?} {protocol:?}");
    }
    member.protocol = "sticky";
    member.sync(&[]);
    assert_eq!(member.try_synced().unwrap_err(), why);
    // Nor may a member change it by itself, as in Kafka.
    member.join();
    assert_eq!(member.try_joined().unwrap_err(), why);
    assert_eq!(member.heartbeat(), ErrorCode::None);
}

/// KIP-848: unknown members, epochs that are not theirs, instances that are taken, assignors and expressions that are none.
#[test]
fn consumers_are_told_what_they_are_not() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 4, &[]);
    found(client, "g");
    let mut stranger = Consumer::new(&broker, "stranger");
    stranger.epoch = 1;
    assert_eq!(
        stranger.heartbeat(),
        ErrorCode::GroupIdNotFound,
        "there is no group yet"
    );
    let mut member = Consumer::new(&broker, "member");
    member.instance = Some("i");
    assert_eq!(member.join(&["t"]), ErrorCode::None);
    assert_eq!(stranger.heartbeat(), ErrorCode::UnknownMemberId);
    assert_eq!(stranger.leave(), ErrorCode::UnknownMemberId);

    let epoch = member.epoch;
    for wrong in [epoch + 1, i32::MAX] {
        member.epoch = wrong;
        assert_eq!(member.heartbeat(), ErrorCode::FencedMemberEpoch, "{wrong}");
    }
    member.epoch = -3;
    assert_eq!(member.heartbeat(), ErrorCode::InvalidRequest);
    member.epoch = epoch;
    assert_eq!(member.heartbeat(), ErrorCode::None);

    let mut other = Consumer::new(&broker, "other");
    for wrong in ["sticky", "", "UNIFORM"] {
        other.assignor = Some(wrong);
        assert_eq!(other.join(&["t"]), ErrorCode::UnsupportedAssignor, "{wrong:?}");
    }
    other.assignor = Some("range");
    other.instance = Some("i");
    assert_eq!(other.join(&["t"]), ErrorCode::UnreleasedInstanceId);
    other.instance = None;
    let pattern = other
        .request()
        .with_rebalance_timeout_ms(10_000)
        .with_subscribed_topic_regex(Some(text("t(")))
        .with_topic_partitions(Some(Vec::new()));
    let told = other.client.ask(1, &pattern);
    assert_eq!(code(told.error_code), ErrorCode::InvalidRegularExpression);

    let commit_as = |member: &mut Consumer, epoch: i32| {
        let request = commit_request("g", "t", &[(0, 1)])
            .with_generation_id_or_member_epoch(epoch)
            .with_member_id(text(&member.id));
        commit_codes(&mut member.client, 9, &request)
    };
    assert_eq!(commit_as(&mut member, epoch), [ErrorCode::None]);
    assert_eq!(commit_as(&mut member, epoch - 1), [ErrorCode::StaleMemberEpoch]);
    assert_eq!(commit_as(&mut member, epoch + 1), [ErrorCode::StaleMemberEpoch]);
    assert_eq!(commit_as(&mut stranger, epoch), [ErrorCode::UnknownMemberId]);
    assert_eq!(commit(client, "g", "t", &[(0, 1)]), [ErrorCode::UnknownMemberId]);

    // The instance leaves for a while, and another process takes its place.
    let leaves = member.request().with_member_epoch(-2);
    assert_eq!(member.client.ask(1, &leaves).error_code, 0);
    other.instance = Some("i");
    assert_eq!(other.join(&["t"]), ErrorCode::None);
    assert_eq!(member.heartbeat(), ErrorCode::FencedInstanceId);
    assert_eq!(commit_as(&mut member, epoch), [ErrorCode::UnknownMemberId]);
    within(HANGS, "it owns all", || {
        assert_eq!(other.heartbeat(), ErrorCode::None);
        other.count() == 4
    });
}

/// KIP-447: offsets of a transaction are those of a member that is one still.
#[test]
fn transactions_commit_only_for_members() {
    use kafka_protocol::messages::txn_offset_commit_request::{
        TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    };
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 1, &[]);
    found(client, "g");
    let mut member = Member::new(&broker, "g").with_instance("i");
    member.alone();
    let mut producer = transactions::Producer::start(&broker, "x", transactions::Rules::V2);
    assert_eq!(producer.commit_offset("simple", "t", 1), ErrorCode::None);
    let mut commit_as = |generation: i32, id: &str, instance: Option<&str>| {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(5);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(text("x").into())
            .with_group_id(group_id("g"))
            .with_producer_id(producer.id.into())
            .with_producer_epoch(producer.epoch)
            .with_generation_id(generation)
            .with_member_id(text(id))
            .with_group_instance_id(instance.map(text))
            .with_topics(vec![topic]);
        let (error, ()) = transactions::again(|| {
            let told = producer.client.ask(5, &request);
            (code(told.topics[0].partitions[0].error_code), ())
        });
        error
    };
    let id = member.id.to_string();
    assert_eq!(commit_as(1, "nobody", None), ErrorCode::UnknownMemberId);
    assert_eq!(commit_as(1, "nobody", Some("i")), ErrorCode::FencedInstanceId);
    assert_eq!(commit_as(2, &id, Some("i")), ErrorCode::IllegalGeneration);
    assert_eq!(commit_as(0, &id, None), ErrorCode::IllegalGeneration);
    assert_eq!(commit_as(1, &id, Some("i")), ErrorCode::None);
    assert_eq!(producer.end(true), ErrorCode::None);
    assert_eq!(member.heartbeat(), ErrorCode::None);
}

/// KIP-848: a broker that is killed while members still have to give up and to be given partitions.
#[test]
fn a_reconciliation_survives_the_coordinator() {
    for shards in [1, 2] {
        let mut broker = TestBroker::start(shards, QUICK);
        let client = &mut broker.connect();
        create(client, "t", 4, &[]);
        found(client, "g");
        let mut first = Consumer::new(&broker, "first");
        assert_eq!(first.join(&["t"]), ErrorCode::None);
        assert_eq!(first.count(), 4);
        let mut second = Consumer::new(&broker, "second");
        assert_eq!(second.join(&["t"]), ErrorCode::None);
        // The first is told to give up half, and does not say that it has.
        let told = first.client.ask(1, &first.request());
        assert_eq!(told.member_epoch, first.epoch);
        assert!(told.assignment.is_some());
        assert_eq!(second.count(), 0);

        let client = &mut broker.crash_and_restart(3 - shards);
        found(client, "g");
        assert_eq!(state(client), (ErrorCode::None, "Reconciling".to_owned(), 2));
        (first.client, second.client) = (broker.connect(), broker.connect());
        assert_eq!(second.heartbeat(), ErrorCode::None);
        assert_eq!(second.count(), 0, "the first still works on them");
        first.take(&told);
        within(HANGS, "both have their half", || {
            assert_eq!(first.heartbeat(), ErrorCode::None);
            assert_eq!(second.heartbeat(), ErrorCode::None);
            (first.count(), second.count()) == (2, 2)
        });
        assert_eq!(state(client), (ErrorCode::None, "Stable".to_owned(), 2));
    }
}

/// KIP-848: those who join and are never heard of again hold partitions for no longer than a session.
#[test]
fn consumers_that_join_and_die_are_forgotten() {
    let soon = [
        "--set",
        "group.consumer.session.timeout.ms=1000",
        "--set",
        "group.consumer.min.session.timeout.ms=1000",
        "--set",
        "group.consumer.heartbeat.interval.ms=100",
        "--set",
        "group.consumer.min.heartbeat.interval.ms=100",
    ];
    let broker = TestBroker::start(2, &[QUICK, &soon].concat());
    let client = &mut broker.connect();
    create(client, "t", 4, &[]);
    found(client, "g");
    let mut living = Consumer::new(&broker, "living");
    assert_eq!(living.join(&["t"]), ErrorCode::None);
    for index in 0..100 {
        let mut loser = Consumer::new(&broker, &format!("loser-{index}"));
        assert_eq!(loser.join(&["t"]), ErrorCode::None);
        // On a machine that is busy it may be late.
        if living.heartbeat() != ErrorCode::None {
            assert_eq!(living.join(&["t"]), ErrorCode::None);
        }
    }
    within(HANGS, "only one is left, and owns all", || {
        if living.heartbeat() != ErrorCode::None {
            assert_eq!(living.join(&["t"]), ErrorCode::None);
        }
        living.count() == 4 && state(client) == (ErrorCode::None, "Stable".to_owned(), 1)
    });
}

/// A group of ten thousand, of whom each connection speaks for a hundred; the broker is killed, and knows them all.
#[test]
fn ten_thousand_consumers_are_a_group() {
    const CONNECTIONS: usize = 100;
    const ROUNDS: usize = 100;
    // So long that nobody is late, however long ten thousand take.
    let patient = [
        "--set",
        "group.consumer.session.timeout.ms=600000",
        "--set",
        "group.consumer.max.session.timeout.ms=600000",
    ];
    let mut broker = TestBroker::start(2, &[QUICK, &patient].concat());
    let client = &mut broker.connect();
    create(client, "t", 10, &[]);
    found(client, "g");
    let mut witness = Witness::new(&broker);
    let mut speakers: Vec<Consumer> = (0..CONNECTIONS).map(|_| Consumer::new(&broker, "")).collect();
    let name = |speaker: usize, round: usize| format!("member-{speaker}-{round}");
    let mut owned = 0;
    for round in 0..ROUNDS {
        for (index, speaker) in speakers.iter_mut().enumerate() {
            speaker.id = name(index, round);
            let request = speaker
                .request()
                .with_rebalance_timeout_ms(600_000)
                .with_subscribed_topic_names(Some(vec![topic_name("t")]))
                .with_topic_partitions(Some(Vec::new()));
            speaker.client.send(1, &request);
        }
        for speaker in &mut speakers {
            let told = speaker.client.receive::<ConsumerGroupHeartbeatRequest>(1);
            assert_eq!(told.error_code, 0, "{:?}", told.error_message);
            owned += told.assignment.map_or(0, |it| it.topic_partitions.len());
        }
    }
    assert_eq!(owned, 1, "the first was given all, and has not given up any");
    assert_eq!(state(client).2, CONNECTIONS * ROUNDS);
    witness.check();
    let client = &mut broker.crash_and_restart(1);
    found(client, "g");
    assert_eq!(state(client).2, CONNECTIONS * ROUNDS);
    let mut last = Consumer::new(&broker, &name(CONNECTIONS - 1, ROUNDS - 1));
    assert_eq!(last.leave(), ErrorCode::None);
    assert_eq!(state(client).2, CONNECTIONS * ROUNDS - 1);
}

/// Members whose metadata takes all the memory that groups may have: others are turned away, those who are there go on.
#[test]
fn the_memory_of_groups_is_bounded() {
    const BIG: usize = 900 << 10;
    let broker = TestBroker::start(1, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 1, &[]);
    found(client, "g");
    let mut witness = Witness::new(&broker);
    let mut members: Vec<Member> = Vec::new();
    let newcomer = |index: usize| {
        let mut member = Member::new(&broker, &format!("group-{index}"));
        member.metadata = vec![7; BIG];
        member
    };
    loop {
        let mut member = newcomer(members.len());
        match member.try_take_id() {
            ErrorCode::MemberIdRequired => member.alone(),
            error => break assert_eq!(error, ErrorCode::CoordinatorNotAvailable),
        }
        members.push(member);
        assert!(members.len() < 50, "a quarter of 128 MiB is less");
    }
    assert!(members.len() > 20, "{}", members.len());
    witness.check();
    for member in &mut members {
        assert_eq!(member.heartbeat(), ErrorCode::None);
    }
    // A member of a group that is there is as little as before, and leads as before.
    members[0].alone();
    assert_eq!(
        members[0].commit("t", &[(0, 1)]),
        [ErrorCode::None],
        "a small thing still finds room"
    );
    for mut member in members.drain(1..5) {
        assert_eq!(member.leave(), ErrorCode::None);
    }
    let mut member = newcomer(1);
    member.take_id();
    member.alone();
    witness.check();
    broker.stop();
}
