//! Subscriptions by regular expression.

use super::*;
use crate::groups::consumer::pattern::REFRESH_MS_MIN;

fn by_pattern(member: &str, pattern: &str) -> ConsumerGroupHeartbeat {
    ConsumerGroupHeartbeat {
        subscribed_topic_names: None,
        subscribed_topic_regex: Some(pattern.to_owned()),
        ..joining(member, &[])
    }
}

#[test]
fn an_expression_is_resolved_by_the_coordinator() {
    let mut fixture = Fixture::new();
    let orders = fixture.create_topic("orders-1", 1);
    fixture.create_topic("payments", 1);
    expect(
        &fixture.heartbeat(by_pattern("a", "orders-.*")),
        1,
        Some(&set(orders, [0])),
    );
    assert!(fixture.group().is_subscribed("orders-1") && !fixture.group().is_subscribed("payments"));
    let member = &fixture.describe().members[0];
    assert_eq!(member.subscribed_topic_regex.as_deref(), Some("orders-.*"));
    assert_eq!(member.subscribed_topic_names, []);
    fixture.restart();
    expect(&fixture.heartbeat(quiet("a", 1)), 1, None);
}

#[test]
fn an_expression_is_resolved_again_when_topics_change() {
    let mut fixture = Fixture::new();
    let one = fixture.create_topic("orders-1", 1);
    fixture.heartbeat(by_pattern("a", "orders-.*"));
    let two = fixture.create_topic("orders-2", 1);
    expect(&fixture.heartbeat(quiet("a", 1)), 1, None);
    fixture.advance(REFRESH_MS_MIN);
    let both = set(one, [0]).union(&set(two, [0]));
    expect(&fixture.heartbeat(quiet("a", 1)), 2, Some(&both));
    fixture.delete_topic(one);
    fixture.advance(REFRESH_MS_MIN);
    expect(&fixture.heartbeat(quiet("a", 2)), 2, Some(&set(two, [0])));
    expect(&fixture.heartbeat(owning("a", 2, &set(two, [0]))), 3, None);
    // Nobody comes and goes: nothing is written.
    let point = fixture.log.len();
    fixture.create_topic("payments", 1);
    for _ in 0..500 {
        fixture.advance(2_000);
        expect(&fixture.heartbeat(quiet("a", 3)), 3, None);
    }
    assert_eq!(fixture.log.len(), point);
}

#[test]
fn topics_made_while_the_coordinator_was_away_are_found() {
    let mut fixture = Fixture::new();
    let one = fixture.create_topic("orders-1", 1);
    fixture.heartbeat(by_pattern("a", "orders-.*"));
    let two = MetadataRecord::Topic {
        id: TopicId(Uuid::from_u128(77)),
        name: "orders-2".to_owned(),
        partition_count: 1,
    };
    fixture.image.apply(&two).unwrap();
    fixture.restart();
    fixture.advance(REFRESH_MS_MIN);
    let both = set(one, [0]).union(&set(TopicId(Uuid::from_u128(77)), [0]));
    expect(&fixture.heartbeat(quiet("a", 1)), 2, Some(&both));
}

#[test]
fn an_expression_that_is_not_legal_is_refused_and_changes_nothing() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 1);
    let why = "SubscribedTopicRegex `(` is not a valid regular expression";
    expect_error(
        &fixture.heartbeat(by_pattern("a", "(")),
        ErrorCode::InvalidRegularExpression,
        why,
    );
    assert_eq!((fixture.coordinator.group_count(), fixture.log.len()), (0, 0));
    fixture.heartbeat(joining("a", &["t"]));
    let point = fixture.log.len();
    let change = ConsumerGroupHeartbeat {
        subscribed_topic_regex: Some("(".to_owned()),
        ..quiet("a", 1)
    };
    expect_error(
        &fixture.heartbeat(change),
        ErrorCode::InvalidRegularExpression,
        why,
    );
    expect(&fixture.heartbeat(quiet("a", 1)), 1, None);
    assert_eq!(fixture.log.len(), point);
    assert_eq!(fixture.group().target("a"), &set(t, [0]));
}

#[test]
fn an_expression_and_names_add_up_and_an_expression_can_be_given_up() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 1);
    let u = fixture.create_topic("u", 1);
    let both = ConsumerGroupHeartbeat {
        subscribed_topic_names: Some(vec!["t".to_owned()]),
        ..by_pattern("a", "[uv]")
    };
    expect(
        &fixture.heartbeat(both),
        1,
        Some(&set(t, [0]).union(&set(u, [0]))),
    );
    let change = |pattern: &str, epoch: i32| ConsumerGroupHeartbeat {
        subscribed_topic_regex: Some(pattern.to_owned()),
        ..quiet("a", epoch)
    };
    let point = fixture.log.len();
    expect(&fixture.heartbeat(change("", 1)), 1, Some(&set(t, [0])));
    let gone = ConsumerRecord::Pattern("[uv]".into(), None);
    assert!(fixture.records_since(point).contains(&gone));
    expect(&fixture.heartbeat(owning("a", 1, &set(t, [0]))), 2, None);
    // From one expression to another, with nothing between.
    let all = set(t, [0]).union(&set(u, [0]));
    expect(&fixture.heartbeat(change(".", 2)), 3, Some(&all));
    expect(&fixture.heartbeat(change("[a-z]", 3)), 4, None);
    fixture.restart();
    let regexes: Vec<_> = fixture.group().resolved.keys().map(ToString::to_string).collect();
    assert_eq!(regexes, ["[a-z]"]);
    // The last member takes its expression with it.
    fixture.heartbeat(quiet("a", -1));
    assert!(fixture.group().resolved.is_empty());
    fixture.restart();
}

#[test]
fn many_topics_are_matched_over_several_steps() {
    let mut fixture = Fixture::new();
    for index in 0..12_000 {
        let record = MetadataRecord::Topic {
            id: TopicId(Uuid::from_u128(1_000_000 + index)),
            name: format!("t{index:05}"),
            partition_count: 1,
        };
        fixture.image.apply(&record).unwrap();
    }
    expect(
        &fixture.heartbeat(by_pattern("a", "t1199.")),
        1,
        Some(&PartitionSet::EMPTY),
    );
    fixture.heartbeat(by_pattern("b", "t0000."));
    fixture.advance(10);
    let answer = fixture.heartbeat(quiet("a", 1));
    assert_eq!(assigned(&answer).unwrap().len(), 10);
    assert_eq!(fixture.group().target("b").len(), 10);
}
