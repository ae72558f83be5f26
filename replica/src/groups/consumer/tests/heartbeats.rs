//! KIP-848's heartbeat: joining, reconciling, leaving, and what is refused.

use super::*;
use crate::groups::consumer::record::MemberState;

/// Three members join one after the other, and each gives up what the next is to own (the KIP's own example).
#[test]
fn kip_848_members_join_and_reconcile_one_by_one() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 6);
    let all = set(t, 0..6);
    expect(&fixture.heartbeat(joining("a", &["t"])), 1, Some(&all));
    assert_eq!(fixture.describe().state, "Stable");

    // B gets nothing before A has let go.
    expect(
        &fixture.heartbeat(joining("b", &["t"])),
        2,
        Some(&PartitionSet::EMPTY),
    );
    assert_eq!(fixture.describe().state, "Reconciling");
    expect(&fixture.heartbeat(quiet("a", 1)), 1, Some(&set(t, 0..3)));
    expect(&fixture.heartbeat(quiet("b", 2)), 2, None);
    // A says what it owns, but not yet that it has let go.
    expect(&fixture.heartbeat(owning("a", 1, &all)), 1, None);
    expect(&fixture.heartbeat(owning("a", 1, &set(t, 0..3))), 2, None);
    expect(&fixture.heartbeat(quiet("b", 2)), 2, Some(&set(t, 3..6)));
    assert_eq!(fixture.describe().state, "Stable");

    // C joins: one from each.
    expect(
        &fixture.heartbeat(joining("c", &["t"])),
        3,
        Some(&PartitionSet::EMPTY),
    );
    expect(&fixture.heartbeat(quiet("a", 2)), 2, Some(&set(t, 0..2)));
    expect(&fixture.heartbeat(owning("a", 2, &set(t, 0..2))), 3, None);
    expect(&fixture.heartbeat(quiet("c", 3)), 3, Some(&set(t, [2])));
    expect(&fixture.heartbeat(quiet("b", 2)), 2, Some(&set(t, 3..5)));
    expect(&fixture.heartbeat(owning("b", 2, &set(t, 3..5))), 3, None);
    expect(&fixture.heartbeat(quiet("c", 3)), 3, Some(&set(t, [2, 5])));
    let described = fixture.describe();
    assert_eq!(
        (described.state, described.group_epoch, described.assignment_epoch),
        ("Stable", 3, 3)
    );
    fixture.restart();
}

#[test]
fn a_heartbeat_that_changes_nothing_writes_nothing() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 2);
    let join = joining("a", &["t"]);
    expect(&fixture.heartbeat(join.clone()), 1, Some(&set(t, 0..2)));
    let point = fixture.log.len();
    assert_eq!(point, 5, "member, epoch, target, its epoch, what it owns");
    expect(&fixture.heartbeat(quiet("a", 1)), 1, None);
    expect(&fixture.heartbeat(owning("a", 1, &set(t, 0..2))), 1, None);
    // A full request, after the client has lost an answer, is answered in full.
    let full = ConsumerGroupHeartbeat {
        member_epoch: 1,
        topic_partitions: Some(vec![(t, vec![PartitionIndex(0), PartitionIndex(1)])]),
        ..join
    };
    expect(&fixture.heartbeat(full), 1, Some(&set(t, 0..2)));
    assert_eq!(fixture.log.len(), point);
}

#[test]
fn a_member_that_missed_an_answer_says_its_last_epoch() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 2);
    fixture.heartbeat(joining("a", &["t"]));
    fixture.heartbeat(joining("b", &["t"]));
    fixture.heartbeat(quiet("a", 1));
    expect(&fixture.heartbeat(owning("a", 1, &set(t, [0]))), 2, None);
    // That answer was lost.
    expect(&fixture.heartbeat(owning("a", 1, &set(t, [0]))), 2, None);
    let why = "smaller member epoch (1) than the one known by the group coordinator (2)";
    expect_error(
        &fixture.heartbeat(quiet("a", 1)),
        ErrorCode::FencedMemberEpoch,
        why,
    );
    let too_much = owning("a", 1, &set(t, 0..2));
    expect_error(&fixture.heartbeat(too_much), ErrorCode::FencedMemberEpoch, why);
    let ahead = quiet("a", 3);
    expect_error(
        &fixture.heartbeat(ahead),
        ErrorCode::FencedMemberEpoch,
        "greater member epoch (3)",
    );
    // Who was fenced gives up all and joins again as the same.
    expect(&fixture.heartbeat(joining("a", &["t"])), 2, Some(&set(t, [0])));
    assert_eq!(fixture.describe().members.len(), 2);
}

#[test]
fn a_member_that_leaves_hands_over_at_once() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 4);
    fixture.heartbeat(joining("a", &["t"]));
    fixture.heartbeat(joining("b", &["t"]));
    fixture.heartbeat(quiet("a", 1));
    fixture.heartbeat(owning("a", 1, &set(t, 0..2)));
    expect(&fixture.heartbeat(quiet("b", 2)), 2, Some(&set(t, 2..4)));
    let left = fixture.heartbeat(quiet("a", -1));
    assert_eq!((left.member_epoch, left.member_id.as_deref()), (-1, Some("a")));
    assert_eq!(fixture.describe().state, "Assigning");
    expect(&fixture.heartbeat(quiet("b", 2)), 3, Some(&set(t, 0..4)));
    expect_error(
        &fixture.heartbeat(quiet("a", 2)),
        ErrorCode::UnknownMemberId,
        "a is not a member of group g",
    );
    expect_error(
        &fixture.heartbeat(quiet("a", -1)),
        ErrorCode::UnknownMemberId,
        "a",
    );
    fixture.heartbeat(quiet("b", -1));
    let described = fixture.describe();
    assert_eq!((described.state, described.group_epoch), ("Empty", 4));
    fixture.restart();
    // Epochs go on, so that a member of long ago is never taken for a new one.
    expect(&fixture.heartbeat(joining("c", &["t"])), 5, Some(&set(t, 0..4)));
}

#[test]
fn a_silent_member_is_removed_and_its_partitions_are_given_away() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 4);
    fixture.heartbeat(joining("a", &["t"]));
    expect(
        &fixture.heartbeat(joining("b", &["t"])),
        2,
        Some(&PartitionSet::EMPTY),
    );
    fixture.advance(44_000);
    expect(&fixture.heartbeat(quiet("b", 2)), 2, None);
    fixture.advance(2_000);
    expect(&fixture.heartbeat(quiet("b", 2)), 3, Some(&set(t, 0..4)));
    expect_error(&fixture.heartbeat(quiet("a", 1)), ErrorCode::UnknownMemberId, "");
    fixture.advance(46_000);
    assert_eq!(fixture.describe().state, "Empty");
    assert_eq!(
        fixture
            .coordinator
            .deadline_ms()
            .filter(|due| *due < fixture.now_ms + 60_000),
        None
    );
}

#[test]
fn a_member_that_does_not_give_up_partitions_is_removed_after_its_rebalance_timeout() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 2);
    fixture.heartbeat(joining("a", &["t"]));
    fixture.heartbeat(joining("b", &["t"]));
    expect(&fixture.heartbeat(quiet("a", 1)), 1, Some(&set(t, [0])));
    for _ in 0..5 {
        fixture.advance(5_000);
        expect(&fixture.heartbeat(quiet("a", 1)), 1, None);
        expect(&fixture.heartbeat(quiet("b", 2)), 2, None);
    }
    fixture.advance(5_001);
    expect_error(&fixture.heartbeat(quiet("a", 1)), ErrorCode::UnknownMemberId, "");
    expect(&fixture.heartbeat(quiet("b", 2)), 3, Some(&set(t, 0..2)));
}

#[test]
fn topics_that_are_made_grow_or_go_make_for_a_new_epoch() {
    let mut fixture = Fixture::new();
    expect(
        &fixture.heartbeat(joining("a", &["t", "u"])),
        1,
        Some(&PartitionSet::EMPTY),
    );
    let t = fixture.create_topic("t", 2);
    expect(&fixture.heartbeat(quiet("a", 1)), 2, Some(&set(t, 0..2)));
    // A topic that nobody subscribes to changes nothing.
    let other = fixture.create_topic("other", 2);
    let point = fixture.log.len();
    expect(&fixture.heartbeat(quiet("a", 2)), 2, None);
    fixture.delete_topic(other);
    expect(&fixture.heartbeat(quiet("a", 2)), 2, None);
    assert_eq!(fixture.log.len(), point);
    fixture.grow_topic(t, 3);
    expect(&fixture.heartbeat(quiet("a", 2)), 3, Some(&set(t, 0..3)));
    let u = fixture.create_topic("u", 1);
    let both = set(t, 0..3).union(&set(u, [0]));
    expect(&fixture.heartbeat(quiet("a", 3)), 4, Some(&both));
    fixture.delete_topic(t);
    expect(&fixture.heartbeat(quiet("a", 4)), 4, Some(&set(u, [0])));
    expect(&fixture.heartbeat(owning("a", 4, &set(u, [0]))), 5, None);
    // Deleted and made again: another topic of the same name.
    fixture.delete_topic(u);
    let again = fixture.create_topic("u", 1);
    expect(&fixture.heartbeat(quiet("a", 5)), 5, Some(&PartitionSet::EMPTY));
    expect(
        &fixture.heartbeat(owning("a", 5, &PartitionSet::EMPTY)),
        6,
        Some(&set(again, [0])),
    );
    fixture.restart();
    expect(&fixture.heartbeat(quiet("a", 6)), 6, None);
}

#[test]
fn a_member_changes_its_subscription() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 1);
    let u = fixture.create_topic("u", 1);
    fixture.heartbeat(joining("a", &["t"]));
    let change = ConsumerGroupHeartbeat {
        subscribed_topic_names: Some(vec!["u".to_owned(), "u".to_owned()]),
        ..quiet("a", 1)
    };
    expect(&fixture.heartbeat(change), 1, Some(&PartitionSet::EMPTY));
    assert_eq!(
        fixture.group().members["a"].current.state,
        MemberState::UnrevokedPartitions
    );
    expect(
        &fixture.heartbeat(owning("a", 1, &PartitionSet::EMPTY)),
        2,
        Some(&set(u, [0])),
    );
    let nothing = ConsumerGroupHeartbeat {
        subscribed_topic_names: Some(Vec::new()),
        topic_partitions: Some(Vec::new()),
        ..quiet("a", 2)
    };
    expect(&fixture.heartbeat(nothing), 3, Some(&PartitionSet::EMPTY));
    assert!(!fixture.group().is_subscribed("t") && t != u);
}

#[test]
fn heartbeats_that_make_no_sense_are_refused() {
    let mut fixture = Fixture::new();
    fixture.create_topic("t", 1);
    let join = || joining("a", &["t"]);
    let cases = [
        (
            ConsumerGroupHeartbeat {
                group_id: String::new(),
                ..join()
            },
            ErrorCode::InvalidGroupId,
            "GroupId",
        ),
        (
            ConsumerGroupHeartbeat {
                instance_id: Some(String::new()),
                ..join()
            },
            ErrorCode::InvalidRequest,
            "InstanceId",
        ),
        (
            ConsumerGroupHeartbeat {
                rack_id: Some(String::new()),
                ..join()
            },
            ErrorCode::InvalidRequest,
            "RackId",
        ),
        (
            ConsumerGroupHeartbeat {
                rebalance_timeout_ms: -1,
                ..join()
            },
            ErrorCode::InvalidRequest,
            "RebalanceTimeoutMs",
        ),
        (
            ConsumerGroupHeartbeat {
                topic_partitions: None,
                ..join()
            },
            ErrorCode::InvalidRequest,
            "TopicPartitions",
        ),
        (
            ConsumerGroupHeartbeat {
                subscribed_topic_names: None,
                ..join()
            },
            ErrorCode::InvalidRequest,
            "Either SubscribedTopicNames or SubscribedTopicRegex",
        ),
        (
            ConsumerGroupHeartbeat {
                server_assignor: Some("sticky".to_owned()),
                ..join()
            },
            ErrorCode::UnsupportedAssignor,
            "ServerAssignor sticky is not supported. Supported assignors: uniform, range.",
        ),
        (
            ConsumerGroupHeartbeat {
                member_id: "x".repeat(5_000),
                ..join()
            },
            ErrorCode::InvalidRequest,
            "too long",
        ),
        (quiet("", 1), ErrorCode::InvalidRequest, "MemberId can't be empty"),
        (
            quiet("", -1),
            ErrorCode::InvalidRequest,
            "MemberId can't be empty",
        ),
        (
            quiet("a", -2),
            ErrorCode::InvalidRequest,
            "InstanceId can't be null",
        ),
        (
            quiet("a", -3),
            ErrorCode::InvalidRequest,
            "MemberEpoch is invalid",
        ),
        (
            quiet("a", 1),
            ErrorCode::GroupIdNotFound,
            "Consumer group g not found",
        ),
        (
            quiet("a", -1),
            ErrorCode::GroupIdNotFound,
            "Consumer group g not found",
        ),
    ];
    for (request, error, message) in cases {
        expect_error(&fixture.heartbeat(request), error, message);
    }
    assert_eq!(fixture.log, []);
    assert_eq!(fixture.coordinator.group_count(), 0);
}

#[test]
fn a_full_group_takes_nobody_but_its_members() {
    let config = GroupConfig {
        consumer_max_size: 1,
        ..GroupConfig::default()
    };
    let mut fixture = Fixture::with(config);
    let t = fixture.create_topic("t", 1);
    fixture.heartbeat(joining("a", &["t"]));
    let why = "maximum capacity of 1 members";
    expect_error(
        &fixture.heartbeat(joining("b", &["t"])),
        ErrorCode::GroupMaxSizeReached,
        why,
    );
    expect_error(
        &fixture.heartbeat(joining("", &["t"])),
        ErrorCode::GroupMaxSizeReached,
        why,
    );
    expect(&fixture.heartbeat(joining("a", &["t"])), 1, Some(&set(t, [0])));
}

#[test]
fn a_member_of_version_0_gets_an_id() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 1);
    let answer = fixture.heartbeat(joining("", &["t"]));
    expect(&answer, 1, Some(&set(t, [0])));
    assert_eq!(answer.member_id.as_deref(), Some("fresh"));
    assert_eq!(answer.heartbeat_interval_ms, 5_000);
}

#[test]
fn kip_1082_a_member_of_version_1_brings_its_id() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 1);
    let of_version_1 = |member_id: &str| ConsumerGroupHeartbeat {
        makes_own_id: true,
        ..joining(member_id, &["t"])
    };
    expect_error(
        &fixture.heartbeat(of_version_1("")),
        ErrorCode::InvalidRequest,
        "MemberId can't be empty",
    );
    assert!(fixture.log.is_empty());
    expect(&fixture.heartbeat(of_version_1("a")), 1, Some(&set(t, [0])));
}

#[test]
fn most_members_choose_the_assignor() {
    let mut fixture = Fixture::new();
    for topic in ["t", "u"] {
        fixture.create_topic(topic, 3);
    }
    let by = |member: &str, assignor: Option<&str>| ConsumerGroupHeartbeat {
        server_assignor: assignor.map(str::to_owned),
        ..joining(member, &["t", "u"])
    };
    fixture.heartbeat(by("a", None));
    assert_eq!(&*fixture.describe().assignor_name, "uniform");
    fixture.heartbeat(by("b", Some("range")));
    let described = fixture.describe();
    assert_eq!(&*described.assignor_name, "range");
    let targets: Vec<Vec<usize>> = described
        .members
        .iter()
        .map(|member| {
            member
                .target_assignment
                .iter()
                .map(|topic| topic.partitions.len())
                .collect()
        })
        .collect();
    assert_eq!(targets, [[2, 2], [1, 1]], "topics are cut alike");
    fixture.heartbeat(by("c", Some("uniform")));
    assert_eq!(
        &*fixture.describe().assignor_name,
        "uniform",
        "the first offered wins a tie"
    );
}

#[test]
fn a_group_is_described_with_its_members() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 1);
    let request = ConsumerGroupHeartbeat {
        rack_id: Some("r".to_owned()),
        instance_id: Some("i".to_owned()),
        ..joining("a", &["t", "s"])
    };
    fixture.heartbeat(request);
    let group = fixture.describe();
    assert_eq!(
        (
            group.error,
            group.state,
            group.group_epoch,
            group.assignment_epoch
        ),
        (ErrorCode::None, "Stable", 1, 1)
    );
    let member = &group.members[0];
    assert_eq!(
        (member.rack_id.as_deref(), member.instance_id.as_deref()),
        (Some("r"), Some("i"))
    );
    assert_eq!(member.subscribed_topic_names, ["s".into(), "t".into()]);
    assert_eq!((member.member_epoch, member.member_type), (1, 1));
    assert_eq!((member.assignment[0].id, &*member.assignment[0].name), (t, "t"));
    assert_eq!(member.assignment, member.target_assignment);
    let request = ConsumerGroupDescribe {
        group_ids: vec!["none".to_owned()],
    };
    let GroupResponse::ConsumerGroupDescribe(groups) =
        fixture.answer(GroupRequest::ConsumerGroupDescribe(request))
    else {
        panic!()
    };
    assert_eq!(groups[0].error, ErrorCode::GroupIdNotFound);
}

#[test]
fn members_who_are_there_go_on_when_memory_is_spent() {
    let mut fixture = Fixture::with_memory(GroupConfig::default(), CoordinatorMemory::of(100 << 10));
    let t = fixture.create_topic("t", 1);
    let refused = |fixture: &mut Fixture, request| {
        let why = "no memory left";
        expect_error(
            &fixture.heartbeat(request),
            ErrorCode::CoordinatorNotAvailable,
            why,
        );
    };
    expect(&fixture.heartbeat(joining("m0", &["t"])), 1, Some(&set(t, [0])));
    let mut count = 1;
    while fixture.heartbeat(joining(&format!("m{count}"), &["t"])).error == ErrorCode::None {
        count += 1;
    }
    assert!((50..150).contains(&count), "{count}");
    refused(&mut fixture, joining("newcomer", &["t"]));
    let elsewhere = ConsumerGroupHeartbeat {
        group_id: "another".to_owned(),
        ..joining("newcomer", &["t"])
    };
    refused(&mut fixture, elsewhere);
    let names: Vec<String> = (0..300).map(|index| format!("topic-{index}")).collect();
    let more = ConsumerGroupHeartbeat {
        subscribed_topic_names: Some(names),
        ..quiet("m0", 1)
    };
    refused(&mut fixture, more);
    assert_eq!(fixture.heartbeat(quiet("m0", 1)).error, ErrorCode::None);
    fixture.restart();
    refused(&mut fixture, joining("newcomer", &["t"]));
    for index in 1..count {
        fixture.heartbeat(quiet(&format!("m{index}"), -1));
    }
    assert_eq!(
        fixture.heartbeat(joining("newcomer", &["t"])).error,
        ErrorCode::None
    );
}
