//! What can go wrong in the store, and the code a client is told.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset};

use crate::compact::KeyCheck;

/// Opening a data directory, a store or a log failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A call on a file or directory failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// What the call was about.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another broker runs on the directory.
    #[error("{} is in use by another broker{}: stop it, or choose another --data-dir", dir.display(), pid.map_or(String::new(), |pid| format!(" (process {pid})")))]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// The process that holds the lock, if it could be read.
        pid: Option<u32>,
    },
    /// The directory was written by a later version of this program.
    #[error("{} has data format {found}, this broker knows up to {known}: start a newer release, or choose another --data-dir", dir.display())]
    NewerFormat {
        /// The data directory.
        dir: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this program reads.
        known: u32,
    },
    /// The directory belongs to another node or cluster, or its properties can't be read.
    #[error("{}: {what}", path.display())]
    Properties {
        /// The properties file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
}

impl StoreError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.into();
        move |source| StoreError::Io { path, source }
    }
}

/// Why a log stopped taking writes. Cheap to clone: every waiter gets one.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// A write, or making a segment file, failed. What was not acknowledged is of unknown outcome; what was is safe. The log
    /// stays readable and takes no writes until it is opened again.
    #[error("the log stopped taking writes: {0}")]
    Io(Rc<io::Error>),
    /// Damage was found when the log was opened (see [`Damage`](crate::Damage)).
    #[error("the log is damaged and takes no writes")]
    Damaged,
    /// The log was closed or deleted.
    #[error("the log is closed")]
    Closed,
    /// What a checkpoint was to describe is being cut off a replicated log: the next one describes what is left.
    #[error("the end of the log is being cut off")]
    Cut,
}

impl LogError {
    /// The code for a client.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            LogError::Io(_) | LogError::Damaged => ErrorCode::KafkaStorageError,
            LogError::Closed | LogError::Cut => ErrorCode::NotLeaderOrFollower,
        }
    }
}

/// Why a batch was not appended. Nothing of it is in the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The log takes no writes.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Larger than `max.message.bytes`, or than any segment can be.
    #[error("batch of {size_bytes} bytes, {limit_bytes} allowed")]
    TooLarge {
        /// Size of the batch.
        size_bytes: usize,
        /// The bound.
        limit_bytes: usize,
    },
    /// The writer's epoch is older than the log's.
    #[error("leader epoch {epoch} is older than the log's {latest}")]
    FencedLeaderEpoch {
        /// Epoch of the append.
        epoch: LeaderEpoch,
        /// Latest epoch in the log.
        latest: LeaderEpoch,
    },
    /// A gap in, or a repetition beyond memory of, an idempotent producer's sequence (KIP-98).
    #[error("sequence {found}, expected {expected}")]
    OutOfOrderSequence {
        /// First sequence of the batch.
        found: i32,
        /// What would have followed.
        expected: i32,
    },
    /// The producer's epoch is older than its latest (KIP-98); or a marker would end the transaction after its own (KIP-890).
    #[error("the producer's epoch is fenced")]
    InvalidProducerEpoch,
    /// A record outside of its producer's open transaction, or one that would begin a transaction without having been verified
    /// (KIP-890), or after that transaction's end.
    #[error("the batch is not part of an open transaction")]
    InvalidTransactionState,
    /// A marker of a coordinator that another one has replaced (KIP-98).
    #[error("coordinator epoch {found}, a later one is {latest}")]
    CoordinatorFenced {
        /// Epoch in the marker.
        found: i32,
        /// Epoch in an earlier marker.
        latest: i32,
    },
    /// As many transactions are open in the log as it can remember: try again later.
    #[error("too many transactions are open")]
    TooManyTransactions,
    /// A compacted topic takes no record without a key, and none that can't be told from others.
    #[error("a compacted topic takes no record without a key")]
    Keys(KeyCheck),
    /// A replicated batch that lies before the log's end.
    #[error("the batch begins at {found}, the log ends at {end}")]
    Misplaced {
        /// Where the batch begins.
        found: Offset,
        /// Where the log ends.
        end: Offset,
    },
    /// Appended bytes wait for their write: wait for [`Log::room`](crate::Log::room) and try again.
    #[error("writes are behind")]
    Backlog,
    /// No memory for the batch within the budget: try again later.
    #[error("no memory for the batch")]
    OutOfMemory,
    /// No segment file can be made: the disk is full. Appends go on when there is room again.
    #[error("the disk is full")]
    DiskFull,
}

impl AppendError {
    /// The code for a client.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            AppendError::Log(e) => e.error_code(),
            AppendError::TooLarge { .. } => ErrorCode::MessageTooLarge,
            AppendError::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            AppendError::InvalidProducerEpoch => ErrorCode::InvalidProducerEpoch,
            AppendError::InvalidTransactionState => ErrorCode::InvalidTxnState,
            AppendError::CoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
            // Nothing was appended: a definite, retriable failure.
            AppendError::Backlog | AppendError::OutOfMemory | AppendError::TooManyTransactions => {
                ErrorCode::NotEnoughReplicas
            }
            AppendError::Keys(_) => ErrorCode::InvalidRecord,
            AppendError::DiskFull => ErrorCode::KafkaStorageError,
            // Of a leader that is none any more.
            AppendError::Misplaced { .. } => ErrorCode::NotLeaderOrFollower,
        }
    }
}

/// Why a read gave nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// Before the log's start or beyond its end.
    #[error("offset {offset} is outside {start}..={end}")]
    OffsetOutOfRange {
        /// What was asked for.
        offset: Offset,
        /// First offset there is.
        start: Offset,
        /// Where the next batch will go.
        end: Offset,
    },
    /// The batch with that offset is damaged on disk. Offsets behind the damage can be read.
    #[error("the batch with offset {offset} is damaged on disk")]
    Corrupt {
        /// What was asked for.
        offset: Offset,
    },
    /// The file could not be read.
    #[error("read: {0}")]
    Io(Rc<io::Error>),
    /// No memory for the bytes within the budget: try again later.
    #[error("no memory for the read")]
    OutOfMemory,
}

impl ReadError {
    /// The code for a client.
    pub fn error_code(&self) -> ErrorCode {
        match self {
            ReadError::OffsetOutOfRange { .. } => ErrorCode::OffsetOutOfRange,
            // Consumers stop and tell their user, instead of trying again for ever.
            ReadError::Corrupt { .. } => ErrorCode::CorruptMessage,
            ReadError::Io(_) | ReadError::OutOfMemory => ErrorCode::KafkaStorageError,
        }
    }
}

impl From<io::Error> for ReadError {
    fn from(e: io::Error) -> ReadError {
        ReadError::Io(Rc::new(e))
    }
}

impl From<io::Error> for LogError {
    fn from(e: io::Error) -> LogError {
        LogError::Io(Rc::new(e))
    }
}
