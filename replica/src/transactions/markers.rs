//! From decided to complete: markers are asked for until each partition's is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::coordinator::Now;

use super::coordinator::{Decided, TransactionCoordinator, memory_bytes};
use super::transaction::Transaction;
use super::{Effect, Instance, MarkersWritten, TransactionState, WriteMarkers};

/// Which decisions of this coordinator wait for their markers. Epochs do not tell the transactions of a client of versions 0 and 1
/// apart, so each decision has a number.
#[derive(Debug, Default)]
pub(super) struct Marking {
    decisions: BTreeMap<Arc<str>, u64>,
    last: u64,
}

impl Marking {
    /// The markers that a transaction misses, if it is decided and misses any.
    pub fn ask(
        &mut self,
        transactional_id: &Arc<str>,
        transaction: &Transaction,
        instance: Instance,
    ) -> Option<Effect> {
        if !transaction.state.is_decided() || transaction.partitions.is_empty() {
            return None;
        }
        self.last += 1;
        self.decisions.insert(transactional_id.clone(), self.last);
        Some(Effect::WriteMarkers(WriteMarkers {
            transactional_id: transactional_id.clone(),
            producer: transaction.producer,
            instance,
            decision: self.last,
            committed: transaction.state == TransactionState::PrepareCommit,
            transaction_version: transaction.version,
            partitions: transaction.partitions.iter().collect(),
        }))
    }
}

impl TransactionCoordinator {
    pub(super) fn markers_written(&mut self, now: Now<'_>, written: &MarkersWritten, decided: &mut Decided) {
        let id = &written.transactional_id;
        let wanted = self.marking.decisions.get(id) == Some(&written.decision);
        if !wanted || written.instance != self.instance.number {
            return;
        }
        let Some(transaction) = self.transactions.get_mut(id) else {
            return;
        };
        self.charge.subtract(memory_bytes(id, transaction));
        for partition in &written.partitions {
            transaction.partitions.remove(partition);
        }
        self.charge.add(memory_bytes(id, transaction));
        if transaction.partitions.is_empty() {
            self.marking.decisions.remove(id);
            self.change(id, decided, |transaction| transaction.complete(now.moment()));
        }
    }

    /// Takes up what the coordinator before this one has decided.
    pub(super) fn take_up_markers(&mut self, now: Now<'_>, decided: &mut Decided) {
        let mut without_partitions = Vec::new();
        for (id, transaction) in &self.transactions {
            let asked = self.marking.ask(id, transaction, self.instance);
            decided.effects.extend(asked);
            if transaction.state.is_decided() && transaction.partitions.is_empty() {
                without_partitions.push(id.clone());
            }
        }
        for id in without_partitions {
            self.change(&id, decided, |transaction| transaction.complete(now.moment()));
        }
    }
}
