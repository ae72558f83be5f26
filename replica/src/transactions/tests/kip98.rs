//! KIP-98: transactions as clients of versions 0 and 1 use them.

use tautline_core::error::ErrorCode::{
    ConcurrentTransactions, CoordinatorNotAvailable, InvalidProducerIdMapping, InvalidRequest,
    InvalidTransactionTimeout, InvalidTxnState, ProducerFenced, TransactionAbortable,
};

use super::host::{Host, TIMEOUT_MS, V0, partition, producer};
use crate::coordinator::CoordinatorRecord;
use crate::transactions::TransactionState::{
    CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit,
};
use crate::transactions::limits::{
    PARTITIONS_BYTES_MAX, TIMERS_PER_TICK, TRANSACTIONAL_ID_BYTES_MAX, TRANSACTIONAL_IDS_MAX,
};
use crate::transactions::record::tombstone;

#[test]
fn kip98_a_transaction_commits() {
    let mut host = Host::new();
    let producer = host.init("t", None).expect("new");
    assert_eq!(producer, super::host::producer(4_000, 0));
    assert_eq!(host.state("t"), Empty);
    host.add("t", producer, &[partition("a", 0), partition("b", 3)], V0)
        .expect("held");
    assert_eq!(host.state("t"), Ongoing);
    host.add("t", producer, &[partition("a", 0)], V0)
        .expect("there already");
    assert_eq!(host.batches, 0, "nothing new, nothing to append");

    assert_eq!(host.end("t", producer, true, V0), Ok(producer));
    assert_eq!(host.state("t"), PrepareCommit);
    let markers = host.markers[0].clone();
    assert!(markers.committed);
    assert_eq!((markers.producer, markers.instance.epoch), (producer, 1));
    assert_eq!(markers.partitions, [partition("a", 0), partition("b", 3)]);
    host.written(&markers, vec![partition("b", 3)]);
    assert_eq!((host.state("t"), host.batches), (PrepareCommit, 0));
    host.written(&markers, vec![partition("b", 3), partition("a", 0)]);
    assert_eq!((host.state("t"), host.batches), (CompleteCommit, 1));
    assert_eq!(host.holder("t"), producer);

    host.begin("t", producer, V0);
    assert_eq!(host.end("t", producer, false, V0), Ok(producer));
    assert_eq!(host.state("t"), PrepareAbort);
    assert!(!host.markers[1].committed);
    host.write_markers();
    assert_eq!(host.state("t"), CompleteAbort);
}

#[test]
fn kip98_while_it_is_decided_everything_else_waits() {
    for committed in [true, false] {
        let mut host = Host::new();
        let producer = host.init("t", None).expect("new");
        host.begin("t", producer, V0);
        host.end("t", producer, committed, V0).expect("ongoing");
        let before = host.log.len();
        assert_eq!(host.init("t", None), Err(ConcurrentTransactions));
        assert_eq!(host.init("t", Some(producer)), Err(ConcurrentTransactions));
        let more = [partition("orders", 1)];
        assert_eq!(host.add("t", producer, &more, V0), Err(ConcurrentTransactions));
        assert_eq!(host.verify("t", producer, &more), Err(ConcurrentTransactions));
        assert_eq!(
            host.end("t", producer, committed, V0),
            Err(ConcurrentTransactions)
        );
        assert_eq!(host.end("t", producer, !committed, V0), Err(InvalidTxnState));
        host.tick(i64::from(TIMEOUT_MS) * 100);
        assert_eq!(host.log.len(), before, "nothing has changed");

        host.write_markers();
        assert_eq!(host.end("t", producer, committed, V0), Ok(producer), "a retry");
        assert_eq!(host.end("t", producer, !committed, V0), Err(InvalidTxnState));
    }
}

#[test]
fn kip98_a_new_producer_fences_the_old_one() {
    let mut host = Host::new();
    let old = host.init("t", None).expect("new");
    let new = host.init("t", None).expect("taken over");
    assert_eq!(new, producer(old.id.0, 1));
    assert_eq!(host.add("t", old, &[partition("a", 0)], V0), Err(ProducerFenced));
    host.begin("t", new, V0);
    assert_eq!(
        host.verify("t", old, &[partition("orders", 0)]),
        Err(ProducerFenced)
    );
    assert_eq!(host.end("t", old, true, V0), Err(ProducerFenced));
    assert_eq!(host.state("t"), Ongoing);
}

#[test]
fn kip98_a_new_producer_aborts_what_the_old_one_has_begun() {
    let mut host = Host::new();
    let old = host.init("t", None).expect("new");
    host.begin("t", old, V0);
    assert_eq!(host.init("t", None), Err(ConcurrentTransactions));
    assert_eq!(host.state("t"), PrepareAbort);
    let markers = host.markers[0].clone();
    assert_eq!(
        (markers.committed, markers.producer.epoch.0),
        (false, 1),
        "partitions fence the old one"
    );
    assert_eq!(host.end("t", old, true, V0), Err(ProducerFenced));
    assert_eq!(host.init("t", None), Err(ConcurrentTransactions));
    host.write_markers();
    assert_eq!(host.init("t", None), Ok(producer(old.id.0, 2)));
    assert_eq!(host.end("t", old, false, V0), Err(ProducerFenced));
}

#[test]
fn kip98_markers_are_asked_for_again_after_a_restart() {
    for committed in [true, false] {
        let mut host = Host::new();
        let producer = host.init("t", None).expect("new");
        let both = [partition("a", 0), partition("a", 1)];
        host.add("t", producer, &both, V0).expect("held");
        host.end("t", producer, committed, V0).expect("ongoing");
        let before = host.markers[0].clone();
        host.written(&before, vec![partition("a", 0)]);
        host.restart();
        let again = host.markers[0].clone();
        assert_eq!((again.committed, again.instance.epoch), (committed, 2));
        assert_eq!((again.producer, &again.partitions[..]), (producer, &both[..]));
        host.written(&before, both.to_vec());
        assert!(
            host.state("t").is_decided(),
            "what the last coordinator asked for does not count"
        );
        host.write_markers();
        assert!(!host.state("t").is_decided());
        host.restart();
        assert_eq!(host.markers, []);
        assert_eq!(host.end("t", producer, committed, V0), Ok(producer));
    }
}

#[test]
fn kip98_markers_of_another_transaction_are_ignored() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.begin("t", holder, V0);
    host.end("t", holder, true, V0).expect("ongoing");
    let mut late = host.markers[0].clone();
    host.write_markers();
    host.begin("t", holder, V0);
    host.written(&late, late.partitions.clone());
    assert_eq!(host.state("t"), Ongoing);
    host.end("t", holder, true, V0).expect("ongoing");
    host.written(&late, late.partitions.clone());
    late.decision = host.markers[0].decision;
    late.instance.number -= 1;
    host.written(&late, late.partitions.clone());
    late.transactional_id = "unknown".into();
    host.written(&late, late.partitions.clone());
    assert_eq!(host.state("t"), PrepareCommit);
}

#[test]
fn kip98_unknown_ids_are_no_mapping() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    let other = producer(holder.id.0 + 1, 0);
    for (id, asking) in [("u", holder), ("t", other)] {
        let partitions = [partition("a", 0)];
        assert_eq!(
            host.add(id, asking, &partitions, V0),
            Err(InvalidProducerIdMapping)
        );
        assert_eq!(
            host.verify(id, asking, &partitions),
            Err(InvalidProducerIdMapping)
        );
        assert_eq!(host.end(id, asking, true, V0), Err(InvalidProducerIdMapping));
    }
    assert_eq!(host.init("t", Some(other)), Err(ProducerFenced));
}

#[test]
fn kip98_an_end_without_a_beginning_is_refused() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    assert_eq!(host.end("t", holder, true, V0), Err(InvalidTxnState));
    assert_eq!(host.end("t", holder, false, V0), Err(InvalidTxnState));
}

#[test]
fn kip98_a_transaction_without_partitions_completes_at_once() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.add("t", holder, &[], V0).expect("held");
    assert_eq!(host.state("t"), Ongoing);
    assert_eq!(host.end("t", holder, true, V0), Ok(holder));
    assert_eq!((host.state("t"), host.batches), (CompleteCommit, 1));
    assert_eq!(host.markers, []);
}

#[test]
fn kip98_timeouts_have_a_range() {
    let mut host = Host::new();
    for timeout_ms in [0, -1, i32::MIN, 900_001, i32::MAX] {
        assert_eq!(
            host.init_with("t", None, timeout_ms),
            Err(InvalidTransactionTimeout)
        );
    }
    assert!(host.init_with("t", None, 900_000).is_ok());
    assert!(host.init_with("t", None, 1).is_ok());
}

#[test]
fn requests_have_bounds() {
    let mut host = Host::new();
    let holder = producer(1, 0);
    let long = "x".repeat(TRANSACTIONAL_ID_BYTES_MAX + 1);
    for id in ["", &long] {
        assert_eq!(host.init(id, None), Err(InvalidRequest));
        assert_eq!(host.add(id, holder, &[], V0), Err(InvalidRequest));
        assert_eq!(host.end(id, holder, true, V0), Err(InvalidRequest));
    }
    let longest = "x".repeat(TRANSACTIONAL_ID_BYTES_MAX);
    let holder = host.init(&longest, None).expect("just fits");

    let many = |topic: &str, count| {
        (0..count)
            .map(|index| partition(topic, index))
            .collect::<Vec<_>>()
    };
    let most = (PARTITIONS_BYTES_MAX / 4) as i32 - 10;
    host.add(&longest, holder, &many("a", most), V0).expect("fits");
    let before = host.log.clone();
    assert_eq!(
        host.add(&longest, holder, &many("b", 100), V0),
        Err(TransactionAbortable)
    );
    assert_eq!(host.log, before);
    assert_eq!(host.verify(&longest, holder, &many("b", 1)), Ok(many("b", 1)));
    assert_eq!(host.verify(&longest, holder, &many("a", most)), Ok(Vec::new()));
    let record = &host.log[host.log.len() - 1];
    let bytes = record.key.len() + record.value.as_ref().map_or(0, Vec::len);
    assert!(
        bytes + 200 < tautline_core::limits::MESSAGE_BYTES_DEFAULT,
        "{bytes}"
    );
    assert_eq!(host.end(&longest, holder, true, V0), Ok(holder));
}

#[test]
fn there_is_a_most_of_transactional_ids() {
    let mut host = Host::new();
    host.init("t-0", None).expect("new");
    let value = host.log[0].value.clone();
    host.log
        .extend((1..TRANSACTIONAL_IDS_MAX).map(|number| CoordinatorRecord {
            value: value.clone(),
            ..tombstone(&format!("t-{number}"))
        }));
    host.restart();
    host.log.clear();
    assert_eq!(host.init("one more", None), Err(CoordinatorNotAvailable));
    assert!(host.init("t-0", None).is_ok(), "those that are there go on");
    host.tick(604_800_000);
    assert_eq!(host.coordinator.len(), TRANSACTIONAL_IDS_MAX - TIMERS_PER_TICK);
    assert!(host.init("one more", None).is_ok(), "others have expired");
}
