//! Requests about transactions, taken to the coordinators of the transactional ids and brought back.

use tautline_core::error::ErrorCode;
use tautline_replica::transactions::{TransactionCoordinator, TransactionRequest, TransactionResponse};

use crate::connection::Call;

/// Coordinators that one request asks at a time.
pub(super) const COORDINATORS_AT_A_TIME: usize = 64;

/// Takes the answer out of what a coordinator gave: it answers each request with its own kind.
macro_rules! told {
    ($kind:ident, $answer:expr) => {
        match $answer {
            tautline_replica::transactions::TransactionResponse::$kind(told) => told,
            other => unreachable!("a request of one kind was answered with {other:?}"),
        }
    };
}
pub(super) use told;

/// Asks the coordinator of a transactional id.
///
/// # Errors
/// NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS or COORDINATOR_NOT_AVAILABLE.
pub(super) async fn ask(
    call: &Call,
    transactional_id: &str,
    request: TransactionRequest,
) -> Result<TransactionResponse, ErrorCode> {
    call.broker
        .ask::<TransactionCoordinator>(transactional_id, request)
        .await
}

/// What a client of this version is told: those before `fenced_from` know no PRODUCER_FENCED (KIP-360), those before
/// `abortable_from` no TRANSACTION_ABORTABLE (KIP-890).
pub(super) fn as_known(call: &Call, code: ErrorCode, fenced_from: i16, abortable_from: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced if call.version < fenced_from => ErrorCode::InvalidProducerEpoch,
        ErrorCode::TransactionAbortable if call.version < abortable_from => ErrorCode::InvalidTxnState,
        code => code,
    }
}
