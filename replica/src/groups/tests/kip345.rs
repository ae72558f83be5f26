//! KIP-345: static members keep their place over a restart; KIP-814: their leader is told not to assign.

use tautline_core::error::ErrorCode;

use super::lab::{Lab, again, subscription};
use crate::groups::request::{GroupRequest, Heartbeat, JoinGroup, SyncGroup};
use crate::groups::response::GroupResponse;

fn instance(lab: &mut Lab, id: &str) -> JoinGroup {
    JoinGroup {
        group_instance_id: Some(id.to_owned()),
        requires_known_member_id: true,
        ..lab.joining("g")
    }
}

#[test]
fn kip_345_a_static_member_that_restarts_moves_nothing() {
    let mut lab = Lab::new();
    let requests = [instance(&mut lab, "i"), instance(&mut lab, "j")];
    let joined = lab.stable_of("g", &requests);
    assert_eq!(joined[0].members.len(), 2);
    let follower = requests
        .iter()
        .find(|request| {
            let leader = joined[0]
                .members
                .iter()
                .find(|member| member.member_id == joined[0].member_id);
            leader.unwrap().group_instance_id.as_deref() != request.group_instance_id.as_deref()
        })
        .unwrap();
    lab.pass(5_000);
    let back = lab.join_now(follower);
    assert_eq!(back.error, ErrorCode::None);
    assert_eq!(back.generation_id, 1);
    assert_ne!(back.member_id, joined[1].member_id);
    assert!(!back.skip_assignment);
    assert_eq!(lab.describe("g").state, "Stable");
    let token = lab.sync("g", &back, &[]);
    assert_eq!(lab.synced(token).assignment, joined[1].member_id.as_bytes());
    // The one that it replaced is fenced, also after a crash.
    for _ in 0..2 {
        let old = Heartbeat {
            group_id: "g".to_owned(),
            generation_id: 1,
            member_id: joined[1].member_id.to_string(),
            group_instance_id: follower.group_instance_id.clone(),
        };
        let answer = lab.now(GroupRequest::Heartbeat(old));
        assert_eq!(answer, GroupResponse::Heartbeat(ErrorCode::FencedInstanceId));
        assert_eq!(lab.heartbeat("g", &back), ErrorCode::None);
        lab.restart();
    }
}

#[test]
fn kip_814_a_static_leader_that_restarts_is_told_not_to_assign() {
    let mut lab = Lab::new();
    let request = instance(&mut lab, "i");
    let joined = lab.stable_of("g", std::slice::from_ref(&request));
    let back = lab.join_now(&request);
    assert!(back.skip_assignment);
    assert_eq!(back.leader, back.member_id);
    assert_eq!(back.members.len(), 1);
    // An older client isn't told that it leads, or it would assign.
    let old_client = JoinGroup {
        supports_skipping_assignment: false,
        ..request
    };
    let old = lab.join_now(&old_client);
    assert!(!old.skip_assignment);
    assert_eq!(old.leader, back.member_id);
    assert_ne!(old.leader, old.member_id);
    assert!(old.members.is_empty());
    let token = lab.sync("g", &old, &[]);
    assert_eq!(lab.synced(token).assignment, joined[0].member_id.as_bytes());
}

#[test]
fn kip_345_a_change_of_the_protocol_makes_a_static_restart_a_rebalance() {
    let mut lab = Lab::new();
    let request = instance(&mut lab, "i");
    lab.stable_of("g", std::slice::from_ref(&request));
    let changed = JoinGroup {
        protocols: vec![
            ("sticky".to_owned(), subscription(&["t"])),
            ("range".to_owned(), subscription(&["t"])),
        ],
        ..request
    };
    let back = lab.join_now(&changed);
    assert_eq!(back.generation_id, 2);
    assert_eq!(back.protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn kip_345_who_waits_is_fenced_by_another_of_the_same_instance() {
    let mut lab = Lab::new();
    let request = instance(&mut lab, "i");
    let first = lab.join(&request);
    let second = lab.join(&request);
    assert_eq!(lab.joined(first).error, ErrorCode::FencedInstanceId);
    lab.pass(6_000);
    let joined = lab.joined(second);
    assert_eq!(joined.members.len(), 1);
    // Before the assignment the leader may know the old id: all join again.
    let third = lab.join_now(&request);
    assert_eq!(third.generation_id, 2);
    let mut sync = SyncGroup {
        group_id: "g".to_owned(),
        generation_id: 1,
        member_id: joined.member_id.to_string(),
        group_instance_id: Some("i".to_owned()),
        protocol_type: None,
        protocol_name: None,
        assignments: Vec::new(),
    };
    let answer = lab.now(GroupRequest::SyncGroup(sync.clone()));
    assert!(
        matches!(answer, GroupResponse::SyncGroup(synced) if synced.error == ErrorCode::FencedInstanceId)
    );
    sync.group_instance_id = Some("other".to_owned());
    let answer = lab.now(GroupRequest::SyncGroup(sync));
    assert!(matches!(answer, GroupResponse::SyncGroup(synced) if synced.error == ErrorCode::UnknownMemberId));
}

#[test]
fn kip_345_a_static_member_that_does_not_join_stays_until_its_session_ends() {
    let mut lab = Lab::new();
    let requests = [instance(&mut lab, "i"), lab.joining("g")];
    let joined = lab.stable_of("g", &requests);
    let described = lab.describe("g");
    let fixed = described
        .members
        .iter()
        .find(|member| member.group_instance_id.is_some())
        .unwrap();
    let moving = described
        .members
        .iter()
        .find(|member| member.group_instance_id.is_none())
        .unwrap();
    let request = JoinGroup {
        session_timeout_ms: 1_000_000,
        protocols: vec![("range".to_owned(), subscription(&["u"]))],
        member_id: moving.member_id.to_string(),
        ..requests[1].clone()
    };
    // The static one keeps its session with heartbeats, but does not join.
    let token = lab.join(&request);
    let alive = joined
        .iter()
        .find(|joined| joined.member_id == fixed.member_id)
        .unwrap()
        .clone();
    for _ in 0..12 {
        assert!(lab.waiting.contains(&token));
        assert_eq!(lab.heartbeat("g", &alive), ErrorCode::RebalanceInProgress);
        lab.pass(5_000);
    }
    let second = lab.joined(token);
    assert_eq!(second.generation_id, 2);
    assert_eq!(second.members.len(), 2, "the static one is a member still");
    // It never syncs: then it is out.
    lab.pass(10_000);
    assert_eq!(lab.describe("g").members.len(), 1);
}

#[test]
fn kip_345_a_tool_takes_static_members_out_by_their_instance_ids() {
    let mut lab = Lab::new();
    let requests = [
        instance(&mut lab, "i"),
        instance(&mut lab, "j"),
        instance(&mut lab, "k"),
    ];
    let joined = lab.stable_of("g", &requests);
    let errors = lab.leave(
        "g",
        &[
            ("", Some("i")),
            ("", Some("i")),
            ("", Option::None),
            (&joined[0].member_id, Some("nobody")),
            ("nobody", Some("j")),
            ("", Some("k")),
        ],
    );
    use ErrorCode::{FencedInstanceId, None, UnknownMemberId};
    assert_eq!(
        errors,
        [
            None,
            UnknownMemberId,
            UnknownMemberId,
            UnknownMemberId,
            FencedInstanceId,
            None
        ]
    );
    let described = lab.describe("g");
    assert_eq!(
        (described.state, described.members.len()),
        ("PreparingRebalance", 1)
    );
}

#[test]
fn a_member_id_of_a_static_member_joins_again_as_itself() {
    let mut lab = Lab::new();
    let request = instance(&mut lab, "i");
    let joined = lab.stable_of("g", std::slice::from_ref(&request));
    // It leads, so joining again is a rebalance.
    assert_eq!(lab.join_now(&again(&request, &joined[0])).generation_id, 2);
    let impostor = JoinGroup {
        member_id: "x".to_owned(),
        ..request
    };
    assert_eq!(lab.join_now(&impostor).error, ErrorCode::FencedInstanceId);
}
