//! Batches that are part of a transaction: appended once the transaction's coordinator says that the partition belongs to it.

use futures_util::FutureExt;
use futures_util::future::{LocalBoxFuture, ready};
use tautline_core::error::ErrorCode;
use tautline_core::ids::PartitionIndex;
use tautline_replica::metadata::TopicImage;
use tautline_store::TransactionVersion;

use super::Outcome;
use super::check::Refusal;
use crate::broker::InTransaction;
use crate::connection::Call;
use crate::coordinator::Adding;
use crate::wire::ProduceRequest;

/// First version of clients whose transactions have an epoch each.
const FIRST_OF_TRANSACTION_V2: i16 = 12;
/// First version of clients that know TRANSACTION_ABORTABLE.
const FIRST_WITH_ABORTABLE: i16 = 11;

/// Appends a checked batch that is part of a transaction.
pub(super) fn start_in_transaction(
    call: &Call,
    request: &ProduceRequest<'_>,
    topic: &TopicImage,
    index: PartitionIndex,
    bytes: &[u8],
    max_timestamp_ms: i64,
) -> LocalBoxFuture<'static, Outcome> {
    // As in Kafka: who does not say whose transaction it is may not write in it.
    let Some(transactional_id) = request.transactional_id.as_deref() else {
        return ready(Err(ErrorCode::TransactionalIdAuthorizationFailed.into())).boxed_local();
    };
    if request.acks != -1 {
        return ready(Err(ErrorCode::InvalidRequiredAcks.into())).boxed_local();
    }
    let version = if call.version >= FIRST_OF_TRANSACTION_V2 {
        TransactionVersion::V2
    } else {
        TransactionVersion::V1
    };
    let adding = Adding {
        transactional_id: transactional_id.into(),
        partition: (topic.name.clone(), index),
        version,
        knows_abortable: call.version >= FIRST_WITH_ABORTABLE,
    };
    let (batch, topic_id) = (call.slice_of(bytes), topic.id);
    let owner = call.broker.owner(topic_id, index);
    let appended = call.broker.on_shard(owner, move |broker| {
        let partition = match broker.find_partition(topic_id, index) {
            Ok(partition) => partition,
            Err(error) => return ready(Err(error)).right_future(),
        };
        let verify = move |id, epoch| {
            let adding = adding.clone();
            broker.clone().add_to_transaction(adding, id, epoch).boxed_local()
        };
        let batch = InTransaction {
            batch,
            max_timestamp_ms,
            version,
            verify: Box::new(verify),
        };
        partition.produce_in_transaction(batch).left_future()
    });
    appended.map(|result| result.map_err(unverified)).boxed_local()
}

/// Why a batch of a transaction was refused: what clients do not try again, although they could, is NOT_ENOUGH_REPLICAS to them,
/// which they do (KIP-890).
fn unverified(code: ErrorCode) -> Refusal {
    match code {
        ErrorCode::ConcurrentTransactions
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => {
            let message =
                format!("it can't be verified now that the partition belongs to the transaction: {code}");
            Refusal::new(ErrorCode::NotEnoughReplicas, message)
        }
        ErrorCode::InvalidTxnState => {
            let message = "the partition does not belong to the transaction";
            Refusal::new(code, message.to_owned())
        }
        code => code.into(),
    }
}
