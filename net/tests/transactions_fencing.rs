//! Who may write in a transaction, and who no more: fencing, timeouts, verification (KIP-98, KIP-360, KIP-890).

mod common;
#[path = "common/transactions.rs"]
mod transactions;

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use common::raw::{self, framed};
use common::{TestBroker, create};
use kafka_protocol::messages::produce_response::ProduceResponse;
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};
use tautline_core::error::ErrorCode;
use transactions::{Producer, Rules, code, committed_offset, expect_committed, find, values};

const BOTH: [Rules; 2] = [Rules::Old, Rules::V2];

#[test]
fn a_second_producer_of_the_same_id_fences_the_first() {
    for rules in BOTH {
        let broker = TestBroker::start(2, &[]);
        let mut client = broker.connect();
        create(&mut client, "t", 2, &[]);
        let mut first = Producer::start(&broker, "x", rules);
        assert_eq!(first.write("t", 0, "first"), ErrorCode::None);
        let mut second = Producer::start(&broker, "x", rules);
        assert!(second.epoch > first.epoch);
        assert_eq!(first.produce("t", 0, "late"), ErrorCode::InvalidProducerEpoch);
        assert_eq!(first.produce("t", 1, "late"), ErrorCode::InvalidProducerEpoch);
        assert_eq!(first.end(true), ErrorCode::ProducerFenced);
        assert_eq!(second.write("t", 0, "second"), ErrorCode::None);
        assert_eq!(first.end(false), ErrorCode::ProducerFenced);
        assert_eq!(second.end(true), ErrorCode::None);
        expect_committed(&mut client, "t", 0, &["second"]);
        broker.stop();
    }
}

/// The first transaction that has written and committed an offset before its time was over. It may be refused only if that was over:
/// the machine had other things to do, and another one begins.
fn open_in_time(broker: &TestBroker, rules: Rules, timeout: Duration) -> Producer {
    for n in 0.. {
        let mut producer = Producer::new(broker, &format!("x{n}"), rules);
        let began = Instant::now();
        assert_eq!(producer.init(timeout.as_millis() as i32), ErrorCode::None);
        let written = producer.write("t", 0, "slow");
        if written == ErrorCode::None && producer.commit_offset("g", "t", 5) == ErrorCode::None {
            return producer;
        }
        let took = began.elapsed();
        assert!(
            took >= timeout,
            "refused after {took:?}, the write said {written:?}"
        );
    }
    unreachable!("it returns or fails")
}

#[test]
fn what_takes_too_long_is_aborted() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    for rules in BOTH {
        let sweep = "transaction.abort.timed.out.transaction.cleanup.interval.ms=20";
        let broker = TestBroker::start(2, &["--set", sweep]);
        let mut client = broker.connect();
        create(&mut client, "t", 1, &[]);
        let mut producer = Producer::new(&broker, "x", rules);
        assert_eq!(producer.init(900_001), ErrorCode::InvalidTransactionTimeout);
        assert_eq!(producer.init(0), ErrorCode::InvalidTransactionTimeout);
        // What coordinators need is there before the time of a transaction runs.
        find(&mut client, "g", 0);
        assert_eq!(committed_offset(&mut client, "g", "t"), -1);
        let mut other = Producer::start(&broker, "y", rules);
        assert_eq!(other.write("t", 0, "before"), ErrorCode::None);
        assert_eq!(other.end(true), ErrorCode::None);
        let mut producer = open_in_time(&broker, rules, TIMEOUT);
        assert_eq!(other.write("t", 0, "quick"), ErrorCode::None);
        assert_eq!(other.end(true), ErrorCode::None);
        // The open transaction is in front of it until it is aborted.
        expect_committed(&mut client, "t", 0, &["before", "quick"]);
        assert_eq!(committed_offset(&mut client, "g", "t"), -1);
        assert_eq!(producer.produce("t", 0, "late"), ErrorCode::InvalidProducerEpoch);
        // With an epoch for each transaction, that is the end of this one, asked for once more.
        let refused =
            [ErrorCode::ProducerFenced, ErrorCode::InvalidTxnState][usize::from(rules == Rules::V2)];
        assert_eq!(producer.end(true), refused);
        broker.stop();
    }
}

#[test]
fn the_first_record_is_verified() {
    let broker = TestBroker::start(2, &[]);
    let mut client = broker.connect();
    create(&mut client, "t", 2, &[]);
    let mut producer = Producer::start(&broker, "x", Rules::Old);
    // Nothing was added; and then another partition.
    assert_eq!(producer.produce("t", 0, "no"), ErrorCode::InvalidTxnState);
    assert_eq!(producer.add("t", 1), ErrorCode::None);
    assert_eq!(producer.produce("t", 0, "no"), ErrorCode::InvalidTxnState);
    let offset = producer.commit_offset_only("g", "t", 5);
    assert_eq!(offset, ErrorCode::InvalidTxnState);
    assert_eq!(producer.produce("t", 1, "yes"), ErrorCode::None);
    assert_eq!(producer.end(true), ErrorCode::None);
    expect_committed(&mut client, "t", 1, &["yes"]);
    // A batch of the transaction that has ended can't begin another.
    assert_eq!(producer.produce("t", 1, "late"), ErrorCode::InvalidTxnState);
    let (id, epoch) = (producer.id, producer.epoch);
    (producer.id, producer.epoch) = (id + 1000, 0);
    assert_eq!(
        producer.produce("t", 0, "no"),
        ErrorCode::InvalidProducerIdMapping
    );
    (producer.id, producer.epoch) = (id, epoch + 1);
    assert_eq!(producer.produce("t", 0, "no"), ErrorCode::InvalidProducerEpoch);
    (producer.id, producer.epoch) = (id, epoch);
    producer.transactional_id = "nobody".to_owned();
    assert_eq!(
        producer.produce("t", 0, "no"),
        ErrorCode::InvalidProducerIdMapping
    );
    // Under KIP-890 the epoch is that of one transaction.
    let mut producer = Producer::start(&broker, "y", Rules::V2);
    assert_eq!(producer.write("t", 0, "one"), ErrorCode::None);
    let epoch = producer.epoch;
    assert_eq!(producer.end(true), ErrorCode::None);
    assert_eq!(producer.epoch, epoch + 1);
    expect_committed(&mut client, "t", 0, &["one"]);
    producer.epoch = epoch;
    assert_eq!(producer.produce("t", 0, "late"), ErrorCode::InvalidProducerEpoch);
    assert_eq!(producer.produce("t", 1, "late"), ErrorCode::InvalidProducerEpoch);
    assert_eq!(values(&mut client, "t", 0, false), ["one"]);
    broker.stop();
}

#[test]
fn verification_can_be_switched_off() {
    let setting = "transaction.partition.verification.enable=false";
    let broker = TestBroker::start(1, &["--set", setting]);
    let mut client = broker.connect();
    create(&mut client, "t", 1, &[]);
    let mut producer = Producer::start(&broker, "x", Rules::Old);
    assert_eq!(producer.produce("t", 0, "hanging"), ErrorCode::None);
    assert_eq!(values(&mut client, "t", 0, true), [""; 0]);
    broker.stop();
}

#[test]
fn an_end_that_is_asked_for_again_is_answered_again() {
    for rules in BOTH {
        let broker = TestBroker::start(2, &[]);
        let mut client = broker.connect();
        create(&mut client, "t", 1, &[]);
        let mut producer = Producer::start(&broker, "x", rules);
        assert_eq!(producer.write("t", 0, "a"), ErrorCode::None);
        let before = producer.epoch;
        assert_eq!(producer.end(true), ErrorCode::None);
        let after = producer.epoch;
        for _ in 0..3 {
            producer.epoch = before;
            assert_eq!(producer.end(true), ErrorCode::None);
            assert_eq!(producer.epoch, after);
        }
        producer.epoch = before;
        assert_eq!(producer.end(false), ErrorCode::InvalidTxnState);
        producer.epoch = after;
        assert_eq!(producer.write("t", 0, "b"), ErrorCode::None);
        assert_eq!(producer.end(false), ErrorCode::None);
        expect_committed(&mut client, "t", 0, &["a"]);
        broker.stop();
    }
}

/// The first batch waits for the coordinator, and those sent behind it wait for the first.
#[test]
fn the_order_of_a_connection_is_the_order_of_the_log() {
    const BATCHES: i32 = 50;
    for rules in BOTH {
        let broker = TestBroker::start(2, &[]);
        let mut client = broker.connect();
        create(&mut client, "t", 2, &[]);
        let mut producer = Producer::start(&broker, "x", rules);
        if rules == Rules::Old {
            for partition in 0..2 {
                assert_eq!(producer.add("t", partition), ErrorCode::None);
            }
        }
        let version = producer.version();
        let header = RequestHeader::default().with_request_api_version(version);
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for n in 0..BATCHES {
            for partition in 0..2 {
                let mut frame = BytesMut::new();
                header
                    .clone()
                    .with_correlation_id(2 * n + partition)
                    .encode(&mut frame, 2)
                    .unwrap();
                let request = producer.batch("t", partition, n, &n.to_string());
                request.encode(&mut frame, version).unwrap();
                bytes.extend(framed(&frame));
            }
            expected.push(n.to_string());
        }
        let mut stream = raw::connect(broker.address());
        stream.write_all(&bytes).unwrap();
        for n in 0..2 * BATCHES {
            let mut size = [0; 4];
            stream.read_exact(&mut size).unwrap();
            let mut frame = vec![0; u32::from_be_bytes(size) as usize];
            stream.read_exact(&mut frame).unwrap();
            let mut frame = Bytes::from(frame);
            assert_eq!(ResponseHeader::decode(&mut frame, 1).unwrap().correlation_id, n);
            let response = ProduceResponse::decode(&mut frame, version).unwrap();
            let produced = &response.responses[0].partition_responses[0];
            assert_eq!(code(produced.error_code), ErrorCode::None, "batch {n}");
        }
        assert_eq!(producer.end(true), ErrorCode::None);
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        for partition in 0..2 {
            expect_committed(&mut client, "t", partition, &expected);
        }
        broker.stop();
    }
}
