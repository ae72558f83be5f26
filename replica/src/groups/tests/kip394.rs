//! KIP-394: a dynamic member gets its id first, and then joins with it.

use tautline_core::error::ErrorCode;

use super::lab::{Lab, again};
use crate::groups::request::JoinGroup;

fn requiring(lab: &mut Lab) -> JoinGroup {
    JoinGroup {
        requires_known_member_id: true,
        ..lab.joining("g")
    }
}

#[test]
fn kip_394_an_id_is_given_out_before_anyone_waits() {
    let mut lab = Lab::new();
    let request = requiring(&mut lab);
    let told = lab.join_now(&request);
    assert_eq!(told.error, ErrorCode::MemberIdRequired);
    assert!(told.member_id.starts_with("c-"));
    assert_eq!(lab.describe("g").state, "Empty");
    // The group is in the log, but the id is not: it is forgotten by a crash.
    lab.restart();
    assert_eq!(lab.describe("g").error, ErrorCode::None);
    assert_eq!(
        lab.join_now(&again(&request, &told)).error,
        ErrorCode::UnknownMemberId
    );
    let told = lab.join_now(&request);
    let token = lab.join(&again(&request, &told));
    lab.pass(3_000);
    assert_eq!(lab.joined(token).member_id, told.member_id);
}

#[test]
fn kip_394_a_rebalance_waits_for_those_who_have_an_id() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 1);
    let request = requiring(&mut lab);
    let told = lab.join_now(&request);
    let leader = lab.join(&again(&request, &joined[0]));
    assert!(lab.waiting.contains(&leader));
    let newcomer = lab.join(&again(&request, &told));
    assert_eq!(lab.joined(leader).members.len(), 2);
    assert_eq!(lab.joined(newcomer).generation_id, 2);
}

#[test]
fn kip_394_an_id_that_is_not_used_is_forgotten_after_the_session_timeout() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 1);
    let request = requiring(&mut lab);
    let told = lab.join_now(&request);
    let leader = lab.join(&again(&request, &joined[0]));
    lab.pass(9_999);
    assert!(lab.waiting.contains(&leader));
    lab.pass(1);
    assert_eq!(lab.joined(leader).members.len(), 1);
    assert_eq!(
        lab.join_now(&again(&request, &told)).error,
        ErrorCode::UnknownMemberId
    );
}

#[test]
fn kip_394_an_id_may_leave_before_it_is_used() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 1);
    let request = requiring(&mut lab);
    let told = lab.join_now(&request);
    let leader = lab.join(&again(&request, &joined[0]));
    assert_eq!(lab.leave("g", &[(&told.member_id, None)]), [ErrorCode::None]);
    assert_eq!(lab.joined(leader).members.len(), 1);
}
