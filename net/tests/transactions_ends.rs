//! Transactions from their first record to their markers, over sockets (KIP-98, KIP-890).

mod common;
#[path = "common/transactions.rs"]
mod transactions;

use common::{Client, HANGS, Metrics, TestBroker, create, within};
use kafka_protocol::messages::list_transactions_request::ListTransactionsRequest;
use tautline_core::error::ErrorCode;
use transactions::{Producer, Rules, again, code, committed_offset, expect_committed, values};

const BOTH: [Rules; 2] = [Rules::Old, Rules::V2];

#[test]
fn committed_records_are_seen_and_aborted_ones_are_not() {
    for rules in BOTH {
        let broker = TestBroker::start(2, &[]);
        let mut client = broker.connect();
        create(&mut client, "t", 3, &[]);
        let mut producer = Producer::start(&broker, "x", rules);
        for (n, committed) in [(0, true), (1, false), (2, true)] {
            for partition in 0..3 {
                let value = format!("{n}-{partition}");
                assert_eq!(producer.write("t", partition, &value), ErrorCode::None);
                assert_eq!(producer.write("t", partition, &value), ErrorCode::None);
            }
            let seen = values(&mut client, "t", 0, true);
            assert!(
                !seen.contains(&format!("{n}-0")),
                "nothing is decided yet: {seen:?}"
            );
            assert_eq!(producer.end(committed), ErrorCode::None);
        }
        for partition in 0..3 {
            let [a, b] = [0, 2].map(|n| format!("{n}-{partition}"));
            expect_committed(&mut client, "t", partition, &[&a, &a, &b, &b]);
            assert_eq!(values(&mut client, "t", partition, false).len(), 6);
        }
        broker.stop();
    }
}

#[test]
fn offsets_of_groups_are_decided_with_the_records() {
    for rules in BOTH {
        let broker = TestBroker::start(2, &[]);
        let mut client = broker.connect();
        create(&mut client, "in", 1, &[]);
        create(&mut client, "out", 1, &[]);
        let mut producer = Producer::start(&broker, "x", rules);
        for (offset, committed, then) in [(5, true, 5), (7, false, 5), (9, true, 9)] {
            let value = offset.to_string();
            assert_eq!(producer.write("out", 0, &value), ErrorCode::None);
            assert_eq!(producer.commit_offset("g", "in", offset), ErrorCode::None);
            assert_ne!(committed_offset(&mut client, "g", "in"), offset, "it is pending");
            assert_eq!(producer.end(committed), ErrorCode::None);
            // The next transaction begins when all of the last is decided.
            assert_eq!(producer.write("out", 0, "next"), ErrorCode::None);
            assert_eq!(committed_offset(&mut client, "g", "in"), then);
            assert_eq!(producer.end(false), ErrorCode::None);
        }
        expect_committed(&mut client, "out", 0, &["5", "9"]);
        broker.stop();
    }
}

/// KIP-890: the partitions that one request writes to are added together; those of another shard in as many decisions as they come
/// apart.
#[test]
fn the_partitions_of_a_request_are_added_at_once() {
    assert_eq!(decisions_for_thirty_partitions(1), 1.0);
    // The questions of another shard come one by one where the machine leaves it no time to gather them; elsewhere they don't.
    const TRIES: u32 = 20;
    const GATHERED: f64 = 10.0;
    let mut tries = (0..TRIES).map(|_| decisions_for_thirty_partitions(2));
    assert!(
        tries.any(|decisions| decisions <= GATHERED),
        "no request in {TRIES} gathers its questions"
    );
}

/// Decisions of the coordinator on one request that writes to thirty partitions.
fn decisions_for_thirty_partitions(shards: usize) -> f64 {
    let broker = TestBroker::start(shards, &[]);
    let mut client = broker.connect();
    create(&mut client, "t", 30, &[]);
    let mut producer = Producer::start(&broker, "x", Rules::V2);
    let decisions = || {
        let metrics = Metrics::scrape(broker.admin(), "/metrics");
        metrics.sum("tautline_topic_batches_in_total", "__transaction_state")
    };
    let before = decisions();
    let mut request = producer.batch("t", 0, 0, "v");
    for partition in 1..30 {
        let mut other = producer.batch("t", partition, 0, "v");
        let data = other.topic_data.remove(0).partition_data;
        request.topic_data[0].partition_data.extend(data);
    }
    let response = producer.client.ask(producer.version(), &request);
    let results = &response.responses[0].partition_responses;
    assert_eq!(results.len(), 30);
    assert!(results.iter().all(|result| result.error_code == 0), "{results:?}");
    let added = decisions() - before;
    println!("{added} decisions on {shards} shard(s)");
    assert!(added >= 1.0, "they are added at all");
    assert_eq!(producer.end(true), ErrorCode::None);
    (0..30).for_each(|partition| expect_committed(&mut client, "t", partition, &["v"]));
    broker.stop();
    added
}

/// As the Java client does when it gives up before anything is sent: the end of the last transaction may still be being written.
#[test]
fn an_abort_of_nothing_right_after_a_commit_is_not_fenced() {
    let broker = TestBroker::start(2, &[]);
    let mut client = broker.connect();
    create(&mut client, "t", 20, &[]);
    let mut producer = Producer::start(&broker, "x", Rules::V2);
    for _ in 0..10 {
        for partition in 0..20 {
            assert_eq!(producer.write("t", partition, "v"), ErrorCode::None);
        }
        let epoch = producer.epoch;
        assert_eq!(producer.end(true), ErrorCode::None);
        assert_eq!(producer.end(false), ErrorCode::None);
        assert_eq!(producer.epoch, epoch + 2);
    }
    expect_committed(&mut client, "t", 7, &["v"; 10]);
    let metrics = Metrics::scrape(broker.admin(), "/metrics");
    let counted = |name: &str| metrics.sum(name, "");
    assert_eq!(counted("tautline_transaction_commits_total"), 10.0);
    assert_eq!(counted("tautline_transaction_markers_total"), 200.0);
    assert_eq!(counted("tautline_transactions_ongoing"), 0.0);
    broker.stop();
}

/// Who was away for too long has lost its id, and is told so.
#[test]
fn transactional_ids_expire() {
    let broker = TestBroker::start(
        1,
        &[
            "--set",
            "transactional.id.expiration.ms=1",
            "--set",
            "transaction.remove.expired.transaction.cleanup.interval.ms=10",
        ],
    );
    let mut client = broker.connect();
    create(&mut client, "t", 1, &[]);
    let mut producer = Producer::start(&broker, "x", Rules::Old);
    let listed = |client: &mut Client| {
        let (error, response) = again(|| {
            let response = client.ask(0, &ListTransactionsRequest::default());
            (code(response.error_code), response)
        });
        assert_eq!(error, ErrorCode::None);
        response.transaction_states.len()
    };
    within(HANGS, "it expires", || listed(&mut client) == 0);
    assert_eq!(producer.add("t", 0), ErrorCode::InvalidProducerIdMapping);
    assert_eq!(producer.end(true), ErrorCode::InvalidProducerIdMapping);
    let id = producer.id;
    assert_eq!(producer.init(60_000), ErrorCode::None);
    assert_ne!(producer.id, id);
    broker.stop();
}
