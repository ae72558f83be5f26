//! Which segment a batch goes to, and when a log goes on to its next one: a swap of pointers in memory, since the next file was
//! made when the active one was half full.

use crate::error::AppendError;
use crate::limits::{
    ABORTED_PER_SEGMENT_MAX, PREPARE_RETRY_MS, SEGMENT_CLASSES, SEGMENT_HEADER_BYTES, SEGMENT_OVERHEAD_BYTES,
};
use crate::log::Log;
use crate::pool::class_for;
use crate::segment::{FileState, Live, NextSegment, Segment};
use crate::state::State;

/// The place a batch will take.
pub(crate) struct Target {
    pub sequence: u64,
    pub position: u64,
    /// The segment is a new one.
    pub rolls: bool,
}

impl Log {
    /// Where a batch goes, without changing anything but asking for a segment file.
    pub(crate) fn target(&self, state: &mut State, size_bytes: u64, now: i64) -> Result<Target, AppendError> {
        if let Some(active) = state.active() {
            let live = active.live.as_ref().expect("the active segment is live");
            if fits(active, live, state, size_bytes, now) {
                return Ok(Target {
                    sequence: active.sequence,
                    position: active.end_position,
                    rolls: false,
                });
            }
        }
        // Whoever needs a new file when the last attempt to make one failed is refused, and starts another attempt.
        if state.next.is_none() && state.prepare_failed_ms > 0 {
            if now - state.prepare_failed_ms >= PREPARE_RETRY_MS {
                let capacity = state.next_capacity(size_bytes);
                self.prepare(state, capacity);
            }
            return Err(AppendError::DiskFull);
        }
        let awaited = |next: &NextSegment| matches!(next.prepared.file, FileState::Awaited);
        if state.prepare_failed_ms > 0 && state.next.as_ref().is_some_and(awaited) {
            return Err(AppendError::DiskFull);
        }
        let sequence = match &state.next {
            Some(next) if next.prepared.capacity >= size_bytes + SEGMENT_OVERHEAD_BYTES => next.sequence,
            Some(next) => next.sequence + 1,
            None => state.next_sequence,
        };
        Ok(Target {
            sequence,
            position: SEGMENT_HEADER_BYTES,
            rolls: true,
        })
    }

    /// Begins a new segment. Its file may still be on its way.
    pub(crate) fn roll(&self, state: &mut State, sequence: u64, size_bytes: u64, now: i64) {
        if state.next.as_ref().is_some_and(|next| next.sequence != sequence) {
            self.discard_next(state);
        }
        if state.next.is_none() {
            let capacity = state.next_capacity(size_bytes);
            self.prepare(state, capacity);
        }
        let next = state.next.take().expect("prepared above");
        debug_assert_eq!(next.sequence, sequence);
        let base = state.end_offset;
        let open_from = state.producers.first_open().unwrap_or(base);
        state
            .segments
            .push_back(Segment::new(sequence, base, open_from, next.prepared, now));
        self.shared.metrics.rolls.add(1);
    }

    /// Has the next segment's file made when the active one is half full.
    pub(crate) fn prepare_ahead(&self, state: &mut State) {
        let segment_bytes = state.config.segment_bytes;
        let Some(active) = state.active() else { return };
        let live = active.live.as_ref().expect("the active segment is live");
        if state.next.is_none()
            && active.end_position > live.limit(segment_bytes) / 2
            && now_or_later(state.prepare_failed_ms, state.last_append_ms)
        {
            let capacity = state.next_capacity(0);
            self.prepare(state, capacity);
        }
    }
}

fn now_or_later(failed_ms: i64, now: i64) -> bool {
    failed_ms == 0 || now - failed_ms >= PREPARE_RETRY_MS
}

fn fits(active: &Segment, live: &Live, state: &State, size_bytes: u64, now: i64) -> bool {
    let end = active.end_position + size_bytes;
    let grows = end <= live.limit(state.config.segment_bytes)
        || active.is_empty() && end <= live.limit(u64::MAX >> 1);
    let relative = state.end_offset - active.base_offset;
    grows
        && (active.is_empty() || now - active.opened_ms < state.config.roll_ms())
        && relative < i64::from(i32::MAX)
        && live.aborted.len() < ABORTED_PER_SEGMENT_MAX
}

impl State {
    /// Size of the next segment's file, which shall hold a batch of `size_bytes`: small for small logs, growing with them.
    fn next_capacity(&self, size_bytes: u64) -> u64 {
        let total = self.size_bytes();
        let by_size = SEGMENT_CLASSES
            .iter()
            .position(|&class| total < class)
            .unwrap_or(SEGMENT_CLASSES.len() - 1);
        let enough = class_for(self.config.segment_bytes + SEGMENT_OVERHEAD_BYTES)
            .unwrap_or(SEGMENT_CLASSES.len() - 1);
        SEGMENT_CLASSES[by_size.min(enough)].max(self.capacity_for(size_bytes))
    }

    fn capacity_for(&self, size_bytes: u64) -> u64 {
        let needed = size_bytes + SEGMENT_OVERHEAD_BYTES;
        class_for(needed).map_or(needed, |class| SEGMENT_CLASSES[class])
    }
}
