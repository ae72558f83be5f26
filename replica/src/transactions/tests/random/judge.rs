//! What must hold of a coordinator's answers and log, whatever it was asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tautline_core::ids::ProducerId;

use crate::coordinator::{CoordinatorBatch, TransactionalProducer};
use crate::transactions::TransactionState::{
    self, CompleteAbort, CompleteCommit, Empty, Ongoing, PrepareAbort, PrepareCommit,
};
use crate::transactions::record::{read_key, read_value};
use crate::transactions::transaction::Transaction;
use crate::transactions::{TransactionRequest, TransactionResponse};

/// Who was told that it holds a transactional id.
#[derive(Debug)]
struct Grant {
    /// Batches of the log that it rests on.
    batches: usize,
    id: Arc<str>,
    producer: TransactionalProducer,
}

/// Watches one coordinator and those that take its place.
#[derive(Debug, Default)]
pub(super) struct Judge {
    grants: Vec<Grant>,
}

impl Judge {
    /// A log was cut to this many batches: what rests on more was told to nobody.
    pub fn cut(&mut self, batches: usize) {
        self.grants.retain(|grant| grant.batches <= batches);
    }

    /// What was granted before the first step.
    pub fn seed(&mut self, id: &str, producer: TransactionalProducer) {
        self.grants.push(Grant {
            batches: 0,
            id: Arc::from(id),
            producer,
        });
    }

    fn last_grant(&self, id: &str) -> Option<TransactionalProducer> {
        let mut of_id = self.grants.iter().rev().filter(|grant| &*grant.id == id);
        Some(of_id.next()?.producer)
    }

    /// A request that has decided a transaction.
    pub fn decides(&self, request: &TransactionRequest) {
        let (id, asking) = match request {
            TransactionRequest::InitProducerId(request) => (&request.transactional_id, request.current),
            TransactionRequest::EndTxn(request) => (&request.transactional_id, Some(request.producer)),
            _ => return,
        };
        if asking.is_some() {
            assert_eq!(
                asking,
                self.last_grant(id),
                "an old epoch ends a newer transaction"
            );
        }
    }

    /// An answer, with the number of batches before the step and after it.
    pub fn answer(
        &mut self,
        request: &TransactionRequest,
        response: &TransactionResponse,
        before: usize,
        after: usize,
    ) {
        match (request, response) {
            (
                TransactionRequest::InitProducerId(request),
                TransactionResponse::InitProducerId { result, .. },
            ) => {
                if let Ok(producer) = result {
                    self.grant(&request.transactional_id, *producer, after);
                }
            }
            (
                TransactionRequest::AddPartitionsToTxn(request),
                TransactionResponse::AddPartitionsToTxn(result),
            ) => {
                if result.is_ok() {
                    let holder = self.last_grant(&request.transactional_id);
                    assert_eq!(Some(request.producer), holder, "an old epoch adds partitions");
                }
            }
            (TransactionRequest::EndTxn(request), TransactionResponse::EndTxn { result, .. }) => {
                assert!(result.is_ok() || before == after, "a refusal changes nothing");
                if let Ok(producer) = result {
                    self.grant(&request.transactional_id, *producer, after);
                }
            }
            (_, response) => assert_eq!(*response, TransactionResponse::MarkersWritten),
        }
    }

    /// Epochs never go back, and a producer id that was left or is another's is not taken up again.
    fn grant(&mut self, id: &Arc<str>, producer: TransactionalProducer, batches: usize) {
        match self.last_grant(id) {
            Some(last) if last.id == producer.id => {
                assert!(
                    producer.epoch >= last.epoch,
                    "the epoch of {id} goes back from {last:?} to {producer:?}"
                );
            }
            _ => {
                let known = self.grants.iter().any(|grant| grant.producer.id == producer.id);
                assert!(!known, "{id} takes up producer id {} again", producer.id);
            }
        }
        assert!(producer.epoch.0 < i16::MAX, "the epoch that fences is given out");
        self.grants.push(Grant {
            batches,
            id: id.clone(),
            producer,
        });
    }
}

/// A log in which each transaction is decided once.
pub(super) fn check_log(log: &[CoordinatorBatch]) {
    let mut now: BTreeMap<Arc<str>, Transaction> = BTreeMap::new();
    let mut left: BTreeSet<ProducerId> = BTreeSet::new();
    for record in log.iter().flat_map(|batch| &batch.records) {
        let id = read_key(&record.key).expect("a key");
        let Some(value) = &record.value else {
            let expired = now.remove(&id).expect("it was there");
            assert!(matches!(expired.state, Empty | CompleteCommit | CompleteAbort));
            left.insert(expired.producer.id);
            continue;
        };
        let next = read_value(value).expect("a value");
        assert!(
            !left.contains(&next.producer.id),
            "an id that was left is taken up again"
        );
        if let Some(last) = now.get(&id) {
            check_follows(last, &next);
            if last.producer.id != next.producer.id {
                left.insert(last.producer.id);
            }
        }
        now.insert(id, next);
    }
}

fn check_follows(last: &Transaction, next: &Transaction) {
    let without_partitions = last.state != Ongoing || last.partitions.is_empty();
    let legal: &[TransactionState] = match last.state {
        PrepareCommit => &[CompleteCommit],
        PrepareAbort => &[CompleteAbort],
        Ongoing if without_partitions => &[Ongoing, CompleteCommit, CompleteAbort],
        Ongoing => &[Ongoing, PrepareCommit, PrepareAbort],
        _ => &[Empty, Ongoing, CompleteAbort],
    };
    assert!(legal.contains(&next.state), "{next:?} after {last:?}");
    if last.producer.id == next.producer.id {
        assert!(
            next.producer.epoch >= last.producer.epoch,
            "{next:?} after {last:?}"
        );
    } else {
        assert_eq!(next.producer.epoch.0, 0, "{next:?} after {last:?}");
    }
    if next.state == Ongoing && last.state == Ongoing {
        let all = last
            .partitions
            .iter()
            .all(|partition| next.partitions.contains(&partition));
        assert!(all && next.producer == last.producer && next.start == last.start);
    }
    if next.state.is_decided() {
        assert_eq!(next.partitions, last.partitions, "markers for all partitions");
    }
}
