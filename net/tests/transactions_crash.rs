//! `kill -9` of the broker in the middle of transactions.

mod common;
#[path = "common/transactions.rs"]
mod transactions;

use common::{TestBroker, create};
use tautline_core::error::ErrorCode;
use transactions::{Producer, Rules, committed_offset, expect_committed, find};

/// So many that their markers are not all written when the answer to EndTxn has come back.
const PARTITIONS: i32 = 200;

/// What is decided is completed by the next start, whatever was written of it.
#[test]
fn a_crash_between_the_decision_and_its_markers_loses_nothing() {
    for (committed, shards) in [(true, [1, 2]), (false, [2, 1])] {
        let mut broker = TestBroker::start(shards[0], &[]);
        let mut client = broker.connect();
        create(&mut client, "t", PARTITIONS, &[]);
        let mut producer = Producer::start(&broker, "x", Rules::V2);
        for partition in 0..PARTITIONS {
            assert_eq!(producer.write("t", partition, "in"), ErrorCode::None);
        }
        assert_eq!(producer.commit_offset("g", "t", 7), ErrorCode::None);
        assert_eq!(producer.end(committed), ErrorCode::None);
        let mut client = broker.crash_and_restart(shards[1]);
        producer.client = broker.connect();
        // The next transaction waits for the end of the last.
        find(&mut producer.client, "x", 1);
        assert_eq!(producer.write("t", 0, "next"), ErrorCode::None);
        assert_eq!(producer.end(true), ErrorCode::None);
        let first: &[&str] = if committed { &["in", "next"] } else { &["next"] };
        expect_committed(&mut client, "t", 0, first);
        for partition in 1..PARTITIONS {
            let expected: &[&str] = if committed { &["in"] } else { &[] };
            expect_committed(&mut client, "t", partition, expected);
        }
        let offset = committed_offset(&mut client, "g", "t");
        assert_eq!(offset, if committed { 7 } else { -1 });
        broker.stop();
    }
}

/// A transaction that was open goes on after the crash.
#[test]
fn an_open_transaction_survives() {
    for rules in [Rules::Old, Rules::V2] {
        let mut broker = TestBroker::start(2, &[]);
        let mut client = broker.connect();
        create(&mut client, "t", 2, &[]);
        let mut producer = Producer::start(&broker, "x", rules);
        assert_eq!(producer.write("t", 0, "before"), ErrorCode::None);
        assert_eq!(producer.commit_offset("g", "t", 7), ErrorCode::None);
        let mut client = broker.crash_and_restart(1);
        producer.client = broker.connect();
        assert_eq!(committed_offset(&mut client, "g", "t"), -1);
        assert_eq!(producer.write("t", 0, "after"), ErrorCode::None);
        assert_eq!(producer.write("t", 1, "after"), ErrorCode::None);
        assert_eq!(producer.end(true), ErrorCode::None);
        expect_committed(&mut client, "t", 0, &["before", "after"]);
        expect_committed(&mut client, "t", 1, &["after"]);
        assert_eq!(producer.write("t", 0, "aborted"), ErrorCode::None);
        assert_eq!(committed_offset(&mut client, "g", "t"), 7);
        assert_eq!(producer.end(false), ErrorCode::None);
        broker.stop();
    }
}

/// Acknowledgements of a relaxed topic rest in memory, but a transaction that its coordinator has done with is on disk: nobody
/// would end it again.
#[test]
fn a_completed_transaction_survives_a_power_cut_also_in_a_relaxed_topic() {
    for committed in [true, false] {
        let mut broker = TestBroker::start_with_fault(2, &[], Some("lose-unsynced"));
        let mut client = broker.connect();
        let relaxed = [("flush.messages", "1000000"), ("flush.ms", "600000")];
        create(&mut client, "t", 2, &relaxed);
        let mut producer = Producer::start(&broker, "x", Rules::Old);
        for partition in 0..2 {
            assert_eq!(producer.write("t", partition, "in"), ErrorCode::None);
        }
        assert_eq!(producer.end(committed), ErrorCode::None);
        // This waits for the end of the last one.
        assert_eq!(producer.init(60_000), ErrorCode::None);
        let mut client = broker.crash_and_restart(2);
        let expected: &[&str] = if committed { &["in"] } else { &[] };
        for partition in 0..2 {
            expect_committed(&mut client, "t", partition, expected);
        }
        broker.stop();
    }
}
