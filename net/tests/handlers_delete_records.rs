//! DeleteRecords against a real broker.

mod common;

use common::partitions::{delete, epoch_ends};
use common::{
    TestBroker, create, end_offset, fetch_error, on_one_and_two_shards, produce, produce_batch, start_offset,
};
use tautline_core::batch::BatchBuilder;
use tautline_core::error::ErrorCode;

const OUT_OF_RANGE: i16 = ErrorCode::OffsetOutOfRange.code();
const UNKNOWN: i16 = ErrorCode::UnknownTopicOrPartition.code();
const INVALID: i16 = ErrorCode::InvalidRequest.code();

#[test]
fn records_are_deleted_up_to_an_offset() {
    on_one_and_two_shards(|_, client| {
        create(client, "t", 4, &[]);
        (0..4).for_each(|partition| assert_eq!(produce(client, "t", partition, 10), 0));
        for version in 0..=2 {
            let upto = 2 + i64::from(version);
            let asked = [(0, upto), (1, upto), (2, upto), (3, 0)];
            assert_eq!(
                delete(client, version, "t", &asked),
                [(upto, 0), (upto, 0), (upto, 0), (0, 0)]
            );
            assert_eq!(start_offset(client, "t", 1), upto);
            assert_eq!(fetch_error(client, "t", 1, upto - 1), OUT_OF_RANGE);
            assert_eq!(fetch_error(client, "t", 1, upto), 0);
        }
        assert_eq!(
            delete(client, 2, "t", &[(0, 1)]),
            [(4, 0)],
            "a start never goes back"
        );
        assert_eq!(
            delete(client, 2, "t", &[(0, -1)]),
            [(10, 0)],
            "-1 is the high watermark"
        );
        let asked = [(1, 11), (1, 5), (2, -2), (4, 1), (-1, 1)];
        let found = delete(client, 2, "t", &asked);
        assert_eq!(
            found,
            [
                (-1, OUT_OF_RANGE),
                (-1, INVALID),
                (-1, OUT_OF_RANGE),
                (-1, UNKNOWN),
                (-1, UNKNOWN)
            ]
        );
        assert_eq!(delete(client, 2, "absent", &[(0, 1)]), [(-1, UNKNOWN)]);
        create(client, "__consumer_offsets", 1, &[]);
        let internal = ErrorCode::InvalidTopicException.code();
        assert_eq!(
            delete(client, 2, "__consumer_offsets", &[(0, -1)]),
            [(-1, internal)]
        );
        assert_eq!(produce(client, "t", 0, 1), 10, "offsets go on");
        assert_eq!(
            (start_offset(client, "t", 0), end_offset(client, "t", 0)),
            (10, 11)
        );
    });
}

/// Whole segments go, and what was deleted stays deleted after kill -9.
#[test]
fn deleted_records_do_not_come_back() {
    let mut broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    create(
        client,
        "t",
        2,
        &[("segment.bytes", "1048576"), ("file.delete.delay.ms", "0")],
    );
    create(client, "relaxed", 2, &[("flush.messages", "1000000")]);
    for _ in 0..5 {
        let builder = BatchBuilder::new(1).record(None, Some(&vec![b'x'; 500_000]));
        let batch = builder.build();
        for partition in 0..2 {
            produce_batch(client, "t", partition, batch.clone());
        }
    }
    for partition in 0..2 {
        produce(client, "relaxed", partition, 10);
    }
    assert_eq!(delete(client, 2, "t", &[(0, 3), (1, -1)]), [(3, 0), (5, 0)]);
    assert_eq!(
        delete(client, 2, "relaxed", &[(0, 3), (1, -1)]),
        [(3, 0), (10, 0)]
    );
    for shards in [1, 2] {
        let client = &mut broker.crash_and_restart(shards);
        assert_eq!((start_offset(client, "t", 0), end_offset(client, "t", 0)), (3, 5));
        assert_eq!((start_offset(client, "t", 1), end_offset(client, "t", 1)), (5, 5));
        assert_eq!(fetch_error(client, "t", 0, 2), OUT_OF_RANGE);
        assert_eq!(fetch_error(client, "t", 0, 3), 0);
        // A relaxed topic may lose its end, but it never shows what was deleted, nor gives an offset out again.
        assert!(start_offset(client, "relaxed", 0) >= 3 && end_offset(client, "relaxed", 0) >= 3);
        assert!(start_offset(client, "relaxed", 1) >= 10 && end_offset(client, "relaxed", 1) >= 10);
    }
    let client = &mut broker.connect();
    assert_eq!(produce(client, "t", 1, 1), 5);
    broker.stop();
}

/// Many partitions of a request, on several shards, are answered each in its place.
#[test]
fn requests_of_many_partitions_are_answered_in_order() {
    on_one_and_two_shards(|_, client| {
        let count = 70; // more than a shard works on at a time
        create(client, "wide", count, &[]);
        for index in 0..count {
            produce(client, "wide", index, i64::from(index) % 3 + 1);
        }
        let backwards: Vec<_> = (0..count).rev().map(|index| (index, -1)).collect();
        let expected: Vec<_> = backwards
            .iter()
            .map(|(index, _)| (i64::from(index % 3 + 1), 0))
            .collect();
        assert_eq!(delete(client, 2, "wide", &backwards), expected);
        let asked: Vec<_> = (0..count).map(|index| (index, 0, 0)).collect();
        let expected: Vec<_> = (0..count).map(|index| (0, 0, i64::from(index % 3 + 1))).collect();
        assert_eq!(epoch_ends(client, 4, "wide", &asked), expected);
        // Naming one partition often does not make the answer larger than what there is to tell.
        let often = delete(client, 2, "wide", &[(0, 0); 10_000]);
        assert_eq!((often[0], often[1], often.len()), ((1, 0), (-1, INVALID), 10_000));
    });
}
