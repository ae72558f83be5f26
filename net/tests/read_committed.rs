//! What `read_committed` consumers are told (KIP-98): Fetch, ListOffsets, DescribeProducers and Produce over a log with
//! transactions, which the store itself has written.

mod common;
#[path = "common/transactions.rs"]
mod transactions;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Client, HANGS, TestBroker, create, on_one_and_two_shards, produce, text, topic_name};
use kafka_protocol::messages::TransactionalId;
use kafka_protocol::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use tautline_core::batch::{Batch, BatchBuilder, EndTransactionMarker};
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use tautline_core::shard::test_on_shard;
use tautline_store::{
    AppendAs, DataDir, Log, LogConfig, LogIdentity, Properties, Store, StoreOptions, TransactionVersion,
};
use transactions::{Producer, Rules};

const READ_COMMITTED: i8 = 1;
/// A long poll whose end by itself can't be mistaken for being woken.
const LONG_POLL_MS: i32 = 100_000;
const WOKEN_WITHIN: Duration = Duration::from_secs(90);

fn transactional(id: i64, sequence: i32, value: &str) -> Vec<u8> {
    let builder = BatchBuilder::new(1).producer(ProducerId(id), ProducerEpoch(0), sequence);
    builder
        .transactional()
        .record(None, Some(value.as_bytes()))
        .build()
}

/// Appends to a partition's log while no broker runs.
fn append(
    directory: &Path,
    topic: &str,
    topic_id: TopicId,
    work: impl FnOnce(&Log, AppendAs) + Send + 'static,
) {
    let new = Properties {
        cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned(),
        node_id: 1,
    };
    let (kept, directory, topic) = (directory, directory.to_owned(), topic.to_owned());
    let known = new.clone();
    test_on_shard(move || async move {
        let data = Arc::new(DataDir::open(&directory, &new).unwrap());
        let store = Store::open(data, StoreOptions::default()).unwrap();
        let identity = LogIdentity {
            topic,
            topic_id,
            partition: PartitionIndex(0),
        };
        let log = store.open_log(identity, LogConfig::default()).await.unwrap();
        let epoch = log.latest_epoch().unwrap();
        work(&log, AppendAs::Leader { epoch });
        store.close().await.unwrap();
    });
    // Helper threads may still hold it.
    let began = Instant::now();
    while DataDir::open(kept, &known).is_err() {
        assert!(began.elapsed() < HANGS, "the directory is free again");
        std::thread::yield_now();
    }
}

fn write(log: &Log, how: AppendAs, bytes: &[u8]) {
    let (batch, _) = Batch::parse(bytes).unwrap();
    let (id, epoch) = (batch.producer_id(), batch.producer_epoch());
    let verification = log
        .verification(id, epoch, batch.base_sequence(), TransactionVersion::V1)
        .unwrap();
    log.append_verified(&batch, how, 1, verification).unwrap();
}

fn end(log: &Log, how: AppendAs, id: i64, committed: bool) {
    let marker = EndTransactionMarker {
        committed,
        coordinator_epoch: 5,
    };
    let (id, epoch) = (ProducerId(id), ProducerEpoch(0));
    log.append_marker(id, epoch, marker, TransactionVersion::V1, how)
        .unwrap();
}

fn fetch(client: &mut Client, version: i16, isolation: i8, offset: i64, wait_ms: i32) -> PartitionData {
    let asked = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(topic_name("t"))
        .with_partitions(vec![asked]);
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(wait_ms)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_isolation_level(isolation)
        .with_topics(vec![topic]);
    client
        .ask(version, &request)
        .responses
        .remove(0)
        .partitions
        .remove(0)
}

/// Base offsets of the batches.
fn batches(data: &PartitionData) -> Vec<i64> {
    let mut rest = &data.records.as_ref().unwrap()[..];
    let mut found = Vec::new();
    while let Ok((batch, behind)) = Batch::parse(rest) {
        found.push(batch.base_offset().0);
        rest = behind;
    }
    found
}

fn latest(client: &mut Client, isolation: i8) -> i64 {
    let asked = ListOffsetsPartition::default()
        .with_partition_index(0)
        .with_timestamp(-1);
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(isolation)
        .with_topics(vec![topic]);
    client.ask(6, &request).topics[0].partitions[0].offset
}

/// Offsets: 0-2 plain, 3 of 7, 4 of 8, 5 of 9, 6 aborts 8, 7 commits 7; 9 stays open from 5 on, 8 is plain, 9 is of 8 again.
fn with_transactions() -> (TestBroker, Client) {
    let mut broker = TestBroker::start(1, &[]);
    let mut client = broker.connect();
    let topic_id = create(&mut client, "t", 1, &[]);
    produce(&mut client, "t", 0, 3);
    let client = broker.crash_edit_and_restart(1, |directory| {
        append(directory, "t", topic_id, |log, how| {
            for id in 7..=9 {
                write(log, how, &transactional(id, 0, "v"));
            }
            end(log, how, 8, false);
            end(log, how, 7, true);
            write(
                log,
                how,
                &BatchBuilder::new(1).record(None, Some(b"plain")).build(),
            );
            write(log, how, &transactional(8, 1, "v"));
        });
    });
    (broker, client)
}

#[test]
fn fetches_end_at_the_last_stable_offset_and_say_what_was_aborted() {
    let (broker, mut client) = with_transactions();
    for version in 4..=12 {
        let all = fetch(&mut client, version, 0, 0, 0);
        assert_eq!((all.high_watermark, all.last_stable_offset), (10, 5));
        assert_eq!(batches(&all), [0, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(all.aborted_transactions, None, "nobody asked");
        let stable = fetch(&mut client, version, READ_COMMITTED, 0, 0);
        assert_eq!((stable.high_watermark, stable.last_stable_offset), (10, 5));
        assert_eq!(batches(&stable), [0, 3, 4]);
        let aborted: Vec<_> = stable
            .aborted_transactions
            .iter()
            .flatten()
            .map(|a| (a.producer_id.0, a.first_offset))
            .collect();
        assert_eq!(aborted, [(8, 4)]);
        let early = fetch(&mut client, version, READ_COMMITTED, 5, 0);
        assert_eq!((early.error_code, batches(&early)), (0, vec![]));
        assert_eq!(early.aborted_transactions, Some(vec![]));
    }
    assert_eq!(
        (latest(&mut client, 0), latest(&mut client, READ_COMMITTED)),
        (10, 5)
    );
    let topics = vec![
        TopicRequest::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0]),
    ];
    let described = client.ask(0, &DescribeProducersRequest::default().with_topics(topics));
    let mut producers: Vec<_> = described.topics[0].partitions[0]
        .active_producers
        .iter()
        .map(|p| (p.producer_id.0, p.coordinator_epoch, p.current_txn_start_offset))
        .collect();
    producers.sort_unstable();
    assert_eq!(producers, [(7, 5, -1), (8, 5, 9), (9, -1, 5)]);
    broker.stop();
}

/// A long poll waits for the last stable offset: records of others do not end it, and it is not lost.
#[test]
fn long_polls_wait_for_what_is_decided() {
    const WAIT: Duration = Duration::from_millis(700);
    let (broker, mut client) = with_transactions();
    let address = broker.address();
    loop {
        let began = Instant::now();
        let waiting = std::thread::spawn(move || {
            let began = Instant::now();
            let wait_ms = WAIT.as_millis() as i32;
            let got = fetch(&mut Client::connect(address), 11, READ_COMMITTED, 5, wait_ms);
            (batches(&got), got.high_watermark, began.elapsed())
        });
        let end = produce(&mut client, "t", 0, 1) + 1;
        let in_time = began.elapsed() < WAIT;
        let (got, high_watermark, took) = waiting.join().unwrap();
        assert!(got.is_empty(), "{got:?}");
        assert!(took >= WAIT, "{took:?}");
        // A record that is slow to become durable may come after the poll.
        if in_time {
            assert_eq!(high_watermark, end);
            break;
        }
    }
    create(&mut client, "u", 1, &[]);
    broker.stop();
}

/// On both shards, and whichever way the transaction ends.
#[test]
fn long_polls_are_woken_by_the_end_of_a_transaction() {
    on_one_and_two_shards(|broker, client| {
        create(client, "t", 1, &[]);
        for (n, committed) in [(0, true), (1, false)] {
            let mut producer = Producer::start(broker, "x", Rules::V2);
            assert_eq!(producer.write("t", 0, "v"), ErrorCode::None);
            let (address, offset) = (broker.address(), n * 2);
            let waiting = std::thread::spawn(move || {
                let began = Instant::now();
                let got = fetch(
                    &mut Client::connect(address),
                    11,
                    READ_COMMITTED,
                    offset,
                    LONG_POLL_MS,
                );
                let aborted = got.aborted_transactions.iter().flatten();
                let aborted: Vec<_> = aborted.map(|aborted| aborted.first_offset).collect();
                (batches(&got), aborted, began.elapsed())
            });
            assert_eq!(
                (latest(client, 0), latest(client, READ_COMMITTED)),
                (offset + 1, offset)
            );
            assert_eq!(producer.end(committed), ErrorCode::None);
            let (got, aborted, took) = waiting.join().unwrap();
            assert_eq!(got, [offset, offset + 1]);
            assert_eq!(aborted, if committed { vec![] } else { vec![offset] });
            assert!(took < WOKEN_WITHIN, "{took:?}");
        }
    });
}

#[test]
fn long_polls_are_woken_when_the_last_stable_offset_moves() {
    let broker = TestBroker::start(1, &[]);
    let mut client = broker.connect();
    create(&mut client, "t", 1, &[]);
    let address = broker.address();
    let waiting = std::thread::spawn(move || {
        let began = Instant::now();
        let got = fetch(&mut Client::connect(address), 11, READ_COMMITTED, 0, LONG_POLL_MS);
        (batches(&got), began.elapsed())
    });
    produce(&mut client, "t", 0, 1);
    let (got, took) = waiting.join().unwrap();
    assert_eq!(got, [0]);
    assert!(took < WOKEN_WITHIN, "{took:?}");
    broker.stop();
}

#[test]
fn records_of_a_transaction_are_taken_only_from_those_who_say_whose_it_is() {
    let broker = TestBroker::start(1, &[]);
    let mut client = broker.connect();
    create(&mut client, "t", 1, &[]);
    let mut ask = |acks: i16, id: Option<&str>, batch: Vec<u8>| {
        let data = PartitionProduceData::default()
            .with_index(0)
            .with_records(Some(batch.into()));
        let topic = TopicProduceData::default()
            .with_name(topic_name("t"))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(acks)
            .with_timeout_ms(10_000)
            .with_transactional_id(id.map(|id| TransactionalId(text(id))))
            .with_topic_data(vec![topic]);
        let code = client.ask(9, &request).responses[0].partition_responses[0].error_code;
        ErrorCode::from_code(code).unwrap()
    };
    let record = || transactional(7, 0, "v");
    assert_eq!(
        ask(-1, None, record()),
        ErrorCode::TransactionalIdAuthorizationFailed
    );
    assert_eq!(ask(1, Some("x"), record()), ErrorCode::InvalidRequiredAcks);
    let marker = EndTransactionMarker {
        committed: true,
        coordinator_epoch: 0,
    };
    let control = marker.batch(ProducerId(7), ProducerEpoch(0), 1);
    assert_eq!(
        ask(-1, Some("x"), control),
        ErrorCode::InvalidRecord,
        "only brokers write them"
    );
    broker.stop();
}
