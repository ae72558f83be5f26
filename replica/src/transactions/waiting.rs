//! Requests that wait for a transaction to be complete. Kafka sends them back with CONCURRENT_TRANSACTIONS, and clients ask again
//! 20 ms later at the earliest; markers are mostly written in less, so here the question is kept for a while and asked again when
//! the transaction is complete, as if it had been that long on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tautline_core::error::ErrorCode;

use crate::coordinator::{Now, Token};

use super::coordinator::{Decided, TransactionCoordinator, refused};
use super::limits::WAITING_MAX;
use super::refusals;
use super::{TransactionRequest, TransactionResponse, TransactionState};

#[derive(Debug)]
struct Waiter {
    id: Arc<str>,
    /// When it is sent back after all.
    due_ms: i64,
    request: TransactionRequest,
}

/// Who waits, by transactional id and by time.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    waiters: BTreeMap<Token, Waiter>,
    /// In the order they came.
    of_id: BTreeMap<Arc<str>, Vec<Token>>,
    due: BTreeSet<(i64, Token)>,
}

impl Waiting {
    pub fn deadline_ms(&self) -> Option<i64> {
        self.due.first().map(|(due_ms, _)| *due_ms)
    }

    fn push(&mut self, token: Token, waiter: Waiter) {
        self.due.insert((waiter.due_ms, token));
        self.of_id.entry(waiter.id.clone()).or_default().push(token);
        self.waiters.insert(token, waiter);
    }

    fn remove(&mut self, token: Token) -> Option<Waiter> {
        let waiter = self.waiters.remove(&token)?;
        self.due.remove(&(waiter.due_ms, token));
        if let Some(tokens) = self.of_id.get_mut(&waiter.id) {
            tokens.retain(|of| *of != token);
            if tokens.is_empty() {
                self.of_id.remove(&waiter.id);
            }
        }
        Some(waiter)
    }

    fn first_due(&self, now_ms: i64) -> Option<Token> {
        let (due_ms, token) = self.due.first()?;
        (*due_ms <= now_ms).then_some(*token)
    }
}

impl TransactionCoordinator {
    /// Answers a request, or keeps it until `due_ms` if it meets a transaction that is being completed.
    pub(super) fn answer_or_wait(
        &mut self,
        now: Now<'_>,
        token: Token,
        request: TransactionRequest,
        due_ms: i64,
        decided: &mut Decided,
    ) {
        let room = self.waiting.waiters.len() < WAITING_MAX;
        let waiter = self
            .may_wait(&request)
            .filter(|_| room && due_ms > now.monotonic_ms)
            .map(|id| Waiter {
                id: id.clone(),
                due_ms,
                request: request.clone(),
            });
        let response = self.answer(now, request, decided);
        match waiter {
            Some(waiter) if is_concurrent(&response) => self.waiting.push(token, waiter),
            _ => decided.replies.push((token, response)),
        }
    }

    /// The transactional id of a request that may be answered CONCURRENT_TRANSACTIONS.
    fn may_wait<'a>(&self, request: &'a TransactionRequest) -> Option<&'a Arc<str>> {
        let (id, fences) = match request {
            TransactionRequest::InitProducerId(request) => (&request.transactional_id, true),
            TransactionRequest::AddPartitionsToTxn(request) => (&request.transactional_id, false),
            TransactionRequest::EndTxn(request) => (&request.transactional_id, false),
            _ => return None,
        };
        let state = self.transaction(id)?.state;
        (state.is_decided() || fences && state == TransactionState::Ongoing).then_some(id)
    }

    /// Asks again for those who wait, if the transaction is complete.
    pub(super) fn ask_again(&mut self, now: Now<'_>, id: &str, decided: &mut Decided) {
        if self
            .transaction(id)
            .is_some_and(|transaction| transaction.state.is_decided())
        {
            return;
        }
        for token in self.waiting.of_id.get(id).cloned().unwrap_or_default() {
            if let Some(waiter) = self.waiting.remove(token) {
                self.answer_or_wait(now, token, waiter.request, waiter.due_ms, decided);
            }
        }
    }

    /// Sends back those who have waited long enough.
    pub(super) fn send_back(&mut self, now: Now<'_>, decided: &mut Decided) {
        while let Some(token) = self.waiting.first_due(now.monotonic_ms) {
            if let Some(waiter) = self.waiting.remove(token) {
                let response = refused(waiter.request, refusals::concurrent());
                decided.replies.push((token, response));
            }
        }
    }

    /// Nobody waits for it any more.
    pub(super) fn forget_waiter(&mut self, token: Token) {
        self.waiting.remove(token);
    }
}

fn is_concurrent(response: &TransactionResponse) -> bool {
    let refusal = match response {
        TransactionResponse::InitProducerId { result, .. } | TransactionResponse::EndTxn { result, .. } => {
            result.as_ref().err()
        }
        TransactionResponse::AddPartitionsToTxn(result) => result.as_ref().err(),
        _ => None,
    };
    refusal.is_some_and(|refusal| refusal.code == ErrorCode::ConcurrentTransactions)
}
