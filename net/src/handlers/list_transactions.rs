//! ListTransactions (66), versions 0-2: the transactional ids of all shards, or of the one that was asked at its own address. KIP-664, KIP-994 (1: duration), KIP-1152 (2: pattern).

use futures_util::stream::{self, StreamExt};
use tautline_core::error::ErrorCode;
use tautline_core::ids::ProducerId;
use tautline_replica::transactions::{
    ListTransactions, Pattern, TransactionCoordinator, TransactionListing, TransactionRequest,
    TransactionState,
};

use super::transactional::{COORDINATORS_AT_A_TIME, told};
use crate::connection::{Call, Reply};
use crate::coordinator::Hosted;
use crate::wire::{ListTransactionsRequest, ListTransactionsResponse, ListedTransaction, WireError};

/// Lists the transactions; an error where not all of them can be told.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: ListTransactionsRequest<'_> = call.decode()?;
    let unknown = request
        .state_filters
        .iter()
        .filter(|name| TransactionState::from_name(name).is_none());
    let unknown_state_filters = unknown.cloned().collect();
    let listed = match filter(&request) {
        Ok(filter) => list(&call, filter).await,
        Err(error) => Err(error),
    };
    let error = listed.as_ref().err().copied().unwrap_or(ErrorCode::None);
    let transactions = listed.unwrap_or_default();
    let states = transactions.iter().map(|listed| ListedTransaction {
        transactional_id: (&*listed.transactional_id).into(),
        producer_id: listed.producer_id.0,
        transaction_state: listed.state.name().into(),
    });
    Ok(call.reply(&ListTransactionsResponse {
        error_code: error.code(),
        unknown_state_filters,
        transaction_states: states.collect(),
        ..Default::default()
    }))
}

/// Whose filters are left empty takes all; who names states that there are not takes none by them.
fn filter(request: &ListTransactionsRequest<'_>) -> Result<ListTransactions, ErrorCode> {
    let states = request.state_filters.iter();
    let states = states
        .filter_map(|name| TransactionState::from_name(name))
        .collect();
    let ids = request.producer_id_filters.iter().map(|&id| ProducerId(id));
    let pattern = request.transactional_id_pattern.as_deref();
    let pattern = pattern.filter(|pattern| !pattern.is_empty()).map(Pattern::new);
    Ok(ListTransactions {
        states: (!request.state_filters.is_empty()).then_some(states),
        producer_ids: (!request.producer_id_filters.is_empty()).then(|| ids.collect()),
        longer_than_ms: (request.duration_filter >= 0).then_some(request.duration_filter),
        pattern: pattern.transpose().map_err(|refusal| refusal.code)?,
    })
}

async fn list(call: &Call, filter: ListTransactions) -> Result<Vec<TransactionListing>, ErrorCode> {
    let image = call.broker.image();
    let topic = image.topic(TransactionCoordinator::TOPIC.name());
    let partitions = topic.into_iter().flat_map(|topic| {
        let owner = |index| call.broker.owner(topic.id, index);
        topic
            .partitions()
            .filter(move |&index| call.answers_for(owner(index)))
    });
    let asked = partitions.map(|partition| {
        let request = TransactionRequest::ListTransactions(filter.clone());
        call.broker
            .ask_partition::<TransactionCoordinator>(partition, request)
    });
    let mut answers = stream::iter(asked).buffer_unordered(COORDINATORS_AT_A_TIME);
    let mut transactions = Vec::new();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(answer) => transactions.extend(told!(ListTransactions, answer)),
            // What has no coordinator here has no transactions here.
            Err(ErrorCode::NotCoordinator) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(transactions)
}
