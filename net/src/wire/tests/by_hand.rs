//! Messages that the oracle does not know, against bytes: those of Kafka 4.1.1's own Java classes, unless a test says
//! otherwise.

use uuid::Uuid;

use super::*;
use crate::wire::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetFetchRequest,
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, WritableTxnMarker, WritableTxnMarkerTopic,
    WriteTxnMarkersRequest,
};

/// The id in the bytes below: 1 to 16.
const TOPIC_ID: Uuid = Uuid::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);

/// Written and read, a message is exactly these bytes.
fn assert_bytes<M: Message<'static> + Debug + PartialEq>(message: M, version: i16, bytes: &'static [u8]) {
    assert_eq!(encode(&message, version), bytes);
    assert_eq!(decode::<M>(bytes, version), Ok(message));
}

/// KIP-848: topics by id.
#[test]
fn offset_commit_10() {
    let partition = OffsetCommitRequestPartition {
        partition_index: 1,
        committed_offset: 77,
        committed_leader_epoch: 5,
        committed_metadata: None,
    };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        generation_id_or_member_epoch: 3,
        member_id: "m".into(),
        group_instance_id: Some("i".into()),
        topics: vec![OffsetCommitRequestTopic {
            topic_id: TOPIC_ID,
            partitions: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    };
    let bytes = &[
        2, b'g', 0, 0, 0, 3, 2, b'm', 2, b'i', // group, epoch, member, instance
        2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, // one topic
        2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 5, 0, // one partition, no metadata
        0, 0, 0,
    ];
    assert_bytes(request, 10, bytes);
}

/// KIP-848: topics by id.
#[test]
fn offset_fetch_10() {
    let group = OffsetFetchRequestGroup {
        group_id: "g".into(),
        member_id: Some("m".into()),
        member_epoch: 3,
        topics: Some(vec![OffsetFetchRequestTopic {
            topic_id: TOPIC_ID,
            partition_indexes: vec![1, 2],
            ..Default::default()
        }]),
    };
    let all_topics = OffsetFetchRequestGroup {
        group_id: "h".into(),
        ..Default::default()
    };
    let request = OffsetFetchRequest {
        groups: vec![group, all_topics],
        require_stable: true,
        ..Default::default()
    };
    let bytes = &[
        3, 2, b'g', 2, b'm', 0, 0, 0, 3, // two groups; group, member, epoch
        2, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, // one topic
        3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, // two partitions
        2, b'h', 0, 0xff, 0xff, 0xff, 0xff, 0, 0, // no member, no topics
        1, 0,
    ];
    assert_bytes(request, 10, bytes);
}

/// KIP-1228, Kafka 4.2: the transaction's version, behind the epoch of the coordinator. From the KIP's schema.
#[test]
fn write_txn_markers_2() {
    let topic = WritableTxnMarkerTopic {
        name: "t".into(),
        partition_indexes: vec![6],
    };
    let marker = WritableTxnMarker {
        producer_id: 9,
        producer_epoch: 4,
        transaction_result: true,
        topics: vec![topic],
        coordinator_epoch: 8,
        transaction_version: 2,
    };
    let request = WriteTxnMarkersRequest {
        markers: vec![marker],
    };
    let bytes = &[
        2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 4, 1, // one marker: producer, epoch, commit
        2, 2, b't', 2, 0, 0, 0, 6, 0, // one topic of one partition
        0, 0, 0, 8, 2, 0, // coordinator's epoch, version
        0,
    ];
    assert_bytes(request, 2, bytes);
}
