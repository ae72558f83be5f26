//! The vocabulary of a history: what each client asked, when, and what it was answered. Plain data; the checker knows nothing else.
//!
//! Times are of one clock for all clients of a run, so that an answer that had come before a request was sent is known to be older.

/// One record's value: its writer and its number among that writer's records. Written once, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    /// The life of a producer that wrote it.
    pub writer: u64,
    /// The writer's records are numbered from 0, over all partitions.
    pub sequence: u64,
}

/// What a client knows of what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was done.
    Ok(T),
    /// It was not done and never will be: Kafka's error code.
    Fail(i16),
    /// It was done, or will be, or not.
    Unknown,
}

/// A producer's id and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Producer {
    pub id: i64,
    pub epoch: i16,
}

/// What a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

/// Something a client did, from the first attempt to the last answer.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which client, an index of [`History::processes`].
    pub process: usize,
    /// When it was first asked.
    pub invoked_ns: u64,
    /// When the client knew the outcome, or gave up.
    pub completed_ns: u64,
    /// What it was.
    pub what: What,
}

/// What a client did.
#[derive(Clone, Debug)]
pub enum What {
    Write(Write),
    Init(Init),
    End(End),
    Trim(Trim),
    Poll(Poll),
    Offset(Offset),
    EpochEnd(EpochEnd),
    /// The broker's process was killed.
    Kill,
    /// The broker was ready again.
    Ready,
}

/// A batch, until it was acknowledged or given up. Acknowledgements are of acks=all on a topic that is durable before it acknowledges.
#[derive(Clone, Debug)]
pub struct Write {
    /// Where to.
    pub partition: i32,
    /// Its first value; the others follow in sequence.
    pub first: Value,
    /// Records.
    pub count: u32,
    /// As whom; none without idempotence.
    pub producer: Option<Producer>,
    /// In which transaction, if in one.
    pub transaction: Option<u64>,
    /// Offset of its first record; none when it was acknowledged as a duplicate.
    pub outcome: Outcome<Option<i64>>,
}

impl Write {
    /// Its values in their order.
    pub fn values(&self) -> impl Iterator<Item = Value> {
        let first = self.first;
        (0..u64::from(self.count)).map(move |nth| Value {
            sequence: first.sequence + nth,
            ..first
        })
    }
}

/// InitProducerId for a transactional id: it fences whoever used the id before.
#[derive(Clone, Debug)]
pub struct Init {
    pub transactional_id: String,
    pub outcome: Outcome<Producer>,
}

/// EndTxn. A transaction without one was left open, and may only end aborted.
#[derive(Clone, Debug)]
pub struct End {
    /// Numbers of transactions are never reused.
    pub transaction: u64,
    /// As whom it was first asked for.
    pub producer: Producer,
    /// Commit or abort.
    pub commit: bool,
    /// Whether it was decided so.
    pub outcome: Outcome<()>,
}

/// DeleteRecords.
#[derive(Clone, Debug)]
pub struct Trim {
    /// Of which partition.
    pub partition: i32,
    /// The offset before which all is to go; -1 for the high watermark.
    pub before: i64,
    /// The log's first offset afterwards.
    pub outcome: Outcome<i64>,
}

/// ListOffsets.
#[derive(Clone, Debug)]
pub struct Offset {
    pub partition: i32,
    pub latest: bool,
    pub isolation: Isolation,
    pub offset: i64,
}

/// OffsetForLeaderEpoch.
#[derive(Clone, Debug)]
pub struct EpochEnd {
    pub partition: i32,
    /// The epoch asked for.
    pub asked: i32,
    /// The largest epoch that isn't above it; -1 if there is none.
    pub epoch: i32,
    /// Where that ends.
    pub end_offset: i64,
}

/// An answer to Fetch.
#[derive(Clone, Debug)]
pub struct Poll {
    /// What the reader asked to see.
    pub isolation: Isolation,
    /// Whether it was asked in a fetch session that was open already, so that partitions without news are left out.
    pub incremental: bool,
    /// Whether it belongs to the full read at the end, when nobody writes any more.
    pub last: bool,
    /// What it tells.
    pub partitions: Vec<Polled>,
}

/// One partition of an answer.
#[derive(Clone, Debug)]
pub struct Polled {
    /// The partition.
    pub partition: i32,
    /// The offset that was asked for.
    pub from: i64,
    /// Whether the reader had chosen that offset anew; otherwise it follows what it read before.
    pub sought: bool,
    /// Kafka's error code; on an error the rest means nothing.
    pub error: i16,
    /// Exclusive.
    pub high_watermark: i64,
    /// Exclusive; -1 if it isn't told.
    pub last_stable_offset: i64,
    /// The log's first offset.
    pub log_start: i64,
    /// Transactions to leave out.
    pub aborted: Vec<Aborted>,
    /// The records.
    pub batches: Vec<Batch>,
}

/// A transaction that a reader of committed records leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborted {
    pub producer_id: i64,
    pub first_offset: i64,
}

/// What a control batch says of its producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    Commit,
    Abort,
}

/// A batch as a reader received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// The epoch in which it was appended.
    pub leader_epoch: i32,
    /// The producer's; -1 without idempotence.
    pub producer: Producer,
    /// Whether it belongs to a transaction.
    pub transactional: bool,
    /// What it decides, if it is a control batch.
    pub marker: Option<Marker>,
    /// The values, one an offset.
    pub values: Vec<Value>,
    /// What is wrong with its bytes, in words.
    pub damage: Option<&'static str>,
}

/// All that was seen, in the order in which answers came.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Names of the clients.
    pub processes: Vec<String>,
    /// Sorted by the end of each.
    pub events: Vec<Event>,
}
