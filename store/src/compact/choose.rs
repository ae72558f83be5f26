//! What of a log can be cleaned, and whether it is time to. Decided from the log's state alone.

use tautline_core::ids::Offset;

use super::group::SourceSegment;
use crate::config::LogConfig;
use crate::segment::Segment;
use crate::state::State;

/// The part of a log that can be cleaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cleanable {
    /// How many segments that are, from the log's first.
    pub segments: usize,
    /// What is below was clean before.
    pub dirty_from: Offset,
    /// First offset behind.
    pub end: Offset,
    pub dirty_bytes: u64,
    pub total_bytes: u64,
    /// Some of it has waited for `max.compaction.lag.ms`.
    pub overdue: bool,
}

impl Cleanable {
    /// Which part of it is dirty, in millionths.
    pub fn dirty_millionths(&self) -> u32 {
        (u128::from(self.dirty_bytes) * 1_000_000 / u128::from(self.total_bytes.max(1))) as u32
    }

    pub fn is_due(&self, config: &LogConfig) -> bool {
        self.overdue || self.dirty_millionths() > config.min_cleanable_dirty_millionths
    }
}

impl State {
    /// The part of the log that can be cleaned: whole segments that take no more batches, decided and below the high watermark,
    /// whose records are old enough. `None` if all of it is clean.
    pub(super) fn cleanable(&self, now: i64) -> Option<Cleanable> {
        let stable = self.last_stable_offset().min(self.settled);
        let dirty_from = match self.cleaned_to.max(self.start_offset) {
            clean if clean <= self.end_offset => clean,
            // The log ends before: what was noted is not of this log.
            _ => self.start_offset,
        };
        let mut found = Cleanable {
            segments: 0,
            dirty_from,
            end: dirty_from,
            dirty_bytes: 0,
            total_bytes: 0,
            overdue: false,
        };
        let young_from = now.saturating_sub(self.config.min_compaction_lag_ms);
        let due_before = now.saturating_sub(self.config.max_compaction_lag_ms);
        for segment in &self.segments {
            let dirty = segment.end_offset > dirty_from;
            let young = self.config.min_compaction_lag_ms > 0 && segment.max_timestamp_ms > young_from;
            if segment.live.is_some() || segment.end_offset > stable || dirty && young {
                break;
            }
            found.segments += 1;
            found.end = segment.end_offset;
            found.total_bytes += segment.size_bytes();
            if dirty {
                found.dirty_bytes += segment.size_bytes();
                found.overdue |= segment.opened_ms < due_before;
            }
        }
        (found.dirty_bytes > 0).then_some(found)
    }

    /// Whether something damaged lies in the part that could be cleaned.
    pub(super) fn is_damaged_below(&self, end: Offset) -> bool {
        self.damage.iter().any(|damage| damage.from < end)
    }

    pub(super) fn sources(&self, cleanable: &Cleanable) -> Vec<SourceSegment> {
        let segments = self.segments.iter().take(cleanable.segments);
        segments.map(SourceSegment::of).collect()
    }

    /// Whether the active segment is to be closed so that it can be cleaned in time (`max.compaction.lag.ms`).
    pub(super) fn is_active_overdue(&self, now: i64) -> bool {
        let lag_ms = self.config.max_compaction_lag_ms;
        let is_old = |active: &Segment| now.saturating_sub(active.opened_ms) >= lag_ms;
        let is_durable = |active: &Segment| {
            let live = active.live.as_ref();
            live.is_some_and(|live| live.durable == active.end_position)
        };
        self.config.compact
            && lag_ms < i64::MAX
            && self
                .active()
                .is_some_and(|active| !active.is_empty() && is_durable(active) && is_old(active))
    }
}
