//! What a log is asked about transactions (KIP-98, KIP-890). How they begin and end is in `append.rs` and `producers/`.

use tautline_core::ids::{Offset, ProducerEpoch, ProducerId};
use tautline_core::time::now_ms;

use crate::error::AppendError;
use crate::log::Log;
use crate::producers::{TransactionVersion, Verification};
use crate::state::State;

impl Log {
    /// First offset of a producer's open transaction.
    pub fn ongoing_transaction(&self, id: ProducerId) -> Option<Offset> {
        self.state.borrow().producers.transaction_start(id)
    }

    /// What a transactional batch needs before it is appended by [`Log::append_verified`]. Asked before the transaction's
    /// coordinator is: an end of a transaction of that producer which gets into the log meanwhile makes the guard void.
    /// `sequence` is the batch's first, -1 for a coordinator's.
    ///
    /// # Errors
    /// INVALID_PRODUCER_EPOCH: the epoch is older than the producer's. Or as many transactions are open as may be.
    pub fn verification(
        &self,
        id: ProducerId,
        epoch: ProducerEpoch,
        sequence: i32,
        version: TransactionVersion,
    ) -> Result<Verification, AppendError> {
        let producers = &mut self.state.borrow_mut().producers;
        producers.verification(id, epoch, sequence, version, now_ms())
    }

    /// Forgets producers without an append for `expiration_ms`; those with an open transaction stay. The store does so by itself
    /// (`producer.id.expiration.ms`).
    pub fn expire_producers(&self, now_ms: i64, expiration_ms: i64) {
        self.state.borrow_mut().producers.expire(now_ms, expiration_ms);
    }
}

impl State {
    /// See [`Log::last_stable_offset`]. What was deleted of a transaction needs no decision.
    pub fn last_stable_offset(&self) -> Offset {
        let unstable = self.producers.first_unstable();
        unstable.map_or(self.high_watermark, |first| {
            first.max(self.start_offset).min(self.high_watermark)
        })
    }
}
