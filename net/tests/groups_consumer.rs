//! Consumer groups (KIP-848) against a real broker: the coordinator assigns.

mod common;

use std::process::Command;

use common::configs::{self, GROUP};
use common::consumers::{Consumer, state};
use common::groups::{QUICK, commit_codes, commit_request, found};
use common::{Client, TestBroker, create, on_one_and_two_shards, text};
use kafka_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use tautline_core::error::ErrorCode;

#[test]
fn the_coordinator_assigns() {
    for shards in [1, 2] {
        let mut broker = TestBroker::start(shards, QUICK);
        let client = &mut broker.connect();
        create(client, "t", 4, &[]);
        found(client, "g");
        assert_eq!(state(client).0, ErrorCode::GroupIdNotFound);
        let mut first = Consumer::new(&broker, "first");
        assert_eq!(first.join(&["t"]), ErrorCode::None);
        while first.count() < 4 {
            assert_eq!(first.heartbeat(), ErrorCode::None);
        }
        let mut second = Consumer::new(&broker, "second");
        assert_eq!(second.join(&["t"]), ErrorCode::None);
        while (first.count(), second.count()) != (2, 2) {
            assert_eq!(first.heartbeat(), ErrorCode::None);
            assert_eq!(second.heartbeat(), ErrorCode::None);
        }
        while state(client) != (ErrorCode::None, "Stable".to_owned(), 2) {
            first.heartbeat();
            second.heartbeat();
        }
        let epoch = first.epoch;
        let commit = |client: &mut Client, member: &str, epoch| {
            let request = commit_request("g", "t", &[(0, 1)])
                .with_generation_id_or_member_epoch(epoch)
                .with_member_id(text(member));
            commit_codes(client, 9, &request)
        };
        assert_eq!(commit(client, "first", epoch), [ErrorCode::None]);
        assert_eq!(commit(client, "first", epoch - 1), [ErrorCode::StaleMemberEpoch]);
        // Killed: members and epochs are in the log.
        let client = &mut broker.crash_and_restart(3 - shards);
        found(client, "g");
        (first.client, second.client) = (broker.connect(), broker.connect());
        assert_eq!((first.heartbeat(), first.epoch), (ErrorCode::None, epoch));
        assert_eq!(second.heartbeat(), ErrorCode::None);
        assert_eq!(second.leave(), ErrorCode::None);
        while first.count() < 4 {
            assert_eq!(first.heartbeat(), ErrorCode::None);
        }
        let mut stranger = Consumer::new(&broker, "stranger");
        stranger.epoch = 3;
        assert_eq!(stranger.heartbeat(), ErrorCode::UnknownMemberId);
        first.epoch += 7;
        assert_eq!(first.heartbeat(), ErrorCode::FencedMemberEpoch);
        broker.stop();
    }
}

/// KIP-1022: a feature that is switched off is as if there were none.
#[test]
fn without_the_feature_there_are_no_consumer_groups() {
    on_one_and_two_shards(|broker, client| {
        create(client, "t", 1, &[]);
        found(client, "g");
        let key = FeatureUpdateKey::default()
            .with_feature(text("group.version"))
            .with_max_version_level(0)
            .with_upgrade_type(2);
        let request = UpdateFeaturesRequest::default().with_feature_updates(vec![key]);
        assert_eq!(client.ask(2, &request).error_code, 0);
        let mut consumer = Consumer::new(broker, "first");
        assert_eq!(consumer.join(&["t"]), ErrorCode::UnsupportedVersion);
        assert_eq!(state(client).0, ErrorCode::UnsupportedVersion);
    });
}

/// A group's own heartbeat interval is what its members are told; it lies within the broker's bounds.
#[test]
fn a_groups_configuration_counts() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 1, &[]);
    found(client, "g");
    let mut consumer = Consumer::new(&broker, "first");
    consumer.join(&["t"]);
    assert_eq!(
        consumer.client.ask(1, &consumer.request()).heartbeat_interval_ms,
        5_000
    );
    let set = ("consumer.heartbeat.interval.ms", configs::SET, Some("7000"));
    assert_eq!(configs::change(client, &[(GROUP, "g", &[set])], false), [0]);
    assert_eq!(
        consumer.client.ask(1, &consumer.request()).heartbeat_interval_ms,
        7_000
    );
    let invalid = ErrorCode::InvalidConfig.code();
    for (name, value) in [
        ("consumer.heartbeat.interval.ms", "4999"),
        ("consumer.heartbeat.interval.ms", "15001"),
        ("consumer.session.timeout.ms", "44999"),
        ("consumer.session.timeout.ms", "60001"),
        ("consumer.session.timeout.ms", "0"),
    ] {
        let set = (name, configs::SET, Some(value));
        let refused = configs::change(client, &[(GROUP, "g", &[set])], false);
        assert_eq!(refused, [invalid], "{name}={value}");
    }
    assert_eq!(
        consumer.client.ask(1, &consumer.request()).heartbeat_interval_ms,
        7_000
    );
}

/// A broker whose defaults are out of its own bounds says so, and does not start.
#[test]
fn a_broker_is_not_started_with_groups_it_would_refuse() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let refused = Command::new(env!("CARGO_BIN_EXE_tautline"))
        .args(["start", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
        .args(["--set", "group.consumer.session.timeout.ms=6000", "--data-dir"])
        .arg(directory.path())
        .output()
        .expect("the broker's binary runs");
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(
        said.contains(
            "'group.consumer.session.timeout.ms' is 6000, less than 'group.consumer.min.session.timeout.ms'"
        ),
        "{said}"
    );
}
