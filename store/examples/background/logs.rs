//! The logs of the stage, and how they are filled.

use std::rc::Rc;

use tautline_core::batch::{Batch, BatchBuilder};
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use tautline_core::time::now_ms;
use tautline_store::*;

const HOW: AppendAs = AppendAs::Leader {
    epoch: LeaderEpoch(1),
};
/// Files of the smallest class, but for what they need besides batches.
const SMALL_SEGMENT_BYTES: u64 = (256 << 10) - 8192;

/// Durable, and what is deleted is removed at once.
pub fn durable() -> LogConfig {
    LogConfig {
        file_delete_delay_ms: 0,
        ..LogConfig::default()
    }
}

/// Durable, in small segments.
pub fn durable_small() -> LogConfig {
    LogConfig {
        segment_bytes: SMALL_SEGMENT_BYTES,
        ..durable()
    }
}

/// To be filled fast.
pub fn relaxed(config: LogConfig) -> LogConfig {
    LogConfig {
        flush_messages: u64::MAX,
        ..config
    }
}

pub async fn open(store: &Store, partition: i32, config: LogConfig) -> Rc<Log> {
    let identity = LogIdentity {
        topic: "t".into(),
        topic_id: TopicId::ZERO,
        partition: PartitionIndex(partition),
    };
    store.open_log(identity, config).await.expect("a log")
}

pub fn batch_of(value_bytes: usize) -> Vec<u8> {
    BatchBuilder::new(now_ms())
        .record(None, Some(&vec![7; value_bytes]))
        .build()
}

/// Gives the offset behind it.
pub fn append(log: &Log, bytes: &[u8]) -> Offset {
    let batch = Batch::parse(bytes).expect("it was just built").0;
    log.append(&batch, HOW).expect("there is room").last_offset.next()
}

async fn append_when_there_is_room(log: &Log, bytes: &[u8]) {
    let batch = Batch::parse(bytes).expect("it was just built").0;
    while let Err(error) = log.append(&batch, HOW) {
        assert!(matches!(error, AppendError::Backlog), "{error}");
        log.room().await;
    }
}

async fn settle(log: &Log) {
    log.flush().await.expect("the disk takes it");
    log.advance_high_watermark(log.end_offset());
}

/// A log of at least that many bytes.
pub async fn fill(store: &Store, partition: i32, bytes: u64, config: LogConfig) -> Rc<Log> {
    let log = open(store, partition, relaxed(config.clone())).await;
    let batch = batch_of(16 << 10);
    while log.size_bytes() < bytes {
        append_when_there_is_room(&log, &batch).await;
    }
    settle(&log).await;
    log.configure(config);
    log
}

/// A log of that many small segments.
pub async fn fill_segments(store: &Store, partition: i32, segments: u64) -> Rc<Log> {
    let log = fill(store, partition, segments * SMALL_SEGMENT_BYTES, durable_small()).await;
    log.configure(durable());
    log
}

/// Has so many producers known to a log.
pub async fn fill_producers(log: &Log, producers: i64) {
    let config = log.config();
    log.configure(relaxed(config.clone()));
    for id in 0..producers {
        let bytes = BatchBuilder::new(now_ms())
            .producer(ProducerId(id), ProducerEpoch(0), 0)
            .record(None, Some(b"x"))
            .build();
        append_when_there_is_room(log, &bytes).await;
    }
    settle(log).await;
    log.configure(config);
}

/// A log to be cleaned: so many records, each key many times.
pub async fn fill_keys(store: &Store, partition: i32, records: u64, keys: u64) -> Rc<Log> {
    let config = LogConfig {
        segment_bytes: 16 << 20,
        compact: true,
        delete: false,
        ..durable()
    };
    let log = open(store, partition, relaxed(config)).await;
    for first in (0..records).step_by(100) {
        let mut builder = BatchBuilder::new(now_ms());
        for record in first..first + 100 {
            let key = record.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) % keys;
            builder = builder.record(Some(&key.to_be_bytes()), Some(&[b'v'; 100]));
        }
        append_when_there_is_room(&log, &builder.build()).await;
    }
    settle(&log).await;
    log
}
