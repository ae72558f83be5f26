//! KIP-211: how long offsets are kept.

use tautline_core::error::ErrorCode;

use super::lab::{Lab, committing, subscription};
use crate::groups::request::{GroupRequest, JoinGroup, OffsetCommit};

const DAY_MS: i64 = 24 * 3_600_000;
const CHECK_MS: i64 = 600_000;

fn keep_alive(lab: &mut Lab, group: &str, joined: &crate::groups::response::Joined, ms: i64) {
    let end = lab.now_ms + ms;
    while lab.now_ms < end {
        assert_eq!(lab.heartbeat(group, joined), ErrorCode::None);
        lab.pass(1_000_000.min(end - lab.now_ms));
    }
}

#[test]
fn kip_211_offsets_of_a_group_age_from_when_its_members_left() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 1);
    lab.commit_as("g", &joined[0].member_id, 1, 5);
    lab.leave("g", &[(&joined[0].member_id, None)]);
    lab.pass(4 * DAY_MS);
    // A crash does not make them younger or older.
    lab.restart();
    lab.pass(3 * DAY_MS - CHECK_MS);
    assert_eq!(lab.offset("g", "t"), 5);
    lab.pass(3 * CHECK_MS);
    assert_eq!(lab.offset("g", "t"), -1);
    assert_eq!(lab.describe("g").state, "Dead");
    lab.restart();
    assert_eq!((lab.offset("g", "t"), lab.coordinator.group_count()), (-1, 0));
}

#[test]
fn kip_211_offsets_of_a_simple_consumer_age_from_their_commit() {
    let mut lab = Lab::new();
    lab.commit_as("g", "", -1, 5);
    lab.pass(5 * DAY_MS);
    let request = committing("g", "", -1, "u", 6);
    lab.now(GroupRequest::OffsetCommit(request));
    lab.pass(2 * DAY_MS + CHECK_MS);
    assert_eq!((lab.offset("g", "t"), lab.offset("g", "u")), (-1, 6));
    lab.pass(5 * DAY_MS);
    assert_eq!(lab.describe("g").state, "Dead");
}

#[test]
fn kip_211_offsets_of_topics_that_nobody_subscribes_to_any_more_age_in_a_live_group() {
    let mut lab = Lab::new();
    let request = JoinGroup {
        session_timeout_ms: 1_800_000,
        protocols: vec![("range".to_owned(), subscription(&["t"]))],
        ..lab.joining("g")
    };
    let joined = lab.stable_of(
        "g",
        &[JoinGroup {
            session_timeout_ms: 1_800_000,
            ..request
        }],
    );
    let id = joined[0].member_id.to_string();
    for topic in ["t", "u"] {
        lab.now(GroupRequest::OffsetCommit(committing("g", &id, 1, topic, 5)));
    }
    keep_alive(&mut lab, "g", &joined[0], 8 * DAY_MS);
    assert_eq!((lab.offset("g", "t"), lab.offset("g", "u")), (5, -1));
}

#[test]
fn a_commit_may_ask_for_an_expiry_of_its_own() {
    let mut lab = Lab::new();
    let request = OffsetCommit {
        retention_time_ms: Some(1_000),
        ..committing("g", "", -1, "t", 5)
    };
    lab.now(GroupRequest::OffsetCommit(request));
    lab.commit_as("h", "", -1, 6);
    lab.restart();
    assert_eq!(lab.offset("g", "t"), 5);
    lab.pass(CHECK_MS);
    assert_eq!((lab.offset("g", "t"), lab.offset("h", "t")), (-1, 6));
}

#[test]
fn many_offsets_expire_in_batches_of_bounded_size() {
    let mut lab = Lab::new();
    for group in 0..500 {
        lab.commit_as(&format!("g{group}"), "", -1, 5);
    }
    let before = lab.log.len();
    lab.pass(8 * DAY_MS);
    assert_eq!(lab.coordinator.group_count(), 0);
    assert!(
        lab.log.len() - before >= 3,
        "not all groups are looked at in one tick"
    );
}
