//! DescribeTransactions (65), version 0: transactional ids as administrators see them. KIP-664.

use futures_util::stream::{self, StreamExt};
use tautline_core::error::ErrorCode;
use tautline_replica::transactions::{TopicPartition, TransactionDescription, TransactionRequest};

use super::transactional::{COORDINATORS_AT_A_TIME, ask, told};
use crate::connection::{Call, Reply};
use crate::wire::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, DescribedTransaction,
    DescribedTransactionTopic, Str, WireError,
};

/// Describes the transactions.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DescribeTransactionsRequest<'_> = call.decode()?;
    let described: Vec<_> = stream::iter(&request.transactional_ids)
        .map(|id| describe(&call, id))
        .buffered(COORDINATORS_AT_A_TIME)
        .collect()
        .await;
    let transactions = request.transactional_ids.iter().zip(&described);
    Ok(call.reply(&DescribeTransactionsResponse {
        transaction_states: transactions
            .map(|(id, described)| of_transaction(id, described))
            .collect(),
        ..Default::default()
    }))
}

async fn describe(call: &Call, transactional_id: &str) -> Result<TransactionDescription, ErrorCode> {
    let request = TransactionRequest::DescribeTransactions {
        transactional_id: transactional_id.into(),
    };
    let answer = ask(call, transactional_id, request).await?;
    told!(DescribeTransactions, answer).map_err(|refusal| refusal.code)
}

fn of_transaction<'a>(
    transactional_id: &Str<'a>,
    described: &'a Result<TransactionDescription, ErrorCode>,
) -> DescribedTransaction<'a> {
    match described {
        Ok(described) => DescribedTransaction {
            transactional_id: transactional_id.clone(),
            transaction_state: described.state.name().into(),
            transaction_timeout_ms: described.timeout_ms,
            transaction_start_time_ms: described.start_ms,
            producer_id: described.producer.id.0,
            producer_epoch: described.producer.epoch.0,
            topics: topics(&described.partitions),
            ..Default::default()
        },
        Err(error) => DescribedTransaction {
            error_code: error.code(),
            transactional_id: transactional_id.clone(),
            ..Default::default()
        },
    }
}

/// The partitions, which come in order of topics, by topic.
fn topics(partitions: &[TopicPartition]) -> Vec<DescribedTransactionTopic<'_>> {
    let of_topic = |partitions: &'_ [TopicPartition]| partitions.iter().map(|(_, index)| index.0).collect();
    partitions
        .chunk_by(|(one, _), (other, _)| one == other)
        .map(|partitions| DescribedTransactionTopic {
            topic: (&*partitions[0].0).into(),
            partitions: of_topic(partitions),
        })
        .collect()
}
