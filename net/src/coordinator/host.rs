//! A host: the task that runs the coordinator of one partition, on the shard that owns the partition.
//!
//! Promises, to those who ask: each request gets one answer, or the refusal that Kafka documents for its state; an answer that a
//! crash could undo goes out only when what it rests on is committed (see [`super::serving`]); requests are decided on in the
//! order in which they came. Those who ask are never held up by a coordinator that loads or has failed, or whose disk is full (see
//! [`super::full_disk`]).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select};
use tautline_core::batch::EndTransactionMarker;
use tautline_core::error::ErrorCode;
use tautline_core::sync::Signal;
use tautline_core::task::{Queue, spawn};
use tautline_core::time::{monotonic_ns, sleep};
use tautline_replica::coordinator::{Coordinator, Token, TransactionalProducer};
use tautline_replica::metadata::MetadataImage;
use tautline_store::{TransactionVersion, Verification};

use super::gate::Gate;
use super::limits::{INBOX_MAX, RESTART_PAUSE_MAX, RESTART_PAUSE_MIN, SERVED_LONG};
use super::replay::replay;
use super::serving::{Ended, Serving};
use crate::broker::Partition;

/// What a host needs of its shard.
pub trait Surroundings<C: Coordinator> {
    /// A coordinator that has read nothing yet.
    fn coordinator(&self) -> C;

    /// The coordinator has replayed its whole log, and is about to serve.
    fn loaded(&self, coordinator: &mut C);

    /// The metadata.
    fn image(&self) -> Arc<MetadataImage>;

    /// Takes an answer to the one who asked, wherever that is. Nobody may wait for it any more.
    fn answer(&self, token: Token, answer: Result<C::Response, ErrorCode>);

    /// Does what the coordinator wants to be done elsewhere; what it rests on is committed.
    fn act(&self, effect: C::Effect);
}

/// What comes to a coordinator.
pub(super) enum Input<R> {
    /// A request, and who asks; with a claim where it is to be written in a transaction.
    Request(Token, R, Option<TransactionClaim>),
    /// Who asked is gone.
    Abandoned(Token),
    /// A transaction ends.
    EndTransaction(TransactionEnd),
}

/// How a transaction ends in the partition, and who waits until that is committed.
pub(super) struct TransactionEnd {
    pub producer: TransactionalProducer,
    pub marker: EndTransactionMarker,
    pub version: TransactionVersion,
    pub ended: oneshot::Sender<Result<(), ErrorCode>>,
}

/// What a request to write in a transaction has been given: a guard, before the transaction's coordinator was asked. It is void
/// when a transaction of the producer ends in the partition, and then the request is refused: INVALID_TXN_STATE (KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionClaim {
    /// Whose transaction it is.
    pub producer: TransactionalProducer,
    /// What the log has said.
    pub verification: Verification,
    /// How the producer's transactions end.
    pub version: TransactionVersion,
}

/// What a host can do for those who ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It reads the log.
    Loading,
    /// It answers.
    Serving,
    /// The log can't be read or written.
    Failed,
    /// The partition is gone.
    Stopped,
}

/// See the module.
pub struct Host<C: Coordinator> {
    pub(super) partition: Rc<Partition>,
    pub(super) surroundings: Box<dyn Surroundings<C>>,
    /// The coordinator, while it serves. Only the host's task changes it.
    pub(super) coordinator: RefCell<Option<C>>,
    inbox: RefCell<VecDeque<Input<C::Request>>>,
    image_changed: Cell<bool>,
    phase: Cell<Phase>,
    /// Rings when there is something to do.
    pub(super) news: Signal,
}

impl<C: Coordinator + 'static> Host<C> {
    /// Starts the task. It waits at the gate before it reads the log.
    pub fn start(
        partition: Rc<Partition>,
        surroundings: Box<dyn Surroundings<C>>,
        gate: Gate,
    ) -> Rc<Host<C>> {
        let host = Rc::new(Host {
            partition,
            surroundings,
            coordinator: RefCell::new(None),
            inbox: RefCell::default(),
            image_changed: Cell::new(false),
            phase: Cell::new(Phase::Loading),
            news: Signal::new(),
        });
        spawn(Queue::Coordination, host.clone().run(gate));
        host
    }

    /// Takes a request, or answers at once that it can't. What is to be written in a transaction needs a claim.
    pub fn ask(&self, token: Token, request: C::Request, claim: Option<TransactionClaim>) {
        match self.check() {
            Ok(()) => self.put(Input::Request(token, request, claim)),
            Err(refusal) => self.surroundings.answer(token, Err(refusal)),
        }
    }

    /// Notes that nobody waits for an answer any more.
    pub fn abandon(&self, token: Token) {
        if self.phase.get() == Phase::Serving {
            self.put(Input::Abandoned(token));
        }
    }

    /// Ends a producer's transaction in this partition: appends the marker and tells the coordinator, in the order in which
    /// this was called and requests came. Completes when the marker is committed; it may be called again if it was. `version` is
    /// that of the transaction.
    ///
    /// # Errors
    /// INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED; COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE or
    /// NOT_COORDINATOR; with the latter the marker may be in the log.
    pub async fn end_transaction(
        &self,
        producer: TransactionalProducer,
        marker: EndTransactionMarker,
        version: TransactionVersion,
    ) -> Result<(), ErrorCode> {
        self.check()?;
        let (ended, result) = oneshot::channel();
        self.put(Input::EndTransaction(TransactionEnd {
            producer,
            marker,
            version,
            ended,
        }));
        result.await.unwrap_or(Err(ErrorCode::NotCoordinator))
    }

    /// Whether something can be taken in, or why not.
    fn check(&self) -> Result<(), ErrorCode> {
        match self.phase.get() {
            Phase::Loading => Err(ErrorCode::CoordinatorLoadInProgress),
            Phase::Stopped => Err(ErrorCode::NotCoordinator),
            Phase::Failed => Err(ErrorCode::CoordinatorNotAvailable),
            Phase::Serving if self.inbox.borrow().len() >= INBOX_MAX => {
                Err(ErrorCode::CoordinatorNotAvailable)
            }
            Phase::Serving if !self.partition.has_enough_replicas() => {
                Err(ErrorCode::CoordinatorNotAvailable)
            }
            Phase::Serving => Ok(()),
        }
    }

    fn put(&self, input: Input<C::Request>) {
        self.inbox.borrow_mut().push_back(input);
        self.news.notify_all();
    }

    /// Notes that there is another image.
    pub fn image_changed(&self) {
        self.image_changed.set(true);
        self.news.notify_all();
    }

    /// Ends the task; all who wait are told NOT_COORDINATOR.
    pub fn stop(&self) {
        self.phase.set(Phase::Stopped);
        self.news.notify_all();
    }

    /// Looks at the coordinator, if it serves.
    pub fn look<T>(&self, look: impl FnOnce(&C) -> T) -> Option<T> {
        self.coordinator.borrow().as_ref().map(look)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.phase.get() == Phase::Stopped
    }

    pub(super) fn take_input(&self) -> Option<Input<C::Request>> {
        self.inbox.borrow_mut().pop_front()
    }

    pub(super) fn has_input(&self) -> bool {
        !self.inbox.borrow().is_empty()
    }

    pub(super) fn take_image_changed(&self) -> bool {
        self.image_changed.take()
    }

    /// Moves on, unless it was stopped meanwhile.
    fn enter(&self, phase: Phase) {
        if !self.is_stopped() {
            self.phase.set(phase);
        }
    }

    async fn run(self: Rc<Self>, gate: Gate) {
        let mut pause = RESTART_PAUSE_MIN;
        while !self.is_stopped() {
            let served = self.load_and_serve(&gate).await;
            self.refuse_all();
            // One that came to serve and failed at once has cured nothing: the next one may fare no better.
            if served >= SERVED_LONG {
                pause = RESTART_PAUSE_MIN;
            }
            self.rest(pause).await;
            pause = (pause * 2).min(RESTART_PAUSE_MAX);
        }
    }

    /// Runs one coordinator from its replay to its end. How long it served.
    async fn load_and_serve(&self, gate: &Gate) -> Duration {
        self.enter(Phase::Loading);
        let turn = gate.enter().await;
        let mut coordinator = self.surroundings.coordinator();
        let loaded = replay(self, &mut coordinator).await;
        drop(turn);
        match loaded {
            // The log may be closed from now on.
            _ if self.is_stopped() => Duration::ZERO,
            Ok(end) => {
                self.surroundings.loaded(&mut coordinator);
                *self.coordinator.borrow_mut() = Some(coordinator);
                self.enter(Phase::Serving);
                let began_ns = monotonic_ns();
                match Serving::new(self, end).run().await {
                    Ended::Stopped => {}
                    Ended::Failed(reason) => self.give_up(&reason),
                }
                Duration::from_nanos(monotonic_ns() - began_ns)
            }
            Err(reason) => {
                self.give_up(&reason);
                Duration::ZERO
            }
        }
    }

    fn give_up(&self, reason: &str) {
        self.enter(Phase::Failed);
        let Partition { topic, index, .. } = &*self.partition;
        tracing::warn!(%topic, partition = %index, "the coordinator is replayed from its log: {reason}");
    }

    /// Forgets the coordinator; what was asked of it and is not answered is refused.
    fn refuse_all(&self) {
        *self.coordinator.borrow_mut() = None;
        while let Some(input) = self.take_input() {
            if let Input::Request(token, ..) = input {
                self.surroundings.answer(token, Err(ErrorCode::NotCoordinator));
            }
        }
    }

    /// Waits before another try, until the log has no known fault; a stop ends it.
    async fn rest(&self, pause: Duration) {
        let mut over = Box::pin(sleep(pause));
        loop {
            let news = self.news.wait();
            if self.is_stopped() {
                return;
            }
            if let Either::Left(_) = select(&mut over, news).await {
                if self.partition.log.failure().is_none() {
                    return;
                }
                over = Box::pin(sleep(pause));
            }
        }
    }
}
