//! Offsets by time (ListOffsets), inside compressed batches too.
#![allow(missing_docs, reason = "tests")]

mod common;

use std::io::Write;

use common::*;
use tautline_core::batch::{BATCH_HEADER_BYTES, BatchBuilder, TimestampType, patch_max_timestamp};
use tautline_core::ids::Offset;

/// A batch of ten records, 10 ms apart, and what a codec makes of it.
fn packed(first_ms: i64, codec: i16, compress: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(first_ms);
    for n in 0..10 {
        builder.push(first_ms + n * 10, None, Some(&[b'v'; 500]), &[]);
    }
    let mut bytes = builder.build();
    let records = compress(&bytes[BATCH_HEADER_BYTES..]);
    bytes.truncate(BATCH_HEADER_BYTES);
    bytes.extend_from_slice(&records);
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[21..23].copy_from_slice(&codec.to_be_bytes());
    patch_max_timestamp(&mut bytes, first_ms + 90);
    bytes
}

fn gzip(records: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(records).unwrap();
    encoder.finish().unwrap()
}

fn snappy(records: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(records).unwrap()
}

async fn find(life: &Life, timestamp_ms: i64) -> Option<(i64, i64)> {
    let found = life.log.offset_for_timestamp(timestamp_ms).await.unwrap();
    found.map(|found| (found.offset.0, found.timestamp_ms))
}

#[test]
fn offsets_by_time_are_exact_in_compressed_batches() {
    let check = |life: Life| async move {
        for batch in 0..20 {
            for n in [0, 1, 5, 9] {
                let (offset, time) = (batch * 10 + n, 1_000 + batch * 100 + n * 10);
                assert_eq!(find(&life, time).await, Some((offset, time)));
                assert_eq!(find(&life, time - 3).await, Some((offset, time)));
            }
        }
        assert_eq!(find(&life, 2_991).await, None);
        let max = life.log.max_timestamp_offset().await.unwrap().unwrap();
        assert_eq!((max.offset, max.timestamp_ms), (Offset(199), 2_990));
        assert_eq!(max.leader_epoch.0, 1);
    };
    let mut disk = Disk::new();
    // Several segments.
    disk.config.segment_bytes = 1_000;
    disk.live(move |life| async move {
        for n in 0..20 {
            let first_ms = 1_000 + n * 100;
            let batch = if n % 2 == 0 {
                packed(first_ms, 1, gzip)
            } else {
                packed(first_ms, 2, snappy)
            };
            life.put(&batch).await;
        }
        check(life).await;
    });
    // From the files.
    disk.live(check);
    disk.live(|life| async move {
        life.log.delete_records(Offset(35)).await.unwrap();
        assert_eq!(find(&life, 0).await, Some((35, 1_350)));
        assert_eq!(find(&life, 1_361).await, Some((37, 1_370)));
    });
}

#[test]
fn a_batch_that_can_t_be_read_is_the_answer_itself() {
    Disk::new().live(|life| async move {
        life.put(&packed(1_000, 1, gzip)).await;
        life.put(&packed(1_100, 4, |_| b"no zstd".to_vec())).await;
        life.put(&packed(1_200, 1, gzip)).await;
        assert_eq!(find(&life, 1_085).await, Some((9, 1_090)));
        assert_eq!(find(&life, 1_145).await, Some((10, 1_145)));
        assert_eq!(find(&life, 1_195).await, Some((20, 1_200)));
    });
}

#[test]
fn a_header_that_claims_too_late_a_time_misleads_nobody() {
    Disk::new().live(|life| async move {
        let mut claims = packed(1_000, 1, gzip);
        patch_max_timestamp(&mut claims, 9_000);
        life.put(&claims).await;
        life.put(&packed(2_000, 1, gzip)).await;
        assert_eq!(find(&life, 1_091).await, Some((10, 2_000)));
        assert_eq!(find(&life, 2_091).await, None);
    });
}

#[test]
fn the_broker_s_time_needs_no_look_into_the_batch() {
    let mut disk = Disk::new();
    disk.config.timestamp_type = TimestampType::LogAppendTime;
    disk.live(|life| async move {
        let appended = life.put(&packed(5, 4, |_| b"no zstd".to_vec())).await;
        let time = appended.log_append_time_ms;
        assert_eq!(find(&life, time).await, Some((0, time)));
        assert_eq!(find(&life, time + 1).await, None);
    });
}
