//! EndTxn (26), versions 0-5: commits or aborts a transaction. KIP-98, KIP-360 (2: PRODUCER_FENCED), KIP-890 (4:
//! TRANSACTION_ABORTABLE; 5: the answer has the epoch of the next transaction).

use tautline_core::error::ErrorCode;
use tautline_core::ids::{ProducerEpoch, ProducerId};
use tautline_replica::coordinator::TransactionalProducer;
use tautline_replica::transactions::{EndTxn, TransactionRequest, TransactionResponse, TransactionVersion};

use super::transactional::{as_known, ask};
use crate::connection::{Call, Reply};
use crate::wire::{EndTxnRequest, EndTxnResponse, WireError};

/// First version that knows PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// First version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 4;

/// Decides the transaction; its markers are written after the answer.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: EndTxnRequest<'_> = call.decode()?;
    Ok(call.reply(&match end(&call, &request).await {
        Ok(producer) => EndTxnResponse {
            producer_id: producer.id.0,
            producer_epoch: producer.epoch.0,
            ..Default::default()
        },
        Err(code) => EndTxnResponse {
            error_code: as_known(&call, code, FENCED_FROM, ABORTABLE_FROM).code(),
            ..Default::default()
        },
    }))
}

/// Gives what the producer goes on with.
async fn end(call: &Call, request: &EndTxnRequest<'_>) -> Result<TransactionalProducer, ErrorCode> {
    let producer = TransactionalProducer {
        id: ProducerId(request.producer_id),
        epoch: ProducerEpoch(request.producer_epoch),
    };
    let transaction_version = TransactionVersion::of_end_txn(call.version);
    let fresh_producer_id = if EndTxn::needs_fresh_producer_id(producer, transaction_version) {
        let fresh = call.broker.next_producer_id().await;
        Some(fresh.map_err(|refusal| refusal.code)?)
    } else {
        None
    };
    let asked = EndTxn {
        transactional_id: (&*request.transactional_id).into(),
        producer,
        committed: request.committed,
        transaction_version,
        fresh_producer_id,
    };
    match ask(call, &request.transactional_id, TransactionRequest::EndTxn(asked)).await? {
        TransactionResponse::EndTxn {
            result,
            unused_producer_id,
        } => {
            if let Some(id) = unused_producer_id {
                call.broker.give_back_producer_id(id);
            }
            result.map_err(|refusal| refusal.code)
        }
        other => unreachable!("a request of one kind was answered with {other:?}"),
    }
}
