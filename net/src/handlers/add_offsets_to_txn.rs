//! AddOffsetsToTxn (25), versions 0-4: a transaction will commit offsets of a group, so that the group's partition of
//! `__consumer_offsets` belongs to it. KIP-98, KIP-360 (2: PRODUCER_FENCED), KIP-890 (4: TRANSACTION_ABORTABLE).

use tautline_core::error::ErrorCode;
use tautline_core::ids::{ProducerEpoch, ProducerId};
use tautline_replica::coordinator::TransactionalProducer;
use tautline_replica::transactions::{AddPartitionsToTxn, TransactionRequest, TransactionVersion};

use super::transactional::{as_known, ask, told};
use crate::connection::{Call, Reply};
use crate::coordinator::{InternalTopic, partition_of};
use crate::wire::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, WireError};

/// First version that knows PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// First version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 4;

/// Adds the group's partition.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: AddOffsetsToTxnRequest<'_> = call.decode()?;
    let error = add(&call, &request).await.err().unwrap_or(ErrorCode::None);
    Ok(call.reply(&AddOffsetsToTxnResponse {
        error_code: as_known(&call, error, FENCED_FROM, ABORTABLE_FROM).code(),
        ..Default::default()
    }))
}

async fn add(call: &Call, request: &AddOffsetsToTxnRequest<'_>) -> Result<(), ErrorCode> {
    let offsets = InternalTopic::ConsumerOffsets;
    // The group may not have been looked for yet.
    call.broker.ensure_internal_topic(offsets).await?;
    let image = call.broker.image();
    let topic = image
        .topic(offsets.name())
        .ok_or(ErrorCode::CoordinatorNotAvailable)?;
    let partition = partition_of(&request.group_id, topic.partition_count);
    let asked = AddPartitionsToTxn {
        transactional_id: (&*request.transactional_id).into(),
        producer: TransactionalProducer {
            id: ProducerId(request.producer_id),
            epoch: ProducerEpoch(request.producer_epoch),
        },
        partitions: vec![(topic.name.clone(), partition)],
        verify_only: false,
        transaction_version: TransactionVersion::of_add_offsets_to_txn(call.version),
    };
    let asked = TransactionRequest::AddPartitionsToTxn(asked);
    let answer = ask(call, &request.transactional_id, asked).await?;
    told!(AddPartitionsToTxn, answer)
        .map(drop)
        .map_err(|refusal| refusal.code)
}
