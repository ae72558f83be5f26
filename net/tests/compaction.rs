//! Compacted topics against a real broker: what they take (KAFKA-4808, KIP-467), and that they are cleaned while they are read.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use common::partitions::delete;
use common::raw::Random;
use common::{
    Client, HANGS, Metrics, TestBroker, create, end_offset, on_one_and_two_shards, produce_batch,
    receive_produced, send_produce, topic_name, try_produce, within,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use tautline_core::batch::{BATCH_HEADER_BYTES, Batch, BatchBuilder, Compacted, Compression};
use tautline_core::error::ErrorCode;

const INVALID_RECORD: i16 = ErrorCode::InvalidRecord.code();

fn gzipped(plain: &[u8]) -> Vec<u8> {
    let batch = Batch::parse(plain).unwrap().0;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(batch.payload()).unwrap();
    let mut bytes = plain[..BATCH_HEADER_BYTES].to_vec();
    bytes.extend(encoder.finish().unwrap());
    let compacted = Compacted {
        compression: Compression::Gzip,
        record_count: batch.record_count(),
        base_timestamp_ms: batch.base_timestamp(),
        max_timestamp_ms: batch.max_timestamp(),
        has_delete_horizon: false,
    };
    compacted.patch(&mut bytes);
    bytes
}

/// Bytes that don't compress.
fn noise(len: usize) -> Vec<u8> {
    (0..len as u64)
        .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as u8)
        .collect()
}

#[test]
fn records_without_keys_are_refused_also_in_compressed_batches() {
    on_one_and_two_shards(|_, client| {
        create(client, "plain", 1, &[]);
        create(client, "compacted", 2, &[("cleanup.policy", "compact")]);
        create(client, "both", 1, &[("cleanup.policy", "compact,delete")]);
        let large = noise(200_000);
        for value in [&b"small"[..], &large] {
            let keyed =
                |n: usize| (0..n).fold(BatchBuilder::new(1), |b, _| b.record(Some(b"k"), Some(value)));
            let (sound, keyless) = (keyed(3).build(), keyed(2).record(None, Some(value)).build());
            for batch in [keyless.clone(), gzipped(&keyless)] {
                for (topic, partition) in [("compacted", 0), ("compacted", 1), ("both", 0)] {
                    let end = end_offset(client, topic, partition);
                    let refused = try_produce(client, topic, partition, batch.clone());
                    assert_eq!(refused.error_code, INVALID_RECORD);
                    assert_eq!(
                        end_offset(client, topic, partition),
                        end,
                        "nothing of it was appended"
                    );
                }
                produce_batch(client, "plain", 0, batch);
            }
            let refused = try_produce(client, "compacted", 0, keyless);
            assert_eq!(refused.record_errors[0].batch_index, 2);
            let said = refused.record_errors[0]
                .batch_index_error_message
                .clone()
                .unwrap();
            assert!(said.contains("without key"), "{said:?}");
            for batch in [sound.clone(), gzipped(&sound)] {
                produce_batch(client, "compacted", 0, batch);
            }
        }
        let tombstone = BatchBuilder::new(1).record(Some(b"k"), None).build();
        produce_batch(client, "compacted", 0, tombstone);
        let mut garbled = gzipped(&BatchBuilder::new(1).record(Some(b"k"), Some(b"v")).build());
        garbled[BATCH_HEADER_BYTES + 12] ^= 0x55;
        tautline_core::batch::patch_max_timestamp(&mut garbled, 1);
        assert_eq!(
            try_produce(client, "compacted", 0, garbled).error_code,
            INVALID_RECORD
        );
    });
}

/// The order of a connection is the order in the log, whatever it takes to look at each batch.
#[test]
fn batches_that_take_long_to_look_at_keep_their_order() {
    on_one_and_two_shards(|_, client| {
        create(client, "compacted", 1, &[("cleanup.policy", "compact")]);
        let large = noise(300_000);
        let batch = |n: u32, value: &[u8]| {
            BatchBuilder::new(1)
                .record(Some(&n.to_be_bytes()), Some(value))
                .build()
        };
        for n in 0..40u32 {
            let bytes = match n % 4 {
                0 => gzipped(&batch(n, &large)),
                1 => batch(n, b"plain"),
                2 => gzipped(&batch(n, b"small")),
                _ => gzipped(&BatchBuilder::new(1).record(None, Some(&large)).build()),
            };
            send_produce(client, "compacted", 0, bytes);
        }
        let mut next = 0;
        for n in 0..40u32 {
            let answer = receive_produced(client, 39 - n as i32);
            if n % 4 == 3 {
                assert_eq!(answer.error_code, INVALID_RECORD);
            } else {
                assert_eq!((answer.error_code, answer.base_offset), (0, next));
                next += 1;
            }
        }
    });
}

/// Key and value of all records, with their offsets.
fn read(client: &mut Client, topic: &str) -> BTreeMap<i64, (Vec<u8>, usize)> {
    let mut records = BTreeMap::new();
    let mut offset = 0;
    let end = end_offset(client, topic, 0);
    while offset < end {
        let asked = FetchPartition::default()
            .with_fetch_offset(offset)
            .with_partition_max_bytes(1 << 20);
        let fetch = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_bytes(1 << 20)
            .with_topics(vec![
                FetchTopic::default()
                    .with_topic(topic_name(topic))
                    .with_partitions(vec![asked]),
            ]);
        let answer = client.ask(11, &fetch).responses.remove(0).partitions.remove(0);
        assert_eq!(answer.error_code, 0);
        let bytes = answer.records.unwrap_or_default();
        let mut rest = &bytes[..];
        let before = offset;
        while let Ok((batch, behind)) = Batch::parse(rest) {
            batch.verify_crc().unwrap();
            for record in batch.records().map(Result::unwrap) {
                let at = batch.base_offset().0 + i64::from(record.offset_delta);
                let value = record.value.map_or(0, <[u8]>::len);
                records.insert(at, (record.key.unwrap().to_vec(), value));
            }
            offset = batch.next_offset().0;
            rest = behind;
        }
        assert!(offset > before, "a fetch at {before} of {end} makes progress");
    }
    records
}

/// As in Kafka, whose DeleteRecords asks for the policy first.
#[test]
fn records_of_a_topic_that_is_only_compacted_are_not_deleted() {
    on_one_and_two_shards(|_, client| {
        create(client, "compacted", 1, &[("cleanup.policy", "compact")]);
        create(client, "both", 1, &[("cleanup.policy", "delete,compact")]);
        for (topic, answer) in [
            ("compacted", (-1, ErrorCode::PolicyViolation.code())),
            ("both", (1, 0)),
        ] {
            let batch = BatchBuilder::new(1).record(Some(b"k"), Some(b"v"));
            produce_batch(client, topic, 0, batch.build());
            assert_eq!(delete(client, 2, topic, &[(0, 1)]), [answer]);
        }
    });
}

/// The broker is killed again and again while it cleans: what was acknowledged last of each key is there, and nothing older.
#[test]
fn kills_while_a_log_is_cleaned_lose_nothing_and_bring_nothing_back() {
    let arguments = ["--set", "log.cleaner.backoff.ms=1"];
    let mut broker = TestBroker::start(1, &arguments);
    let mut client = broker.connect();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0"),
        ("file.delete.delay.ms", "0"),
    ];
    create(&mut client, "compacted", 1, &configs);
    let value = noise(60_000);
    let mut random = Random::from_seed();
    let (mut latest, mut gone): (BTreeMap<Vec<u8>, i64>, BTreeSet<i64>) = Default::default();
    for _ in 0..25 {
        for _ in 0..10 + random.below(60) {
            let key = (random.below(40) as u32).to_be_bytes();
            let batch = BatchBuilder::new(1).record(Some(&key), Some(&value)).build();
            latest.insert(key.to_vec(), produce_batch(&mut client, "compacted", 0, batch));
        }
        if random.below(2) == 0 {
            // What a reader has seen to be gone stays so, once the cleaning that took it has come to its end.
            let runs = |broker: &TestBroker| {
                Metrics::scrape(broker.admin(), "/metrics").sum("tautline_cleaner_runs_total", "")
            };
            let seen = read(&mut client, "compacted");
            assert!(
                latest.values().all(|offset| seen.contains_key(offset)),
                "a reader gets all that stays, also while it is cleaned"
            );
            let before = runs(&broker);
            within(HANGS, "a cleaning to end", || {
                let batch = BatchBuilder::new(1).record(Some(b"more"), Some(&value)).build();
                latest.insert(
                    b"more".to_vec(),
                    produce_batch(&mut client, "compacted", 0, batch),
                );
                runs(&broker) > before + 1.0
            });
            let end = seen.keys().next_back().copied().unwrap_or(0);
            gone.extend((0..end).filter(|offset| !seen.contains_key(offset)));
        }
        client = broker.crash_and_restart(1);
        let found = read(&mut client, "compacted");
        assert!(latest.values().all(|offset| found.contains_key(offset)));
        assert!(gone.iter().all(|offset| !found.contains_key(offset)));
    }
    assert!(!gone.is_empty());
    broker.stop();
}

#[test]
fn a_compacted_topic_is_cleaned_while_it_is_read_and_written() {
    let arguments = [
        "--set",
        "log.cleaner.backoff.ms=50",
        "--set",
        "log.cleaner.dedupe.buffer.size=1048576",
    ];
    let mut broker = TestBroker::start(2, &arguments);
    let mut client = broker.connect();
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.01"),
        ("file.delete.delay.ms", "0"),
    ];
    create(&mut client, "compacted", 1, &configs);
    let value = noise(30_000);
    let mut latest = BTreeMap::new();
    for n in 0..400u32 {
        let key = (n * n % 37).to_be_bytes();
        let batch = BatchBuilder::new(1_000 + i64::from(n))
            .record(Some(&key), Some(&value))
            .build();
        latest.insert(key.to_vec(), produce_batch(&mut client, "compacted", 0, batch));
        if n % 50 == 0 {
            read(&mut client, "compacted");
        }
    }
    let admin = broker.admin();
    within(HANGS, "the log to be cleaned", || {
        let metrics = Metrics::scrape(admin, "/metrics");
        let read = read(&mut client, "compacted");
        metrics.sum("tautline_cleaner_runs_total", "") > 0.0 && read.len() < 37 + 80
    });
    let check = |client: &mut Client| {
        let read = read(client, "compacted");
        let offsets: BTreeSet<i64> = read.keys().copied().collect();
        assert!(latest.values().all(|offset| offsets.contains(offset)));
        assert!(read.values().all(|(_, len)| *len == value.len()));
        assert_eq!(end_offset(client, "compacted", 0), 400);
        read.len()
    };
    let before = check(&mut client);
    let mut client = broker.crash_and_restart(1);
    assert!(check(&mut client) <= before, "what went does not come back");
    broker.stop();
}
