//! What group and transaction coordinators have in common: each is a function of the log of one partition, `__consumer_offsets`
//! or `__transaction_state`, and decides without I/O.
//!
//! ```text
//!            request, time                      batches                     committed
//!   client ----------------> Coordinator ----------------------> log -------------------> replies to clients
//!                                 ^                               |
//!                                 +------ replay, at a start -----+
//! ```
//!
//! Contract between a coordinator and its host (the task on the shard that owns the partition):
//! - A decision changes the coordinator at once; the host appends its batches in order before it takes the next step, and lets
//!   replies go only when all that was appended until then is committed: nobody is told what a crash could undo.
//! - While the disk is full a batch waits, and the host takes no request but those that [write
//!   nothing](Coordinator::writes_nothing). When a batch can't be appended otherwise, or not be committed, the host drops the coordinator, answers all that wait with
//!   NOT_COORDINATOR, and replays a new one from the log: there is no other way back.
//! - Replaying the log, or a prefix that was compacted, gives the state of the coordinator that wrote it, but for what was
//!   never in the log: who waits, and how long a member has been silent.

use tautline_core::ids::{ProducerEpoch, ProducerId};

use crate::metadata::MetadataImage;

/// A request that waits for its answer, by a number that its host gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What enters a decision besides the request.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// Wall clock, milliseconds since the epoch: for what is written down. It may be set back and forth.
    pub ms: i64,
    /// Milliseconds on a clock that nobody sets: for everything that becomes due. Its beginning means nothing.
    pub monotonic_ms: i64,
    /// The topics there are.
    pub image: &'a MetadataImage,
}

impl Now<'_> {
    /// When it is.
    pub(crate) const fn moment(self) -> Moment {
        Moment {
            ms: self.ms,
            monotonic_ms: self.monotonic_ms,
        }
    }
}

/// A time on both clocks, as in [`Now`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub ms: i64,
    pub monotonic_ms: i64,
}

impl Moment {
    /// A time in a record, of which only the wall clock is known.
    pub const fn recorded(ms: i64) -> Self {
        Self { ms, monotonic_ms: 0 }
    }

    /// The same as seen at `now`: as long ago on both clocks. What a wall clock that was set back has in the future is now.
    pub fn as_seen(self, now: Self) -> Self {
        let ago_ms = now.ms.saturating_sub(self.ms).max(0);
        Self {
            ms: self.ms,
            monotonic_ms: now.monotonic_ms.saturating_sub(ago_ms),
        }
    }
}

/// A record of the coordinator's partition, in Kafka's format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorRecord {
    /// What it is about; compaction keeps the last record of each key.
    pub key: Vec<u8>,
    /// None deletes the key.
    pub value: Option<Vec<u8>>,
}

/// Who writes in a transaction (KIP-98).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionalProducer {
    /// Its id.
    pub id: ProducerId,
    /// Its epoch.
    pub epoch: ProducerEpoch,
}

/// Records that are appended as one batch: all of them or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorBatch {
    /// Set where the batch is part of a transaction (TxnOffsetCommit).
    pub producer: Option<TransactionalProducer>,
    /// The records, at least one.
    pub records: Vec<CoordinatorRecord>,
}

/// What a step has decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<Response, Effect> {
    /// What is appended, in order.
    pub batches: Vec<CoordinatorBatch>,
    /// Answers that go out when everything appended so far is committed.
    pub replies: Vec<(Token, Response)>,
    /// Answers that tell nothing of the state a crash could undo, and so go out at once.
    pub prompt: Vec<(Token, Response)>,
    /// What is to be done elsewhere when everything appended so far is committed; lost when the coordinator is dropped, and
    /// asked for again by the one that is replayed in its place.
    pub effects: Vec<Effect>,
}

impl<Response, Effect> Default for Decision<Response, Effect> {
    fn default() -> Self {
        Decision {
            batches: Vec::new(),
            replies: Vec::new(),
            prompt: Vec::new(),
            effects: Vec::new(),
        }
    }
}

/// A coordinator of one partition. See the module for the contract.
pub trait Coordinator {
    /// What it is asked.
    type Request;
    /// What it answers; each token gets one answer, in this step or in a later one.
    type Response;
    /// What it has others do; [`std::convert::Infallible`] for nothing.
    type Effect;

    /// Takes a request.
    fn step(
        &mut self,
        now: Now<'_>,
        token: Token,
        request: Self::Request,
        decided: &mut Decision<Self::Response, Self::Effect>,
    );

    /// Whether it takes this request, as things are, without a batch and answers it at once, or else refuses it: such requests are
    /// taken also while the log takes no batch, so that clients who only say that they live go on doing so.
    fn writes_nothing(&self, _request: &Self::Request) -> bool {
        false
    }

    /// Does what time has made due.
    fn tick(&mut self, now: Now<'_>, decided: &mut Decision<Self::Response, Self::Effect>);

    /// When [`Coordinator::tick`] is to be called next, on the clock of [`Now::monotonic_ms`].
    fn deadline_ms(&self) -> Option<i64>;

    /// The metadata has changed.
    fn image_changed(&mut self, now: Now<'_>, decided: &mut Decision<Self::Response, Self::Effect>);

    /// The client that waits for this answer is gone; an answer may still be given, and is thrown away.
    fn abandoned(&mut self, token: Token);

    /// A record of the log, as it was committed. A key or a value that is unknown or malformed is skipped and described.
    ///
    /// # Errors
    /// What is wrong with the record, for one line of the log.
    fn replay(
        &mut self,
        producer: Option<TransactionalProducer>,
        key: &[u8],
        value: Option<&[u8]>,
        timestamp_ms: i64,
    ) -> Result<(), String>;

    /// The end of a producer's transaction in this partition, replayed or just appended.
    fn transaction_ended(&mut self, now_ms: i64, producer: TransactionalProducer, committed: bool);

    /// The whole log was replayed: time begins for those who have to be heard of.
    fn replayed(&mut self, now: Now<'_>, decided: &mut Decision<Self::Response, Self::Effect>);
}
