//! A coordinator that starts again from its log, whole or compacted.

use super::*;

#[test]
fn a_restart_in_the_middle_of_a_rebalance_goes_on() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 4);
    fixture.heartbeat(joining("a", &["t"]));
    fixture.heartbeat(joining("b", &["t"]));
    expect(&fixture.heartbeat(quiet("a", 1)), 1, Some(&set(t, 0..2)));
    fixture.restart();
    expect(&fixture.heartbeat(quiet("b", 2)), 2, None);
    expect(&fixture.heartbeat(owning("a", 1, &set(t, 0..2))), 2, None);
    fixture.restart();
    expect(&fixture.heartbeat(quiet("b", 2)), 2, Some(&set(t, 2..4)));
    fixture.compact();
    fixture.restart();
    expect(&fixture.heartbeat(quiet("a", 2)), 2, None);
    expect(&fixture.heartbeat(quiet("b", 2)), 2, None);
}

#[test]
fn after_a_restart_members_have_their_time() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 2);
    fixture.heartbeat(joining("a", &["t"]));
    fixture.heartbeat(joining("b", &["t"]));
    expect(&fixture.heartbeat(quiet("a", 1)), 1, Some(&set(t, [0])));
    fixture.advance(29_000);
    fixture.restart();
    fixture.advance(29_000);
    // A has to give up partitions, and was given its rebalance timeout anew.
    expect(&fixture.heartbeat(quiet("a", 1)), 1, None);
    fixture.advance(2_000);
    expect_error(&fixture.heartbeat(quiet("a", 1)), ErrorCode::UnknownMemberId, "");
    fixture.advance(20_000);
    assert_eq!(fixture.describe().state, "Empty", "nobody was heard of");
}

#[test]
fn every_prefix_of_the_log_can_be_replayed() {
    let mut fixture = Fixture::new();
    let t = fixture.create_topic("t", 3);
    fixture.heartbeat(joining("a", &["t"]));
    let by_pattern = ConsumerGroupHeartbeat {
        subscribed_topic_regex: Some("t".to_owned()),
        instance_id: Some("i".to_owned()),
        ..joining("b", &[])
    };
    fixture.heartbeat(by_pattern);
    fixture.heartbeat(quiet("a", 1));
    fixture.heartbeat(owning("a", 1, &set(t, [0])));
    fixture.heartbeat(quiet("a", -1));
    for end in 0..=fixture.log.len() {
        let mut coordinator =
            GroupCoordinator::new(GroupConfig::default(), CoordinatorMemory::of(usize::MAX));
        for record in &fixture.log[..end] {
            coordinator
                .replay(None, &record.key, record.value.as_deref(), 0)
                .unwrap();
        }
    }
}

#[test]
fn kafka_4_0s_partition_metadata_is_deleted_with_the_next_epoch() {
    let mut fixture = Fixture::new();
    fixture.create_topic("t", 1);
    fixture.heartbeat(joining("a", &["t"]));
    fixture.log.push(CoordinatorRecord {
        key: vec![0, 4, 0, 1, b'g'],
        value: Some(vec![0, 0, 1, 0]),
    });
    let mut coordinator = GroupCoordinator::new(GroupConfig::default(), fixture.memory.clone());
    for record in &fixture.log {
        coordinator
            .replay(None, &record.key, record.value.as_deref(), 0)
            .unwrap();
    }
    fixture.coordinator = coordinator;
    fixture.restart();
    let point = fixture.log.len();
    fixture.heartbeat(joining("b", &["t"]));
    assert!(
        fixture
            .records_since(point)
            .contains(&ConsumerRecord::PartitionMetadata(None))
    );
    fixture.restart();
}
