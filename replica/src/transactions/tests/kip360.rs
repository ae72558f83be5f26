//! KIP-360: a producer goes on from an error with a new epoch of what it holds.

use tautline_core::error::ErrorCode::{ConcurrentTransactions, ProducerFenced};

use super::host::{Host, TIMEOUT_MS, V0, V2, partition, producer};
use crate::transactions::LAST_EPOCH;
use crate::transactions::TransactionState::{CompleteAbort, Ongoing};

#[test]
fn kip360_the_holder_gets_the_next_epoch() {
    let mut host = Host::new();
    let first = host.init("t", None).expect("new");
    let second = host.init("t", Some(first)).expect("held");
    assert_eq!(second, producer(first.id.0, 1));
    assert_eq!(host.init("t", Some(second)), Ok(producer(first.id.0, 2)));
    assert_eq!(host.init("t", Some(first)), Err(ProducerFenced), "two epochs ago");
}

#[test]
fn kip360_a_retry_is_answered_the_same() {
    for restart in [false, true] {
        let mut host = Host::new();
        let first = host.init("t", None).expect("new");
        let second = host.init("t", Some(first)).expect("held");
        for _ in 0..3 {
            if restart {
                host.restart();
            }
            assert_eq!(host.init("t", Some(first)), Ok(second));
        }
        assert_eq!(host.init("t", None), Ok(producer(first.id.0, 2)));
        assert_eq!(
            host.init("t", Some(first)),
            Err(ProducerFenced),
            "somebody else has it"
        );
        assert_eq!(host.init("t", Some(second)), Err(ProducerFenced));
    }
}

#[test]
fn kip360_the_holder_aborts_what_it_has_begun() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.begin("t", holder, V0);
    assert_eq!(host.init("t", Some(holder)), Err(ConcurrentTransactions));
    host.write_markers();
    assert_eq!(host.state("t"), CompleteAbort);
    assert_eq!(host.init("t", Some(holder)), Ok(producer(holder.id.0, 1)));
}

#[test]
fn who_has_begun_with_an_epoch_does_not_ask_for_it_again() {
    let mut host = Host::new();
    let first = host.init("t", None).expect("new");
    let second = host.init("t", Some(first)).expect("held");
    host.begin("t", second, V0);
    host.end("t", second, true, V0).expect("ongoing");
    host.write_markers();
    assert_eq!(host.init("t", Some(first)), Err(ProducerFenced));
    assert_eq!(host.end("t", first, true, V2), Err(ProducerFenced));
}

#[test]
fn a_transaction_without_partitions_needs_no_second_request() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.add("t", holder, &[], V0).expect("held");
    assert_eq!(host.init("t", Some(holder)), Ok(producer(holder.id.0, 1)));
    let holder = host.holder("t");
    host.add("t", holder, &[], V0).expect("held");
    assert_eq!(host.init("t", None), Ok(producer(holder.id.0, 3)));
}

#[test]
fn a_delayed_request_does_not_abort_a_newer_transaction() {
    let mut host = Host::new();
    let first = host.init("t", None).expect("new");
    let second = host.init("t", Some(first)).expect("held");
    host.begin("t", second, V0);
    assert_eq!(host.init("t", Some(first)), Err(ProducerFenced));
    assert_eq!(host.state("t"), Ongoing);
}

#[test]
fn kip360_exhausted_epochs_rotate_the_producer_id() {
    let last = producer(7, LAST_EPOCH.0);
    for current in [None, Some(last)] {
        let mut host = Host::held_by("t", last);
        let rotated = host.init("t", current).expect("held");
        assert_eq!(rotated, producer(8, 0));
        let again = if current.is_some() {
            Ok(rotated)
        } else {
            Err(ProducerFenced)
        };
        for restart in [false, false, true] {
            if restart {
                host.restart();
            }
            assert_eq!(
                host.init("t", Some(last)),
                again,
                "a retry, if the last had asked"
            );
        }
        host.begin("t", rotated, V0);
        assert_eq!(host.init("t", Some(last)), Err(ProducerFenced));
    }
}

#[test]
fn kip360_fencing_with_the_last_epoch_rotates_too() {
    let last = producer(7, LAST_EPOCH.0);
    for current in [None, Some(last)] {
        let mut host = Host::held_by("t", last);
        host.begin("t", last, V0);
        assert_eq!(host.init("t", current), Err(ConcurrentTransactions));
        assert_eq!(host.holder("t"), producer(7, i16::MAX));
        host.write_markers();
        let beyond = producer(7, i16::MAX);
        let more = [partition("a", 0)];
        assert_eq!(
            host.add("t", beyond, &more, V0),
            Err(ProducerFenced),
            "given to nobody"
        );
        for version in [V0, V2] {
            assert_eq!(host.end("t", beyond, false, version), Err(ProducerFenced));
        }
        assert_eq!(host.init("t", current), Ok(producer(8, 0)));
    }
}

#[test]
fn kip360_after_expiry_the_holder_begins_anew() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.tick(604_800_000);
    assert!(host.coordinator.is_empty());
    assert_eq!(host.init("t", Some(holder)), Ok(producer(holder.id.0 + 1, 0)));
}

#[test]
fn kip588_a_producer_that_was_too_slow_goes_on() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.begin("t", holder, V0);
    host.tick(i64::from(TIMEOUT_MS) + 1);
    assert_eq!(host.end("t", holder, true, V0), Err(ProducerFenced));
    assert_eq!(host.init("t", Some(holder)), Err(ConcurrentTransactions));
    host.write_markers();
    assert_eq!(host.init("t", Some(holder)), Ok(producer(holder.id.0, 1)));
}
