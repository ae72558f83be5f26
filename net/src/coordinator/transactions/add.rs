//! A partition's question before the first record of a transaction: does it belong to the transaction, or with producers of
//! version 2, is it to be added (KIP-890). The partitions of a shard to which one Produce request writes ask together: the
//! coordinator decides once, and writes one record. A partition of another shard may come too late, and then asks with the next.

use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

use futures_channel::oneshot;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{ProducerEpoch, ProducerId};
use tautline_core::task::{Queue, spawn};
use tautline_replica::coordinator::TransactionalProducer;
use tautline_replica::transactions::{
    AddPartitionsToTxn, TopicPartition, TransactionCoordinator, TransactionRequest, TransactionResponse,
    TransactionVersion as Rules,
};
use tautline_store::TransactionVersion;

use super::Transactions;
use crate::broker::Broker;

/// Whose records are to be written where, and what the client that sends them knows.
#[derive(Clone, Debug)]
pub struct Adding {
    /// The transaction's id.
    pub transactional_id: Arc<str>,
    /// The partition.
    pub partition: TopicPartition,
    /// With version 2 the partition is added to the transaction; else it has to be part of it.
    pub version: TransactionVersion,
    /// Whether the client knows TRANSACTION_ABORTABLE.
    pub knows_abortable: bool,
}

/// What partitions ask together; only one such question is under way at a time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    transactional_id: Arc<str>,
    producer: TransactionalProducer,
    adds: bool,
}

/// A partition that asks.
pub(super) struct Asking {
    partition: TopicPartition,
    answer: oneshot::Sender<Result<(), ErrorCode>>,
}

impl Broker {
    /// Asks the transaction's coordinator whether the partition belongs to it, or adds it; together with those for which this is
    /// called before the tasks that are ready now have run.
    ///
    /// # Errors
    /// As the client knows them: INVALID_TXN_STATE or TRANSACTION_ABORTABLE if it does not belong to it, INVALID_PRODUCER_EPOCH,
    /// INVALID_PRODUCER_ID_MAPPING, CONCURRENT_TRANSACTIONS, or why the coordinator can't be asked.
    pub async fn add_to_transaction(
        self: Rc<Self>,
        adding: Adding,
        id: ProducerId,
        epoch: ProducerEpoch,
    ) -> Result<(), ErrorCode> {
        let adds = adding.version == TransactionVersion::V2;
        if !adds && !self.settings().partition_verification {
            return Ok(());
        }
        let question = Question {
            transactional_id: adding.transactional_id,
            producer: TransactionalProducer { id, epoch },
            adds,
        };
        let (sender, answer) = oneshot::channel();
        let asking = Asking {
            partition: adding.partition,
            answer: sender,
        };
        match self.transactions.questions.borrow_mut().entry(question) {
            Entry::Occupied(mut together) => together.get_mut().push(asking),
            Entry::Vacant(first) => {
                // It runs after the tasks of the request's other partitions, which were begun before.
                spawn(Queue::Produce, self.clone().ask_together(first.key().clone()));
                first.insert(vec![asking]);
            }
        }
        // Only the end of the shard drops the task.
        let answer = answer.await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable));
        answer.map_err(|refused| match refused {
            ErrorCode::ProducerFenced => ErrorCode::InvalidProducerEpoch,
            ErrorCode::TransactionAbortable if !adding.knows_abortable => ErrorCode::InvalidTxnState,
            code => code,
        })
    }

    /// Asks for all partitions that have come together, and then for those that came meanwhile, until there are none.
    async fn ask_together(self: Rc<Self>, question: Question) {
        while let Some(together) = self.transactions.next_together(&question) {
            self.ask_for(&question, together).await;
        }
    }

    async fn ask_for(self: &Rc<Self>, question: &Question, asking: Vec<Asking>) {
        let request = AddPartitionsToTxn {
            transactional_id: question.transactional_id.clone(),
            producer: question.producer,
            partitions: asking.iter().map(|one| one.partition.clone()).collect(),
            verify_only: !question.adds,
            transaction_version: if question.adds { Rules::V2 } else { Rules::V0 },
        };
        let asked = self.ask::<TransactionCoordinator>(
            &question.transactional_id,
            TransactionRequest::AddPartitionsToTxn(request),
        );
        let missing: Result<HashSet<TopicPartition>, ErrorCode> = match asked.await {
            Ok(TransactionResponse::AddPartitionsToTxn(answer)) => answer
                .map(|missing| missing.into_iter().collect())
                .map_err(|refusal| refusal.code),
            Ok(other) => unreachable!("a request of one kind was answered with {other:?}"),
            Err(unasked) => Err(unasked),
        };
        for Asking { partition, answer } in asking {
            // Who asked may be gone.
            let _ = answer.send(match &missing {
                Ok(missing) if missing.contains(&partition) => Err(ErrorCode::TransactionAbortable),
                Ok(_) => Ok(()),
                Err(refused) => Err(*refused),
            });
        }
    }
}

impl Transactions {
    /// Those who have come together; without any the question is no longer asked.
    fn next_together(&self, question: &Question) -> Option<Vec<Asking>> {
        let mut questions = self.questions.borrow_mut();
        let together = questions.get_mut(question).map(mem::take);
        let together = together.filter(|together| !together.is_empty());
        if together.is_none() {
            questions.remove(question);
        }
        together
    }
}
