//! Topics with something in them, and what a consumer sees of it.

use kafka_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::produce_response::PartitionProduceResponse;
use tautline_core::batch::BatchBuilder;
use tautline_core::ids::TopicId;

use super::{Client, text, topic_name};

/// Creates a topic with these configurations.
pub fn create(client: &mut Client, name: &str, partitions: i32, configs: &[(&str, &str)]) -> TopicId {
    let configs = configs.iter().map(|(name, value)| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(-1)
        .with_configs(configs.collect());
    let response = client.ask(
        7,
        &CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(10_000),
    );
    let created = &response.topics[0];
    assert_eq!(created.error_code, 0, "{name}: {:?}", created.error_message);
    TopicId(created.topic_id)
}

/// Appends so many records with timestamps 1000, 1001, ...; gives the first one's offset.
pub fn produce(client: &mut Client, topic: &str, partition: i32, count: i64) -> i64 {
    let batch = (0..count).fold(BatchBuilder::new(1000), |mut builder, n| {
        builder.push(1000 + n, None, Some(b"value"), &[]);
        builder
    });
    produce_batch(client, topic, partition, batch.build())
}

/// Appends a batch; gives the first record's offset.
pub fn produce_batch(client: &mut Client, topic: &str, partition: i32, batch: Vec<u8>) -> i64 {
    let produced = try_produce(client, topic, partition, batch);
    assert_eq!(
        produced.error_code, 0,
        "{topic}-{partition}: {:?}",
        produced.error_message
    );
    produced.base_offset
}

/// The error of appending a batch, 0 if there is none.
pub fn produce_error(client: &mut Client, topic: &str, partition: i32, batch: Vec<u8>) -> i16 {
    try_produce(client, topic, partition, batch).error_code
}

/// Appends a batch, or is told why not.
pub fn try_produce(
    client: &mut Client,
    topic: &str,
    partition: i32,
    batch: Vec<u8>,
) -> PartitionProduceResponse {
    send_produce(client, topic, partition, batch);
    receive_produced(client, 0)
}

/// Sends a batch; the answer comes later.
pub fn send_produce(client: &mut Client, topic: &str, partition: i32, batch: Vec<u8>) {
    let data = PartitionProduceData::default()
        .with_index(partition)
        .with_records(Some(batch.into()));
    let topic = TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    client.send(9, &request);
}

/// The answer to a batch behind which so many requests were sent.
pub fn receive_produced(client: &mut Client, sent_behind: i32) -> PartitionProduceResponse {
    client
        .receive_behind::<ProduceRequest>(9, sent_behind)
        .responses
        .remove(0)
        .partition_responses
        .remove(0)
}

/// Where a log starts.
pub fn start_offset(client: &mut Client, topic: &str, partition: i32) -> i64 {
    list_offset(client, topic, partition, -2)
}

/// Where a consumer's log ends.
pub fn end_offset(client: &mut Client, topic: &str, partition: i32) -> i64 {
    list_offset(client, topic, partition, -1)
}

fn list_offset(client: &mut Client, topic: &str, partition: i32, timestamp: i64) -> i64 {
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_topics(vec![topic]);
    let response = client.ask(6, &request);
    let found = &response.topics[0].partitions[0];
    assert_eq!(found.error_code, 0);
    found.offset
}

/// The error of fetching from an offset, 0 if there is none.
pub fn fetch_error(client: &mut Client, topic: &str, partition: i32, offset: i64) -> i16 {
    let asked = FetchPartition::default()
        .with_partition(partition)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(vec![asked]);
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_bytes(1 << 20)
        .with_topics(vec![topic]);
    client.ask(11, &request).responses[0].partitions[0].error_code
}
