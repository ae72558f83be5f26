//! The log of a coordinator's partition, as the one who appends to it sees it: its end is the end of the last own batch, or
//! somebody has interfered and the coordinator is no function of the log any more.

use std::rc::Rc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::Offset;
use tautline_core::time::sleep;
use tautline_replica::coordinator::TransactionalProducer;
use tautline_store::{AppendError, Appended, Verification};

use super::TransactionClaim;
use super::limits::{MEMORY_PAUSE, MEMORY_TRIES};
use crate::broker::Partition;

/// A log that was full and went on starts again from what it had written.
const FORGOTTEN: &str = "the log has forgotten what was appended";

/// A coordinator's batches have no sequence.
const NO_SEQUENCE: i32 = -1;

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Append {
    /// It is in the log.
    Done,
    /// It comes from a producer, or from a coordinator, that is fenced; the log goes on.
    Refused(ErrorCode),
    /// Nothing was appended. The log goes on when there is room.
    DiskFull,
}

/// See the module.
pub(super) struct OwnLog<'a> {
    partition: &'a Rc<Partition>,
    end: Offset,
}

impl<'a> OwnLog<'a> {
    /// A log that was replayed up to `end`.
    pub fn new(partition: &'a Rc<Partition>, end: Offset) -> Self {
        OwnLog { partition, end }
    }

    /// The end of what was appended.
    pub fn end(&self) -> Offset {
        self.end
    }

    /// The end of what is committed, which can be seen from now on.
    pub fn committed_end(&self) -> Offset {
        self.partition.note_committed();
        self.partition.log.committed_end()
    }

    /// Whether something is not committed yet.
    pub fn is_in_flight(&self) -> bool {
        self.partition.log.committed_end() < self.end
    }

    /// Completes when all below `end` is committed.
    ///
    /// # Errors
    /// It never will be.
    pub async fn committed(&self, end: Offset) -> Result<(), String> {
        self.partition
            .log
            .committed(end)
            .await
            .map_err(|error| error.to_string())
    }

    /// Whether what is appended is still there.
    ///
    /// # Errors
    /// It is not.
    pub fn check_end(&self) -> Result<(), String> {
        if self.partition.log.end_offset() < self.end {
            return Err(FORGOTTEN.to_owned());
        }
        Ok(())
    }

    /// Whether what is written under the claim belongs to an open transaction, or may begin one. Nobody else appends to this log,
    /// so that it stays so until the next decision.
    ///
    /// # Errors
    /// INVALID_TXN_STATE where it does not, or what the log says of the producer.
    pub fn check_claim(&self, claim: TransactionClaim) -> Result<(), ErrorCode> {
        let TransactionClaim {
            producer: TransactionalProducer { id, epoch },
            verification,
            version,
        } = claim;
        let log = &self.partition.log;
        match log.verification(id, epoch, NO_SEQUENCE, version) {
            Ok(Verification::NotNeeded) => Ok(()),
            // The transaction that is open has another epoch.
            Ok(_) if log.ongoing_transaction(id).is_some() => Err(ErrorCode::InvalidTxnState),
            Ok(now) if now == verification => Ok(()),
            Ok(_) => Err(ErrorCode::InvalidTxnState),
            Err(AppendError::TooManyTransactions) => Err(ErrorCode::CoordinatorNotAvailable),
            Err(error) => Err(error.error_code()),
        }
    }

    /// Appends when there is room; after each wait for it `waited` is told what is committed.
    ///
    /// # Errors
    /// The log takes no more.
    pub async fn append(
        &mut self,
        append: impl Fn(&Rc<Partition>) -> Result<Appended, AppendError>,
        mut waited: impl FnMut(Offset),
    ) -> Result<Append, String> {
        let mut tries = 0;
        let appended = loop {
            match append(self.partition) {
                Ok(appended) => break appended,
                Err(error @ (AppendError::InvalidProducerEpoch | AppendError::CoordinatorFenced { .. })) => {
                    return Ok(Append::Refused(error.error_code()));
                }
                Err(AppendError::DiskFull) => return Ok(Append::DiskFull),
                Err(AppendError::Backlog) => {
                    let flushed = self.partition.log.flush().await;
                    flushed.map_err(|error| error.to_string())?;
                }
                Err(AppendError::OutOfMemory) if tries < MEMORY_TRIES => {
                    tries += 1;
                    sleep(MEMORY_PAUSE).await;
                }
                Err(error) => return Err(error.to_string()),
            }
            waited(self.committed_end());
        };
        if appended.base_offset < self.end {
            return Err(FORGOTTEN.to_owned());
        }
        self.end = appended.last_offset.next();
        Ok(Append::Done)
    }
}
