//! InitProducerId (22), versions 0-5: an id and an epoch for idempotent and transactional producers. KIP-98, KIP-360 (a producer
//! goes on with what it has, from 3 on), KIP-890.
//!
//! Ids come from blocks that the controller records in the metadata log before they are used, so that none is ever given
//! out twice.

use tautline_core::error::ErrorCode;
use tautline_core::ids::{ProducerEpoch, ProducerId};
use tautline_replica::coordinator::TransactionalProducer;
use tautline_replica::transactions::{InitProducerId, TransactionRequest, TransactionResponse};

use super::transactional::{as_known, ask};
use crate::connection::{Call, Reply};
use crate::wire::{InitProducerIdRequest, InitProducerIdResponse, WireError};

/// First version that knows PRODUCER_FENCED.
const FENCED_FROM: i16 = 4;
/// First version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 5;

/// Gives a producer its id and epoch; with a transactional id, whoever held that is fenced.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: InitProducerIdRequest<'_> = call.decode()?;
    let taken = match request.transactional_id.as_deref() {
        Some("") => Err(ErrorCode::InvalidRequest),
        Some(id) => take(&call, id, &request).await,
        None => new(&call).await,
    };
    Ok(call.reply(&match taken {
        Ok(producer) => InitProducerIdResponse {
            producer_id: producer.id.0,
            producer_epoch: producer.epoch.0,
            ..Default::default()
        },
        Err(code) => InitProducerIdResponse {
            error_code: as_known(&call, code, FENCED_FROM, ABORTABLE_FROM).code(),
            producer_epoch: -1,
            ..Default::default()
        },
    }))
}

/// An idempotent producer's.
async fn new(call: &Call) -> Result<TransactionalProducer, ErrorCode> {
    let id = call.broker.next_producer_id().await;
    Ok(TransactionalProducer {
        id: id.map_err(|refusal| refusal.code)?,
        epoch: ProducerEpoch(0),
    })
}

async fn take(
    call: &Call,
    transactional_id: &str,
    request: &InitProducerIdRequest<'_>,
) -> Result<TransactionalProducer, ErrorCode> {
    let current = match (request.producer_id, request.producer_epoch) {
        (-1, -1) => None,
        (-1, _) | (_, -1) => return Err(ErrorCode::InvalidRequest),
        (id, epoch) => Some(TransactionalProducer {
            id: ProducerId(id),
            epoch: ProducerEpoch(epoch),
        }),
    };
    let fresh = new(call).await?;
    let asked = InitProducerId {
        transactional_id: transactional_id.into(),
        timeout_ms: request.transaction_timeout_ms,
        current,
        fresh_producer_id: fresh.id,
    };
    match ask(call, transactional_id, TransactionRequest::InitProducerId(asked)).await? {
        TransactionResponse::InitProducerId {
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
