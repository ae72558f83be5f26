//! A partition on the shard that owns it: its log, its high watermark, and those who wait for it.
//!
//! Promises: batches are appended in the order in which [`Partition::produce`] was called; its future completes only when
//! the batch is as durable as the topic asks; the high watermark moves only over such batches, and before any producer is
//! told. A batch that would begin a transaction is appended only after the transaction's coordinator was asked, and not if the
//! transaction ended meanwhile (KIP-890).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use futures_channel::oneshot;
use tautline_core::batch::{Batch, EndTransactionMarker};
use tautline_core::buffer::Slice;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use tautline_core::stage::Acknowledged;
use tautline_core::sync::Signal;
use tautline_core::task::{Queue, spawn};
use tautline_store::{AppendAs, AppendError, Appended, Log, TransactionVersion, Verification};

use super::beginning::Beginning;
use super::keys::{self, Keys};
use super::watch::WatchSet;
use crate::metrics::Traffic;

/// Batches that may wait for room in a log's write queue before producers are told to come again.
pub(super) const WAITING_MAX: usize = 1024;

/// What a producer is told of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Produced {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// The time of appending, if the topic uses it, in milliseconds since the epoch; else -1.
    pub log_append_time_ms: i64,
    /// Where the log starts.
    pub log_start_offset: Offset,
    /// How it came to be acknowledged.
    pub way: Acknowledged,
}

/// A batch whose place in the log is decided, or will be without anybody's help; [`Partition::acknowledged`] tells the rest.
pub enum Appending {
    /// Nothing of it was appended.
    Refused(ErrorCode),
    /// It is in the log's memory.
    Done(Appended),
    /// It waits for those before it.
    Waits(oneshot::Receiver<Result<Appended, AppendError>>),
}

/// What moves the high watermark when no producer waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Committer {
    /// It has not been needed yet, or the log has ended.
    Absent,
    /// It follows the log to its end.
    Busy,
    /// It has, and waits for the next batch.
    Parked,
}

/// A partition led by this node.
pub struct Partition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id.
    pub topic_id: TopicId,
    /// Its number.
    pub index: PartitionIndex,
    /// Its log.
    pub log: Rc<Log>,
    /// Who waits for the high watermark to move.
    watchers: Rc<WatchSet>,
    /// Who waits for the last stable offset to move.
    committed_watchers: Rc<WatchSet>,
    /// What has gone in and out.
    pub traffic: Traffic,
    epoch: LeaderEpoch,
    min_insync_replicas: Cell<i32>,
    committer: Cell<Committer>,
    /// Wakes the committer.
    appended: Rc<Signal>,
    waiting: RefCell<VecDeque<Waiting>>,
    pub(super) beginning: RefCell<Beginning>,
}

/// A batch that waits for room, or for a look at its keys, and its producer.
struct Waiting {
    batch: Slice,
    max_timestamp_ms: i64,
    verification: Verification,
    keys: Keys,
    reply: oneshot::Sender<Result<Appended, AppendError>>,
}

impl Partition {
    /// Leads a partition from its opened log on.
    pub fn new(
        topic: Arc<str>,
        topic_id: TopicId,
        index: PartitionIndex,
        log: Rc<Log>,
        epoch: LeaderEpoch,
    ) -> Rc<Self> {
        let partition = Rc::new(Partition {
            topic,
            topic_id,
            index,
            log,
            watchers: Rc::default(),
            committed_watchers: Rc::default(),
            traffic: Traffic::default(),
            epoch,
            min_insync_replicas: Cell::new(1),
            committer: Cell::new(Committer::Absent),
            appended: Rc::default(),
            waiting: RefCell::default(),
            beginning: RefCell::default(),
        });
        // What recovery found is on disk, so one voter has committed it.
        partition.advance(partition.log.end_offset());
        partition
    }

    /// The epoch under which this node leads it.
    pub fn epoch(&self) -> LeaderEpoch {
        self.epoch
    }

    /// `min.insync.replicas`.
    pub fn set_min_insync_replicas(&self, count: i32) {
        self.min_insync_replicas.set(count);
    }

    /// Whether `min.insync.replicas` can be kept.
    pub fn has_enough_replicas(&self) -> bool {
        self.min_insync_replicas.get() <= 1
    }

    /// Appends a batch of the broker's own. The log is asked when it is committed.
    ///
    /// # Errors
    /// When nothing of it was appended.
    pub fn append_own(
        self: &Rc<Self>,
        batch: &[u8],
        verification: Verification,
    ) -> Result<Appended, AppendError> {
        if !self.waiting.borrow().is_empty() {
            return Err(AppendError::Backlog);
        }
        let max_timestamp_ms = Batch::parse(batch).map_or(-1, |(batch, _)| batch.max_timestamp());
        self.append_now(batch, max_timestamp_ms, verification)
    }

    /// Moves the high watermark over what is committed, before somebody is told of it.
    pub fn note_committed(&self) {
        self.advance(self.log.committed_end());
    }

    /// Checks the epoch a client knows (KIP-320); -1 is not checked.
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH for an older one, UNKNOWN_LEADER_EPOCH for a newer one.
    pub fn check_epoch(&self, known: i32) -> Result<(), ErrorCode> {
        match known {
            -1 => Ok(()),
            known if known < self.epoch.0 => Err(ErrorCode::FencedLeaderEpoch),
            known if known > self.epoch.0 => Err(ErrorCode::UnknownLeaderEpoch),
            _ => Ok(()),
        }
    }

    /// Appends a batch that was validated, whose largest timestamp was found to be `max_timestamp_ms`, and completes when it
    /// is committed. The append happens in this call.
    ///
    /// # Errors
    /// NOT_ENOUGH_REPLICAS when acks=all can't be kept; otherwise what the log says.
    pub fn produce(
        self: &Rc<Self>,
        batch: Slice,
        max_timestamp_ms: i64,
        acks: i16,
    ) -> impl Future<Output = Result<Produced, ErrorCode>> + use<> {
        self.produce_verified(batch, max_timestamp_ms, acks, Verification::NotNeeded)
    }

    /// Writes the marker that ends a producer's transaction here, and completes when it is committed and durable, also where the
    /// topic is relaxed: its coordinator forgets the transaction then, so nobody would write a marker that is lost again, and the
    /// producer's next transaction would go on in this one. `version` is that of the transaction.
    ///
    /// # Errors
    /// INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, NOT_ENOUGH_REPLICAS; otherwise what the log says.
    pub async fn end_transaction(
        self: Rc<Self>,
        id: ProducerId,
        epoch: ProducerEpoch,
        marker: EndTransactionMarker,
        version: TransactionVersion,
    ) -> Result<(), ErrorCode> {
        if !self.has_enough_replicas() {
            return Err(ErrorCode::NotEnoughReplicas);
        }
        let appended = loop {
            match self.append_marker(id, epoch, marker, version) {
                Err(AppendError::Backlog) => self.log.room().await,
                appended => break appended.map_err(|error| self.refusal(error))?,
            }
        };
        self.commit(&appended).await?;
        if self.log.config().is_relaxed() {
            self.log.flush().await.map_err(|error| error.error_code())?;
        }
        Ok(())
    }

    /// Appends the marker that ends a producer's transaction here. The log is asked when it is committed.
    ///
    /// # Errors
    /// When it was not appended.
    pub fn append_marker(
        self: &Rc<Self>,
        id: ProducerId,
        epoch: ProducerEpoch,
        marker: EndTransactionMarker,
        version: TransactionVersion,
    ) -> Result<Appended, AppendError> {
        let how = AppendAs::Leader { epoch: self.epoch };
        let appended = self.log.append_marker(id, epoch, marker, version, how)?;
        self.commit_in_background();
        Ok(appended)
    }

    pub(super) fn produce_verified(
        self: &Rc<Self>,
        batch: Slice,
        max_timestamp_ms: i64,
        acks: i16,
        verification: Verification,
    ) -> impl Future<Output = Result<Produced, ErrorCode>> + use<> {
        let this = self.clone();
        let appending = self.append(batch, max_timestamp_ms, acks, verification);
        async move { this.acknowledged(appending).await }
    }

    /// Completes when a batch is committed.
    ///
    /// # Errors
    /// See [`Partition::produce`].
    pub async fn acknowledged(&self, appending: Appending) -> Result<Produced, ErrorCode> {
        let appended = match appending {
            Appending::Done(appended) => appended,
            Appending::Refused(error) => return Err(error),
            Appending::Waits(reply) => {
                let appended = reply.await.unwrap_or(Err(AppendError::Backlog));
                appended.map_err(|error| self.refusal(error))?
            }
        };
        self.commit(&appended).await?;
        let (submitted_ns, durable_ns) = self.log.last_write_ns();
        Ok(Produced {
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset,
            way: Acknowledged {
                submitted_ns,
                durable_ns,
                // One voter: what is durable here is committed.
                committed_ns: durable_ns,
                ..Acknowledged::default()
            },
        })
    }

    /// Completes when what was appended is committed, and can be seen.
    async fn commit(&self, appended: &Appended) -> Result<(), ErrorCode> {
        let end = appended.last_offset.next();
        self.log
            .committed(end)
            .await
            .map_err(|error| error.error_code())?;
        self.advance(end);
        Ok(())
    }

    /// Appends a batch as [`Partition::produce`] does, without the wait.
    pub fn append(
        self: &Rc<Self>,
        batch: Slice,
        max_timestamp_ms: i64,
        acks: i16,
        verification: Verification,
    ) -> Appending {
        if acks == -1 && !self.has_enough_replicas() {
            return Appending::Refused(ErrorCode::NotEnoughReplicas);
        }
        let keys = match keys::look(&self.log, &batch) {
            Ok(keys) => keys,
            Err(error) => return Appending::Refused(self.refusal(error)),
        };
        if self.waiting.borrow().is_empty() && matches!(keys, Keys::Known) {
            match self.append_now(&batch, max_timestamp_ms, verification) {
                Ok(appended) => return Appending::Done(appended),
                Err(AppendError::Backlog) => {}
                Err(error) => return Appending::Refused(self.refusal(error)),
            }
        }
        if self.waiting.borrow().len() >= WAITING_MAX {
            return Appending::Refused(self.refusal(AppendError::Backlog));
        }
        let (reply, receiver) = oneshot::channel();
        let first = self.waiting.borrow().is_empty();
        self.waiting.borrow_mut().push_back(Waiting {
            batch,
            max_timestamp_ms,
            verification,
            keys,
            reply,
        });
        if first {
            spawn(Queue::Produce, self.clone().append_waiting());
        }
        Appending::Waits(receiver)
    }

    /// Appends those that wait, in order, as room comes and their keys are known.
    async fn append_waiting(self: Rc<Self>) {
        loop {
            self.log.room().await;
            let keys = self
                .waiting
                .borrow_mut()
                .front_mut()
                .map(|waiting| std::mem::replace(&mut waiting.keys, Keys::Known));
            if let Some(Keys::Awaited(found)) = keys
                && let Err(error) = keys::judge(found.await)
            {
                if self.answer_first(Err(error)) {
                    continue;
                }
                return;
            }
            let next = self.waiting.borrow().front().map(|waiting| {
                (
                    waiting.batch.clone(),
                    waiting.max_timestamp_ms,
                    waiting.verification,
                )
            });
            let Some((batch, max_timestamp_ms, verification)) = next else {
                return;
            };
            let result = self.append_now(&batch, max_timestamp_ms, verification);
            if matches!(result, Err(AppendError::Backlog)) {
                continue;
            }
            if !self.answer_first(result) {
                return;
            }
        }
    }

    /// Tells the first of those that wait what became of its batch; false if no other waits.
    fn answer_first(&self, result: Result<Appended, AppendError>) -> bool {
        let waiting = self
            .waiting
            .borrow_mut()
            .pop_front()
            .expect("only one task takes from the queue");
        // A producer that went away does not take its batch back.
        let _ = waiting.reply.send(result);
        !self.waiting.borrow().is_empty()
    }

    fn append_now(
        self: &Rc<Self>,
        bytes: &[u8],
        max_timestamp_ms: i64,
        verification: Verification,
    ) -> Result<Appended, AppendError> {
        let (batch, _) = Batch::parse(bytes).expect("the batch was parsed when the request was read");
        let appended = self.log.append_verified(
            &batch,
            AppendAs::Leader { epoch: self.epoch },
            max_timestamp_ms,
            verification,
        )?;
        if !appended.duplicate {
            self.traffic
                .appended(batch.record_count() as u64, bytes.len() as u64);
        }
        self.commit_in_background();
        Ok(appended)
    }

    /// Moves the high watermark as batches become durable, also when no producer waits any more.
    fn commit_in_background(self: &Rc<Self>) {
        match self.committer.replace(Committer::Busy) {
            Committer::Busy => {}
            Committer::Parked => self.appended.notify_all(),
            Committer::Absent => drop(spawn(Queue::Produce, commit(self.clone()))),
        }
    }

    /// Single voter: what is committed here is committed.
    fn advance(&self, end: Offset) {
        if self.log.high_watermark() < end {
            let stable = self.log.last_stable_offset();
            self.log.advance_high_watermark(end);
            self.watchers.fire();
            if self.log.last_stable_offset() > stable {
                self.committed_watchers.fire();
            }
        }
    }

    /// Those who wait for more: records, or with `committed_only` records that are decided.
    pub fn watchers(&self, committed_only: bool) -> &Rc<WatchSet> {
        if committed_only {
            &self.committed_watchers
        } else {
            &self.watchers
        }
    }

    /// Has all who wait look again.
    pub fn fire_watchers(&self) {
        self.watchers.fire();
        self.committed_watchers.fire();
    }

    /// Where a reader's view ends: at the high watermark, or with `committed_only` at the last stable offset.
    pub fn visible_end(&self, committed_only: bool) -> Offset {
        if committed_only {
            self.log.last_stable_offset()
        } else {
            self.log.high_watermark()
        }
    }

    fn refusal(&self, error: AppendError) -> ErrorCode {
        let code = error.error_code();
        if code == ErrorCode::KafkaStorageError {
            tracing::warn!(topic = %self.topic, partition = %self.index, "append refused: {error}");
        }
        code
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        // Its committer may be parked.
        self.appended.notify_all();
    }
}

/// Follows a partition's log with the high watermark. It stays for the next batch, so that none has to start it, and holds
/// nothing of the partition meanwhile.
async fn commit(mut partition: Rc<Partition>) {
    let appended = partition.appended.clone();
    loop {
        let end = partition.log.end_offset();
        if partition.log.high_watermark() < end {
            if partition.log.committed(end).await.is_err() {
                partition.committer.set(Committer::Absent);
                return;
            }
            partition.advance(end);
            continue;
        }
        partition.committer.set(Committer::Parked);
        let next = appended.wait();
        let parked = Rc::downgrade(&partition);
        drop(partition);
        next.await;
        let Some(still_here) = parked.upgrade() else {
            return;
        };
        partition = still_here;
    }
}
