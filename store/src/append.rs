//! Appending: the one copy a batch makes, its place in the log, and the segment it goes to. Memory only; never waits.

use std::cell::RefMut;

use tautline_core::batch::{
    Batch, EndTransactionMarker, TimestampType, patch_log_append_time, patch_max_timestamp, patch_position,
};
use tautline_core::blocking;
use tautline_core::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use tautline_core::task::{Queue, spawn};
use tautline_core::time::now_ms;

use crate::aborted::Aborted;
use crate::config::LogConfig;
use crate::error::{AppendError, LogError};
use crate::index;
use crate::limits::{FLUSH_MS_MAX, SEGMENT_BYTES_MAX, SEGMENT_OVERHEAD_BYTES, UNWRITTEN_BYTES_MAX};
use crate::log::Log;
use crate::producers::{Check, TransactionVersion, Verification};
use crate::roll::Target;
use crate::state::{BatchEnd, State};

/// No segment holds a larger batch.
const BATCH_BYTES_MAX: usize = (SEGMENT_BYTES_MAX - SEGMENT_OVERHEAD_BYTES) as usize;

/// On whose behalf a batch is appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendAs {
    /// A producer's: offset, epoch and (where configured) time are given to it here.
    Leader {
        /// Epoch of the leader that appends.
        epoch: LeaderEpoch,
    },
}

/// How a batch that was checked comes to its place.
#[derive(Clone, Copy)]
enum Place {
    /// It is given one: the log's end, under this epoch, with this largest timestamp.
    Given(LeaderEpoch, i64),
    /// It has one, in its header.
    InHeader,
}

/// Where a batch went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record: of the first copy's, for a duplicate.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// The time given to it, -1 where the topic keeps the producer's.
    pub log_append_time_ms: i64,
    /// It was appended before (KIP-98): wait for its commit and answer these offsets.
    pub duplicate: bool,
    /// The log's start.
    pub log_start_offset: Offset,
}

impl Log {
    /// Appends a batch that [`Batch::validate_for_append`] found sound, and starts its write. It is acknowledged by
    /// [`Log::committed`] of the offset after its last.
    ///
    /// # Errors
    /// Nothing of the batch is then in the log.
    pub fn append(&self, batch: &Batch<'_>, how: AppendAs) -> Result<Appended, AppendError> {
        self.append_with_timestamp(batch, how, batch.max_timestamp())
    }

    /// [`Log::append`] with the largest timestamp that was found in the records, where the header's is wrong.
    ///
    /// # Errors
    /// Nothing of the batch is then in the log.
    pub fn append_with_timestamp(
        &self,
        batch: &Batch<'_>,
        how: AppendAs,
        max_timestamp_ms: i64,
    ) -> Result<Appended, AppendError> {
        self.append_verified(batch, how, max_timestamp_ms, Verification::NotNeeded)
    }

    /// [`Log::append_with_timestamp`] of a batch that may begin a transaction: [`Log::verification`] was asked before it, and
    /// then the transaction's coordinator.
    ///
    /// # Errors
    /// Nothing of the batch is then in the log.
    pub fn append_verified(
        &self,
        batch: &Batch<'_>,
        how: AppendAs,
        max_timestamp_ms: i64,
        verification: Verification,
    ) -> Result<Appended, AppendError> {
        let state = self.state.borrow_mut();
        let AppendAs::Leader { epoch } = how;
        state.check_append(batch, epoch)?;
        if let Check::Duplicate(first) = state.producers.check(batch, verification)? {
            self.shared.metrics.duplicates.add(1);
            return Ok(Appended {
                base_offset: first.base_offset,
                last_offset: first.last_offset,
                log_append_time_ms: state.config.log_append_time(first.timestamp_ms),
                duplicate: true,
                log_start_offset: state.start_offset,
            });
        }
        self.put(state, batch, Place::Given(epoch, max_timestamp_ms))
    }

    /// Appends a batch byte for byte, at the offset and under the epoch in its header, as a follower does: its leader has decided on
    /// it. Behind the log's end compaction may have left a gap.
    ///
    /// # Errors
    /// The batch lies before the log's end, or the log takes no writes now. Nothing of it is then in the log.
    pub fn append_replicated(&self, batch: &Batch<'_>) -> Result<Appended, AppendError> {
        let state = self.state.borrow_mut();
        state.check_writable(batch.leader_epoch(), batch.size_bytes(), BATCH_BYTES_MAX)?;
        let (found, end) = (batch.base_offset(), state.end_offset);
        if found < end {
            return Err(AppendError::Misplaced { found, end });
        }
        self.put(state, batch, Place::InHeader)
    }

    /// Ends a producer's transaction; a producer without one is fenced all the same. `version` is that of the transaction.
    ///
    /// # Errors
    /// INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED, or what else keeps a log from taking batches. Nothing is then in
    /// the log.
    pub fn append_marker(
        &self,
        id: ProducerId,
        epoch: ProducerEpoch,
        marker: EndTransactionMarker,
        version: TransactionVersion,
        how: AppendAs,
    ) -> Result<Appended, AppendError> {
        let bytes = marker.batch(id, epoch, now_ms());
        let (batch, _) = Batch::parse(&bytes).expect("it was just built");
        let state = self.state.borrow_mut();
        let AppendAs::Leader { epoch: leader_epoch } = how;
        state.check_append(&batch, leader_epoch)?;
        state.producers.check_marker(id, epoch, marker, version)?;
        self.put(state, &batch, Place::Given(leader_epoch, batch.max_timestamp()))
    }

    /// Puts a batch that was checked at the log's end.
    fn put(
        &self,
        mut state: RefMut<'_, State>,
        batch: &Batch<'_>,
        place: Place,
    ) -> Result<Appended, AppendError> {
        let now = now_ms();
        let log_start_offset = state.start_offset;
        let size_bytes = batch.size_bytes();
        let target = self.target(&mut state, size_bytes as u64, now)?;
        let chunk_bytes = self.reserve(&mut state, &target, size_bytes, now)?;
        if target.rolls {
            self.roll(&mut state, target.sequence, size_bytes as u64, now);
        }
        if let Place::InHeader = place {
            state.end_offset = batch.base_offset();
        }
        let base_offset = state.end_offset;
        let (epoch, max_timestamp_ms, log_append_time_ms) = match place {
            Place::Given(epoch, max_ms) => (epoch, max_ms, state.config.log_append_time(now)),
            Place::InHeader => (batch.leader_epoch(), batch.max_timestamp(), -1),
        };
        let timestamp_ms = if log_append_time_ms >= 0 {
            log_append_time_ms
        } else {
            max_timestamp_ms
        };
        let next_offset = base_offset + i64::from(batch.header().last_offset_delta.get()) + 1;
        state.tail.append(batch.bytes(), next_offset, |copy| {
            if let Place::InHeader = place {
                return;
            }
            patch_position(copy, base_offset, epoch);
            if log_append_time_ms >= 0 {
                patch_log_append_time(copy, log_append_time_ms);
            } else if max_timestamp_ms != batch.max_timestamp() {
                patch_max_timestamp(copy, max_timestamp_ms);
            }
        });
        state.place(&target, size_bytes as u64, next_offset, timestamp_ms);
        if let Some(aborted) = state.producers.note(batch, base_offset, timestamp_ms, now) {
            state.note_aborted(aborted);
        }
        state.epochs.note(epoch, base_offset);
        state.last_append_ms = now;
        state.dirty = true;
        let relaxed = state.config.is_relaxed();
        state.unsynced_messages += u64::from(batch.record_count());
        let timed = state.config.flush_ms.filter(|&ms| ms <= FLUSH_MS_MAX);
        let flush_in_ms = timed.filter(|_| !std::mem::replace(&mut state.flush_timer, true));
        self.prepare_ahead(&mut state);
        let spare = state.tail.wants_spare();
        drop(state);

        let metrics = &self.shared.metrics;
        metrics.appends.add(1);
        metrics.append_bytes.add(size_bytes as u64);
        metrics.unsynced_acks.add(u64::from(relaxed));
        if let Some(delay_ms) = flush_in_ms {
            self.flush_later(delay_ms);
        }
        if chunk_bytes > 0 {
            self.shared.added_chunk(self, chunk_bytes);
        }
        if let Some(bytes) = spare {
            self.get_spare(bytes);
        }
        self.wake_writer();
        let last_offset = next_offset + -1;
        Ok(Appended {
            base_offset,
            last_offset,
            log_append_time_ms,
            duplicate: false,
            log_start_offset,
        })
    }

    /// Memory for the batch, if need be at the cost of what is cached.
    fn reserve(
        &self,
        state: &mut State,
        target: &Target,
        len: usize,
        now: i64,
    ) -> Result<usize, AppendError> {
        let (sequence, position, offset) = (target.sequence, target.position, state.end_offset);
        let memory = &self.shared.memory;
        let first = state.tail.reserve(memory, sequence, position, len, offset, now);
        first.or_else(|_| {
            self.shared.shrink_tail_cache(len);
            while let Some(freed) = state.evict_chunk() {
                self.shared.metrics.cache_bytes.sub(freed as u64);
            }
            let again = state.tail.reserve(memory, sequence, position, len, offset, now);
            again.map_err(|_| AppendError::OutOfMemory)
        })
    }

    /// Has memory for the next chunk touched for the first time on a helper thread.
    fn get_spare(&self, bytes: usize) {
        let (memory, log) = (self.shared.memory.clone(), self.me.clone());
        let take = blocking::run(move || memory.take(bytes).ok());
        spawn(Queue::Background, async move {
            let buffer = take.await;
            if let Some(log) = log.upgrade() {
                log.state.borrow_mut().tail.put_spare(buffer);
            }
        });
    }
}

impl State {
    fn check_append(&self, batch: &Batch<'_>, epoch: LeaderEpoch) -> Result<(), AppendError> {
        let mut limit_bytes = BATCH_BYTES_MAX;
        // However small a topic's messages are to be, its transactions can end.
        if !batch.is_control() {
            limit_bytes = limit_bytes.min(self.config.max_message_bytes);
        }
        self.check_writable(epoch, batch.size_bytes(), limit_bytes)
    }

    /// Whether a batch of this epoch and size would be taken now.
    fn check_writable(
        &self,
        epoch: LeaderEpoch,
        size_bytes: usize,
        limit_bytes: usize,
    ) -> Result<(), AppendError> {
        if let Some(error) = &self.failed {
            return Err(error.clone().into());
        }
        if self.closing {
            return Err(LogError::Closed.into());
        }
        if self.cutting > 0 {
            return Err(AppendError::Backlog);
        }
        if size_bytes > limit_bytes {
            return Err(AppendError::TooLarge {
                size_bytes,
                limit_bytes,
            });
        }
        if let Some(latest) = self.epochs.latest()
            && epoch < latest
        {
            return Err(AppendError::FencedLeaderEpoch { epoch, latest });
        }
        if self.unwritten_bytes > 0 && self.unwritten_bytes + size_bytes as u64 > UNWRITTEN_BYTES_MAX {
            return Err(AppendError::Backlog);
        }
        Ok(())
    }

    /// Books a transaction that the last batch has aborted.
    fn note_aborted(&mut self, aborted: Aborted) {
        let segment = self.segments.back_mut().expect("the batch has a segment");
        let live = segment.live.as_mut().expect("the last segment is live");
        live.aborted.push(aborted);
    }

    /// Books a batch that was copied to its place.
    fn place(&mut self, target: &Target, size_bytes: u64, next_offset: Offset, timestamp_ms: i64) {
        let interval = self.config.index_interval_bytes;
        let offset = self.end_offset;
        let segment = self.segments.back_mut().expect("the batch has a segment");
        let live = segment.live.as_mut().expect("the last segment is live");
        live.index.note(
            index::Place {
                offset,
                position: target.position,
            },
            segment.max_timestamp_ms,
            interval,
        );
        segment.end_position = target.position + size_bytes;
        segment.end_offset = next_offset;
        segment.max_timestamp_ms = segment.max_timestamp_ms.max(timestamp_ms);
        let end = BatchEnd {
            sequence: segment.sequence,
            position: segment.end_position,
            offset: next_offset,
        };
        self.unwritten.push_back(end);
        self.unwritten_bytes += size_bytes;
        self.end_offset = next_offset;
    }
}

impl LogConfig {
    fn log_append_time(&self, now: i64) -> i64 {
        let broker_sets_it = self.timestamp_type == TimestampType::LogAppendTime;
        if broker_sets_it { now } else { -1 }
    }
}
