//! AddPartitionsToTxn (24), versions 0-5: partitions that a transaction will write to. KIP-98, KIP-360 (2: PRODUCER_FENCED),
//! KIP-890 (4: many transactions, and the question of brokers whether partitions belong to them; 5: TRANSACTION_ABORTABLE).
//!
//! If one partition of a transaction does not exist, none is added: the others are OPERATION_NOT_ATTEMPTED.

use std::collections::HashSet;

use futures_util::stream::{self, StreamExt};
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use tautline_replica::coordinator::TransactionalProducer;
use tautline_replica::transactions::{
    AddPartitionsToTxn, TopicPartition, TransactionRequest, TransactionVersion,
};

use super::transactional::{COORDINATORS_AT_A_TIME, as_known, ask, told};
use crate::connection::{Call, Reply};
use crate::wire::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnResult, AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
    AddPartitionsToTxnTransaction, WireError,
};

/// First version with many transactions.
const BATCHED_FROM: i16 = 4;
/// First version that knows PRODUCER_FENCED.
const FENCED_FROM: i16 = 2;
/// First version that knows TRANSACTION_ABORTABLE.
const ABORTABLE_FROM: i16 = 5;

/// The results of a topic.
type TopicResults<'a> = Vec<AddPartitionsToTxnTopicResult<'a>>;

/// Adds the partitions, or says which are missing.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let mut request: AddPartitionsToTxnRequest<'_> = call.decode()?;
    if call.version < BATCHED_FROM {
        let transaction = AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: std::mem::take(&mut request.v3_and_below_topics),
        };
        return Ok(call.reply(&AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below: add(&call, &transaction).await,
            ..Default::default()
        }));
    }
    let results: Vec<_> = stream::iter(&request.transactions)
        .map(|transaction| async {
            AddPartitionsToTxnResult {
                transactional_id: transaction.transactional_id.clone(),
                topic_results: add(&call, transaction).await,
            }
        })
        .buffered(COORDINATORS_AT_A_TIME)
        .collect()
        .await;
    Ok(call.reply(&AddPartitionsToTxnResponse {
        results_by_transaction: results,
        ..Default::default()
    }))
}

async fn add<'a>(call: &Call, transaction: &AddPartitionsToTxnTransaction<'a>) -> TopicResults<'a> {
    let topics = &transaction.topics;
    if transaction.transactional_id.is_empty() {
        return results(topics, |_, _| ErrorCode::InvalidRequest);
    }
    let mut partitions: Vec<TopicPartition> = Vec::new();
    let mut complete = true;
    for topic in topics {
        match call.broker.find_topic(&topic.name, TopicId::ZERO) {
            Some(found) => {
                let indexes = topic.partitions.iter().map(|&index| PartitionIndex(index));
                let before = partitions.len();
                partitions.extend(
                    indexes
                        .filter(|&index| found.has_partition(index))
                        .map(|index| (found.name.clone(), index)),
                );
                complete &= partitions.len() - before == topic.partitions.len();
            }
            None => complete = false,
        }
    }
    if !complete {
        return results(topics, |name, index| {
            let found = call.broker.find_topic(name, TopicId::ZERO);
            if found.is_some_and(|topic| topic.has_partition(index)) {
                ErrorCode::OperationNotAttempted
            } else {
                ErrorCode::UnknownTopicOrPartition
            }
        });
    }
    let asked = AddPartitionsToTxn {
        transactional_id: (&*transaction.transactional_id).into(),
        producer: TransactionalProducer {
            id: ProducerId(transaction.producer_id),
            epoch: ProducerEpoch(transaction.producer_epoch),
        },
        partitions,
        verify_only: transaction.verify_only,
        transaction_version: TransactionVersion::of_add_partitions_to_txn(call.version),
    };
    let asked = TransactionRequest::AddPartitionsToTxn(asked);
    let answer = match ask(call, &transaction.transactional_id, asked).await {
        Ok(answer) => told!(AddPartitionsToTxn, answer).map_err(|refusal| refusal.code),
        Err(code) => Err(code),
    };
    match answer {
        Ok(missing) => {
            let missing: HashSet<(&str, PartitionIndex)> =
                missing.iter().map(|(name, index)| (&**name, *index)).collect();
            results(topics, |name, index| {
                if missing.contains(&(name, index)) {
                    ErrorCode::TransactionAbortable
                } else {
                    ErrorCode::None
                }
            })
        }
        Err(code) => {
            let code = as_known(call, code, FENCED_FROM, ABORTABLE_FROM);
            results(topics, |_, _| code)
        }
    }
}

fn results<'a>(
    topics: &[AddPartitionsToTxnTopic<'a>],
    result: impl Fn(&str, PartitionIndex) -> ErrorCode,
) -> TopicResults<'a> {
    let of_topic = |topic: &AddPartitionsToTxnTopic<'a>| {
        let partitions = topic
            .partitions
            .iter()
            .map(|&index| AddPartitionsToTxnPartitionResult {
                partition_index: index,
                partition_error_code: result(&topic.name, PartitionIndex(index)).code(),
            });
        AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition: partitions.collect(),
        }
    };
    topics.iter().map(of_topic).collect()
}
