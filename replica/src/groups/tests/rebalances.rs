//! Joining, syncing, heartbeats and leaving of the classic protocol.

use bytes::Bytes;

use tautline_core::error::ErrorCode;

use super::lab::{Lab, again, subscription};
use crate::groups::GroupConfig;
use crate::groups::request::{GroupRequest, JoinGroup, SyncGroup};
use crate::groups::response::GroupResponse;

#[test]
fn a_follower_waits_for_the_leaders_assignment() {
    let mut lab = Lab::new();
    let requests = [lab.joining("g"), lab.joining("g")];
    let tokens: Vec<_> = requests.iter().map(|request| lab.join(request)).collect();
    lab.pass(6_000);
    let joined: Vec<_> = tokens.into_iter().map(|token| lab.joined(token)).collect();
    let (leader, follower) = (&joined[0], &joined[1]);
    assert_eq!(leader.members.len(), 2);
    assert!(follower.members.is_empty());
    assert_eq!(follower.leader, leader.member_id);
    assert_eq!(leader.members[0].metadata, subscription(&["t"]));
    let waiting = lab.sync("g", follower, &[]);
    assert_eq!(lab.describe("g").state, "CompletingRebalance");
    assert_eq!(lab.heartbeat("g", follower), ErrorCode::None);
    assert_eq!(
        lab.commit_as("g", &follower.member_id, 1, 5),
        ErrorCode::RebalanceInProgress
    );
    // A second request takes the place of the first.
    let again = lab.sync("g", follower, &[]);
    assert_eq!(lab.synced(waiting).error, ErrorCode::RebalanceInProgress);
    let own = lab.sync("g", leader, &[(&follower.member_id, "f"), ("stranger", "s")]);
    assert_eq!(lab.synced(own).assignment, "");
    let synced = lab.synced(again);
    assert_eq!(synced.assignment, "f");
    assert_eq!(synced.protocol_name.as_deref(), Some("range"));
    let described = lab.describe("g");
    assert_eq!(
        (described.state, &*described.protocol, &*described.protocol_type),
        ("Stable", "range", "consumer")
    );
}

#[test]
fn the_group_is_the_same_after_a_crash() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 3);
    let before = lab.describe("g");
    lab.restart();
    assert_eq!(lab.describe("g"), before);
    for joined in &joined {
        assert_eq!(lab.heartbeat("g", joined), ErrorCode::None);
        let token = lab.sync("g", joined, &[]);
        assert_eq!(lab.synced(token).assignment, joined.member_id.as_bytes());
    }
    // Sessions begin anew, and end.
    lab.pass(9_999);
    assert_eq!(lab.describe("g").members.len(), 3);
    lab.pass(1);
    assert_eq!(lab.describe("g").state, "Empty");
    lab.restart();
    let described = lab.describe("g");
    assert_eq!((described.state, described.members.len()), ("Empty", 0));
}

#[test]
fn a_crash_in_a_rebalance_leads_back_to_the_last_assignment() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 2);
    let request = lab.joining("g");
    lab.join(&request);
    let tokens: Vec<_> = joined
        .iter()
        .map(|joined| lab.join(&again(&request, joined)))
        .collect();
    let second = lab.joined(tokens[0]);
    assert_eq!(second.generation_id, 2);
    lab.restart();
    assert_eq!(lab.heartbeat("g", &second), ErrorCode::IllegalGeneration);
    assert_eq!(lab.heartbeat("g", &joined[0]), ErrorCode::None);
    let token = lab.sync("g", &second, &[]);
    assert_eq!(lab.synced(token).error, ErrorCode::IllegalGeneration);
    let tokens: Vec<_> = joined
        .iter()
        .map(|joined| lab.join(&again(&request, joined)))
        .collect();
    let mut third: Vec<_> = tokens.into_iter().map(|token| lab.joined(token)).collect();
    assert_eq!(third[0].generation_id, 2);
    lab.sync_all("g", &mut third);
}

#[test]
fn the_protocol_that_most_like_best_is_chosen_of_those_all_know() {
    let mut lab = Lab::new();
    let mut votes = |names: &[&str]| JoinGroup {
        protocols: names
            .iter()
            .map(|name| ((*name).to_owned(), subscription(&["t"])))
            .collect(),
        ..lab.joining("g")
    };
    let requests = [
        votes(&["only-here", "range", "sticky"]),
        votes(&["sticky", "range"]),
        votes(&["sticky", "range"]),
    ];
    let stranger = votes(&["only-here"]);
    let joined = lab.stable_of("g", &requests);
    assert_eq!(joined[0].protocol_name.as_deref(), Some("sticky"));
    assert_eq!(
        lab.join_now(&stranger).error,
        ErrorCode::InconsistentGroupProtocol
    );
    let other_type = JoinGroup {
        protocol_type: "connect".to_owned(),
        ..requests[1].clone()
    };
    assert_eq!(
        lab.join_now(&other_type).error,
        ErrorCode::InconsistentGroupProtocol
    );
    let empty = JoinGroup {
        group_id: "new".to_owned(),
        protocols: Vec::new(),
        ..requests[1].clone()
    };
    assert_eq!(lab.join_now(&empty).error, ErrorCode::InconsistentGroupProtocol);
    assert_eq!(lab.describe("new").state, "Dead");
}

#[test]
fn a_sync_of_another_protocol_is_inconsistent() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 1);
    for (protocol_type, protocol_name) in [("connect", "range"), ("consumer", "sticky")] {
        let sync = SyncGroup {
            group_id: "g".to_owned(),
            generation_id: 1,
            member_id: joined[0].member_id.to_string(),
            group_instance_id: None,
            protocol_type: Some(protocol_type.to_owned()),
            protocol_name: Some(protocol_name.to_owned()),
            assignments: Vec::new(),
        };
        let answer = lab.now(GroupRequest::SyncGroup(sync));
        assert!(
            matches!(answer, GroupResponse::SyncGroup(synced) if synced.error == ErrorCode::InconsistentGroupProtocol)
        );
    }
}

#[test]
fn members_that_do_not_join_in_time_are_out() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 3);
    let request = JoinGroup {
        protocols: vec![("range".to_owned(), subscription(&["u"]))],
        ..lab.joining("g")
    };
    let token = lab.join(&again(&request, &joined[1]));
    // The others live but do not join.
    for _ in 0..12 {
        assert!(lab.waiting.contains(&token));
        assert_eq!(lab.heartbeat("g", &joined[0]), ErrorCode::RebalanceInProgress);
        assert_eq!(lab.heartbeat("g", &joined[2]), ErrorCode::RebalanceInProgress);
        lab.pass(5_000);
    }
    let second = lab.joined(token);
    assert_eq!((second.generation_id, second.members.len()), (2, 1));
    assert_eq!(second.leader, joined[1].member_id);
    assert_eq!(lab.heartbeat("g", &joined[0]), ErrorCode::UnknownMemberId);
}

#[test]
fn members_that_do_not_sync_in_time_are_out() {
    let mut lab = Lab::new();
    let requests = [lab.joining("g"), lab.joining("g")];
    let tokens: Vec<_> = requests.iter().map(|request| lab.join(request)).collect();
    lab.pass(6_000);
    let joined: Vec<_> = tokens.into_iter().map(|token| lab.joined(token)).collect();
    let follower = lab.sync("g", &joined[1], &[]);
    // The leader lives but brings no assignment.
    for _ in 0..12 {
        assert_eq!(lab.heartbeat("g", &joined[0]), ErrorCode::None);
        lab.pass(5_000);
    }
    assert_eq!(lab.synced(follower).error, ErrorCode::RebalanceInProgress);
    assert_eq!(lab.heartbeat("g", &joined[0]), ErrorCode::UnknownMemberId);
    let second = lab.join_now(&again(&requests[1], &joined[1]));
    assert_eq!(
        (second.generation_id, second.leader == second.member_id),
        (2, true)
    );
}

#[test]
fn a_silent_member_is_out_and_the_others_join_again() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 2);
    lab.pass(6_000);
    assert_eq!(lab.commit_as("g", &joined[0].member_id, 1, 3), ErrorCode::None);
    lab.pass(4_000);
    assert_eq!(lab.heartbeat("g", &joined[0]), ErrorCode::RebalanceInProgress);
    assert_eq!(lab.heartbeat("g", &joined[1]), ErrorCode::UnknownMemberId);
    let request = lab.joining("g");
    let second = lab.join_now(&again(&request, &joined[0]));
    assert_eq!((second.generation_id, second.members.len()), (2, 1));
}

#[test]
fn a_client_that_dies_while_it_waits_for_the_first_time_is_out_after_five_minutes() {
    let mut lab = Lab::with(GroupConfig {
        initial_rebalance_delay_ms: 1_000_000,
        ..GroupConfig::default()
    });
    let request = JoinGroup {
        rebalance_timeout_ms: 2_000_000,
        ..lab.joining("g")
    };
    let token = lab.join(&request);
    lab.pass(299_999);
    assert!(lab.waiting.contains(&token));
    lab.pass(1);
    assert_eq!(lab.joined(token).error, ErrorCode::UnknownMemberId);
}

#[test]
fn a_follower_that_joins_again_unchanged_moves_nothing() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 2);
    let request = lab.joining("g");
    let same = lab.join_now(&again(&request, &joined[1]));
    assert_eq!((same.generation_id, same.members.len()), (1, 0));
    assert_eq!(lab.describe("g").state, "Stable");
    // The leader does so to assign anew.
    let leader = lab.join(&again(&request, &joined[0]));
    assert_eq!(lab.describe("g").state, "PreparingRebalance");
    let follower = lab.join(&again(&request, &joined[1]));
    assert_eq!(lab.joined(leader).generation_id, 2);
    // While the leader assigns, whoever lost its answer gets it again.
    let second = lab.joined(follower);
    assert_eq!(lab.join_now(&again(&request, &joined[1])), second);
}

#[test]
fn a_second_join_takes_the_place_of_the_first() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 2);
    let request = lab.joining("g");
    let first = lab.join(&again(&request, &joined[0]));
    let second = lab.join(&again(&request, &joined[0]));
    assert_eq!(lab.joined(first).error, ErrorCode::RebalanceInProgress);
    assert!(lab.waiting.contains(&second));
    lab.join(&again(&request, &joined[1]));
    assert_eq!(lab.joined(second).generation_id, 2);
}

#[test]
fn who_leaves_while_waiting_is_told_so() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 3);
    let request = lab.joining("g");
    let waiting = lab.join(&again(&request, &joined[0]));
    assert_eq!(
        lab.leave("g", &[(&joined[0].member_id, None), (&joined[1].member_id, None)]),
        [ErrorCode::None; 2]
    );
    assert_eq!(lab.joined(waiting).error, ErrorCode::UnknownMemberId);
    let last = lab.join_now(&again(&request, &joined[2]));
    assert_eq!((last.generation_id, last.members.len()), (2, 1));
    let mut last = [last];
    lab.sync_all("g", &mut last);
    assert_eq!(lab.leave("g", &[(&last[0].member_id, None)]), [ErrorCode::None]);
    assert_eq!(lab.describe("g").state, "Empty");
    assert_eq!(
        lab.leave("g", &[(&last[0].member_id, None)]),
        [ErrorCode::UnknownMemberId]
    );
    assert_eq!(lab.leave("nobody", &[("a", None)]), [ErrorCode::UnknownMemberId]);
}

#[test]
fn a_group_is_full_at_its_largest_size() {
    let mut lab = Lab::with(GroupConfig {
        max_size: 2,
        ..GroupConfig::default()
    });
    let joined = lab.stable("g", 2);
    let request = lab.joining("g");
    assert_eq!(lab.join_now(&request).error, ErrorCode::GroupMaxSizeReached);
    assert_eq!(lab.heartbeat("g", &joined[0]), ErrorCode::None);
    // The bound is lowered: members commit, join again, and the last is turned away.
    lab.config.max_size = 1;
    lab.restart();
    assert_eq!(lab.heartbeat("g", &joined[0]), ErrorCode::RebalanceInProgress);
    assert_eq!(lab.commit_as("g", &joined[1].member_id, 1, 8), ErrorCode::None);
    let first = lab.join(&again(&request, &joined[0]));
    assert_eq!(
        lab.join_now(&again(&request, &joined[1])).error,
        ErrorCode::GroupMaxSizeReached
    );
    assert_eq!(lab.joined(first).members.len(), 1);
}

#[test]
fn what_is_not_legal_is_refused() {
    let mut lab = Lab::new();
    let request = lab.joining("g");
    let with = |change: &dyn Fn(&mut JoinGroup)| {
        let mut request = request.clone();
        change(&mut request);
        request
    };
    let cases = [
        (
            with(&|request| request.group_id.clear()),
            ErrorCode::InvalidGroupId,
        ),
        (
            with(&|request| request.session_timeout_ms = 5_999),
            ErrorCode::InvalidSessionTimeout,
        ),
        (
            with(&|request| request.session_timeout_ms = 1_800_001),
            ErrorCode::InvalidSessionTimeout,
        ),
        (
            with(&|request| request.member_id = "m".to_owned()),
            ErrorCode::UnknownMemberId,
        ),
        (
            with(&|request| request.client_host = "h".repeat(40_000)),
            ErrorCode::InvalidRequest,
        ),
        (
            with(&|request| request.protocols[0].1 = Bytes::from(vec![0; 17 << 20])),
            ErrorCode::GroupMaxSizeReached,
        ),
    ];
    for (request, error) in cases {
        assert_eq!(lab.join_now(&request).error, error);
    }
    assert!(lab.log.is_empty());
    assert_eq!(lab.coordinator.group_count(), 0);
}

#[test]
fn assignments_that_no_record_could_hold_are_refused_and_the_group_recovers() {
    let mut lab = Lab::new();
    let request = lab.joining("g");
    let token = lab.join(&request);
    lab.pass(3_000);
    let joined = lab.joined(token);
    let megabytes = "x".repeat(17 << 20);
    let token = lab.sync("g", &joined, &[(&joined.member_id, &megabytes)]);
    assert_eq!(lab.synced(token).error, ErrorCode::UnknownServerError);
    let mut again = [lab.join_now(&again(&request, &joined))];
    lab.sync_all("g", &mut again);
}

#[test]
fn a_rebalance_timeout_below_zero_is_none_at_all() {
    let mut lab = Lab::new();
    let request = JoinGroup {
        rebalance_timeout_ms: i32::MIN,
        ..lab.joining("g")
    };
    let token = lab.join(&request);
    lab.pass(3_000);
    assert_eq!(lab.joined(token).generation_id, 1);
    lab.pass(0);
    assert_eq!(lab.describe("g").state, "Empty");
}

/// A wall clock that is set, as after a pause of a virtual machine: nobody is dismissed for it, and nobody stays.
#[test]
fn a_wall_clock_that_is_set_ends_no_session_and_keeps_none() {
    const HOUR_MS: i64 = 3_600_000;
    let mut lab = Lab::new();
    let joined = lab.stable("g", 2);
    lab.ahead_ms = HOUR_MS;
    lab.pass(5_000);
    for member in &joined {
        assert_eq!(lab.heartbeat("g", member), ErrorCode::None);
    }
    lab.ahead_ms = -HOUR_MS;
    lab.pass(9_000);
    assert_eq!(lab.describe("g").members.len(), 2);
    lab.pass(2_000);
    assert_eq!(lab.describe("g").members.len(), 0);
}
