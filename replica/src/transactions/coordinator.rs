//! The coordinator of the transactions of one partition of `__transaction_state`.
//!
//! Every decision changes the transaction at once and appends its whole state as one record; see
//! [`crate::coordinator`] for what the host does with it. All answers wait for what was appended before them, but for those that
//! only say that a request is malformed. A request that meets a transaction that is being completed waits for it, for a while.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use tautline_core::error::ErrorCode;

use crate::Refusal;
use crate::coordinator::{Coordinator, CoordinatorBatch, Decision, Now, Token, TransactionalProducer};

use crate::memory::{Charge, CoordinatorMemory};

use super::limits::{MEMORY_PER_RECORD_BYTE, TRANSACTION_MEMORY_BYTES, TRANSACTIONAL_ID_BYTES_MAX};
use super::markers::Marking;
use super::overdue::together;
use super::record;
use super::timers::Timers;
use super::transaction::Transaction;
use super::waiting::Waiting;
use super::{Effect, Instance, TransactionConfig, TransactionRequest, TransactionResponse};

/// What a step decides.
pub(super) type Decided = Decision<TransactionResponse, Effect>;

/// The coordinator of one partition. See the module for what it promises.
#[derive(Debug)]
pub struct TransactionCoordinator {
    pub(super) config: TransactionConfig,
    pub(super) instance: Instance,
    pub(super) timers: Timers,
    pub(super) waiting: Waiting,
    pub(super) marking: Marking,
    /// Ordered, so that nothing depends on the seed of a hash.
    pub(super) transactions: BTreeMap<Arc<str>, Transaction>,
    /// What they hold.
    pub(super) charge: Charge,
}

impl TransactionCoordinator {
    /// A coordinator that knows of nothing, to be replayed. It shares the memory with others.
    #[must_use]
    pub fn new(config: TransactionConfig, memory: &CoordinatorMemory) -> Self {
        Self {
            config,
            instance: Instance::default(),
            timers: Timers::new(&config),
            waiting: Waiting::default(),
            marking: Marking::default(),
            transactions: BTreeMap::new(),
            charge: Charge::new(memory, 0),
        }
    }

    /// Tells it which one it is, when the whole log is replayed and before it decides anything.
    pub const fn lead(&mut self, instance: Instance) {
        self.instance = instance;
    }

    /// Number of transactional ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Whether there is no transactional id.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    pub(super) fn transaction(&self, id: &str) -> Option<&Transaction> {
        self.transactions.get(id)
    }

    pub(super) fn transactions(&self) -> impl Iterator<Item = (&Arc<str>, &Transaction)> {
        self.transactions.iter()
    }

    /// A transactional id that was not there.
    pub(super) fn insert(&mut self, id: &Arc<str>, transaction: Transaction, decided: &mut Decided) {
        self.timers.arm(id, &transaction);
        append(id, &transaction, decided);
        self.charge.add(memory_bytes(id, &transaction));
        self.transactions.insert(id.clone(), transaction);
    }

    /// A transactional id is not there any more.
    pub(super) fn forget(&mut self, id: &Arc<str>) {
        if let Some(transaction) = self.transactions.remove(id) {
            self.timers.disarm(id, &transaction);
            self.charge.subtract(memory_bytes(id, &transaction));
        }
    }

    /// Changes a transaction that is there, appends it, and asks for markers if that has decided it.
    pub(super) fn change<T>(
        &mut self,
        id: &Arc<str>,
        decided: &mut Decided,
        change: impl FnOnce(&mut Transaction) -> T,
    ) -> T {
        let changed: Result<T, std::convert::Infallible> =
            self.change_or_refuse(id, decided, |transaction| Ok(change(transaction)));
        match changed {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// As [`change`](Self::change), of a change that may be refused and has then changed nothing.
    pub(super) fn change_or_refuse<T, E>(
        &mut self,
        id: &Arc<str>,
        decided: &mut Decided,
        change: impl FnOnce(&mut Transaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let (id, transaction) = self
            .transactions
            .range_mut::<str, _>((Bound::Included(&**id), Bound::Included(&**id)))
            .next()
            .expect("who changes a transaction has seen it");
        // With the key of the map, not the request's, so that there is one copy of each id.
        self.timers.disarm(id, transaction);
        self.charge.subtract(memory_bytes(id, transaction));
        let changed = change(transaction);
        if changed.is_ok() && transaction.state.is_decided() && transaction.partitions.is_empty() {
            // Without a marker to write it is complete as soon as it is decided, in one record.
            transaction.complete(transaction.last_update);
        }
        self.timers.arm(id, transaction);
        self.charge.add(memory_bytes(id, transaction));
        if changed.is_ok() {
            append(id, transaction, decided);
            decided
                .effects
                .extend(self.marking.ask(id, transaction, self.instance));
        }
        changed
    }

    /// What is wrong with a request, whatever the state.
    fn check(&self, request: &TransactionRequest) -> Result<(), Refusal> {
        let id = match request {
            TransactionRequest::InitProducerId(request) => &request.transactional_id,
            TransactionRequest::AddPartitionsToTxn(request) => &request.transactional_id,
            TransactionRequest::EndTxn(request) => &request.transactional_id,
            TransactionRequest::DescribeTransactions { transactional_id } => transactional_id,
            TransactionRequest::ListTransactions(_) | TransactionRequest::MarkersWritten(_) => return Ok(()),
        };
        if !(1..=TRANSACTIONAL_ID_BYTES_MAX).contains(&id.len()) {
            let message = format!(
                "a transactional id has 1 to {TRANSACTIONAL_ID_BYTES_MAX} bytes, not {}",
                id.len()
            );
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
        match request {
            TransactionRequest::InitProducerId(request) => self.check_timeout(request.timeout_ms),
            _ => Ok(()),
        }
    }

    pub(super) fn answer(
        &mut self,
        now: Now<'_>,
        request: TransactionRequest,
        decided: &mut Decided,
    ) -> TransactionResponse {
        match request {
            TransactionRequest::InitProducerId(request) => self.init_producer_id(now, request, decided),
            TransactionRequest::AddPartitionsToTxn(request) => {
                TransactionResponse::AddPartitionsToTxn(self.add_partitions(now, request, decided))
            }
            TransactionRequest::EndTxn(request) => self.end(now, &request, decided),
            TransactionRequest::DescribeTransactions { transactional_id } => {
                TransactionResponse::DescribeTransactions(self.describe(&transactional_id))
            }
            TransactionRequest::ListTransactions(filter) => {
                TransactionResponse::ListTransactions(self.list(now, &filter))
            }
            TransactionRequest::MarkersWritten(written) => {
                self.markers_written(now, &written, decided);
                TransactionResponse::MarkersWritten
            }
        }
    }
}

impl Coordinator for TransactionCoordinator {
    type Request = TransactionRequest;
    type Response = TransactionResponse;
    type Effect = Effect;

    fn step(&mut self, now: Now<'_>, token: Token, request: TransactionRequest, decided: &mut Decided) {
        if let Err(refusal) = self.check(&request) {
            decided.prompt.push((token, refused(request, refusal)));
            return;
        }
        let completes = match &request {
            TransactionRequest::MarkersWritten(written) => Some(written.transactional_id.clone()),
            _ => None,
        };
        let due_ms = now.monotonic_ms.saturating_add(self.config.concurrent_wait_ms);
        self.answer_or_wait(now, token, request, due_ms, decided);
        if let Some(id) = completes {
            self.ask_again(now, &id, decided);
        }
    }

    fn tick(&mut self, now: Now<'_>, decided: &mut Decided) {
        together(decided, |due| {
            self.abort_overdue(now, due);
            self.expire(now, due);
        });
        self.send_back(now, decided);
    }

    fn deadline_ms(&self) -> Option<i64> {
        let deadlines = [self.timers.deadline_ms(), self.waiting.deadline_ms()];
        deadlines.into_iter().flatten().min()
    }

    fn image_changed(&mut self, _now: Now<'_>, _decided: &mut Decided) {
        // A partition that is gone is reported by the host, which has tried to write its marker.
    }

    fn abandoned(&mut self, token: Token) {
        self.forget_waiter(token);
    }

    fn replay(
        &mut self,
        _producer: Option<TransactionalProducer>,
        key: &[u8],
        value: Option<&[u8]>,
        _timestamp_ms: i64,
    ) -> Result<(), String> {
        let id = record::read_key(key).map_err(|error| format!("key of a transaction: {error}"))?;
        let before = match value {
            Some(value) => {
                let transaction =
                    record::read_value(value).map_err(|error| format!("transactional id {id:?}: {error}"))?;
                self.charge.add(memory_bytes(&id, &transaction));
                self.transactions.insert(Arc::clone(&id), transaction)
            }
            None => self.transactions.remove(&id),
        };
        if let Some(before) = before {
            self.charge.subtract(memory_bytes(&id, &before));
        }
        Ok(())
    }

    fn transaction_ended(&mut self, _now_ms: i64, _producer: TransactionalProducer, _committed: bool) {
        // Nothing is written to this partition within a transaction.
    }

    fn replayed(&mut self, now: Now<'_>, decided: &mut Decided) {
        self.timers.begin(now.monotonic_ms);
        for (id, transaction) in &mut self.transactions {
            transaction.begin_time(now.moment());
            self.timers.arm(id, transaction);
        }
        together(decided, |due| self.take_up_markers(now, due));
    }
}

/// What a transactional id holds in memory, or somewhat more.
pub(super) fn memory_bytes(id: &str, transaction: &Transaction) -> usize {
    TRANSACTION_MEMORY_BYTES + id.len() + MEMORY_PER_RECORD_BYTE * transaction.partitions.record_bytes()
}

fn append(id: &str, transaction: &Transaction, decided: &mut Decided) {
    decided.batches.push(CoordinatorBatch {
        producer: None,
        records: vec![record::record(id, transaction)],
    });
}

/// The refusal of a request as the answer of its kind.
pub(super) fn refused(request: TransactionRequest, refusal: Refusal) -> TransactionResponse {
    match request {
        TransactionRequest::InitProducerId(request) => TransactionResponse::InitProducerId {
            result: Err(refusal),
            unused_producer_id: Some(request.fresh_producer_id),
        },
        TransactionRequest::AddPartitionsToTxn(_) => TransactionResponse::AddPartitionsToTxn(Err(refusal)),
        TransactionRequest::EndTxn(request) => TransactionResponse::EndTxn {
            result: Err(refusal),
            unused_producer_id: request.fresh_producer_id,
        },
        TransactionRequest::DescribeTransactions { .. } => {
            TransactionResponse::DescribeTransactions(Err(refusal))
        }
        TransactionRequest::ListTransactions(_) => TransactionResponse::ListTransactions(Vec::new()),
        TransactionRequest::MarkersWritten(_) => TransactionResponse::MarkersWritten,
    }
}
