//! The walk over a log being cleaned, on its core: once over the dirty segments to map their keys, then from the first segment on to
//! clean them. Each step of it is done by [`Pass`] on a helper thread; the walk ends early when the log does, or is configured
//! otherwise.

use std::time::Duration;

use tautline_core::blocking;
use tautline_core::ids::Offset;
use tautline_core::right_of_way::give_way;
use tautline_core::time::sleep;

use super::fault::{CleanError, Fault};
use super::group::SourceSegment;
use super::pace::Pace;
use super::pass::{Moved, Pass, Reached};
use crate::aborted::Aborted;
use crate::log::Log;
use crate::segment::SegmentId;

/// A cleaning that is slowed down looks so often whether its log has ended.
const REST_MAX: Duration = Duration::from_millis(100);

/// See the module.
pub(super) struct Walk<'a> {
    log: &'a Log,
    /// Not here while a step is done.
    pass: Option<Pass>,
    pub pace: Pace,
}

impl<'a> Walk<'a> {
    pub fn new(log: &'a Log, pass: Pass, pace: Pace) -> Walk<'a> {
        Walk {
            log,
            pass: Some(pass),
            pace,
        }
    }

    /// Gives the offset up to which the log is clean now.
    pub async fn run(&mut self, sources: &[SourceSegment]) -> Result<Offset, CleanError> {
        let dirty_from = self.pass().job().dirty_from;
        let is_dirty = |segment: &&SourceSegment| segment.end_offset > dirty_from;
        for segment in sources.iter().filter(is_dirty) {
            if self.map_segment(segment).await? == Reached::Full {
                break;
            }
        }
        let map_end = self.pass().map_end();
        self.pass_mut().turn();
        let segment_bytes = self.log.state.borrow().config.segment_bytes;
        for segment in sources.iter().filter(|segment| segment.base_offset < map_end) {
            let has_room = |pass: &Pass| {
                let group = pass.group();
                group.is_none_or(|group| group.has_room_for(segment, segment_bytes))
            };
            if !has_room(self.pass()) {
                self.finish_group(segment.id).await?;
            }
            self.clean_segment(segment).await?;
        }
        if let Some(last) = sources.first() {
            self.finish_group(last.id).await?;
        }
        self.log.note_clean(map_end).await?;
        Ok(map_end)
    }

    /// Lets go of the memory, and of a file under way; gives how many keys there were.
    pub async fn end(mut self) -> usize {
        let Some(pass) = self.pass.take() else { return 0 };
        let keys = pass.keys();
        blocking::run(move || drop(pass)).await;
        keys
    }

    async fn map_segment(&mut self, segment: &SourceSegment) -> Result<Reached, CleanError> {
        let aborted = self.aborted(segment).await?;
        let begun = segment.clone();
        self.step(segment.id, move |pass| pass.begin_map(&begun, &aborted))
            .await?;
        loop {
            let (reached, moved) = self.step(segment.id, Pass::map_step).await?;
            self.rest(moved).await;
            match reached {
                Reached::More => {}
                Reached::EndOfSegment => {
                    self.pass_mut().mapped(segment);
                    return Ok(reached);
                }
                Reached::Full => return Ok(reached),
            }
        }
    }

    async fn clean_segment(&mut self, segment: &SourceSegment) -> Result<(), CleanError> {
        let aborted = self.aborted(segment).await?;
        let generation = match self.pass().group() {
            Some(group) => group.generation(),
            None => self.log.take_generation(),
        };
        let begun = segment.clone();
        self.step(segment.id, move |pass| {
            pass.begin_clean(&begun, &aborted, generation)
        })
        .await?;
        loop {
            let (reached, moved) = self.step(segment.id, Pass::clean_step).await?;
            self.rest(moved).await;
            if reached == Reached::EndOfSegment {
                return Ok(());
            }
        }
    }

    async fn finish_group(&mut self, at: SegmentId) -> Result<(), CleanError> {
        let Some((finished, moved)) = self.step(at, Pass::finish_group).await? else {
            return Ok(());
        };
        self.log.put_in_place(finished).await?;
        self.rest(moved).await;
        Ok(())
    }

    async fn aborted(&self, segment: &SourceSegment) -> Result<Vec<Aborted>, CleanError> {
        let (from, to) = (segment.base_offset, segment.end_offset);
        Ok(self.log.aborted_in(from, to).await?)
    }

    /// Runs a step on a helper thread, unless the log has ended.
    async fn step<T: Send + 'static>(
        &mut self,
        segment: SegmentId,
        step: impl FnOnce(&mut Pass) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, CleanError> {
        if self.has_ended() {
            return Err(CleanError::Ended);
        }
        give_way().await;
        let mut pass = self.pass.take().expect("it is put back after each step");
        let (pass, result) = blocking::run_patiently(move || {
            let result = step(&mut pass);
            (pass, result)
        })
        .await;
        self.pass = Some(pass);
        result.map_err(|fault| self.log.cleaning_met(fault, segment))
    }

    /// Counts what a step has moved, and waits if it was too soon for the next.
    async fn rest(&mut self, moved: Moved) {
        self.pace.moved.read_bytes += moved.read_bytes;
        self.pace.moved.written_bytes += moved.written_bytes;
        let metrics = &self.log.shared.metrics;
        metrics.cleaner_read_bytes.add(moved.read_bytes);
        metrics.cleaner_write_bytes.add(moved.written_bytes);
        while !self.has_ended()
            && let ahead_ns = self.pace.ahead_ns()
            && ahead_ns > 0
        {
            sleep(Duration::from_nanos(ahead_ns).min(REST_MAX)).await;
        }
    }

    fn has_ended(&self) -> bool {
        let state = self.log.state.borrow();
        state.failed.is_some() || state.closing || state.cutting > 0 || !state.config.compact
    }

    fn pass(&self) -> &Pass {
        self.pass.as_ref().expect("it is put back after each step")
    }

    fn pass_mut(&mut self) -> &mut Pass {
        self.pass.as_mut().expect("it is put back after each step")
    }
}
