//! Records against bytes that Kafka 4.1's own classes have written, and back.

use std::sync::Arc;

use proptest::prelude::*;

use tautline_core::ids::{ProducerEpoch, ProducerId};

use super::host::{partition, producer};
use crate::coordinator::{Coordinator, Moment};
use crate::memory::CoordinatorMemory;
use crate::records::RecordWriter;
use crate::transactions::partitions::Partitions;
use crate::transactions::record::{read_key, read_value, record, tombstone};
use crate::transactions::transaction::Transaction;
use crate::transactions::{TransactionConfig, TransactionCoordinator, TransactionState, TransactionVersion};

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn ongoing() -> Transaction {
    Transaction {
        producer: producer(4001, 3),
        last_epoch: ProducerEpoch::NONE,
        previous_id: ProducerId::NONE,
        next_id: ProducerId::NONE,
        timeout_ms: 60_000,
        state: TransactionState::Ongoing,
        partitions: [partition("a", 0), partition("a", 2), partition("bb", 5)]
            .into_iter()
            .collect(),
        start: Moment::recorded(1_700_000_000_000),
        last_update: Moment::recorded(1_700_000_000_500),
        version: TransactionVersion::V0,
    }
}

fn with_tags() -> Transaction {
    Transaction {
        previous_id: ProducerId(17),
        next_id: ProducerId(4002),
        version: TransactionVersion::V2,
        ..ongoing()
    }
}

fn empty() -> Transaction {
    Transaction {
        partitions: Partitions::default(),
        state: TransactionState::Empty,
        start: Moment::recorded(-1),
        producer: producer(4001, 0),
        ..ongoing()
    }
}

const KEY: &str = "0000000a7472616e736665722d37";
const ONGOING_0: &str = "00000000000000000fa100030000ea6001000000020001610000000200000000000000020002626200000001000000050000018bcfe569f40000018bcfe56800";
const WITH_TAGS_1: &str = "00010000000000000fa100030000ea6001030261030000000000000002000362620200000005000000018bcfe569f40000018bcfe56800030008000000000000001101080000000000000fa202020002";
const EMPTY_0: &str = "00000000000000000fa100000000ea6000ffffffff0000018bcfe569f4ffffffffffffffff";
const EMPTY_1: &str = "00010000000000000fa100000000ea6000000000018bcfe569f4ffffffffffffffff00";

#[test]
fn what_kafka_writes_is_read() {
    assert_eq!(read_key(&hex(KEY)), Ok(Arc::from("transfer-7")));
    assert_eq!(read_value(&hex(ONGOING_0)), Ok(ongoing()));
    assert_eq!(read_value(&hex(WITH_TAGS_1)), Ok(with_tags()));
    assert_eq!(read_value(&hex(EMPTY_0)), Ok(empty()));
    assert_eq!(read_value(&hex(EMPTY_1)), Ok(empty()));
}

#[test]
fn what_is_written_is_what_kafka_writes() {
    assert_eq!(tombstone("transfer-7").key, hex(KEY));
    assert_eq!(tombstone("transfer-7").value, None);
    assert_eq!(record("transfer-7", &with_tags()).value, Some(hex(WITH_TAGS_1)));
    assert_eq!(record("transfer-7", &empty()).value, Some(hex(EMPTY_1)));
}

#[test]
fn what_is_not_known_is_skipped_and_described() {
    let mut coordinator =
        TransactionCoordinator::new(TransactionConfig::default(), &CoordinatorMemory::of(usize::MAX));
    let value = hex(EMPTY_1);
    let mut replay = |key: &[u8], value: &[u8]| coordinator.replay(None, key, Some(value), 0);
    assert_eq!(replay(&hex(KEY), &value), Ok(()));
    let mut newer = RecordWriter::fixed(1);
    newer.str("transfer-7");
    assert_eq!(
        replay(&newer.finish(), &value),
        Err("key of a transaction: version 1 is not known".to_owned())
    );
    assert!(replay(&[], &value).is_err());
    let mut bad = value.clone();
    bad[1] = 2;
    assert!(replay(&hex(KEY), &bad).is_err_and(|error| error.contains("version 2")));
    for state in [6u8, 7, 8, 0xff] {
        let mut bad = value.clone();
        bad[16] = state;
        assert!(replay(&hex(KEY), &bad).is_err_and(|error| error.contains("not a state")));
    }
    assert_eq!(coordinator.len(), 1);
}

fn any_transaction() -> impl Strategy<Value = Transaction> {
    let partitions = prop::collection::vec(("[a-z]{1,4}", 0..9i32), 0..12);
    let numbers = (any::<i64>(), any::<i16>(), any::<i16>(), -1..5i64, -1..5i64);
    let times = (any::<i32>(), any::<i64>(), any::<i64>());
    (partitions, numbers, times, 0..6i8, 0..3i16).prop_map(|(partitions, numbers, times, state, version)| {
        let state = TransactionState::from_id(state).expect("a state");
        let partitions = partitions.iter().map(|(topic, index)| partition(topic, *index));
        Transaction {
            producer: producer(numbers.0, numbers.1),
            last_epoch: ProducerEpoch(numbers.2),
            previous_id: ProducerId(numbers.3),
            next_id: ProducerId(numbers.4),
            timeout_ms: times.0,
            state,
            partitions: partitions.filter(|_| state != TransactionState::Empty).collect(),
            start: Moment::recorded(times.1),
            last_update: Moment::recorded(times.2),
            version: TransactionVersion::from_level(version).expect("a version"),
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(id in ".{1,20}", transaction in any_transaction()) {
        let written = record(&id, &transaction);
        prop_assert_eq!(read_key(&written.key), Ok(Arc::from(id)));
        let value = written.value.expect("not a tombstone");
        prop_assert_eq!(read_value(&value), Ok(transaction));
        for cut in 0..value.len() {
            prop_assert!(read_value(&value[..cut]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(mut bytes in prop::collection::vec(any::<u8>(), 0..200), version in 0..3u8) {
        let _ = read_key(&bytes);
        let _ = read_value(&bytes);
        if bytes.len() > 2 {
            bytes[..2].copy_from_slice(&[0, version]);
            let _ = read_key(&bytes);
            let _ = read_value(&bytes);
        }
    }

    #[test]
    fn damaged_values_are_read_or_refused(transaction in any_transaction(), at: prop::sample::Index, to: u8) {
        let mut value = record("t", &transaction).value.expect("not a tombstone");
        let at = at.index(value.len());
        value[at] = to;
        let _ = read_value(&value);
    }
}
