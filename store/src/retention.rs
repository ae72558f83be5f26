//! What leaves a log at its start: retention by time and size, and DeleteRecords. Whole segments only; the start offset may lie
//! inside one. The new start is durable before a file goes or anybody is answered.

use tautline_core::ids::Offset;

use crate::atomic_file::Replace;
use crate::damage::Damage;
use crate::error::{LogError, ReadError};
use crate::log::Log;
use crate::segment::{Segment, SegmentId};
use crate::state::State;

/// Why records were not deleted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DeleteRecordsError {
    /// Beyond the high watermark, or before the log.
    #[error(transparent)]
    OutOfRange(ReadError),
    /// The new start could not be made durable.
    #[error(transparent)]
    Log(#[from] LogError),
}

impl Log {
    /// Makes `upto` the log's start (never back), and deletes what lies wholly before it. Answers the log's start, once that is
    /// durable (DeleteRecords, KIP-107).
    ///
    /// # Errors
    /// [`DeleteRecordsError`]; nothing is deleted then.
    pub async fn delete_records(&self, upto: Offset) -> Result<Offset, DeleteRecordsError> {
        {
            let mut state = self.state.borrow_mut();
            let (start, end) = (state.start_offset, state.high_watermark);
            if upto > end || upto.0 < 0 {
                let error = ReadError::OffsetOutOfRange {
                    offset: upto,
                    start,
                    end,
                };
                return Err(DeleteRecordsError::OutOfRange(error));
            }
            if upto > start {
                state.wanted_start = state.wanted_start.max(upto);
                state.dirty = true;
            }
        }
        // The start moves when it is durable: what a reader finds deleted must not come back. Also where an earlier call has
        // wanted it: that one may still be on its way to the disk, or have failed.
        self.make_start_durable().await?;
        self.remove_dead_segments().await?;
        Ok(self.start_offset())
    }

    /// Applies `retention.ms`, `retention.bytes`, and closes an active segment whose newest record has expired.
    ///
    /// # Errors
    /// The checkpoint could not be written, or a file not be moved.
    pub async fn apply_retention(&self, now: i64) -> Result<(), LogError> {
        {
            let mut guard = self.state.borrow_mut();
            let state = &mut *guard;
            if state.failed.is_some() || !state.config.delete {
                return Ok(());
            }
            self.close_expired_active(state, now);
            if let Some(start) = state.retained_from(now)
                && start > state.next_start()
            {
                state.wanted_start = start;
                state.dirty = true;
            }
        }
        // As in `delete_records`: readers find nothing gone that a power cut would bring back.
        self.make_start_durable().await?;
        self.remove_dead_segments().await
    }

    /// The next append begins a new segment if all of the active one has expired.
    fn close_expired_active(&self, state: &mut State, now: i64) {
        let Some(active) = state.active() else { return };
        let live = active.live.as_ref().expect("the active segment is live");
        let settled = live.durable == active.end_position && active.end_offset <= state.last_stable_offset();
        if !active.is_empty() && settled && state.expired(state.segments.len() - 1, now) {
            let at = state.segments.len() - 1;
            self.seal(state, at);
        }
    }

    /// Removes segments that lie wholly before the start offset, after the checkpoint says so.
    async fn remove_dead_segments(&self) -> Result<(), LogError> {
        let dead: Vec<SegmentId> = {
            let mut state = self.state.borrow_mut();
            let count = state.dead_segments();
            state.dirty |= count > 0;
            state
                .segments
                .drain(..count)
                .map(|segment| segment.id())
                .collect()
        };
        if dead.is_empty() {
            return Ok(());
        }
        if let Some(&last) = dead.last() {
            let chunks = self.state.borrow_mut().tail.forget_through(last.sequence);
            self.shared.free_in_background(chunks);
        }
        self.shared.metrics.segments_deleted.add(dead.len() as u64);
        self.state.borrow_mut().gone.extend(dead);
        self.checkpoint(Replace::Durably).await
    }
}

impl State {
    /// The start offset that the next checkpoint says.
    pub(crate) fn next_start(&self) -> Offset {
        self.start_offset.max(self.wanted_start)
    }

    pub(crate) fn move_start(&mut self, start: Offset) {
        self.start_offset = start;
        self.epochs.trim_start(start);
        self.damage = self.damage_from(start);
    }

    /// Damage in segments that a log beginning at `start` still has.
    pub(crate) fn damage_from(&self, start: Offset) -> Vec<Damage> {
        let dead = self.dead_before(start).map(|segment| segment.sequence);
        let dead: Vec<u64> = dead.collect();
        let mut damage = self.damage.clone();
        damage.retain(|damage| !dead.contains(&damage.sequence));
        damage
    }

    /// How many sealed segments lie wholly before the start.
    fn dead_segments(&self) -> usize {
        self.dead_before(self.start_offset.min(self.settled)).count()
    }

    fn dead_before(&self, start: Offset) -> impl Iterator<Item = &Segment> {
        let segments = self.segments.iter();
        segments.take_while(move |s| s.live.is_none() && s.end_offset <= start)
    }

    fn expired(&self, at: usize, now: i64) -> bool {
        let retention_ms = self.config.retention_ms;
        retention_ms >= 0 && now.saturating_sub(self.newest_ms(at)) > retention_ms
    }

    /// The time of a segment's newest record. Records need not have one: then the time after which nothing was appended to the
    /// segment counts: when the next one was opened, and the last append to the log.
    fn newest_ms(&self, at: usize) -> i64 {
        let max_timestamp_ms = self.segments[at].max_timestamp_ms;
        if max_timestamp_ms >= 0 {
            return max_timestamp_ms;
        }
        let mut opened_later = self.segments.range(at + 1..).map(|next| next.opened_ms);
        // Not known of segments that a checkpoint of format 1 has.
        let closed_ms = opened_later.find(|&opened_ms| opened_ms > 0);
        closed_ms.unwrap_or(i64::MAX).min(self.last_append_ms)
    }

    /// The offset that retention wants the log to begin with. Segments beyond the last stable offset stay: what an open
    /// transaction has written is not decided on by deleting it.
    fn retained_from(&self, now: i64) -> Option<Offset> {
        let mut surplus = match self.config.retention_bytes {
            limit if limit >= 0 => self.size_bytes().saturating_sub(limit as u64),
            _ => 0,
        };
        let (stable, mut start) = (self.last_stable_offset().min(self.settled), None);
        let settled = |s: &Segment| s.live.is_none() && s.end_offset <= stable;
        for (at, segment) in self.segments.iter().enumerate().take_while(|(_, s)| settled(s)) {
            let by_size = segment.size_bytes() <= surplus && segment.size_bytes() > 0;
            if !by_size && !self.expired(at, now) {
                if segment.id().is_cleaned() && segment.max_timestamp_ms < 0 {
                    // Compaction may have left no record in it: it goes with the next that goes.
                    continue;
                }
                break;
            }
            surplus = surplus.saturating_sub(segment.size_bytes());
            start = Some(segment.end_offset);
        }
        start
    }
}
