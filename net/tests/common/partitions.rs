//! Requests about several partitions of a topic.

use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use kafka_protocol::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

use super::{Client, topic_name};

/// Deletes up to offsets of partitions; gives (start, error) of each.
pub fn delete(client: &mut Client, version: i16, topic: &str, partitions: &[(i32, i64)]) -> Vec<(i64, i16)> {
    let partitions = partitions.iter().map(|&(index, offset)| {
        DeleteRecordsPartition::default()
            .with_partition_index(index)
            .with_offset(offset)
    });
    let topic = DeleteRecordsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(partitions.collect());
    let request = DeleteRecordsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(10_000);
    let response = client.ask(version, &request);
    response.topics[0]
        .partitions
        .iter()
        .map(|it| (it.low_watermark, it.error_code))
        .collect()
}

/// Asks where epochs end; gives (error, epoch, offset) of each.
pub fn epoch_ends(
    client: &mut Client,
    version: i16,
    topic: &str,
    asked: &[(i32, i32, i32)],
) -> Vec<(i16, i32, i64)> {
    let partitions = asked.iter().map(|&(partition, current, epoch)| {
        OffsetForLeaderPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(current)
            .with_leader_epoch(epoch)
    });
    let topic = OffsetForLeaderTopic::default()
        .with_topic(topic_name(topic))
        .with_partitions(partitions.collect());
    let request = OffsetForLeaderEpochRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic]);
    let response = client.ask(version, &request);
    response.topics[0]
        .partitions
        .iter()
        .map(|it| (it.error_code, it.leader_epoch, it.end_offset))
        .collect()
}
