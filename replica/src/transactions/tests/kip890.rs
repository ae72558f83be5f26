//! KIP-890: the epoch is bumped at the end of each transaction, and brokers verify that a partition is part of it.

use tautline_core::error::ErrorCode::{
    ConcurrentTransactions, InvalidProducerIdMapping, InvalidTxnState, ProducerFenced,
};

use tautline_core::ids::ProducerId;

use super::host::{Host, TIMEOUT_MS, V0, V2, partition, producer};
use crate::transactions::LAST_EPOCH;
use crate::transactions::TransactionState::{CompleteAbort, CompleteCommit, Ongoing, PrepareCommit};

#[test]
fn kip890_each_end_bumps_the_epoch() {
    let mut host = Host::new();
    let mut holder = host.init("t", None).expect("new");
    for (epoch, committed) in [(1, true), (2, false), (3, true)] {
        host.begin("t", holder, V2);
        let next = host.end("t", holder, committed, V2).expect("ongoing");
        assert_eq!(next, producer(holder.id.0, epoch));
        assert_eq!(
            host.markers[0].producer, next,
            "the marker fences the epoch that has ended"
        );
        host.write_markers();
        holder = next;
    }
}

#[test]
fn kip890_a_retried_end_is_answered_the_same() {
    for (committed, restart) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut host = Host::new();
        let holder = host.init("t", None).expect("new");
        host.begin("t", holder, V2);
        let next = host.end("t", holder, committed, V2).expect("ongoing");
        assert_eq!(host.end("t", holder, committed, V2), Err(ConcurrentTransactions));
        // The next end may be asked for as soon as the epoch is told, if there is nothing to be written before it.
        for asking in [holder, next] {
            for committed in [true, false] {
                assert_eq!(host.end("t", asking, committed, V2), Err(ConcurrentTransactions));
            }
        }
        if restart {
            host.restart();
        }
        host.write_markers();
        let before = host.log.len();
        assert_eq!(host.end("t", holder, committed, V2), Ok(next));
        assert_eq!(host.end("t", holder, !committed, V2), Err(InvalidTxnState));
        assert_eq!(host.log.len(), before);
    }
}

#[test]
fn kip890_a_delayed_request_does_not_touch_the_next_transaction() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.begin("t", holder, V2);
    let next = host.end("t", holder, true, V2).expect("ongoing");
    host.write_markers();
    host.begin("t", next, V2);
    let late = [partition("late", 0)];
    assert_eq!(host.add("t", holder, &late, V2), Err(ProducerFenced));
    assert_eq!(host.verify("t", holder, &late), Err(ProducerFenced));
    for committed in [true, false] {
        assert_eq!(host.end("t", holder, committed, V2), Err(ProducerFenced));
        assert_eq!(host.end("t", holder, committed, V0), Err(ProducerFenced));
    }
    assert_eq!(host.state("t"), Ongoing);
}

#[test]
fn kip890_a_new_producers_epoch_is_no_answer_to_the_old_one() {
    for version in [V0, V2] {
        let mut host = Host::new();
        let old = host.init("t", None).expect("new");
        let new = host.init("t", None).expect("taken over");
        for committed in [true, false] {
            host.begin("t", new, V0);
            host.end("t", new, committed, V0).expect("ongoing");
            host.write_markers();
            assert_eq!(host.end("t", old, committed, version), Err(ProducerFenced));
            assert_eq!(host.end("t", old, !committed, version), Err(ProducerFenced));
        }
    }
}

#[test]
fn kip890_an_abort_of_nothing_ends_at_once() {
    let mut host = Host::new();
    let mut holder = host.init("t", None).expect("new");
    assert_eq!(host.end("t", holder, true, V2), Err(InvalidTxnState));
    // From Empty, from CompleteAbort, from CompleteCommit.
    for round in 0..3 {
        let next = host.end("t", holder, false, V2).expect("held");
        assert_eq!(next, producer(holder.id.0, holder.epoch.0 + 1));
        assert_eq!((host.state("t"), host.batches), (CompleteAbort, 1));
        assert_eq!(host.end("t", holder, false, V2), Ok(next), "a retry");
        assert_eq!(host.batches, 0);
        assert_eq!(
            host.end("t", next, true, V2),
            Err(InvalidTxnState),
            "there is nothing to commit"
        );
        holder = next;
        if round == 1 {
            host.begin("t", holder, V2);
            holder = host.end("t", holder, true, V2).expect("ongoing");
            host.write_markers();
            assert_eq!(host.state("t"), CompleteCommit);
        }
    }
    assert_eq!(host.markers, []);
}

#[test]
fn kip890_the_end_of_the_last_epoch_rotates_the_producer_id() {
    for (committed, restart) in [(true, false), (false, false), (true, true), (false, true)] {
        let last = producer(7, LAST_EPOCH.0);
        let mut host = Host::held_by("t", last);
        host.begin("t", last, V2);
        let rotated = host.end("t", last, committed, V2).expect("ongoing");
        assert_eq!(rotated, producer(8, 0));
        assert_eq!(
            host.markers[0].producer,
            producer(7, i16::MAX),
            "partitions fence the old id"
        );
        assert_eq!(host.end("t", last, committed, V2), Err(ConcurrentTransactions));
        // It goes on with what it was told, and is not fenced because that does not hold the id yet.
        assert_eq!(host.init("t", Some(rotated)), Err(ConcurrentTransactions));
        assert_eq!(host.add("t", rotated, &[], V2), Err(ConcurrentTransactions));
        assert_eq!(host.end("t", rotated, false, V2), Err(ConcurrentTransactions));
        if restart {
            host.restart();
        }
        host.write_markers();
        assert_eq!(host.holder("t"), rotated);
        let rotated_once = host.coordinator.transaction("t").expect("it is there").next_id;
        assert_eq!(rotated_once, ProducerId::NONE);
        for _ in 0..2 {
            assert_eq!(host.end("t", last, committed, V2), Ok(rotated), "a retry");
            assert_eq!(host.end("t", last, !committed, V2), Err(InvalidTxnState));
        }
        assert_eq!(host.init("t", Some(last)), Ok(rotated), "as good as a retry");
        host.begin("t", rotated, V2);
        assert_eq!(host.end("t", last, committed, V2), Err(InvalidProducerIdMapping));
        assert_eq!(host.end("t", rotated, committed, V2), Ok(producer(8, 1)));
    }
}

#[test]
fn kip890_an_abort_of_nothing_rotates_too() {
    let last = producer(7, LAST_EPOCH.0);
    let mut host = Host::held_by("t", last);
    let rotated = host.end("t", last, false, V2).expect("held");
    assert_eq!(rotated, producer(8, 0));
    assert_eq!(host.holder("t"), rotated);
    assert_eq!(host.end("t", last, false, V2), Ok(rotated));
}

#[test]
fn kip890_a_producer_that_was_too_slow_learns_its_epoch_by_aborting() {
    for (epoch, next) in [(3, producer(7, 4)), (LAST_EPOCH.0, producer(8, 0))] {
        let holder = producer(7, epoch);
        let mut host = Host::held_by("t", holder);
        host.begin("t", holder, V2);
        host.tick(i64::from(TIMEOUT_MS) + 1);
        assert_eq!(host.end("t", holder, true, V2), Err(ConcurrentTransactions));
        assert_eq!(host.end("t", holder, false, V2), Err(ConcurrentTransactions));
        host.write_markers();
        assert_eq!(
            host.end("t", holder, true, V2),
            Err(InvalidTxnState),
            "it was aborted"
        );
        assert_eq!(host.end("t", holder, false, V2), Ok(next));
        assert_eq!(host.end("t", holder, false, V2), Ok(next), "a retry");
        host.begin("t", next, V2);
    }
}

#[test]
fn kip890_verification_tells_which_partitions_are_missing() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    let all = [partition("a", 0), partition("a", 1), partition("b", 0)];
    assert_eq!(host.verify("t", holder, &all), Ok(all.to_vec()));
    host.add("t", holder, &all[..2], V0).expect("held");
    let before = host.log.len();
    assert_eq!(host.verify("t", holder, &all), Ok(all[2..].to_vec()));
    assert_eq!(host.verify("t", holder, &all[..2]), Ok(Vec::new()));
    assert_eq!(host.log.len(), before);
    host.end("t", holder, true, V0).expect("ongoing");
    host.write_markers();
    assert_eq!(
        host.verify("t", holder, &all[..1]),
        Ok(all[..1].to_vec()),
        "it has ended"
    );
}

#[test]
fn kip890_a_client_may_change_its_rules_in_between() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.begin("t", holder, V0);
    let next = host.end("t", holder, true, V2).expect("ongoing");
    assert_eq!(next.epoch.0, 1);
    host.write_markers();
    host.begin("t", next, V2);
    assert_eq!(host.end("t", next, true, V0), Ok(next));
    assert_eq!(host.state("t"), PrepareCommit);
    host.write_markers();
    assert_eq!(host.end("t", next, true, V0), Ok(next));
}

#[test]
fn nobody_is_followed_by_an_id_that_was_never_changed() {
    let mut host = Host::new();
    host.init("t", None).expect("new");
    let nobody = producer(-1, LAST_EPOCH.0);
    assert_eq!(host.init("t", Some(nobody)), Err(ProducerFenced));
    assert!(host.end("t", nobody, false, V2).is_err());
}
