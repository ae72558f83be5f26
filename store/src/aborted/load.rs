//! Finding the aborted transactions of a range: segment by segment, each list from where it is.
//!
//! The walk begins at the range's first segment and ends where all that overlaps is known: at a list that says so, or at a segment
//! before which nothing of the range was undecided. So its cost grows with the range and with the transactions that reach over
//! it, not with the log.

use std::path::PathBuf;
use std::rc::Rc;

use tautline_core::batch::{BATCH_HEADER_BYTES, Batch};
use tautline_core::blocking;
use tautline_core::file::OpenMode;
use tautline_core::ids::Offset;
use tautline_core::task::{Queue, spawn, yield_if_needed};

use super::file::{self, SegmentContent};
use super::{Aborted, AbortedTransaction, overlapping};
use crate::cold::{ColdSegment, header_of};
use crate::error::ReadError;
use crate::limits::SCAN_WINDOW_BYTES;
use crate::log::Log;
use crate::producers::Producers;
use crate::segment::{Segment, SegmentId};
use crate::state::State;
use crate::window::Window;

/// What the walk does next.
enum Step {
    Done,
    /// A sealed segment's list is needed; the walk goes on at `next`.
    Load {
        segment: ColdSegment,
        next: Offset,
    },
}

impl Log {
    /// Keeps the list of a segment that is sealed at hand; gives its file and what belongs there, if it has any.
    pub(crate) fn keep_aborted(&self, list: Vec<Aborted>, segment: &Segment) -> Option<(PathBuf, Vec<u8>)> {
        if list.is_empty() {
            return None;
        }
        let content = SegmentContent {
            sequence: segment.sequence,
            base_offset: segment.base_offset,
            end_position: segment.end_position,
        };
        let bytes = file::to_file(&list, content);
        let weight = list.len() * size_of::<Aborted>();
        let key = (self.number, segment.id());
        self.shared.aborted.put(key, Rc::new(list), weight);
        Some((self.dir.aborted(segment.id()), bytes))
    }

    /// The aborted transactions with records, or markers, in `from..to`, which is below the last stable offset.
    ///
    /// # Errors
    /// [`ReadError`]: a segment's list has to be made again, and can't be.
    pub(crate) async fn aborted_between(
        &self,
        from: Offset,
        to: Offset,
    ) -> Result<Vec<AbortedTransaction>, ReadError> {
        let found = self.aborted_in(from, to).await?;
        Ok(found.iter().map(AbortedTransaction::from).collect())
    }

    /// [`Log::aborted_between`], with all that is known of them.
    pub(crate) async fn aborted_in(&self, from: Offset, to: Offset) -> Result<Vec<Aborted>, ReadError> {
        let mut found = Vec::new();
        let mut at = from;
        loop {
            let step = self.state.borrow().look_for_aborted(at, from, to, &mut found);
            let Step::Load { segment, next } = step else {
                return Ok(found);
            };
            // In a box: most ranges need none, and their readers shall not carry room for it.
            let list = Box::pin(self.aborted_of(&segment)).await?;
            if overlapping(&list, from, to, &mut found) {
                return Ok(found);
            }
            at = next;
        }
    }

    /// The list of a sealed segment: from memory, from its file, or made again.
    pub(crate) async fn aborted_of(&self, segment: &ColdSegment) -> Result<Rc<Vec<Aborted>>, ReadError> {
        let key = (self.number, segment.id);
        if let Some(list) = self.shared.aborted.get(key) {
            return Ok(list);
        }
        let content = SegmentContent {
            sequence: segment.id.sequence,
            base_offset: segment.base.offset,
            end_position: segment.end,
        };
        let path = self.dir.aborted(segment.id);
        let read = blocking::run(move || std::fs::read(path)).await;
        let list = match read.ok().and_then(|bytes| file::from_file(&bytes, content)) {
            Some(list) => list,
            None => {
                let list = self.find_aborted_again(segment).await?;
                if !self.has_segment(segment.id) {
                    // Its bytes are in another file by now: the list serves this reader and is not kept.
                    return Ok(Rc::new(list));
                }
                let (bytes, path) = (file::to_file(&list, content), self.dir.aborted(segment.id));
                let write = blocking::run(move || std::fs::write(path, bytes));
                spawn(Queue::Background, async move {
                    // If it can't be kept it is made again.
                    let _ = write.await;
                });
                list
            }
        };
        let list = Rc::new(list);
        self.shared
            .aborted
            .put(key, list.clone(), list.len() * size_of::<Aborted>());
        Ok(list)
    }

    fn has_segment(&self, id: SegmentId) -> bool {
        let state = self.state.borrow();
        state.segments.iter().any(|segment| segment.id() == id)
    }

    /// Makes a segment's list from the batches: those of the segment, and those before it in which its transactions began. If the
    /// segment was merged into another one meanwhile, the list has the others' as well.
    async fn find_aborted_again(&self, segment: &ColdSegment) -> Result<Vec<Aborted>, ReadError> {
        let (sequence, offset) = (segment.id.sequence, segment.base.offset);
        tracing::debug!(log = %self.identity, segment = sequence, "finding the aborted transactions again from the batches");
        let mut producers = Producers::default();
        let mut list = Vec::new();
        let mut at = self.state.borrow().open_from(offset);
        loop {
            let Some(part) = self.cold_segment(at) else {
                return Err(ReadError::Corrupt { offset });
            };
            let is_last = part.end_offset >= segment.end_offset;
            let file = self.descriptor(part.id, OpenMode::ReadDirect).await?;
            let mut window = Window::new(&file, &self.shared.memory, part.end);
            let mut position = part.base.position;
            while position < part.end {
                let bytes = window
                    .get(position, BATCH_HEADER_BYTES, SCAN_WINDOW_BYTES)
                    .await?;
                // Over damage it can't be told what was aborted.
                let Some((size, base, next)) = header_of(bytes) else {
                    return Err(ReadError::Corrupt { offset });
                };
                if next > at {
                    let bytes = window.get(position, size, SCAN_WINDOW_BYTES).await?;
                    let Ok((batch, _)) = Batch::parse(bytes) else {
                        return Err(ReadError::Corrupt { offset });
                    };
                    let aborted = producers.note(&batch, base, batch.max_timestamp(), 0);
                    list.extend(aborted.filter(|_| is_last));
                }
                position += size as u64;
                yield_if_needed().await;
            }
            if is_last {
                return Ok(list);
            }
            at = part.end_offset;
        }
    }
}

impl State {
    /// Adds what the lists in memory have of the range, from the segment of `at` on, up to the first list that is not.
    fn look_for_aborted(&self, at: Offset, from: Offset, to: Offset, found: &mut Vec<Aborted>) -> Step {
        let first = self.segment_for(at).unwrap_or(0);
        for segment in self.segments.iter().skip(first) {
            if segment.open_from >= to {
                break;
            }
            if segment.end_offset <= at || segment.aborted_count() == 0 {
                continue;
            }
            let Some(live) = &segment.live else {
                return Step::Load {
                    segment: ColdSegment::of(segment),
                    next: segment.end_offset,
                };
            };
            if overlapping(&live.aborted, from, to, found) {
                break;
            }
        }
        Step::Done
    }

    /// The offset from which a walk over the log meets all transactions that were open when the segment of `offset` began.
    fn open_from(&self, offset: Offset) -> Offset {
        let first = self
            .segments
            .front()
            .map_or(offset, |segment| segment.base_offset);
        let segment = self.segment_for(offset).map(|at| &self.segments[at]);
        segment.map_or(offset, |segment| segment.open_from.max(first))
    }
}
