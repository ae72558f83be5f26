//! The records that are compacted: a function of their offsets, so that whoever reads them knows what they have to be.

use tautline_core::batch::{BATCH_HEADER_BYTES, Batch, BatchBuilder, Compacted, Compression};
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use tautline_core::time::now_ms;
use tautline_store::*;

pub const RECORDS_PER_BATCH: u64 = 100;
const VALUE_BYTES: usize = 100;

pub const HOW: AppendAs = AppendAs::Leader {
    epoch: LeaderEpoch(1),
};

pub fn identity(partition: i32) -> LogIdentity {
    LogIdentity {
        topic: "t".into(),
        topic_id: TopicId::ZERO,
        partition: PartitionIndex(partition),
    }
}

/// The key of a record: all of them come again and again, in no order.
pub fn key_of(record: u64, keys: u64) -> u64 {
    record.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) % keys
}

fn value_of(record: u64) -> [u8; VALUE_BYTES] {
    let mut value = [b'v'; VALUE_BYTES];
    value[..8].copy_from_slice(&record.to_be_bytes());
    value
}

/// A batch of the records from `first` on.
pub fn batch_from(first: u64, keys: u64, codec: Compression) -> Vec<u8> {
    let mut builder = BatchBuilder::new(now_ms());
    for record in first..first + RECORDS_PER_BATCH {
        let key = key_of(record, keys).to_be_bytes();
        builder = builder.record(Some(&key), Some(&value_of(record)));
    }
    compressed(builder.build(), codec)
}

fn compressed(plain: Vec<u8>, codec: Compression) -> Vec<u8> {
    use std::io::Write;
    let batch = Batch::parse(&plain).expect("it was just built").0;
    let packed = match codec {
        Compression::None => return plain,
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(batch.payload()).expect("memory");
            encoder.finish().expect("memory")
        }
        Compression::Snappy => snap::raw::Encoder::new()
            .compress_vec(batch.payload())
            .expect("memory"),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(batch.payload()).expect("memory");
            encoder.finish().expect("memory")
        }
        Compression::Zstd => {
            ruzstd::encoding::compress_to_vec(batch.payload(), ruzstd::encoding::CompressionLevel::Fastest)
        }
    };
    let mut bytes = plain[..BATCH_HEADER_BYTES].to_vec();
    bytes.extend(packed);
    let compacted = Compacted {
        compression: codec,
        record_count: batch.record_count(),
        base_timestamp_ms: batch.base_timestamp(),
        max_timestamp_ms: batch.max_timestamp(),
        has_delete_horizon: false,
    };
    compacted.patch(&mut bytes);
    bytes
}

/// Appends the first `records`, and waits until all of them are on disk.
pub async fn fill(log: &Log, records: u64, keys: u64, codec: Compression) {
    for first in (0..records).step_by(RECORDS_PER_BATCH as usize) {
        let bytes = batch_from(first, keys, codec);
        let batch = Batch::parse(&bytes).expect("it was just built").0;
        loop {
            match log.append(&batch, HOW) {
                Ok(_) => break,
                Err(AppendError::Backlog) => log.room().await,
                Err(error) => panic!("{error}"),
            }
        }
    }
    log.flush().await.expect("the disk takes it");
    log.advance_high_watermark(log.end_offset());
}

/// How many records a log was found to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    pub records: u64,
    /// Of them, below the clean end.
    pub clean: u64,
}

/// Reads all of a log: each record is the one that was written at its offset, and below `clean_to` there is the last one of each
/// key and no other. Compressed records are counted only.
pub async fn check(log: &Log, keys: u64, clean_to: Offset) -> Left {
    let mut last = vec![u64::MAX; keys as usize];
    for record in 0..clean_to.0 as u64 {
        last[key_of(record, keys) as usize] = record;
    }
    let (mut offset, end, mut left) = (Offset(0), log.end_offset(), Left::default());
    let mut plain = true;
    while offset < end {
        let from = ReadFrom {
            offset,
            max_bytes: 1 << 20,
            min_one_batch: true,
            bound: end,
        };
        let read = log.read(from).await.expect("the disk gives it");
        for part in &read.parts {
            let Part::Memory(bytes) = part else {
                unreachable!("cold reads go to memory")
            };
            let mut rest = &bytes[..];
            while let Ok((batch, behind)) = Batch::parse(rest) {
                rest = behind;
                assert!(batch.next_offset() > offset, "offsets go up");
                offset = batch.next_offset();
                left.records += u64::from(batch.record_count());
                plain &= batch.compression() == Compression::None;
                left.clean += match plain {
                    true => check_records(&batch, keys, &last, clean_to),
                    false if offset <= clean_to => u64::from(batch.record_count()),
                    false => 0,
                };
            }
        }
    }
    let expected = last.iter().filter(|&&record| record != u64::MAX).count() as u64;
    // The batch that the clean end cuts is not told apart if it is compressed.
    let enough = if plain {
        left.clean == expected
    } else {
        left.records >= expected
    };
    assert!(
        enough && left.clean <= expected,
        "{left:?}, where {expected} are expected to be clean"
    );
    left
}

/// Gives how many are clean. All are at different offsets and the last of their keys: so many as there are keys are all of them.
fn check_records(batch: &Batch<'_>, keys: u64, last: &[u64], clean_to: Offset) -> u64 {
    let mut clean = 0;
    for record in batch.records().map(|record| record.expect("sound")) {
        let at = (batch.base_offset() + i64::from(record.offset_delta)).0 as u64;
        let key = key_of(at, keys);
        assert_eq!(record.key, Some(&key.to_be_bytes()[..]), "the key at offset {at}");
        assert_eq!(record.value, Some(&value_of(at)[..]), "the value at offset {at}");
        if at < clean_to.0 as u64 {
            assert_eq!(
                last[key as usize], at,
                "there is a later one of its key below {clean_to}"
            );
            clean += 1;
        }
    }
    clean
}
