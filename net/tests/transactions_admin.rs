//! Transactions as administrators see and end them (KIP-664, KIP-890, KIP-994, KIP-1152), and deleted topics.

mod common;
#[path = "common/transactions.rs"]
mod transactions;

use common::{Client, Metrics, TestBroker, create, text, topic_name};
use kafka_protocol::messages::TransactionalId;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_protocol::messages::describe_transactions_request::DescribeTransactionsRequest;
use kafka_protocol::messages::list_transactions_request::ListTransactionsRequest;
use kafka_protocol::messages::list_transactions_response::ListTransactionsResponse;
use kafka_protocol::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use tautline_core::error::ErrorCode;
use transactions::{Producer, Rules, again, code, expect_committed, find};

fn list(client: &mut Client, request: &ListTransactionsRequest) -> (Vec<String>, ListTransactionsResponse) {
    let (error, response) = again(|| {
        let response = client.ask(1, request);
        (code(response.error_code), response)
    });
    assert_eq!(error, ErrorCode::None);
    let ids = response.transaction_states.iter();
    let mut ids: Vec<String> = ids.map(|it| it.transactional_id.to_string()).collect();
    ids.sort();
    (ids, response)
}

#[test]
fn transactions_are_listed_and_described() {
    let broker = TestBroker::start(2, &[]);
    let mut client = broker.connect();
    create(&mut client, "t", 3, &[]);
    let mut open = Producer::start(&broker, "open", Rules::V2);
    for partition in [2, 0] {
        assert_eq!(open.write("t", partition, "v"), ErrorCode::None);
    }
    let idle = Producer::start(&broker, "idle", Rules::V2);
    let all = ListTransactionsRequest::default();
    assert_eq!(list(&mut client, &all).0, ["idle", "open"]);
    let filtered = all
        .clone()
        .with_state_filters(vec![text("Ongoing"), text("Sleeping")]);
    let (ids, response) = list(&mut client, &filtered);
    assert_eq!(ids, ["open"]);
    assert_eq!(response.unknown_state_filters, [text("Sleeping")]);
    let filtered = all.clone().with_producer_id_filters(vec![idle.id.into()]);
    assert_eq!(list(&mut client, &filtered).0, ["idle"]);
    let filtered = filtered.with_state_filters(vec![text("Ongoing")]);
    assert_eq!(list(&mut client, &filtered).0, [""; 0]);
    let names = ["open", "nobody", "idle"].map(|id| TransactionalId(text(id)));
    let request = DescribeTransactionsRequest::default().with_transactional_ids(names.to_vec());
    let described = client.ask(0, &request).transaction_states;
    let states: Vec<(ErrorCode, &str)> = described
        .iter()
        .map(|it| (code(it.error_code), &*it.transaction_state))
        .collect();
    assert_eq!(
        states,
        [
            (ErrorCode::None, "Ongoing"),
            (ErrorCode::TransactionalIdNotFound, ""),
            (ErrorCode::None, "Empty"),
        ]
    );
    let found = &described[0];
    assert_eq!((found.producer_id.0, found.producer_epoch), (open.id, open.epoch));
    assert_eq!(found.transaction_timeout_ms, 60_000);
    assert!(found.transaction_start_time_ms > 0);
    assert_eq!(found.topics.len(), 1);
    assert_eq!(found.topics[0].partitions, [0, 2]);
    let metrics = Metrics::scrape(broker.admin(), "/metrics");
    assert_eq!(metrics.sum("tautline_transactions_ongoing", ""), 1.0);
    assert_eq!(open.end(true), ErrorCode::None);
    expect_committed(&mut client, "t", 2, &["v"]);
    broker.stop();
}

#[test]
fn brokers_ask_which_partitions_belong_to_transactions() {
    let broker = TestBroker::start(2, &[]);
    let mut client = broker.connect();
    create(&mut client, "t", 3, &[]);
    let mut one = Producer::start(&broker, "one", Rules::Old);
    let two = Producer::start(&broker, "two", Rules::Old);
    assert_eq!(one.add("t", 1), ErrorCode::None);
    assert_eq!(one.add("t", 9), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(one.add("none", 0), ErrorCode::UnknownTopicOrPartition);
    let ask = |producer: &Producer, verify_only, partitions: &[i32]| {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(partitions.to_vec());
        AddPartitionsToTxnTransaction::default()
            .with_transactional_id(TransactionalId(text(&producer.transactional_id)))
            .with_producer_id(producer.id.into())
            .with_producer_epoch(producer.epoch)
            .with_verify_only(verify_only)
            .with_topics(vec![topic])
    };
    let mut stale = ask(&one, true, &[1]);
    stale.producer_epoch += 1;
    let request = AddPartitionsToTxnRequest::default().with_transactions(vec![
        ask(&one, true, &[1, 2]),
        ask(&two, false, &[0]),
        stale,
        ask(&two, false, &[0, 9]),
    ]);
    let response = client.ask(5, &request);
    let results: Vec<Vec<ErrorCode>> = response
        .results_by_transaction
        .iter()
        .map(|it| {
            let results = it.topic_results[0].results_by_partition.iter();
            results.map(|it| code(it.partition_error_code)).collect()
        })
        .collect();
    assert_eq!(
        results,
        [
            vec![ErrorCode::None, ErrorCode::TransactionAbortable],
            vec![ErrorCode::None],
            vec![ErrorCode::ProducerFenced],
            vec![
                ErrorCode::OperationNotAttempted,
                ErrorCode::UnknownTopicOrPartition
            ],
        ]
    );
    broker.stop();
}

/// As `kafka-transactions.sh abort` does with what an older broker left open.
#[test]
fn a_hanging_transaction_is_ended_by_hand() {
    let setting = "transaction.partition.verification.enable=false";
    let broker = TestBroker::start(2, &["--set", setting]);
    let mut client = broker.connect();
    create(&mut client, "t", 1, &[]);
    let mut producer = Producer::start(&broker, "x", Rules::Old);
    assert_eq!(producer.produce("t", 0, "hanging"), ErrorCode::None);
    common::produce(&mut client, "t", 0, 1);
    find(&mut client, "g", 0);
    let topic = |name: &str, indexes: &[i32]| {
        WritableTxnMarkerTopic::default()
            .with_name(topic_name(name))
            .with_partition_indexes(indexes.to_vec())
    };
    let marker = WritableTxnMarker::default()
        .with_producer_id(producer.id.into())
        .with_producer_epoch(producer.epoch)
        .with_transaction_result(false)
        .with_topics(vec![topic("t", &[7, 0]), topic("__consumer_offsets", &[3])])
        .with_coordinator_epoch(0);
    let request = WriteTxnMarkersRequest::default().with_markers(vec![marker]);
    // The partition of offsets may still be being read.
    let (_, results) = again(|| {
        let response = client.ask(1, &request);
        let partitions = response.markers[0]
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions);
        let results = partitions.map(|it| (it.partition_index, code(it.error_code)));
        let results: Vec<(i32, ErrorCode)> = results.collect();
        (results[2].1, results)
    });
    assert_eq!(
        results,
        [
            (7, ErrorCode::UnknownTopicOrPartition),
            (0, ErrorCode::None),
            (3, ErrorCode::None),
        ]
    );
    expect_committed(&mut client, "t", 0, &["value"]);
    broker.stop();
}

#[test]
fn a_deleted_topic_holds_no_transaction_up() {
    let broker = TestBroker::start(2, &[]);
    let mut client = broker.connect();
    create(&mut client, "stays", 1, &[]);
    create(&mut client, "goes", 2, &[]);
    let mut producer = Producer::start(&broker, "x", Rules::V2);
    for (topic, partition) in [("goes", 0), ("goes", 1), ("stays", 0)] {
        assert_eq!(producer.write(topic, partition, "v"), ErrorCode::None);
    }
    let gone = DeleteTopicState::default().with_name(Some(topic_name("goes")));
    let request = DeleteTopicsRequest::default()
        .with_topics(vec![gone])
        .with_timeout_ms(10_000);
    assert_eq!(client.ask(6, &request).responses[0].error_code, 0);
    assert_eq!(producer.end(true), ErrorCode::None);
    assert_eq!(producer.write("stays", 0, "w"), ErrorCode::None);
    assert_eq!(producer.end(true), ErrorCode::None);
    expect_committed(&mut client, "stays", 0, &["v", "w"]);
    broker.stop();
}
