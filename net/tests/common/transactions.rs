//! A transactional producer that does one thing at a time, by the rules of older clients or by those of KIP-890, and what
//! consumers see.

#![allow(dead_code)] // each test binary uses its part

use std::collections::BTreeMap;
use std::time::Instant;

use kafka_protocol::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use kafka_protocol::messages::end_txn_request::EndTxnRequest;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{GroupId, TransactionalId};
use tautline_core::batch::{Batch, BatchBuilder};
use tautline_core::error::ErrorCode;
use tautline_core::ids::{ProducerEpoch, ProducerId, TopicId};

use crate::common::{Client, HANGS, TestBroker, text, topic_name};

/// Codes that clients try again.
const AGAIN: [ErrorCode; 5] = [
    ErrorCode::ConcurrentTransactions,
    ErrorCode::CoordinatorLoadInProgress,
    ErrorCode::CoordinatorNotAvailable,
    ErrorCode::NotCoordinator,
    ErrorCode::NotEnoughReplicas,
];

/// Which rules a producer follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// Those of KIP-98.
    Old,
    /// Those of KIP-890: partitions are added by brokers, each transaction has an epoch.
    V2,
}

/// A code, or a panic if there is none of that number.
pub fn code(number: i16) -> ErrorCode {
    ErrorCode::from_code(number).expect("a code of the protocol")
}

/// Asks until the answer is not one that clients ask again for.
pub fn again<T>(mut ask: impl FnMut() -> (ErrorCode, T)) -> (ErrorCode, T) {
    let begun = Instant::now();
    loop {
        let (code, answer) = ask();
        if !AGAIN.contains(&code) || begun.elapsed() > HANGS {
            return (code, answer);
        }
        std::thread::yield_now();
    }
}

/// A producer.
pub struct Producer {
    pub client: Client,
    pub transactional_id: String,
    pub rules: Rules,
    pub id: i64,
    pub epoch: i16,
    pub topics: BTreeMap<String, TopicId>,
    sequences: BTreeMap<(String, i32), i32>,
}

impl Producer {
    /// One that has found its coordinator and taken its id.
    pub fn start(broker: &TestBroker, transactional_id: &str, rules: Rules) -> Producer {
        let mut producer = Producer::new(broker, transactional_id, rules);
        assert_eq!(producer.init(60_000), ErrorCode::None);
        producer
    }

    /// One that has found its coordinator.
    pub fn new(broker: &TestBroker, transactional_id: &str, rules: Rules) -> Producer {
        let mut client = broker.connect();
        find(&mut client, transactional_id, 1);
        Producer {
            client,
            transactional_id: transactional_id.to_owned(),
            rules,
            id: -1,
            epoch: -1,
            topics: BTreeMap::new(),
            sequences: BTreeMap::new(),
        }
    }

    fn name(&self) -> TransactionalId {
        TransactionalId(text(&self.transactional_id))
    }

    /// InitProducerId with nothing in hand.
    pub fn init(&mut self, timeout_ms: i32) -> ErrorCode {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.name()))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id((-1).into())
            .with_producer_epoch(-1);
        let (error, response) = again(|| {
            let response = self.client.ask(5, &request);
            (code(response.error_code), response)
        });
        if error == ErrorCode::None {
            (self.id, self.epoch) = (response.producer_id.0, response.producer_epoch);
            self.sequences.clear();
        }
        error
    }

    /// AddPartitionsToTxn, as older clients send it.
    pub fn add(&mut self, topic: &str, partition: i32) -> ErrorCode {
        let topics = vec![
            AddPartitionsToTxnTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![partition]),
        ];
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.name())
            .with_v3_and_below_producer_id(self.id.into())
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(topics);
        let (error, ()) = again(|| {
            let response = self.client.ask(3, &request);
            let results = &response.results_by_topic_v3_and_below[0].results_by_partition;
            (code(results[0].partition_error_code), ())
        });
        error
    }

    /// Writes a record, after AddPartitionsToTxn where the rules demand that.
    pub fn write(&mut self, topic: &str, partition: i32, value: &str) -> ErrorCode {
        if self.rules == Rules::Old {
            let added = self.add(topic, partition);
            if added != ErrorCode::None {
                return added;
            }
        }
        self.produce(topic, partition, value)
    }

    /// Writes a record.
    pub fn produce(&mut self, topic: &str, partition: i32, value: &str) -> ErrorCode {
        let key = (topic.to_owned(), partition);
        let sequence = self.sequences.get(&key).copied().unwrap_or(0);
        let request = self.batch(topic, partition, sequence, value);
        let version = self.version();
        let (error, ()) = again(|| {
            let response = self.client.ask(version, &request);
            (code(response.responses[0].partition_responses[0].error_code), ())
        });
        if error == ErrorCode::None {
            self.sequences.insert(key, sequence + 1);
        }
        error
    }

    /// The version of its Produce requests.
    pub fn version(&self) -> i16 {
        if self.rules == Rules::Old { 9 } else { 12 }
    }

    /// A request to write a record.
    pub fn batch(&self, topic: &str, partition: i32, sequence: i32, value: &str) -> ProduceRequest {
        let builder = BatchBuilder::new(1).producer(ProducerId(self.id), ProducerEpoch(self.epoch), sequence);
        let batch = builder
            .transactional()
            .record(None, Some(value.as_bytes()))
            .build();
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch.into()));
        let topic = TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![data]);
        ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_transactional_id(Some(self.name()))
            .with_topic_data(vec![topic])
    }

    /// Commits or aborts.
    pub fn end(&mut self, committed: bool) -> ErrorCode {
        let request = self.end_request(committed);
        let version = if self.rules == Rules::Old { 3 } else { 5 };
        let (error, response) = again(|| {
            let response = self.client.ask(version, &request);
            (code(response.error_code), response)
        });
        if error == ErrorCode::None && self.rules == Rules::V2 {
            (self.id, self.epoch) = (response.producer_id.0, response.producer_epoch);
            self.sequences.clear();
        }
        error
    }

    /// The request to commit or abort.
    pub fn end_request(&self, committed: bool) -> EndTxnRequest {
        EndTxnRequest::default()
            .with_transactional_id(self.name())
            .with_producer_id(self.id.into())
            .with_producer_epoch(self.epoch)
            .with_committed(committed)
    }

    /// Commits an offset of a group with the transaction.
    pub fn commit_offset(&mut self, group: &str, topic: &str, offset: i64) -> ErrorCode {
        if self.rules == Rules::Old {
            let request = AddOffsetsToTxnRequest::default()
                .with_transactional_id(self.name())
                .with_producer_id(self.id.into())
                .with_producer_epoch(self.epoch)
                .with_group_id(GroupId(text(group)));
            let (error, ()) = again(|| (code(self.client.ask(3, &request).error_code), ()));
            if error != ErrorCode::None {
                return error;
            }
        }
        self.commit_offset_only(group, topic, offset)
    }

    /// TxnOffsetCommit, without AddOffsetsToTxn before it.
    pub fn commit_offset_only(&mut self, group: &str, topic: &str, offset: i64) -> ErrorCode {
        find(&mut self.client, group, 0);
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("")));
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.name())
            .with_group_id(GroupId(text(group)))
            .with_producer_id(self.id.into())
            .with_producer_epoch(self.epoch)
            .with_generation_id(-1)
            .with_topics(vec![topic]);
        let version = if self.rules == Rules::Old { 3 } else { 5 };
        let (error, ()) = again(|| {
            let response = self.client.ask(version, &request);
            (code(response.topics[0].partitions[0].error_code), ())
        });
        error
    }
}

/// FindCoordinator of a group (0) or a transactional id (1), which makes the internal topic.
pub fn find(client: &mut Client, key: &str, kind: i8) {
    let request = FindCoordinatorRequest::default()
        .with_key_type(kind)
        .with_coordinator_keys(vec![text(key)]);
    let (error, ()) = again(|| (code(client.ask(4, &request).coordinators[0].error_code), ()));
    assert_eq!(error, ErrorCode::None);
}

/// The committed offset of partition 0; -1 for none.
pub fn committed_offset(client: &mut Client, group: &str, topic: &str) -> i64 {
    let topics = vec![
        OffsetFetchRequestTopics::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(vec![0]),
    ];
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(group)))
        .with_topics(Some(topics));
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let (error, response) = again(|| {
        let response = client.ask(8, &request);
        (code(response.groups[0].error_code), response)
    });
    assert_eq!(error, ErrorCode::None);
    response.groups[0].topics[0].partitions[0].committed_offset
}

/// The values that a consumer of that isolation sees of a partition.
pub fn values(client: &mut Client, topic: &str, partition: i32, committed_only: bool) -> Vec<String> {
    let asked = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(0)
        .with_partition_max_bytes(1 << 20);
    let asked = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(vec![asked]);
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_bytes(1 << 20)
        .with_isolation_level(i8::from(committed_only))
        .with_topics(vec![asked]);
    let mut response = client.ask(12, &request);
    let data = response.responses.remove(0).partitions.remove(0);
    assert_eq!(data.error_code, 0);
    let mut aborts: Vec<(i64, i64)> = data
        .aborted_transactions
        .iter()
        .flatten()
        .map(|aborted| (aborted.first_offset, aborted.producer_id.0))
        .collect();
    aborts.sort_unstable();
    let bytes = data.records.unwrap_or_default();
    let (mut rest, mut seen, mut aborted) = (&bytes[..], Vec::new(), Vec::new());
    while let Ok((batch, behind)) = Batch::parse(rest) {
        rest = behind;
        // As consumers do: from its first offset on, a producer's records are aborted, until its marker.
        while aborts
            .first()
            .is_some_and(|(first, _)| *first <= batch.base_offset().0)
        {
            aborted.push(aborts.remove(0).1);
        }
        if batch.is_control() {
            aborted.retain(|id| *id != batch.producer_id().0);
            continue;
        }
        if committed_only && batch.is_transactional() && aborted.contains(&batch.producer_id().0) {
            continue;
        }
        for record in batch.records() {
            let value = record.expect("a sound record").value.expect("a value");
            seen.push(String::from_utf8(value.to_vec()).expect("text"));
        }
    }
    seen
}

/// Looks until the partition has what is expected.
pub fn expect_committed(client: &mut Client, topic: &str, partition: i32, expected: &[&str]) {
    let begun = Instant::now();
    loop {
        let seen = values(client, topic, partition, true);
        if seen == expected {
            return;
        }
        assert!(
            begun.elapsed() < HANGS,
            "{topic}-{partition}: {seen:?}, expected {expected:?}"
        );
        std::thread::yield_now();
    }
}
