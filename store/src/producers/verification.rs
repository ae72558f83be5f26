//! Guards against records that come after the end of their transaction (KIP-890).
//!
//! Before the first record of a transaction is appended, the transaction's coordinator is asked whether the partition belongs
//! to it. The answer takes time, and the transaction may end meanwhile. So a guard is taken before the coordinator is asked, any
//! end of a transaction of that producer makes it void, and with a void guard nothing is appended: a late record can't begin a
//! transaction that nobody would end.
//!
//! In memory only: after a restart a batch is verified again.

use rustc_hash::FxHashMap;
use tautline_core::batch::Batch;
use tautline_core::ids::{ProducerEpoch, ProducerId};

use crate::error::AppendError;
use crate::limits::VERIFICATIONS_MAX;

/// How a producer's transactions end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionVersion {
    /// Markers carry the epoch of the records, or a later one that fences them (KIP-98).
    V1,
    /// Each transaction has its own epoch: markers carry a later one (KIP-890).
    V2,
}

/// What has to be done before a transactional batch is appended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// Nothing: the producer's transaction has records in the log.
    #[default]
    NotNeeded,
    /// The coordinator is asked whether the partition belongs to the transaction; then the batch is appended with the guard.
    Needed(VerificationGuard),
}

/// Names one attempt to begin a transaction. It is void as soon as a transaction of its producer ends in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerificationGuard(u64);

/// A transaction that is about to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    guard: VerificationGuard,
    epoch: ProducerEpoch,
    /// A batch of a higher sequence may not go first: the lower one is tried again and would then be out of order.
    lowest_sequence: i32,
    version: TransactionVersion,
    begun_ms: i64,
}

/// Those of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Verifications {
    pending: FxHashMap<ProducerId, Pending>,
    next_guard: u64,
}

impl Verifications {
    /// The guard for a producer's batch, the same for all of one attempt.
    pub fn begin(
        &mut self,
        id: ProducerId,
        epoch: ProducerEpoch,
        sequence: i32,
        version: TransactionVersion,
        now_ms: i64,
    ) -> VerificationGuard {
        if self.pending.len() >= VERIFICATIONS_MAX && !self.pending.contains_key(&id) {
            self.forget_oldest();
        }
        let next_guard = &mut self.next_guard;
        let pending = self.pending.entry(id).or_insert_with(|| {
            *next_guard += 1;
            Pending {
                guard: VerificationGuard(*next_guard),
                epoch,
                lowest_sequence: sequence,
                version,
                begun_ms: now_ms,
            }
        });
        if epoch > pending.epoch {
            (pending.epoch, pending.version) = (epoch, version);
            pending.lowest_sequence = sequence;
        } else if epoch == pending.epoch {
            pending.lowest_sequence = pending.lowest_sequence.min(sequence);
        }
        pending.guard
    }

    /// Whether a batch may begin a transaction. `is_new`: the log remembers no batch of the producer.
    pub fn check(
        &self,
        verification: Verification,
        batch: &Batch<'_>,
        is_new: bool,
    ) -> Result<(), AppendError> {
        let pending = self.pending.get(&batch.producer_id());
        let Some(pending) = pending.filter(|p| verification == Verification::Needed(p.guard)) else {
            return Err(AppendError::InvalidTransactionState);
        };
        let found = batch.base_sequence();
        let expected = if pending.version == TransactionVersion::V2 && is_new {
            0
        } else {
            pending.lowest_sequence
        };
        if found > expected {
            return Err(AppendError::OutOfOrderSequence { found, expected });
        }
        Ok(())
    }

    /// Makes a producer's guard void: its transaction has begun, or ended.
    pub fn end(&mut self, id: ProducerId) {
        self.pending.remove(&id);
    }

    pub fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.pending
            .retain(|_, pending| now_ms.saturating_sub(pending.begun_ms) < expiration_ms);
    }

    /// Gives no guard that `earlier` has given.
    pub fn follow(&mut self, earlier: &Verifications) {
        self.next_guard = self.next_guard.max(earlier.next_guard);
    }

    /// Forgets the eighth that was begun longest ago: those batches are refused, and can be sent again.
    fn forget_oldest(&mut self) {
        let mut guards: Vec<u64> = self.pending.values().map(|pending| pending.guard.0).collect();
        let (_, &mut edge, _) = guards.select_nth_unstable(VERIFICATIONS_MAX / 8);
        self.pending.retain(|_, pending| pending.guard.0 >= edge);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tautline_core::batch::BatchBuilder;

    #[test]
    fn their_number_is_bounded() {
        let mut verifications = Verifications::default();
        let mut begin =
            |id: i64| verifications.begin(ProducerId(id), ProducerEpoch(0), 0, TransactionVersion::V2, id);
        let oldest = begin(0);
        let newest = (1..=VERIFICATIONS_MAX as i64).map(&mut begin).last().unwrap();
        assert!(verifications.pending.len() <= VERIFICATIONS_MAX);
        let check = |id: i64, guard| {
            let builder = BatchBuilder::new(1).producer(ProducerId(id), ProducerEpoch(0), 0);
            let bytes = builder.transactional().record(None, None).build();
            let (batch, _) = Batch::parse(&bytes).unwrap();
            verifications.check(Verification::Needed(guard), &batch, true)
        };
        assert!(matches!(
            check(0, oldest),
            Err(AppendError::InvalidTransactionState)
        ));
        check(VERIFICATIONS_MAX as i64, newest).unwrap();
        let mut later = Verifications::default();
        later.follow(&verifications);
        let guard = later.begin(ProducerId(5), ProducerEpoch(0), 0, TransactionVersion::V1, 0);
        assert!(guard.0 > newest.0, "a guard is never given twice");
        verifications.expire(VERIFICATIONS_MAX as i64 + 10, 11);
        assert_eq!(verifications.pending.len(), 1);
    }
}
