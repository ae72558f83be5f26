//! Groups and members by the thousands: what they cost grows with their number, not with its square.

use std::time::Instant;

use tautline_core::error::ErrorCode;

use super::lab::{Lab, committing};
use crate::coordinator::Coordinator;
use crate::groups::request::GroupRequest;

#[test]
fn ten_thousand_members_join_sync_live_and_die() {
    let began = Instant::now();
    let mut lab = Lab::new();
    let members = lab.stable("g", 10_000);
    eprintln!("joined and synced in {:?}", began.elapsed());
    let began = Instant::now();
    for joined in &members {
        assert_eq!(lab.heartbeat("g", joined), ErrorCode::None);
    }
    eprintln!("10,000 heartbeats in {:?}", began.elapsed());
    let began = Instant::now();
    lab.pass(10_000);
    assert_eq!(lab.describe("g").state, "Empty");
    eprintln!("all died in {:?}", began.elapsed());
}

#[test]
fn a_client_that_joins_and_dies_in_a_loop_leaves_a_bounded_trace() {
    let mut lab = Lab::new();
    let mut request = lab.joining("g");
    request.requires_known_member_id = true;
    for _ in 0..super::super::limits::PENDING_MEMBERS_MAX + 100 {
        assert_eq!(lab.join_now(&request).error, ErrorCode::MemberIdRequired);
    }
    assert_eq!(lab.log.len(), 1);
    lab.pass(10_000);
    // All ids are forgotten: the group stays until it is looked at.
    lab.pass(600_000);
    assert_eq!(lab.coordinator.group_count(), 0);
}

#[test]
fn a_thousand_groups_of_five_and_twenty_thousand_offsets() {
    let mut lab = Lab::new();
    let mut members = Vec::new();
    for group in 0..1_000 {
        let id = format!("group-{group:04}");
        let requests: Vec<_> = (0..5).map(|_| lab.joining(&id)).collect();
        let tokens: Vec<_> = requests.iter().map(|request| lab.join(request)).collect();
        members.push((id, tokens));
    }
    lab.pass(6_000);
    let mut all = Vec::new();
    for (id, tokens) in members {
        let mut joined: Vec<_> = tokens.into_iter().map(|token| lab.joined(token)).collect();
        lab.sync_all(&id, &mut joined);
        all.push((id, joined));
    }
    let began = Instant::now();
    for (id, joined) in &all {
        let mut request = committing(id, &joined[0].member_id, 1, "t", 1);
        let partition = request.topics[0].partitions[0].clone();
        request.topics[0].partitions = (0..20)
            .map(|index| {
                let mut partition = partition.clone();
                partition.partition.0 = index;
                partition
            })
            .collect();
        lab.now(GroupRequest::OffsetCommit(request));
    }
    eprintln!("20,000 offsets committed in {:?}", began.elapsed());
    let began = Instant::now();
    for (id, joined) in &all {
        for joined in joined {
            assert_eq!(lab.heartbeat(id, joined), ErrorCode::None);
        }
    }
    eprintln!("5,000 heartbeats in {:?}", began.elapsed());
    let began = Instant::now();
    lab.restart();
    eprintln!("replayed in {:?}", began.elapsed());
    let began = Instant::now();
    lab.image_changed();
    eprintln!("another image in {:?}", began.elapsed());
    assert!(lab.coordinator.deadline_ms().is_some());
}
