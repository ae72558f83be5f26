//! DescribeTransactions and ListTransactions (KIP-664, KIP-994, KIP-1152).

use tautline_core::error::ErrorCode;

use crate::Refusal;
use crate::coordinator::Now;

use super::coordinator::TransactionCoordinator;
use super::transaction::Transaction;
use super::{ListTransactions, TransactionDescription, TransactionListing};

impl TransactionCoordinator {
    /// Number of transactions that are open.
    #[must_use]
    pub fn ongoing(&self) -> usize {
        self.timers.aborts.len()
    }

    pub(super) fn describe(&self, transactional_id: &str) -> Result<TransactionDescription, Refusal> {
        let transaction = self.transaction(transactional_id).ok_or_else(|| {
            let message = format!("there is no transactional id {transactional_id:?}");
            Refusal::new(ErrorCode::TransactionalIdNotFound, message)
        })?;
        Ok(TransactionDescription {
            state: transaction.state,
            producer: transaction.producer,
            timeout_ms: transaction.timeout_ms,
            start_ms: transaction.start.ms,
            partitions: transaction.partitions.iter().collect(),
        })
    }

    pub(super) fn list(&self, now: Now<'_>, filter: &ListTransactions) -> Vec<TransactionListing> {
        self.transactions()
            .filter(|(id, transaction)| passes(now, filter, id, transaction))
            .map(|(id, transaction)| TransactionListing {
                transactional_id: id.clone(),
                producer_id: transaction.producer.id,
                state: transaction.state,
            })
            .collect()
    }
}

fn passes(now: Now<'_>, filter: &ListTransactions, id: &str, transaction: &Transaction) -> bool {
    let state = |states: &Vec<_>| states.contains(&transaction.state);
    let producer = |ids: &Vec<_>| ids.contains(&transaction.producer.id);
    // Where there is no transaction the start is -1: to Kafka that is long ago.
    let age_ms = now.ms.saturating_sub(transaction.start.ms);
    filter.states.as_ref().is_none_or(state)
        && filter.producer_ids.as_ref().is_none_or(producer)
        && filter
            .longer_than_ms
            .is_none_or(|longer_than_ms| age_ms > longer_than_ms)
        && filter.pattern.as_ref().is_none_or(|pattern| pattern.matches(id))
}
