//! DescribeProducers, InitProducerId and DescribeLogDirs against a real broker, and what a lost log does to the others.

mod common;

use std::path::{Path, PathBuf};
use std::time::Instant;

use common::configs::{BROKER, Change, SET, change};
use common::partitions::{delete, epoch_ends};
use common::{
    HANGS, TestBroker, create, fetch_error, on_one_and_two_shards, produce, produce_batch, text, topic_name,
};
use kafka_protocol::messages::TransactionalId;
use kafka_protocol::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use kafka_protocol::messages::describe_log_dirs_response::DescribeLogDirsResult;
use kafka_protocol::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use tautline_core::batch::BatchBuilder;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{ProducerEpoch, ProducerId};

const UNKNOWN: i16 = ErrorCode::UnknownTopicOrPartition.code();
const INVALID: i16 = ErrorCode::InvalidRequest.code();

/// KIP-664.
#[test]
fn producers_are_described() {
    on_one_and_two_shards(|_, client| {
        create(client, "t", 2, &[]);
        for version in 0..=5 {
            let response = client.ask(
                version,
                &InitProducerIdRequest::default().with_transactional_id(None),
            );
            assert_eq!((response.error_code, response.producer_epoch), (0, 0));
        }
        for (id, code) in [("", ErrorCode::InvalidRequest), ("x", ErrorCode::NotCoordinator)] {
            let id = Some(TransactionalId(text(id)));
            let response = client.ask(4, &InitProducerIdRequest::default().with_transactional_id(id));
            assert_eq!(response.error_code, code.code());
        }
        let ids = [0; 2].map(|_| {
            client
                .ask(4, &InitProducerIdRequest::default().with_transactional_id(None))
                .producer_id
                .0
        });
        assert_ne!(ids[0], ids[1]);
        for id in ids {
            let builder = BatchBuilder::new(77).producer(ProducerId(id), ProducerEpoch(0), 0);
            let batch = builder.record(None, Some(b"a")).record(None, Some(b"b")).build();
            let offset = produce_batch(client, "t", 1, batch.clone());
            assert_eq!(
                produce_batch(client, "t", 1, batch),
                offset,
                "a retry is stored once"
            );
        }
        let ask = |name: &str, partitions: &[i32]| {
            TopicRequest::default()
                .with_name(topic_name(name))
                .with_partition_indexes(partitions.to_vec())
        };
        let topics = vec![
            ask("t", &[0, 1, 2, 1]),
            ask("absent", &[0]),
            ask("no/slash", &[0]),
        ];
        let response = client.ask(0, &DescribeProducersRequest::default().with_topics(topics));
        let codes: Vec<_> = response
            .topics
            .iter()
            .flat_map(|it| &it.partitions)
            .map(|it| it.error_code)
            .collect();
        let illegal = ErrorCode::InvalidTopicException.code();
        assert_eq!(codes, [0, 0, UNKNOWN, INVALID, UNKNOWN, illegal]);
        let partitions = &response.topics[0].partitions;
        assert_eq!(partitions[0].active_producers, []);
        let mut producers: Vec<_> = partitions[1]
            .active_producers
            .iter()
            .map(|it| {
                (
                    it.producer_id.0,
                    it.producer_epoch,
                    it.last_sequence,
                    it.last_timestamp,
                )
            })
            .collect();
        producers.sort_unstable();
        let mut expected = ids.map(|id| (id, 0, 1, 77));
        expected.sort_unstable();
        assert_eq!(producers, expected);
        let first = &partitions[1].active_producers[0];
        assert_eq!(
            (first.coordinator_epoch, first.current_txn_start_offset),
            (-1, -1)
        );
        assert!(partitions[2].error_message.is_some());
    });
}

/// `producer.id.expiration.ms`, changed while the broker runs.
#[test]
fn producers_are_forgotten_when_they_have_expired() {
    let broker = TestBroker::start(1, &[]);
    let client = &mut broker.connect();
    create(client, "t", 1, &[]);
    let batch = BatchBuilder::new(1).producer(ProducerId(7), ProducerEpoch(0), 3);
    produce_batch(client, "t", 0, batch.record(None, Some(b"a")).build());
    let mut known = || {
        let topic = TopicRequest::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0]);
        let request = DescribeProducersRequest::default().with_topics(vec![topic]);
        client.ask(0, &request).topics[0].partitions[0]
            .active_producers
            .len()
    };
    assert_eq!(known(), 1);
    let changes: &[Change<'_>] = &[("producer.id.expiration.ms", SET, Some("1"))];
    assert_eq!(
        change(&mut broker.connect(), &[(BROKER, "", changes)], false),
        [0]
    );
    let began = Instant::now();
    while known() > 0 {
        assert!(began.elapsed() < HANGS, "it is still known");
        std::thread::yield_now();
    }
    broker.stop();
}

/// Name, index and size of what a directory is said to hold.
fn sizes(result: &DescribeLogDirsResult) -> Vec<(String, i32, i64)> {
    let topics = result.topics.iter();
    let rows = topics.flat_map(|topic| {
        topic
            .partitions
            .iter()
            .map(|it| (topic.name.to_string(), it.partition_index, it.partition_size))
    });
    rows.collect()
}

#[test]
fn log_directories_are_described() {
    on_one_and_two_shards(|broker, client| {
        create(client, "a", 3, &[]);
        create(client, "b", 1, &[]);
        let batch = BatchBuilder::new(1).record(None, Some(&[b'x'; 10_000])).build();
        let size = batch.len() as i64;
        for partition in 0..3 {
            produce_batch(client, "a", partition, batch.clone());
        }
        produce_batch(client, "a", 1, batch);
        for version in 1..=4 {
            let response = client.ask(version, &DescribeLogDirsRequest::default().with_topics(None));
            assert_eq!((response.error_code, response.results.len()), (0, 1));
            let result = &response.results[0];
            assert_eq!(
                (result.error_code, &*result.log_dir),
                (0, broker.data_dir().to_str().unwrap())
            );
            let a = |index: i32, times: i64| ("a".to_owned(), index, times * size);
            assert_eq!(sizes(result), [a(0, 1), a(1, 2), a(2, 1), ("b".to_owned(), 0, 0)]);
            let partition = &result.topics[0].partitions[0];
            assert_eq!((partition.offset_lag, partition.is_future_key), (0, false));
            if version >= 4 {
                assert!(0 < result.usable_bytes && result.usable_bytes <= result.total_bytes);
            }
            let ask = |name: &str, partitions: &[i32]| {
                DescribableLogDirTopic::default()
                    .with_topic(topic_name(name))
                    .with_partitions(partitions.to_vec())
            };
            let some = vec![ask("a", &[2, 7, 2]), ask("absent", &[0])];
            let response = client.ask(
                version,
                &DescribeLogDirsRequest::default().with_topics(Some(some)),
            );
            assert_eq!(sizes(&response.results[0]), [a(2, 1)]);
            let response = client.ask(
                version,
                &DescribeLogDirsRequest::default().with_topics(Some(Vec::new())),
            );
            assert_eq!(sizes(&response.results[0]), []);
        }
    });
}

/// One log that can't be opened is an error of its own partition, and of no other.
#[test]
fn a_log_that_cannot_be_opened_harms_no_other() {
    let mut broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    create(client, "t", 2, &[]);
    for partition in 0..2 {
        produce(client, "t", partition, 3);
    }
    let log = find_log(&broker.data_dir().join("topics"), "0");
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::write(&log, "not a directory").unwrap();
    let client = &mut broker.crash_and_restart(2);
    let retriable = |code: i16| ErrorCode::from_code(code).is_some_and(ErrorCode::is_retriable);
    let deleted = delete(client, 2, "t", &[(0, 1), (1, 1)]);
    assert!(retriable(deleted[0].1) && deleted[1] == (1, 0), "{deleted:?}");
    let ends = epoch_ends(client, 4, "t", &[(0, -1, 0), (1, -1, 0)]);
    assert!(retriable(ends[0].0) && ends[1] == (0, 0, 3), "{ends:?}");
    assert!(retriable(fetch_error(client, "t", 0, 0)));
    assert_eq!(fetch_error(client, "t", 1, 1), 0);
    let dirs = client.ask(4, &DescribeLogDirsRequest::default().with_topics(None));
    let listed: Vec<_> = sizes(&dirs.results[0])
        .into_iter()
        .map(|(_, index, _)| index)
        .collect();
    assert_eq!(listed, [1], "it is left out, as in Kafka");
    broker.stop();
}

/// The directory of that name anywhere below.
fn find_log(below: &Path, name: &str) -> PathBuf {
    let mut directories = vec![below.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            match path.file_name().unwrap().to_str() {
                Some(found) if found == name => return path,
                _ if path.is_dir() => directories.push(path),
                _ => {}
            }
        }
    }
    panic!("no log {name} below {}", below.display());
}
