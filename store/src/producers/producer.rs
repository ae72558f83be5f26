//! One producer in one log: its epoch, its sequences, its open transaction.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tautline_core::batch::Batch;
use tautline_core::ids::{Offset, ProducerEpoch, ProducerId};
use tautline_core::limits::PRODUCER_BATCHES_REMEMBERED;

use crate::error::AppendError;

/// Where there is no sequence number: a coordinator's batches have none.
const NO_SEQUENCE: i32 = -1;
/// Before a transaction of the producer has ended in the log.
const NO_COORDINATOR_EPOCH: i32 = -1;

/// A batch that a producer may send again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RememberedBatch {
    pub first_sequence: i32,
    pub last_sequence: i32,
    pub base_offset: Offset,
    pub last_offset: Offset,
    pub timestamp_ms: i64,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Producer {
    pub epoch: ProducerEpoch,
    pub last_sequence: i32,
    pub last_timestamp_ms: i64,
    /// Wall clock of its last append; of recovery, for what recovery replayed.
    pub used_ms: i64,
    /// Of the last marker.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub transaction_start: Option<Offset>,
    pub batches: VecDeque<RememberedBatch>,
}

/// A producer as DescribeProducers shows it (KIP-664).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub id: ProducerId,
    /// Its latest epoch.
    pub epoch: ProducerEpoch,
    /// Last sequence appended, -1 for none.
    pub last_sequence: i32,
    /// Timestamp of its last batch, milliseconds.
    pub last_timestamp_ms: i64,
    /// Epoch of the coordinator that last ended a transaction of it, -1 for none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub transaction_start: Option<Offset>,
}

/// The sequence after `last`: 0 after the largest.
pub(super) fn following(last: i32) -> i32 {
    last.wrapping_add(1) & i32::MAX
}

impl Producer {
    /// One that nothing is known of but its epoch.
    pub fn new(epoch: ProducerEpoch, now_ms: i64) -> Producer {
        Producer {
            epoch,
            last_sequence: NO_SEQUENCE,
            last_timestamp_ms: -1,
            used_ms: now_ms,
            coordinator_epoch: NO_COORDINATOR_EPOCH,
            transaction_start: None,
            batches: VecDeque::new(),
        }
    }

    /// One of the last batches, sent again.
    pub fn duplicate(&self, batch: &Batch<'_>) -> Option<RememberedBatch> {
        let (first, last) = (batch.base_sequence(), batch.last_sequence());
        let seen = |b: &&RememberedBatch| b.first_sequence == first && b.last_sequence == last;
        let of_this_epoch = batch.producer_epoch() == self.epoch;
        self.batches.iter().find(seen).copied().filter(|_| of_this_epoch)
    }

    /// Whether the batch follows: its sequence is the next, or 0 under a new epoch.
    pub fn check_sequence(&self, batch: &Batch<'_>) -> Result<(), AppendError> {
        let expected = if batch.producer_epoch() == self.epoch {
            following(self.last_sequence)
        } else {
            0
        };
        let found = batch.base_sequence();
        if found == expected {
            Ok(())
        } else {
            Err(AppendError::OutOfOrderSequence { found, expected })
        }
    }

    /// Whether records of this epoch belong to its open transaction.
    pub fn is_in_transaction(&self, epoch: ProducerEpoch) -> bool {
        self.transaction_start.is_some() && self.epoch == epoch
    }

    /// Remembers an appended batch.
    pub fn note(&mut self, batch: &Batch<'_>, base_offset: Offset, timestamp_ms: i64, now_ms: i64) {
        self.enter(batch.producer_epoch());
        self.last_timestamp_ms = timestamp_ms;
        self.used_ms = now_ms;
        // A coordinator's batch, which nobody sends again.
        if batch.base_sequence() < 0 {
            return;
        }
        if self.batches.len() == PRODUCER_BATCHES_REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back(RememberedBatch {
            first_sequence: batch.base_sequence(),
            last_sequence: batch.last_sequence(),
            base_offset,
            last_offset: base_offset + i64::from(batch.header().last_offset_delta.get()),
            timestamp_ms,
        });
        self.last_sequence = batch.last_sequence();
    }

    /// Goes on to an epoch; sequences begin anew with it.
    pub fn enter(&mut self, epoch: ProducerEpoch) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.batches.clear();
            self.last_sequence = NO_SEQUENCE;
        }
    }

    /// What DescribeProducers shows of it.
    pub fn show(&self, id: ProducerId) -> ActiveProducer {
        ActiveProducer {
            id,
            epoch: self.epoch,
            last_sequence: self.last_sequence,
            last_timestamp_ms: self.last_timestamp_ms,
            coordinator_epoch: self.coordinator_epoch,
            transaction_start: self.transaction_start,
        }
    }
}
