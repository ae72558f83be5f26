//! InitProducerId: a producer takes a transactional id, and whoever held it is fenced (KIP-98), or it goes on from an error
//! with a new epoch (KIP-360).
//!
//! | state            | it holds nothing (-1)       | it holds id and epoch                      | it holds the epoch before       | else   |
//! |------------------|-----------------------------|--------------------------------------------|---------------------------------|--------|
//! | none             | fresh id, epoch 0           | the same (its id has expired)              |                                 |        |
//! | Empty, Complete* | next epoch                  | next epoch, this one may be asked for again | what it was answered the first time | fenced |
//! | Ongoing          | aborted, then CONCURRENT    | aborted, then CONCURRENT                   | fenced                          | fenced |
//! | Prepare*         | CONCURRENT                  | CONCURRENT                                 | CONCURRENT                      | CONCURRENT |
//!
//! CONCURRENT is asked again once the transaction is complete, see [`waiting`](super::waiting).
//! Where there is no next epoch, the fresh producer id begins at epoch 0. Kafka aborts an ongoing transaction for any epoch of
//! the right producer id; here an old one is fenced, so that a delayed request can't end a newer transaction.

use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{ProducerEpoch, ProducerId};

use crate::Refusal;
use crate::coordinator::{Now, TransactionalProducer};

use super::coordinator::{Decided, TransactionCoordinator, memory_bytes};
use super::limits::TRANSACTIONAL_IDS_MAX;
use super::refusals;
use super::transaction::Transaction;
use super::{InitProducerId, LAST_EPOCH, TransactionResponse, TransactionState, TransactionVersion};

/// How an id is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taking {
    /// With this; who had that epoch may ask again.
    Take(TransactionalProducer, ProducerEpoch),
    /// With what it was given before.
    Retake,
    /// Not before the transaction that goes on is aborted.
    Fence,
}

impl TransactionCoordinator {
    pub(super) fn init_producer_id(
        &mut self,
        now: Now<'_>,
        request: InitProducerId,
        decided: &mut Decided,
    ) -> TransactionResponse {
        let fresh = request.fresh_producer_id;
        let result = self.take(now, &request, decided);
        let used = result.as_ref().is_ok_and(|producer| producer.id == fresh);
        TransactionResponse::InitProducerId {
            result,
            unused_producer_id: (!used).then_some(fresh),
        }
    }

    fn take(
        &mut self,
        now: Now<'_>,
        request: &InitProducerId,
        decided: &mut Decided,
    ) -> Result<TransactionalProducer, Refusal> {
        let id = &request.transactional_id;
        let Some(transaction) = self.transaction(id) else {
            return self.begin(now, id, request.timeout_ms, request.fresh_producer_id, decided);
        };
        match judge(transaction, request.current, request.fresh_producer_id)? {
            Taking::Take(producer, last_epoch) => self.change(id, decided, |transaction| {
                transaction.take(producer, last_epoch, request.timeout_ms, now.moment());
                Ok(producer)
            }),
            Taking::Retake => self.change(id, decided, |transaction| {
                transaction.retake(request.timeout_ms, now.moment());
                Ok(transaction.producer)
            }),
            Taking::Fence => {
                self.change(id, decided, |transaction| {
                    transaction.decide(false, TransactionVersion::V2, ProducerId::NONE, now.moment());
                });
                match self.transaction(id) {
                    // It had no partitions, and is complete by now.
                    Some(transaction) if !transaction.state.is_decided() => self.take(now, request, decided),
                    _ => Err(refusals::concurrent()),
                }
            }
        }
    }

    fn begin(
        &mut self,
        now: Now<'_>,
        id: &Arc<str>,
        timeout_ms: i32,
        fresh: ProducerId,
        decided: &mut Decided,
    ) -> Result<TransactionalProducer, Refusal> {
        if self.len() >= TRANSACTIONAL_IDS_MAX {
            let message = format!(
                "{TRANSACTIONAL_IDS_MAX} transactional ids are held by this coordinator; use fewer, or lower \
                 transactional.id.expiration.ms"
            );
            return Err(Refusal::new(ErrorCode::CoordinatorNotAvailable, message));
        }
        let transaction = Transaction::new(fresh, timeout_ms, now.moment());
        if !self
            .charge
            .memory()
            .has_room_for_newcomer(memory_bytes(id, &transaction))
        {
            return Err(refusals::no_memory());
        }
        let producer = transaction.producer;
        self.insert(id, transaction, decided);
        Ok(producer)
    }

    /// What is wrong with the timeout.
    pub(super) fn check_timeout(&self, timeout_ms: i32) -> Result<(), Refusal> {
        let max_ms = self.config.max_timeout_ms;
        if (1..=max_ms).contains(&timeout_ms) {
            return Ok(());
        }
        let message = format!(
            "a timeout of {timeout_ms} ms is not within 1 and transaction.max.timeout.ms, {max_ms} ms"
        );
        Err(Refusal::new(ErrorCode::InvalidTransactionTimeout, message))
    }
}

fn judge(
    transaction: &Transaction,
    asking: Option<TransactionalProducer>,
    fresh: ProducerId,
) -> Result<Taking, Refusal> {
    // First of all: the producer was told what it goes on with when the end was decided, also of another id.
    if transaction.state.is_decided() {
        return Err(refusals::concurrent());
    }
    let held = transaction.producer;
    let next = if transaction.is_exhausted() {
        TransactionalProducer {
            id: fresh,
            epoch: ProducerEpoch(0),
        }
    } else {
        TransactionalProducer {
            id: held.id,
            epoch: ProducerEpoch(held.epoch.0 + 1),
        }
    };
    let Some(asking) = asking else {
        return match transaction.state {
            TransactionState::Ongoing => Ok(Taking::Fence),
            _ => Ok(Taking::Take(next, ProducerEpoch::NONE)),
        };
    };
    if asking.id != held.id && !transaction.follows(asking) {
        return Err(refusals::fenced(asking, transaction));
    }
    match transaction.state {
        TransactionState::Ongoing if asking == held => Ok(Taking::Fence),
        TransactionState::Ongoing => Err(refusals::fenced(asking, transaction)),
        _ if asking == held => Ok(Taking::Take(next, held.epoch)),
        // Fencing has used up the epochs, and the one that is left is given to nobody.
        _ if asking.epoch == transaction.last_epoch && held.epoch > LAST_EPOCH => {
            Ok(Taking::Take(next, asking.epoch))
        }
        _ if asking.epoch == transaction.last_epoch => Ok(Taking::Retake),
        _ => Err(refusals::fenced(asking, transaction)),
    }
}
