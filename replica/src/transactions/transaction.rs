//! One transactional id: who holds it, and how far its transaction is. Transitions, without judging who may ask for them.

use tautline_core::ids::{ProducerEpoch, ProducerId};

use crate::coordinator::{Moment, TransactionalProducer};

use super::partitions::Partitions;
use super::{LAST_EPOCH, TransactionState, TransactionVersion};

/// No start: there is no transaction.
pub(super) const NO_TIME: Moment = Moment::recorded(-1);

/// What is known of a transactional id; all of it is in its record, but that times there are the wall clock's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Transaction {
    /// Who holds the id. While the transaction is decided, who is in its markers.
    pub producer: TransactionalProducer,
    /// The epoch before, if whoever had it may ask again for what it was answered (KIP-360).
    pub last_epoch: ProducerEpoch,
    /// The producer id before, if the last transition has changed it (KIP-890).
    pub previous_id: ProducerId,
    /// The producer id once the transaction is complete, where its end has used up the epochs of this one (KIP-890).
    pub next_id: ProducerId,
    pub timeout_ms: i32,
    pub state: TransactionState,
    /// Those of the transaction; once it is decided, those whose markers are missing.
    pub partitions: Partitions,
    /// When the transaction, or the one that ended last, began.
    pub start: Moment,
    pub last_update: Moment,
    /// The rules under which it came to its state.
    pub version: TransactionVersion,
}

impl Transaction {
    /// An id that is taken for the first time.
    pub fn new(id: ProducerId, timeout_ms: i32, now: Moment) -> Self {
        Self {
            producer: TransactionalProducer {
                id,
                epoch: ProducerEpoch(0),
            },
            last_epoch: ProducerEpoch::NONE,
            previous_id: ProducerId::NONE,
            next_id: ProducerId::NONE,
            timeout_ms,
            state: TransactionState::Empty,
            partitions: Partitions::default(),
            start: NO_TIME,
            last_update: now,
            version: TransactionVersion::V0,
        }
    }

    /// Its times as they are seen by the clock that nobody sets, which was another one when they were written.
    pub fn begin_time(&mut self, now: Moment) {
        self.start = self.start.as_seen(now);
        self.last_update = self.last_update.as_seen(now);
    }

    /// Whether the epoch after this one is kept to fence its holder.
    pub fn is_exhausted(&self) -> bool {
        self.producer.epoch >= LAST_EPOCH
    }

    /// Whether this is who has used up its epochs, in whose place the holder is.
    pub fn follows(&self, producer: TransactionalProducer) -> bool {
        self.previous_id != ProducerId::NONE
            && producer.id == self.previous_id
            && producer.epoch >= LAST_EPOCH
    }

    /// What the holder is told: past the end of a transaction that exhausts its epochs.
    pub fn told(&self) -> TransactionalProducer {
        if self.next_id == ProducerId::NONE {
            self.producer
        } else {
            TransactionalProducer {
                id: self.next_id,
                epoch: ProducerEpoch(0),
            }
        }
    }

    /// A producer takes the id, with an epoch or a producer id that nobody had before.
    pub fn take(
        &mut self,
        producer: TransactionalProducer,
        last_epoch: ProducerEpoch,
        timeout_ms: i32,
        now: Moment,
    ) {
        self.hold(producer);
        self.last_epoch = last_epoch;
        self.retake(timeout_ms, now);
    }

    /// A producer takes the id once more, with what it was given and has not heard of.
    pub fn retake(&mut self, timeout_ms: i32, now: Moment) {
        self.timeout_ms = timeout_ms;
        self.state = TransactionState::Empty;
        self.partitions.clear();
        self.start = NO_TIME;
        self.last_update = now;
    }

    /// Partitions were added: the transaction goes on, or begins.
    pub fn go_on(&mut self, version: TransactionVersion, now: Moment) {
        if self.state != TransactionState::Ongoing {
            self.state = TransactionState::Ongoing;
            self.start = now;
        }
        self.hold(self.producer);
        // Who begins with an epoch was told it, and does not ask again.
        self.last_epoch = ProducerEpoch::NONE;
        self.version = version;
        self.last_update = now;
    }

    /// It is decided how the transaction ends. `next_id` is who is to hold it then, [`ProducerId::NONE`] for the same.
    pub fn decide(&mut self, committed: bool, version: TransactionVersion, next_id: ProducerId, now: Moment) {
        if self.state != TransactionState::Ongoing {
            // An abort of nothing (KIP-890): it began with its end.
            self.start = now;
        }
        let mut producer = self.producer;
        if version.bumps_epoch() {
            self.last_epoch = producer.epoch;
            // Saturates for nobody: the last epoch is never given out, so that whoever has begun has one to be fenced with.
            producer.epoch = ProducerEpoch(producer.epoch.0.saturating_add(1));
        }
        self.hold(producer);
        self.next_id = next_id;
        self.state = if committed {
            TransactionState::PrepareCommit
        } else {
            TransactionState::PrepareAbort
        };
        self.version = version;
        self.last_update = now;
    }

    /// All markers are written.
    pub fn complete(&mut self, now: Moment) {
        debug_assert!(self.state.is_decided() && self.partitions.is_empty());
        self.state = if self.state == TransactionState::PrepareCommit {
            TransactionState::CompleteCommit
        } else {
            TransactionState::CompleteAbort
        };
        self.hold(self.told());
        self.next_id = ProducerId::NONE;
        self.last_update = now;
    }

    /// The epochs were used up by fencing: another producer id takes their place, for the one who had `last_epoch`.
    pub fn rotate(&mut self, id: ProducerId, now: Moment) {
        self.hold(TransactionalProducer {
            id,
            epoch: ProducerEpoch(0),
        });
        self.last_update = now;
    }

    fn hold(&mut self, producer: TransactionalProducer) {
        self.previous_id = if producer.id == self.producer.id {
            ProducerId::NONE
        } else {
            self.producer.id
        };
        self.producer = producer;
    }
}
