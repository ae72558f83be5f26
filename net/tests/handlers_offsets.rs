//! ListOffsets and OffsetForLeaderEpoch against a real broker.

mod common;

use common::partitions::epoch_ends;
use common::{Client, TestBroker, create, on_one_and_two_shards, produce, topic_name};
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use tautline_core::error::ErrorCode;

const UNKNOWN: i16 = ErrorCode::UnknownTopicOrPartition.code();
const INVALID: i16 = ErrorCode::InvalidRequest.code();

/// Asks for one time; gives (error, timestamp, offset, epoch).
fn list(
    client: &mut Client,
    version: i16,
    topic: &str,
    partition: i32,
    timestamp: i64,
) -> (i16, i64, i64, i32) {
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition)
        .with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic]);
    let response = client.ask(version, &request);
    let found = &response.topics[0].partitions[0];
    (
        found.error_code,
        found.timestamp,
        found.offset,
        found.leader_epoch,
    )
}

#[test]
fn offsets_are_found_by_time() {
    on_one_and_two_shards(|_, client| {
        create(client, "t", 2, &[]);
        for partition in 0..2 {
            assert_eq!(
                list(client, 4, "t", partition, -1),
                (0, -1, 0, 0),
                "the epoch is known before the first record"
            );
            produce(client, "t", partition, 10);
            for version in 1..=11 {
                let epoch = if version >= 4 { 0 } else { -1 };
                let mut ask = |timestamp| list(client, version, "t", partition, timestamp);
                assert_eq!(ask(-1), (0, -1, 10, epoch));
                assert_eq!(ask(-2), (0, -1, 0, epoch));
                assert_eq!(ask(1004), (0, 1004, 4, epoch));
                assert_eq!(ask(0), (0, 1000, 0, epoch));
                assert_eq!(ask(1010), (0, -1, -1, -1));
                // KIP-734, KIP-405, KIP-1005, KIP-1023.
                let unsupported = (ErrorCode::UnsupportedVersion.code(), -1, -1, -1);
                assert_eq!(
                    ask(-3),
                    if version >= 7 {
                        (0, 1009, 9, 0)
                    } else {
                        unsupported
                    }
                );
                assert_eq!(ask(-4), if version >= 8 { (0, -1, 0, 0) } else { unsupported });
                assert_eq!(
                    ask(-5),
                    if version >= 9 {
                        (0, -1, -1, -1)
                    } else {
                        unsupported
                    }
                );
                assert_eq!(ask(-6), if version >= 11 { (0, -1, 0, 0) } else { unsupported });
            }
        }
        assert_eq!(list(client, 7, "t", 2, -1).0, UNKNOWN);
        assert_eq!(list(client, 7, "absent", 0, -1).0, UNKNOWN);
        assert_eq!(list(client, 7, "t", 0, -9).0, INVALID);
    });
}

/// KIP-320: each start of the broker is an epoch.
#[test]
fn epochs_end_where_the_next_begins() {
    let mut broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    create(client, "t", 2, &[]);
    create(client, "empty", 1, &[]);
    produce(client, "t", 0, 3);
    for version in 2..=4 {
        let asked = [(0, 0, 0), (1, -1, 0), (2, -1, 0)];
        assert_eq!(
            epoch_ends(client, version, "t", &asked),
            [(0, 0, 3), (0, 0, 0), (UNKNOWN, -1, -1)]
        );
    }
    let client = &mut broker.crash_and_restart(1);
    produce(client, "t", 0, 2);
    let client = &mut broker.crash_and_restart(2);
    produce(client, "t", 1, 4);
    // Partition 0 has records of epochs 0 and 1, partition 1 of epoch 2, which is now.
    let (fenced, future) = (
        ErrorCode::FencedLeaderEpoch.code(),
        ErrorCode::UnknownLeaderEpoch.code(),
    );
    for (asked, end) in [
        ((0, 2, 0), (0, 0, 3)),
        ((0, 2, 1), (0, 1, 5)),
        ((0, 2, 2), (0, 2, 5)),
        ((0, 2, 3), (0, -1, -1)),
        ((0, 2, -1), (0, -1, -1)),
        ((1, 2, 0), (0, 0, 0)),
        ((1, 2, 2), (0, 2, 4)),
        ((0, 1, 0), (fenced, -1, -1)),
        ((0, 3, 0), (future, -1, -1)),
    ] {
        assert_eq!(epoch_ends(client, 4, "t", &[asked]), [end], "{asked:?}");
    }
    assert_eq!(epoch_ends(client, 4, "empty", &[(0, 2, 1)]), [(0, 1, 0)]);
    assert_eq!(
        epoch_ends(client, 4, "absent", &[(0, -1, 0)]),
        [(UNKNOWN, -1, -1)]
    );
    broker.stop();
}
