//! Checkpoints of format 1, from before transactions and compaction: read, and never written.
//!
//! Rejecting one would be safe for the records, but not for what only a checkpoint knows: a start offset inside of a segment.
//! Under that format no transaction could be begun, so what it knows of producers is complete.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use serde::Deserialize;
use tautline_core::ids::{Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};

use crate::checkpoint::{Checkpoint, RecoveryPoint, SealedSegment};
use crate::damage::Damage;
use crate::leader_epochs::LeaderEpochs;
use crate::producers::{Producer, Producers, RememberedBatch};

/// Its number in the file's envelope.
pub(crate) const VERSION: u32 = 1;

#[derive(Deserialize)]
struct SealedSegmentV1 {
    sequence: u64,
    base_offset: Offset,
    end_offset: Offset,
    end_position: u64,
    max_timestamp_ms: i64,
}

#[derive(Deserialize)]
struct RecoveryPointV1 {
    sequence: u64,
    base_offset: Offset,
    opened_ms: i64,
    max_timestamp_ms: i64,
    position: u64,
}

#[derive(Deserialize)]
struct ProducerV1 {
    epoch: ProducerEpoch,
    last_sequence: i32,
    last_timestamp_ms: i64,
    used_ms: i64,
    _transaction_start: Option<Offset>,
    batches: VecDeque<RememberedBatch>,
}

#[derive(Deserialize)]
struct ProducersV1 {
    by_id: FxHashMap<ProducerId, ProducerV1>,
}

#[derive(Deserialize)]
struct CheckpointV1 {
    generation: u64,
    topic_id: TopicId,
    partition: PartitionIndex,
    start_offset: Offset,
    high_watermark: Offset,
    end_offset: Offset,
    active: Option<RecoveryPointV1>,
    next_sequence: u64,
    sealed: Vec<SealedSegmentV1>,
    epochs: LeaderEpochs,
    producers: ProducersV1,
    damage: Vec<Damage>,
    read_only: bool,
}

/// Reads the payload of a file of that version; `None` if it is none.
pub(crate) fn read(payload: &[u8]) -> Option<Checkpoint> {
    let v1: CheckpointV1 = postcard::from_bytes(payload).ok()?;
    Some(Checkpoint {
        generation: v1.generation,
        topic_id: v1.topic_id,
        partition: v1.partition,
        start_offset: v1.start_offset,
        high_watermark: v1.high_watermark,
        end_offset: v1.end_offset,
        active: v1.active.map(recovery_point),
        next_sequence: v1.next_sequence,
        sealed: v1.sealed.into_iter().map(sealed_segment).collect(),
        epochs: v1.epochs,
        producers: producers(v1.producers),
        damage: v1.damage,
        cleaned_to: Offset(0),
        next_generation: 1,
        read_only: v1.read_only,
        live_from: 0,
    })
}

fn recovery_point(v1: RecoveryPointV1) -> RecoveryPoint {
    RecoveryPoint {
        sequence: v1.sequence,
        base_offset: v1.base_offset,
        opened_ms: v1.opened_ms,
        max_timestamp_ms: v1.max_timestamp_ms,
        position: v1.position,
        open_from: v1.base_offset,
        aborted: Vec::new(),
    }
}

fn sealed_segment(v1: SealedSegmentV1) -> SealedSegment {
    SealedSegment {
        sequence: v1.sequence,
        generation: 0,
        base_offset: v1.base_offset,
        end_offset: v1.end_offset,
        end_position: v1.end_position,
        max_timestamp_ms: v1.max_timestamp_ms,
        // Not known: as old as can be.
        opened_ms: 0,
        open_from: v1.base_offset,
        aborted: 0,
    }
}

fn producers(v1: ProducersV1) -> Producers {
    let producer = |v1: ProducerV1| Producer {
        last_sequence: v1.last_sequence,
        last_timestamp_ms: v1.last_timestamp_ms,
        batches: v1.batches,
        ..Producer::new(v1.epoch, v1.used_ms)
    };
    let by_id = v1.by_id.into_iter().map(|(id, v1)| (id, producer(v1)));
    Producers::without_transactions(by_id.collect())
}
