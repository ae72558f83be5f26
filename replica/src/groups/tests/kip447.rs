//! KIP-98 and KIP-447: offsets that are committed with a transaction.

use tautline_core::error::ErrorCode;

use super::lab::{Lab, committing_in, fetching, producer};
use crate::groups::request::{GroupRequest, OffsetFetch, TxnOffsetCommit};
use crate::groups::response::GroupResponse;

fn stable_offset(lab: &mut Lab) -> (i64, ErrorCode) {
    let fetched = lab.fetch(OffsetFetch {
        require_stable: true,
        ..fetching("g", "t")
    });
    let partition = &fetched.topics[0].partitions[0];
    (partition.offset.0, partition.error)
}

#[test]
fn kip_447_an_open_transaction_makes_offsets_unstable() {
    let mut lab = Lab::new();
    assert_eq!(lab.commit_as("g", "", -1, 1), ErrorCode::None);
    assert_eq!(lab.commit_in(producer(7), "g", 2), ErrorCode::None);
    for _ in 0..2 {
        assert_eq!(lab.offset("g", "t"), 1);
        assert_eq!(stable_offset(&mut lab), (-1, ErrorCode::UnstableOffsetCommit));
        let all = OffsetFetch {
            topics: None,
            require_stable: true,
            ..fetching("g", "t")
        };
        let all = lab.fetch(all);
        assert_eq!(all.topics[0].partitions[0].error, ErrorCode::UnstableOffsetCommit);
        lab.restart();
    }
    lab.end_transaction(producer(7), true);
    for _ in 0..2 {
        assert_eq!(stable_offset(&mut lab), (2, ErrorCode::None));
        lab.restart();
    }
    lab.commit_in(producer(7), "g", 3);
    lab.end_transaction(producer(7), false);
    for _ in 0..2 {
        assert_eq!(stable_offset(&mut lab), (2, ErrorCode::None));
        lab.restart();
    }
}

#[test]
fn kip_447_a_zombie_of_an_old_generation_is_fenced() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 1);
    let commit = |generation: i32, member_id: &str| TxnOffsetCommit {
        generation_id_or_member_epoch: generation,
        member_id: member_id.to_owned(),
        ..committing_in(producer(7), "g", "t", 2)
    };
    let id = &*joined[0].member_id;
    let cases = [
        (commit(1, id), ErrorCode::None),
        (commit(0, id), ErrorCode::IllegalGeneration),
        (commit(1, "x"), ErrorCode::UnknownMemberId),
        // Older clients tell neither.
        (commit(-1, ""), ErrorCode::None),
    ];
    for (request, error) in cases {
        let GroupResponse::TxnOffsetCommit(committed) = lab.now(GroupRequest::TxnOffsetCommit(request))
        else {
            panic!();
        };
        assert_eq!(committed.topics[0].partitions[0].1, error);
    }
    let unknown = TxnOffsetCommit {
        group_id: "nobody".to_owned(),
        ..commit(1, id)
    };
    let GroupResponse::TxnOffsetCommit(committed) = lab.now(GroupRequest::TxnOffsetCommit(unknown)) else {
        panic!();
    };
    assert_eq!(committed.topics[0].partitions[0].1, ErrorCode::IllegalGeneration);
}

#[test]
fn the_later_commit_wins_also_after_a_crash() {
    let mut lab = Lab::new();
    lab.commit_in(producer(7), "g", 1);
    lab.commit_as("g", "", -1, 2);
    lab.end_transaction(producer(7), true);
    assert_eq!(lab.offset("g", "t"), 2);
    lab.restart();
    assert_eq!(lab.offset("g", "t"), 2);
}

#[test]
fn a_group_with_an_open_transaction_is_not_forgotten() {
    let mut lab = Lab::new();
    lab.commit_in(producer(7), "g", 1);
    lab.pass(30 * 24 * 3_600_000);
    assert_eq!(lab.describe("g").error, ErrorCode::None);
    lab.end_transaction(producer(7), false);
    lab.pass(600_000);
    assert_eq!(lab.describe("g").error, ErrorCode::GroupIdNotFound);
    lab.restart();
    assert_eq!(lab.coordinator.group_count(), 0);
}
