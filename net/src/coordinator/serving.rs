//! A coordinator that serves: what comes is decided on, what is decided is appended, and what may be told is told.
//!
//! Promises:
//! - The batches of a decision are appended, in order, before the next decision is taken.
//! - A reply goes out, and an effect is begun, only when all that was appended until it was decided is committed, and then at
//!   once. Many decisions may wait for their commit at a time: the log writes them together.
//! - However much comes, what time has made due is done within a bounded number of decisions.
//! - When the disk is full nothing is decided until there is room (see [`super::full_disk`]). When a batch can't be appended for
//!   another reason, or not be committed, nothing more goes out: the host then drops the coordinator.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, pending, select};
use tautline_core::batch::BatchBuilder;
use tautline_core::error::ErrorCode;
use tautline_core::ids::Offset;
use tautline_core::task::yield_if_needed;
use tautline_core::time::{monotonic_ns, now_ms, sleep};
use tautline_replica::coordinator::{Coordinator, CoordinatorBatch, Decision, Now, Token};
use tautline_replica::metadata::MetadataImage;
use tautline_store::Verification;

use super::host::{Host, Input, TransactionEnd};
use super::limits::{INPUTS_PER_ROUND, SLEEP_MAX};
use super::own_log::{Append, OwnLog};
use super::pending::{Due, Pending};

/// Why it serves no more.
pub(super) enum Ended {
    /// The host was stopped.
    Stopped,
    /// The log took no more.
    Failed(String),
}

type DecisionOf<C> = Decision<<C as Coordinator>::Response, <C as Coordinator>::Effect>;

/// See the module.
pub(super) struct Serving<'a, C: Coordinator> {
    pub(super) host: &'a Host<C>,
    log: OwnLog<'a>,
    pub(super) pending: Pending<'a, C>,
    /// What the request that is decided on was given to write in a transaction.
    verification: Verification,
}

impl<'a, C: Coordinator + 'static> Serving<'a, C> {
    /// A coordinator that has replayed the log up to `end`.
    pub fn new(host: &'a Host<C>, end: Offset) -> Self {
        Serving {
            host,
            log: OwnLog::new(&host.partition, end),
            pending: Pending::new(&*host.surroundings),
            verification: Verification::NotNeeded,
        }
    }

    /// Serves to the end; those who still wait then are refused.
    pub async fn run(mut self) -> Ended {
        let ended = match self.serve().await {
            Ok(()) => Ended::Stopped,
            Err(_) if self.host.is_stopped() => Ended::Stopped,
            Err(reason) => Ended::Failed(reason),
        };
        self.pending.refuse_all();
        ended
    }

    async fn serve(&mut self) -> Result<(), String> {
        if self.host.is_stopped() {
            return Ok(());
        }
        self.decide(|coordinator, now, decided| coordinator.replayed(now, decided))
            .await?;
        loop {
            let news = self.host.news.wait();
            if self.host.is_stopped() {
                // What is under way is still told; a log that is gone ends the wait.
                let _ = self.log.committed(self.log.end()).await;
                self.release();
                return Ok(());
            }
            if self.host.take_image_changed() {
                self.decide(|coordinator, now, decided| coordinator.image_changed(now, decided))
                    .await?;
            }
            for _ in 0..INPUTS_PER_ROUND {
                let Some(input) = self.host.take_input() else {
                    break;
                };
                self.take(input).await?;
                yield_if_needed().await;
            }
            if self.sleep_max() == Some(Duration::ZERO) {
                self.decide(|coordinator, now, decided| coordinator.tick(now, decided))
                    .await?;
            }
            self.release();
            // A coordinator with much to do is called again at once: others have their turn in between.
            yield_if_needed().await;
            self.log.check_end()?;
            // The news of those who came before this round was rung before it.
            if self.host.has_input() {
                continue;
            }
            let timer = match self.sleep_max() {
                Some(time) => Either::Left(sleep(time)),
                None => Either::Right(pending()),
            };
            let timer = pin!(timer);
            let committed = pin!(self.committed());
            if let Either::Right((result, _)) = select(select(news, timer), committed).await {
                result?;
            }
        }
    }

    async fn take(&mut self, input: Input<C::Request>) -> Result<(), String> {
        match input {
            Input::Request(token, request, claim) => {
                if let Err(refusal) = claim.map_or(Ok(()), |claim| self.log.check_claim(claim)) {
                    self.host.surroundings.answer(token, Err(refusal));
                    return Ok(());
                }
                self.pending.take_in(token);
                self.verification = claim.map_or(Verification::NotNeeded, |claim| claim.verification);
                self.decide(|coordinator, now, decided| coordinator.step(now, token, request, decided))
                    .await
            }
            Input::Abandoned(token) => {
                self.abandoned(token);
                Ok(())
            }
            Input::EndTransaction(end) => self.end_transaction(end).await,
        }
    }

    pub(super) fn abandoned(&mut self, token: Token) {
        if self.pending.forget(token) {
            self.with_coordinator(|coordinator| coordinator.abandoned(token));
        }
    }

    async fn end_transaction(&mut self, end: TransactionEnd) -> Result<(), String> {
        let TransactionEnd {
            producer,
            marker,
            version,
            ended,
        } = end;
        let now_ms = now_ms();
        let (log, pending) = (&mut self.log, &mut self.pending);
        let appended = log.append(
            |partition| partition.append_marker(producer.id, producer.epoch, marker, version),
            |committed| pending.release(committed),
        );
        let refused = match appended.await? {
            Append::Done => None,
            Append::Refused(refused) => Some(refused),
            // Nothing rests on it yet: whoever wants it written tries again.
            Append::DiskFull => Some(ErrorCode::CoordinatorNotAvailable),
        };
        if let Some(refused) = refused {
            // Who waited may be gone.
            let _ = ended.send(Err(refused));
            return Ok(());
        }
        self.with_coordinator(|coordinator| {
            coordinator.transaction_ended(now_ms, producer, marker.committed);
        });
        self.pending.put_off(self.log.end(), Due::Ended(ended));
        self.release();
        Ok(())
    }

    /// Takes one decision and carries it out.
    async fn decide(
        &mut self,
        decide: impl FnOnce(&mut C, Now<'_>, &mut DecisionOf<C>),
    ) -> Result<(), String> {
        let image = self.host.surroundings.image();
        let now = now(&image);
        let mut decided = Decision::default();
        self.with_coordinator(|coordinator| decide(coordinator, now, &mut decided));
        for (token, response) in decided.prompt {
            self.pending.answer(token, response);
        }
        for batch in decided.batches {
            let (bytes, verification) = (encode(&batch, now.ms), self.verification);
            let mut full = None;
            loop {
                let (log, pending) = (&mut self.log, &mut self.pending);
                let appended = log.append(
                    |partition| partition.append_own(&bytes, verification),
                    |committed| pending.release(committed),
                );
                match appended.await? {
                    Append::Done => break,
                    Append::Refused(refused) => return Err(refused.to_string()),
                    Append::DiskFull => self.wait_for_disk(&mut full).await?,
                }
                self.release();
            }
            if let Some(full) = full {
                self.has_disk_again(&full)?;
            }
        }
        for (token, response) in decided.replies {
            self.pending.put_off(self.log.end(), Due::Reply(token, response));
        }
        for effect in decided.effects {
            self.pending.put_off(self.log.end(), Due::Effect(effect));
        }
        self.release();
        Ok(())
    }

    /// Lets everything go that rests on what is committed by now.
    fn release(&mut self) {
        self.pending.release(self.log.committed_end());
    }

    /// Completes when something of what was put off may go out; pending for ever while nothing is in flight.
    async fn committed(&self) -> Result<(), String> {
        match self.pending.next_end() {
            // Also if it was committed while others had their turn: nothing else would tell.
            Some(end) => self.log.committed(end).await,
            None if self.log.is_in_flight() => self.log.committed(self.log.end()).await,
            None => pending().await,
        }
    }

    /// How long until the coordinator wants to be called, or the log is to be looked at; `None` for ever.
    fn sleep_max(&self) -> Option<Duration> {
        let deadline_ms = self.with_coordinator(|coordinator| coordinator.deadline_ms());
        let left_ms = deadline_ms.map(|at| at.saturating_sub(monotonic_ms()).max(0));
        match left_ms {
            Some(left_ms) => Some(Duration::from_millis(left_ms as u64).min(SLEEP_MAX)),
            None => self.log.is_in_flight().then_some(SLEEP_MAX),
        }
    }

    pub(super) fn with_coordinator<T>(&self, work: impl FnOnce(&mut C) -> T) -> T {
        let mut coordinator = self.host.coordinator.borrow_mut();
        work(coordinator.as_mut().expect("it is there while it serves"))
    }
}

/// What enters a decision now.
pub(super) fn now(image: &MetadataImage) -> Now<'_> {
    Now {
        ms: now_ms(),
        monotonic_ms: monotonic_ms(),
        image,
    }
}

fn monotonic_ms() -> i64 {
    (monotonic_ns() / 1_000_000) as i64
}

fn encode(batch: &CoordinatorBatch, now_ms: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(now_ms);
    if let Some(producer) = batch.producer {
        builder = builder.producer(producer.id, producer.epoch, -1).transactional();
    }
    for record in &batch.records {
        builder.push(now_ms, Some(&record.key), record.value.as_deref(), &[]);
    }
    builder.build()
}
