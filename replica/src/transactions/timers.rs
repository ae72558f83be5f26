//! When transactions run out of time, and transactional ids expire.
//!
//! Two ordered sets, so that asking who is next, and moving one, cost a logarithm of the number of ids. What is due is looked
//! for in sweeps that are an interval apart, as Kafka does, because neither is worth waking for each.
//! All of it is on the clock that nobody sets.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::transaction::Transaction;
use super::{TransactionConfig, TransactionState};

/// One kind of timer: due times in order, and when they are looked at next.
#[derive(Debug)]
pub(super) struct Sweep {
    due: BTreeSet<(i64, Arc<str>)>,
    interval_ms: i64,
    next_ms: i64,
}

impl Sweep {
    const fn new(interval_ms: i64) -> Self {
        Self {
            due: BTreeSet::new(),
            interval_ms,
            next_ms: i64::MIN,
        }
    }

    /// Up to `count` that are due, in order. Each must have been moved, or removed, before the next call.
    pub fn take_due(&mut self, now_ms: i64, count: usize) -> Vec<Arc<str>> {
        if now_ms < self.next_ms {
            return Vec::new();
        }
        let due: Vec<_> = self
            .due
            .iter()
            .take_while(|(due_ms, _)| *due_ms <= now_ms)
            .take(count)
            .map(|(_, transactional_id)| transactional_id.clone())
            .collect();
        if due.len() < count {
            self.next_ms = now_ms.saturating_add(self.interval_ms);
        }
        due
    }

    /// How many are armed.
    pub fn len(&self) -> usize {
        self.due.len()
    }

    fn deadline_ms(&self) -> Option<i64> {
        self.due.first().map(|(due_ms, _)| (*due_ms).max(self.next_ms))
    }
}

/// The timers of all transactional ids.
#[derive(Debug)]
pub(super) struct Timers {
    /// Transactions to abort.
    pub aborts: Sweep,
    /// Transactional ids to forget.
    pub expiries: Sweep,
    id_expiration_ms: i64,
}

impl Timers {
    pub const fn new(config: &TransactionConfig) -> Self {
        Self {
            aborts: Sweep::new(config.abort_interval_ms),
            expiries: Sweep::new(config.expire_interval_ms),
            id_expiration_ms: config.id_expiration_ms,
        }
    }

    /// Time begins: the first sweeps are an interval away.
    pub const fn begin(&mut self, now_ms: i64) {
        self.aborts.next_ms = now_ms.saturating_add(self.aborts.interval_ms);
        self.expiries.next_ms = now_ms.saturating_add(self.expiries.interval_ms);
    }

    /// Sets what the transaction waits for.
    pub fn arm(&mut self, transactional_id: &Arc<str>, transaction: &Transaction) {
        if let Some((sweep, due_ms)) = self.timer(transaction) {
            sweep.due.insert((due_ms, transactional_id.clone()));
        }
    }

    /// Takes back what [`arm`](Self::arm) has set of the transaction as it is.
    pub fn disarm(&mut self, transactional_id: &Arc<str>, transaction: &Transaction) {
        if let Some((sweep, due_ms)) = self.timer(transaction) {
            sweep.due.remove(&(due_ms, transactional_id.clone()));
        }
    }

    /// When the next sweep has something to do.
    pub fn deadline_ms(&self) -> Option<i64> {
        let deadlines = [self.aborts.deadline_ms(), self.expiries.deadline_ms()];
        deadlines.into_iter().flatten().min()
    }

    fn timer(&mut self, transaction: &Transaction) -> Option<(&mut Sweep, i64)> {
        match transaction.state {
            TransactionState::Ongoing => {
                let last_ms = transaction
                    .start
                    .monotonic_ms
                    .saturating_add(i64::from(transaction.timeout_ms));
                Some((&mut self.aborts, last_ms.saturating_add(1)))
            }
            TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort => {
                let due_ms = transaction
                    .last_update
                    .monotonic_ms
                    .saturating_add(self.id_expiration_ms);
                Some((&mut self.expiries, due_ms))
            }
            _ => None,
        }
    }
}
