//! What a log remembers of idempotent and transactional producers: so that a retried batch is stored once, and that it is
//! known which records are decided (KIP-98, KIP-890).
//!
//! A function of the log: recovery replays the batches behind the checkpoint's snapshot. Sequences follow Kafka's
//! `ProducerAppendInfo`: an unknown producer may begin at any sequence (its state may have expired), a new epoch begins at 0,
//! sequences wrap from `i32::MAX` to 0, and one of the last five batches sent again is answered with its first offset. Batches
//! without a sequence are a coordinator's, and only their epoch is compared.
//!
//! Transactions:
//! - One begins with its first record. That needs a [`Verification`], so that none begins after its coordinator has ended it.
//! - While one is open its producer writes nothing else: no record outside of it, and none of a later epoch, which would be
//!   decided by the wrong marker.
//! - A producer with an open transaction is never forgotten.

mod by_id;
mod producer;
mod transactions;
mod verification;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use tautline_core::batch::{Batch, EndTransactionMarker};
use tautline_core::ids::{Offset, ProducerEpoch, ProducerId};

pub use producer::ActiveProducer;
pub use verification::{TransactionVersion, Verification, VerificationGuard};

pub(crate) use by_id::ById;
pub(crate) use producer::{Producer, RememberedBatch};

use self::transactions::Transactions;
use self::verification::Verifications;
use crate::aborted::Aborted;
use crate::compact::LastBatch;
use crate::error::AppendError;
use crate::limits::{PRODUCERS_MAX, TRANSACTIONS_OPEN_MAX};

/// All producers of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Producers {
    by_id: ById,
    transactions: Transactions,
    #[serde(skip)]
    verifications: Verifications,
}

/// What the sequence of a batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// It follows.
    New,
    /// It was appended before.
    Duplicate(RememberedBatch),
}

impl Producers {
    /// Those of a log without transactions.
    pub fn without_transactions(by_id: ById) -> Producers {
        Producers {
            by_id,
            ..Producers::default()
        }
    }

    /// Compares a batch with what is remembered of its producer.
    pub fn check(&self, batch: &Batch<'_>, verification: Verification) -> Result<Check, AppendError> {
        if batch.producer_id().0 < 0 {
            return Ok(Check::New);
        }
        let producer = self.by_id.get(batch.producer_id());
        if let Some(producer) = producer {
            if let Some(first) = producer.duplicate(batch) {
                return Ok(Check::Duplicate(first));
            }
            if batch.producer_epoch() < producer.epoch {
                return Err(AppendError::InvalidProducerEpoch);
            }
        }
        if batch.is_transactional() {
            self.check_transaction(batch, producer, verification)?;
        } else if producer.is_some_and(|producer| producer.transaction_start.is_some()) {
            return Err(AppendError::InvalidTransactionState);
        }
        match producer {
            Some(producer) if batch.base_sequence() >= 0 => producer.check_sequence(batch)?,
            _ => {}
        }
        Ok(Check::New)
    }

    /// Whether a transactional batch goes on with an open transaction, or may begin one.
    fn check_transaction(
        &self,
        batch: &Batch<'_>,
        producer: Option<&Producer>,
        verification: Verification,
    ) -> Result<(), AppendError> {
        if let Some(producer) = producer.filter(|producer| producer.transaction_start.is_some()) {
            return if producer.is_in_transaction(batch.producer_epoch()) {
                Ok(())
            } else {
                Err(AppendError::InvalidTransactionState)
            };
        }
        let is_new = producer.is_none_or(|producer| producer.batches.is_empty());
        self.verifications.check(verification, batch, is_new)?;
        if self.transactions.open_count() >= TRANSACTIONS_OPEN_MAX {
            return Err(AppendError::TooManyTransactions);
        }
        Ok(())
    }

    /// Compares a marker with what is remembered of its producer.
    pub fn check_marker(
        &self,
        id: ProducerId,
        epoch: ProducerEpoch,
        marker: EndTransactionMarker,
        version: TransactionVersion,
    ) -> Result<(), AppendError> {
        let Some(producer) = self.by_id.get(id) else {
            return Ok(());
        };
        // A marker that comes again after its own transaction finds the next one with the same epoch.
        let of_the_last = version == TransactionVersion::V2 && producer.is_in_transaction(epoch);
        if epoch < producer.epoch || of_the_last {
            return Err(AppendError::InvalidProducerEpoch);
        }
        if marker.coordinator_epoch < producer.coordinator_epoch {
            return Err(AppendError::CoordinatorFenced {
                found: marker.coordinator_epoch,
                latest: producer.coordinator_epoch,
            });
        }
        Ok(())
    }

    /// What a transactional batch needs before it is appended.
    pub fn verification(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        sequence: i32,
        version: TransactionVersion,
        now_ms: i64,
    ) -> Result<Verification, AppendError> {
        if let Some(producer) = self.by_id.get(id) {
            if epoch < producer.epoch {
                return Err(AppendError::InvalidProducerEpoch);
            }
            if producer.is_in_transaction(epoch) {
                return Ok(Verification::NotNeeded);
            }
        }
        if self.transactions.open_count() >= TRANSACTIONS_OPEN_MAX {
            return Err(AppendError::TooManyTransactions);
        }
        let guard = self.verifications.begin(id, epoch, sequence, version, now_ms);
        Ok(Verification::Needed(guard))
    }

    /// Remembers an appended or recovered batch at its place in the log. Gives the transaction that it aborts, if it does.
    pub fn note(
        &mut self,
        batch: &Batch<'_>,
        base_offset: Offset,
        timestamp_ms: i64,
        now_ms: i64,
    ) -> Option<Aborted> {
        let id = batch.producer_id();
        if id.0 < 0 {
            return None;
        }
        if batch.is_control() {
            let marker = EndTransactionMarker::of(batch)?;
            return self.end(batch, marker, base_offset, timestamp_ms, now_ms);
        }
        let producer = self.known(id, batch.producer_epoch(), now_ms);
        producer.note(batch, base_offset, timestamp_ms, now_ms);
        if batch.is_transactional() {
            if producer.transaction_start.is_none() {
                producer.transaction_start = Some(base_offset);
                self.transactions.begin(base_offset);
            }
            self.verifications.end(id);
        }
        None
    }

    /// Ends a producer's transaction, if one is open.
    fn end(
        &mut self,
        batch: &Batch<'_>,
        marker: EndTransactionMarker,
        offset: Offset,
        timestamp_ms: i64,
        now_ms: i64,
    ) -> Option<Aborted> {
        let id = batch.producer_id();
        self.verifications.end(id);
        let producer = self.known(id, batch.producer_epoch(), now_ms);
        producer.enter(batch.producer_epoch());
        producer.coordinator_epoch = marker.coordinator_epoch;
        producer.last_timestamp_ms = timestamp_ms;
        producer.used_ms = now_ms;
        let first = producer.transaction_start.take()?;
        self.transactions.end(first, offset);
        (!marker.committed).then(|| Aborted {
            producer: id,
            first,
            marker: offset,
            stable: self.transactions.first_open().unwrap_or(offset.next()),
        })
    }

    fn known(&mut self, id: ProducerId, epoch: ProducerEpoch, now_ms: i64) -> &mut Producer {
        if self.by_id.len() >= PRODUCERS_MAX && !self.by_id.contains(id) {
            self.forget_oldest();
        }
        self.by_id.get_or_insert_with(id, || Producer::new(epoch, now_ms))
    }

    /// What ended below the high watermark is stable.
    pub fn high_watermark(&mut self, high_watermark: Offset) {
        self.transactions.high_watermark(high_watermark);
    }

    /// First offset of the oldest transaction that is open, or whose marker is not below the high watermark.
    pub fn first_unstable(&self) -> Option<Offset> {
        self.transactions.first_unstable()
    }

    /// First offset of the oldest open transaction.
    pub fn first_open(&self) -> Option<Offset> {
        self.transactions.first_open()
    }

    /// First offset of a producer's open transaction.
    pub fn transaction_start(&self, id: ProducerId) -> Option<Offset> {
        self.by_id.get(id)?.transaction_start
    }

    /// Takes the place of `earlier`: guards that it gave are void.
    pub fn follow(&mut self, earlier: &Producers) {
        self.verifications.follow(&earlier.verifications);
    }

    /// As they are now, for others to look at: their parts are shared until they change.
    pub fn snapshot(&self) -> Producers {
        Producers {
            by_id: self.by_id.clone(),
            transactions: self.transactions.clone(),
            verifications: Verifications::default(),
        }
    }

    /// The batch of a producer that compaction keeps, so that a log without its checkpoint still tells what must be known of it.
    pub fn last_batch(&self, id: ProducerId) -> Option<LastBatch> {
        let producer = self.by_id.get(id)?;
        Some(match producer.batches.back() {
            Some(batch) => LastBatch::Records(batch.last_offset),
            None => LastBatch::Marker(producer.epoch),
        })
    }

    /// Forgets producers without an append for `expiration_ms`; those with an open transaction stay.
    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        let lives = |p: &Producer| now_ms.saturating_sub(p.used_ms) < expiration_ms;
        self.by_id.retain(|p| p.transaction_start.is_some() || lives(p));
        self.verifications.expire(now_ms, expiration_ms);
    }

    /// All of them, as DescribeProducers shows them.
    pub fn active(&self) -> Vec<ActiveProducer> {
        self.by_id
            .iter()
            .map(|(id, producer)| producer.show(id))
            .collect()
    }

    /// Forgets the eighth that was used longest ago, of those without an open transaction.
    fn forget_oldest(&mut self) {
        let idle = |p: &Producer| p.transaction_start.is_none();
        let mut used: Vec<i64> = self
            .by_id
            .iter()
            .filter(|(_, p)| idle(p))
            .map(|(_, p)| p.used_ms)
            .collect();
        // There are more producers than transactions may be open.
        let mut surplus = used.len().div_ceil(8);
        let Some(last) = surplus.checked_sub(1) else {
            return;
        };
        let (_, &mut edge, _) = used.select_nth_unstable(last);
        self.by_id.retain(|p| {
            let goes = p.used_ms <= edge && idle(p) && surplus > 0;
            surplus -= usize::from(goes);
            !goes
        });
    }
}
