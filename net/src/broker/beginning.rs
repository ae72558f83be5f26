//! Batches that may begin a transaction in a partition: its coordinator is asked first (KIP-890).
//!
//! Promises: batches of one producer are appended in the order in which [`Partition::produce_in_transaction`] was called; those
//! of others, and of transactions that are open here, wait for nobody. Nothing is appended of a transaction that ended while the
//! coordinator was asked: for older clients a guard is taken from the log before, and with KIP-890 the end has fenced the epoch.

use std::collections::VecDeque;
use std::future::ready;
use std::rc::Rc;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture};
use rustc_hash::FxHashMap;
use tautline_core::batch::Batch;
use tautline_core::buffer::Slice;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{ProducerEpoch, ProducerId};
use tautline_core::task::{Queue, spawn};
use tautline_store::{AppendError, TransactionVersion, Verification};

use super::partition::{Partition, Produced, WAITING_MAX};

/// Asks a transaction's coordinator whether the partition belongs to the transaction.
pub type Verify = Box<dyn Fn(ProducerId, ProducerEpoch) -> LocalBoxFuture<'static, Result<(), ErrorCode>>>;

type Outcome = Result<Produced, ErrorCode>;

/// Batches of producers whose first batch is being verified; a producer that is here has a task.
#[derive(Default)]
pub(super) struct Beginning {
    batches: FxHashMap<ProducerId, VecDeque<Begun>>,
    count: usize,
}

/// A batch that waits, and its producer.
struct Begun {
    batch: InTransaction,
    /// Told when it is appended, and what then has to be waited for.
    reply: oneshot::Sender<Result<LocalBoxFuture<'static, Outcome>, ErrorCode>>,
}

/// A batch that is part of a transaction, with acks=all.
pub struct InTransaction {
    /// The batch, which was validated.
    pub batch: Slice,
    /// The largest timestamp that was found in it.
    pub max_timestamp_ms: i64,
    /// How its producer's transactions end.
    pub version: TransactionVersion,
    /// Asks the coordinator, if that is needed.
    pub verify: Verify,
}

/// What a coordinator has said yes to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verified {
    /// The transaction in which the guard was taken: it may have ended since, and another with this epoch begun.
    Guarded(ProducerEpoch, Verification),
    /// The transaction of this epoch: when it ends here the epoch is fenced.
    Epoch(ProducerEpoch),
}

impl InTransaction {
    fn parsed(&self) -> Batch<'_> {
        let (parsed, _) = Batch::parse(&self.batch).expect("the batch was parsed when the request was read");
        parsed
    }
}

impl Partition {
    /// [`Partition::produce`] of a batch that is part of a transaction. If the transaction has no record here yet, its coordinator
    /// is asked first.
    ///
    /// # Errors
    /// What the coordinator says; INVALID_TXN_STATE when the transaction ended meanwhile; otherwise as for other batches.
    pub fn produce_in_transaction(
        self: &Rc<Self>,
        batch: InTransaction,
    ) -> impl Future<Output = Outcome> + use<> {
        let id = batch.parsed().producer_id();
        let in_turn = !self.beginning.borrow().batches.contains_key(&id);
        if in_turn {
            match self.verification(&batch) {
                Ok(Verification::NotNeeded) => {
                    let InTransaction {
                        batch,
                        max_timestamp_ms,
                        ..
                    } = batch;
                    let appended =
                        self.produce_verified(batch, max_timestamp_ms, -1, Verification::NotNeeded);
                    return Either::Left(appended);
                }
                Ok(Verification::Needed(_)) => {}
                Err(refused) => return Either::Right(Either::Left(ready(Err(refused)))),
            }
        }
        let (reply, appended) = oneshot::channel();
        let mut beginning = self.beginning.borrow_mut();
        if beginning.count >= WAITING_MAX {
            let refused = AppendError::Backlog.error_code();
            return Either::Right(Either::Left(ready(Err(refused))));
        }
        beginning.count += 1;
        let waiting = beginning.batches.entry(id).or_default();
        waiting.push_back(Begun { batch, reply });
        drop(beginning);
        if in_turn {
            spawn(Queue::Produce, self.clone().begin_in_order(id));
        }
        Either::Right(Either::Right(async move {
            match appended.await {
                Ok(Ok(committed)) => committed.await,
                Ok(Err(refused)) => Err(refused),
                // Only the end of the shard drops a task.
                Err(oneshot::Canceled) => Err(ErrorCode::NotLeaderOrFollower),
            }
        }))
    }

    /// Verifies and appends the batches of a producer, one after the other, until none waits.
    async fn begin_in_order(self: Rc<Self>, id: ProducerId) {
        // What the coordinator has said yes to.
        let mut verified = None;
        while let Some(Begun { batch, reply }) = self.next_begun(id) {
            let appended = self.begin(batch, &mut verified).await;
            // A producer that went away does not take its batch back.
            let _ = reply.send(appended);
        }
    }

    /// The next batch of a producer; without one the producer's task ends.
    fn next_begun(&self, id: ProducerId) -> Option<Begun> {
        let mut beginning = self.beginning.borrow_mut();
        let next = beginning.batches.get_mut(&id).and_then(VecDeque::pop_front);
        match &next {
            Some(_) => beginning.count -= 1,
            None => drop(beginning.batches.remove(&id)),
        }
        next
    }

    async fn begin(
        self: &Rc<Self>,
        batch: InTransaction,
        verified: &mut Option<Verified>,
    ) -> Result<LocalBoxFuture<'static, Outcome>, ErrorCode> {
        let mut verification = self.verification(&batch)?;
        let (id, epoch) = (batch.parsed().producer_id(), batch.parsed().producer_epoch());
        let asked = match batch.version {
            TransactionVersion::V1 => Verified::Guarded(epoch, verification),
            TransactionVersion::V2 => Verified::Epoch(epoch),
        };
        if verification != Verification::NotNeeded && *verified != Some(asked) {
            (batch.verify)(id, epoch).await?;
            *verified = Some(asked);
        }
        if batch.version == TransactionVersion::V2 {
            // The producer's last transaction may have ended here just before the coordinator let the next one begin.
            verification = self.verification(&batch)?;
        }
        let appended = self.produce_verified(batch.batch, batch.max_timestamp_ms, -1, verification);
        Ok(appended.boxed_local())
    }

    fn verification(&self, batch: &InTransaction) -> Result<Verification, ErrorCode> {
        let parsed = batch.parsed();
        let (id, epoch) = (parsed.producer_id(), parsed.producer_epoch());
        self.log
            .verification(id, epoch, parsed.base_sequence(), batch.version)
            .map_err(|error| error.error_code())
    }
}
