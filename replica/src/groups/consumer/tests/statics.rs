//! Static members of consumer groups (KIP-345 in KIP-848's terms).

use super::*;

fn member(id: &str, instance: &str) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        instance_id: Some(instance.to_owned()),
        ..joining(id, &["t"])
    }
}

fn with_instance(request: ConsumerGroupHeartbeat, instance: &str) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        instance_id: Some(instance.to_owned()),
        ..request
    }
}

/// Two static members that own two partitions each.
fn pair() -> (Fixture, TopicId) {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 4);
    fixture.heartbeat(member("a", "ia"));
    fixture.heartbeat(member("b", "ib"));
    fixture.heartbeat(with_instance(quiet("a", 1), "ia"));
    fixture.heartbeat(with_instance(owning("a", 1, &set(t, 0..2)), "ia"));
    expect(
        &fixture.heartbeat(with_instance(quiet("b", 2), "ib")),
        2,
        Some(&set(t, 2..4)),
    );
    (fixture, t)
}

#[test]
fn a_static_restart_within_the_session_moves_nothing() {
    let (mut fixture, t) = pair();
    let left = fixture.heartbeat(with_instance(quiet("a", -2), "ia"));
    assert_eq!((left.error, left.member_epoch), (ErrorCode::None, -2));
    expect(&fixture.heartbeat(with_instance(quiet("b", 2), "ib")), 2, None);
    fixture.restart();
    fixture.advance(40_000);
    fixture.heartbeat(with_instance(quiet("b", 2), "ib"));
    let point = fixture.log.len();
    expect(&fixture.heartbeat(member("a2", "ia")), 2, Some(&set(t, 0..2)));
    assert!(
        fixture
            .records_since(point)
            .iter()
            .all(|record| !matches!(record, ConsumerRecord::Group(_)))
    );
    expect(&fixture.heartbeat(with_instance(quiet("b", 2), "ib")), 2, None);
    let described = fixture.describe();
    assert_eq!((described.group_epoch, described.members.len()), (2, 2));
    fixture.restart();
    // The one whose place was taken is not let in.
    let old = with_instance(quiet("a", 2), "ia");
    expect_error(
        &fixture.heartbeat(old),
        ErrorCode::FencedInstanceId,
        "was fenced by member a2",
    );
    let old = with_instance(quiet("a", -1), "ia");
    expect_error(
        &fixture.heartbeat(old),
        ErrorCode::FencedInstanceId,
        "was fenced by member a2",
    );
}

#[test]
fn a_static_member_that_does_not_come_back_is_removed() {
    let (mut fixture, t) = pair();
    fixture.heartbeat(with_instance(quiet("a", -2), "ia"));
    fixture.advance(40_000);
    expect(&fixture.heartbeat(with_instance(quiet("b", 2), "ib")), 2, None);
    fixture.advance(6_000);
    expect(
        &fixture.heartbeat(with_instance(quiet("b", 2), "ib")),
        3,
        Some(&set(t, 0..4)),
    );
}

#[test]
fn an_instance_id_in_use_is_not_released() {
    let (mut fixture, _) = pair();
    let why = "instance id ia cannot join the group because the instance id is owned by a member";
    expect_error(
        &fixture.heartbeat(member("x", "ia")),
        ErrorCode::UnreleasedInstanceId,
        why,
    );
    let unknown = with_instance(quiet("a", 2), "ic");
    expect_error(
        &fixture.heartbeat(unknown),
        ErrorCode::UnknownMemberId,
        "Instance id ic is unknown",
    );
    let other = with_instance(quiet("b", 2), "ia");
    expect_error(
        &fixture.heartbeat(other),
        ErrorCode::FencedInstanceId,
        "was fenced by member a",
    );
    // The same member may come again: it was fenced, say.
    let again = fixture.heartbeat(member("a", "ia"));
    assert_eq!((again.error, again.member_epoch), (ErrorCode::None, 2));
}

#[test]
fn a_static_member_that_leaves_for_good_hands_over() {
    let (mut fixture, t) = pair();
    fixture.heartbeat(with_instance(quiet("a", -1), "ia"));
    expect(
        &fixture.heartbeat(with_instance(quiet("b", 2), "ib")),
        3,
        Some(&set(t, 0..4)),
    );
    assert_eq!(fixture.group().static_members.len(), 1);
}

#[test]
fn a_static_member_may_come_back_to_a_full_group_and_with_another_subscription() {
    let (mut fixture, _) = pair();
    fixture.config.consumer_max_size = 2;
    fixture.restart();
    let u = fixture.create_topic("u", 1);
    fixture.heartbeat(with_instance(quiet("a", -2), "ia"));
    let back = ConsumerGroupHeartbeat {
        subscribed_topic_names: Some(vec!["u".to_owned()]),
        ..member("a2", "ia")
    };
    // It owns nothing, so there is nothing to wait for.
    expect(&fixture.heartbeat(back), 3, Some(&set(u, [0])));
}
