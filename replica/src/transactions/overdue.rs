//! What time does: transactions that take too long are aborted, transactional ids that are not used expire.

use tautline_core::ids::ProducerId;

use crate::coordinator::{CoordinatorBatch, CoordinatorRecord, Now};

use super::TransactionVersion;
use super::coordinator::{Decided, TransactionCoordinator};
use super::limits::{BATCH_BYTES, TIMERS_PER_TICK};
use super::record::tombstone;

impl TransactionCoordinator {
    /// Aborts what has run out of time. The epoch is bumped, so that the producer is fenced if it was only slow; one that
    /// asks to abort is told the new epoch (KIP-890) and goes on.
    pub(super) fn abort_overdue(&mut self, now: Now<'_>, decided: &mut Decided) {
        for id in self.timers.aborts.take_due(now.monotonic_ms, TIMERS_PER_TICK) {
            self.change(&id, decided, |transaction| {
                transaction.decide(false, TransactionVersion::V2, ProducerId::NONE, now.moment());
            });
        }
    }

    pub(super) fn expire(&mut self, now: Now<'_>, decided: &mut Decided) {
        for id in self.timers.expiries.take_due(now.monotonic_ms, TIMERS_PER_TICK) {
            self.forget(&id);
            decided.batches.push(batch(vec![tombstone(&id)]));
        }
    }
}

/// Puts the records of what `decide` decides together, in fewer batches than it makes.
pub(super) fn together(decided: &mut Decided, decide: impl FnOnce(&mut Decided)) {
    let mut due = Decided::default();
    decide(&mut due);
    let mut records = Vec::new();
    let mut bytes = 0;
    for record in due.batches.drain(..).flat_map(|batch| batch.records) {
        let size = record_bytes(&record);
        if bytes + size > BATCH_BYTES && !records.is_empty() {
            decided.batches.push(batch(std::mem::take(&mut records)));
            bytes = 0;
        }
        bytes += size;
        records.push(record);
    }
    if !records.is_empty() {
        decided.batches.push(batch(records));
    }
    decided.effects.append(&mut due.effects);
}

const fn batch(records: Vec<CoordinatorRecord>) -> CoordinatorBatch {
    CoordinatorBatch {
        producer: None,
        records,
    }
}

/// What a record takes in a batch, its lengths and deltas at their largest.
fn record_bytes(record: &CoordinatorRecord) -> usize {
    const OVERHEAD_BYTES: usize = 32;
    record.key.len() + record.value.as_ref().map_or(0, Vec::len) + OVERHEAD_BYTES
}
