//! EndTxn: the producer commits or aborts.
//!
//! Clients of versions 0 and 1 keep their epoch over transactions. With version 2 (KIP-890) the end bumps it, so that a request
//! with the epoch of the state is about the *next* end, and one with the epoch before is a retry of the last:
//!
//! | state          | commit, retry | commit, current | abort, retry | abort, current |
//! |----------------|---------------|-----------------|--------------|----------------|
//! | Empty          | fenced        | INVALID_STATE   | fenced       | ends at once   |
//! | Ongoing        | fenced        | decides         | fenced       | decides        |
//! | PrepareCommit  | CONCURRENT    | CONCURRENT      | CONCURRENT   | CONCURRENT     |
//! | PrepareAbort   | CONCURRENT    | CONCURRENT      | CONCURRENT   | CONCURRENT     |
//! | CompleteCommit | done          | INVALID_STATE   | INVALID_STATE | ends at once  |
//! | CompleteAbort  | INVALID_STATE | INVALID_STATE   | done         | ends at once   |

use tautline_core::error::ErrorCode;
use tautline_core::ids::ProducerId;

use crate::Refusal;
use crate::coordinator::{Now, TransactionalProducer};

use super::coordinator::{Decided, TransactionCoordinator};
use super::refusals;
use super::transaction::Transaction;
use super::{EndTxn, LAST_EPOCH, TransactionResponse, TransactionState};

/// What a request to end comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// It decides.
    Decide,
    /// It was done before.
    Done,
}

impl TransactionCoordinator {
    pub(super) fn end(
        &mut self,
        now: Now<'_>,
        request: &EndTxn,
        decided: &mut Decided,
    ) -> TransactionResponse {
        let result = self.decide(now, request, decided);
        let used = |fresh: &ProducerId| result.as_ref().is_ok_and(|producer| producer.id == *fresh);
        let unused_producer_id = request.fresh_producer_id.filter(|fresh| !used(fresh));
        TransactionResponse::EndTxn {
            result,
            unused_producer_id,
        }
    }

    fn decide(
        &mut self,
        now: Now<'_>,
        request: &EndTxn,
        decided: &mut Decided,
    ) -> Result<TransactionalProducer, Refusal> {
        let id = &request.transactional_id;
        let transaction = self
            .transaction(id)
            .ok_or_else(|| refusals::unmapped(request.producer))?;
        let ending = if request.transaction_version.bumps_epoch() {
            judge_bumping(transaction, request)?
        } else {
            judge(transaction, request)?
        };
        let next_id = match ending {
            Ending::Decide if request.transaction_version.bumps_epoch() && transaction.is_exhausted() => {
                fresh(request)?
            }
            Ending::Decide => ProducerId::NONE,
            // The transaction was aborted with the epoch that is given to nobody: only now is there an id to go on with.
            Ending::Done if transaction.producer.epoch > LAST_EPOCH => {
                let fresh = fresh(request)?;
                return self.change(id, decided, |transaction| {
                    transaction.rotate(fresh, now.moment());
                    Ok(transaction.producer)
                });
            }
            Ending::Done => return Ok(transaction.producer),
        };
        self.change(id, decided, |transaction| {
            transaction.decide(
                request.committed,
                request.transaction_version,
                next_id,
                now.moment(),
            );
        });
        // A transaction without partitions is complete by now, and what is told is the same.
        Ok(self.transaction(id).map_or(request.producer, Transaction::told))
    }
}

/// The id to go on with. A handler that brought none asks again.
fn fresh(request: &EndTxn) -> Result<ProducerId, Refusal> {
    request.fresh_producer_id.ok_or_else(|| {
        Refusal::new(
            ErrorCode::CoordinatorNotAvailable,
            "the epochs are used up and there is no new producer id yet",
        )
    })
}

/// Versions 0 and 1.
fn judge(transaction: &Transaction, request: &EndTxn) -> Result<Ending, Refusal> {
    let asking = request.producer;
    if asking.id != transaction.producer.id {
        return Err(refusals::unmapped(asking));
    }
    if asking != transaction.producer || asking.epoch > LAST_EPOCH {
        return Err(refusals::fenced(asking, transaction));
    }
    match (transaction.state, request.committed) {
        (TransactionState::Ongoing, _) => Ok(Ending::Decide),
        (state, committed) => judge_again(state, committed),
    }
}

/// Version 2.
fn judge_bumping(transaction: &Transaction, request: &EndTxn) -> Result<Ending, Refusal> {
    // First of all: the producer was told what it goes on with when the end was decided, also of another id, and may ask for the
    // next end before this one is complete.
    if transaction.state.is_decided() {
        return Err(refusals::concurrent());
    }
    let (asking, held) = (request.producer, transaction.producer);
    let rotated = transaction.follows(asking);
    if asking.id != held.id && !rotated {
        return Err(refusals::unmapped(asking));
    }
    let current = asking == held && asking.epoch <= LAST_EPOCH;
    // Also of the next epoch it has to be known that an end has bumped it: a new producer's is no answer to the old one.
    let again = asking.epoch == transaction.last_epoch
        && (rotated || asking.epoch.0.checked_add(1) == Some(held.epoch.0));
    match (transaction.state, request.committed) {
        (TransactionState::Ongoing, _) | (_, false) if current => Ok(Ending::Decide),
        (state, true) if current => Err(refusals::bad_state(state, true)),
        (TransactionState::Empty | TransactionState::Ongoing, _) => {
            Err(refusals::fenced(asking, transaction))
        }
        (state, committed) if again => judge_again(state, committed),
        _ => Err(refusals::fenced(asking, transaction)),
    }
}

/// The end is asked for again.
fn judge_again(state: TransactionState, committed: bool) -> Result<Ending, Refusal> {
    match (state, committed) {
        (TransactionState::CompleteCommit, true) | (TransactionState::CompleteAbort, false) => {
            Ok(Ending::Done)
        }
        (TransactionState::PrepareCommit, true) | (TransactionState::PrepareAbort, false) => {
            Err(refusals::concurrent())
        }
        (state, committed) => Err(refusals::bad_state(state, committed)),
    }
}
