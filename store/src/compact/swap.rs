//! Putting a cleaned file in the place of those it was made from.
//!
//! ```text
//!   what happens                                    a crash behind it leaves
//!   1. the file is complete, durable, has its name  the old segments; recovery removes the file, which no checkpoint names
//!   2. the log's state names it instead of the old  the same
//!   3. a checkpoint names it, durably               the new segment; recovery removes the old files
//!   4. the old files go to the trash                the new segment
//! ```
//!
//! So the checkpoint's own rename is the one moment at which the log on disk changes. Readers that hold an old file read on in it.

use std::sync::Arc;

use super::fault::CleanError;
use super::group::Finished;
use crate::atomic_file::Replace;
use crate::fault::Stop;
use crate::log::Log;
use crate::segment::Segment;
use crate::state::State;

impl Log {
    /// See the module.
    pub(super) async fn put_in_place(&self, finished: Finished) -> Result<(), CleanError> {
        self.stop_cleaning_at(Stop::Swap)?;
        let id = finished.segment.id();
        let swapped = self.state.borrow_mut().swap(&finished);
        if !swapped {
            // Retention took one of them meanwhile, or the log has failed.
            self.remove_gone(vec![id]).await.map_err(CleanError::Io)?;
            return Err(CleanError::Ended);
        }
        let Finished {
            segment,
            index,
            aborted,
            ..
        } = finished;
        let index_bytes = index.size_bytes();
        let shared = &self.shared;
        shared
            .indexes
            .put((self.number, id), Arc::new(index), index_bytes);
        // The file of the list is written already.
        let _ = self.keep_aborted(aborted, &Segment::sealed(&segment));
        let chunks = self.state.borrow_mut().tail.forget_through(id.sequence);
        shared.free_in_background(chunks);
        self.stop_cleaning_at(Stop::Checkpoint)?;
        self.checkpoint(Replace::Durably).await?;
        self.stop_cleaning_at(Stop::Trash)
    }

    fn stop_cleaning_at(&self, at: Stop) -> Result<(), CleanError> {
        let faults = self.shared.options.faults.as_ref();
        faults
            .map_or(Ok(()), |faults| faults.stop(at))
            .map_err(CleanError::Io)
    }
}

impl State {
    /// Names the new segment instead of the old ones; false if one of those is not there any more, or nothing will be written.
    fn swap(&mut self, finished: &Finished) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let sources = &finished.sources;
        let first = self
            .segments
            .binary_search_by_key(&sources[0], |segment| segment.id());
        let Ok(first) = first else { return false };
        let there = self.segments.range(first..).take(sources.len());
        if !there.map(|segment| segment.id()).eq(sources.iter().copied()) {
            return false;
        }
        let behind = first + sources.len();
        debug_assert!(
            self.segments
                .range(first..behind)
                .all(|segment| segment.live.is_none())
        );
        self.segments.drain(first..behind);
        self.segments.insert(first, Segment::sealed(&finished.segment));
        self.segments_replaced += 1;
        self.gone.extend_from_slice(sources);
        self.dirty = true;
        true
    }
}
