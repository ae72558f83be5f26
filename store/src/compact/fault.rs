//! Why a cleaning ended before its time.

use std::io;

use tautline_core::buffer::OutOfMemory;
use tautline_core::ids::Offset;

use crate::error::{LogError, ReadError};

/// What a step on a helper thread met.
#[derive(Debug)]
pub(super) enum Fault {
    /// The batch at a position fails its checksum, or there is none.
    Damaged {
        position: u64,
        from: Offset,
        to: Offset,
    },
    /// The records of the batch with that offset can't be told apart.
    Unreadable(Offset),
    OutOfMemory,
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::OutOfMemory => Fault::OutOfMemory,
            _ => Fault::Io(error),
        }
    }
}

impl From<OutOfMemory> for Fault {
    fn from(_: OutOfMemory) -> Fault {
        Fault::OutOfMemory
    }
}

/// Why a log was not cleaned, or not to the end. What was put in place before stays; the rest of the log is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// Damage on disk. The log is not cleaned before it is gone.
    #[error("the batch with offset {0} is damaged on disk")]
    Damaged(Offset),
    /// A batch whose records can't be told apart: it does not decompress, or needs more than 64 MiB to, or makes no sense. The
    /// log is not cleaned before it is gone.
    #[error("the records of the batch with offset {0} can't be told apart")]
    Unreadable(Offset),
    /// No memory within the budget: to be tried again.
    #[error("no memory for cleaning")]
    OutOfMemory,
    /// A file could not be read or written.
    #[error("{0}")]
    Io(io::Error),
    /// The log could not be read, or takes no writes.
    #[error("{0}")]
    Log(LogError),
    /// The aborted transactions could not be found.
    #[error("{0}")]
    Read(ReadError),
    /// The log was closed, deleted or configured otherwise meanwhile.
    #[error("the log changed while it was cleaned")]
    Ended,
}

impl CleanError {
    /// Whether another try meets the same.
    pub(super) fn lasts(&self) -> bool {
        matches!(self, CleanError::Damaged(_) | CleanError::Unreadable(_))
    }
}

impl From<LogError> for CleanError {
    fn from(error: LogError) -> CleanError {
        match error {
            LogError::Closed => CleanError::Ended,
            other => CleanError::Log(other),
        }
    }
}

impl From<ReadError> for CleanError {
    fn from(error: ReadError) -> CleanError {
        match error {
            ReadError::Corrupt { offset } => CleanError::Damaged(offset),
            ReadError::OutOfMemory => CleanError::OutOfMemory,
            other => CleanError::Read(other),
        }
    }
}
