//! Why transactions are not gone on with: Kafka's codes, as newest versions have them, with a sentence each.

use tautline_core::error::ErrorCode;

use crate::Refusal;
use crate::coordinator::TransactionalProducer;

use super::TransactionState;
use super::transaction::Transaction;

/// The transactional id is not known, or held by another producer id.
pub(super) fn unmapped(producer: TransactionalProducer) -> Refusal {
    let message = format!("producer id {} does not hold the transactional id", producer.id);
    Refusal::new(ErrorCode::InvalidProducerIdMapping, message)
}

/// Another epoch holds the transactional id.
pub(super) fn fenced(asking: TransactionalProducer, transaction: &Transaction) -> Refusal {
    let TransactionalProducer { id, epoch } = transaction.producer;
    let message = format!(
        "producer {} epoch {} is not the one that holds the transactional id, producer {id} epoch {epoch}",
        asking.id, asking.epoch
    );
    Refusal::new(ErrorCode::ProducerFenced, message)
}

/// It is decided, and will be complete.
pub(super) fn concurrent() -> Refusal {
    Refusal::new(
        ErrorCode::ConcurrentTransactions,
        "the last transaction is being completed",
    )
}

/// Coordinators hold as much as they may.
pub(super) fn no_memory() -> Refusal {
    Refusal::new(
        ErrorCode::CoordinatorNotAvailable,
        "the coordinators of this broker have no memory left (raise --memory)",
    )
}

/// It can't end like this.
pub(super) fn bad_state(state: TransactionState, committed: bool) -> Refusal {
    let end = if committed { "committed" } else { "aborted" };
    let message = format!("in state {} it can't be {end}", state.name());
    Refusal::new(ErrorCode::InvalidTxnState, message)
}
