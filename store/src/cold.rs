//! Reading batches from segment files, through the segment's sparse index.
//!
//! Direct reads go through the core's ring into pool buffers, and every batch's checksum is compared before it is given out.
//! With [`ColdRead::Sendfile`] the ranges are only found here; the network layer sends them off the core's thread.

use std::io;
use std::rc::Rc;

use tautline_core::batch::{BATCH_HEADER_BYTES, Batch, BatchError};
use tautline_core::file::OpenMode;
use tautline_core::ids::Offset;
use tautline_core::task::yield_now;

use crate::config::ColdRead;
use crate::damage::Damage;
use crate::disk::LogFile;
use crate::error::ReadError;
use crate::index::{Place, SparseIndex};
use crate::limits::{BLOCK_BYTES, COLD_READ_BYTES_MAX, VERIFY_STEP_BYTES};
use crate::log::Log;
use crate::part::Part;
use crate::read::{ReadFrom, ReadResult};
use crate::segment::{FileState, Segment, SegmentId};
use crate::window::Window;

/// A segment as a cold reader needs it, without a borrow of the log.
pub(crate) struct ColdSegment {
    pub id: SegmentId,
    pub base: Place,
    /// The file has all batches below.
    pub end: u64,
    /// First offset behind the segment.
    pub end_offset: Offset,
    /// The index below is in a file or has to be made.
    pub index_from: Option<Place>,
    pub file: Option<Rc<LogFile>>,
}

impl ColdSegment {
    pub fn of(segment: &Segment) -> ColdSegment {
        let live = segment.live.as_ref();
        let file = live.and_then(|live| match &live.file {
            FileState::Open(file) => Some(file.clone()),
            FileState::Awaited | FileState::Closed => None,
        });
        ColdSegment {
            id: segment.id(),
            base: segment.base(),
            end: segment.readable_end(),
            end_offset: segment.end_offset,
            index_from: live.map(|live| live.index.complete_from),
            file,
        }
    }
}

impl Log {
    /// Reads from a segment file; `sendfile` allows ranges of files as an answer.
    pub(crate) async fn read_cold(&self, from: ReadFrom, sendfile: bool) -> Result<ReadResult, ReadError> {
        let metrics = &self.shared.metrics;
        metrics.cold_reads.add(1);
        let mut from = from;
        loop {
            let Some(segment) = self.cold_segment(from.offset) else {
                return Err(ReadError::Corrupt { offset: from.offset });
            };
            match self.read_segment(&segment, &from, sendfile).await {
                Ok(Some(result)) => {
                    metrics.cold_read_bytes.add(result.size_bytes as u64);
                    return Ok(result);
                }
                // What the segment had from there on was compacted.
                Ok(None) => match self.begin_behind(segment.id, from.offset) {
                    Some(next) => from.offset = next,
                    None => return Ok(ReadResult::default()),
                },
                Err(error) => self.explain(error, &segment, from.offset)?,
            }
            let mut parts = Vec::new();
            if let Some(extent) = self.read_tail(&from, &mut parts)? {
                return Ok(ReadResult::new(parts, extent));
            }
        }
    }

    /// Where a reader goes on that found nothing in a segment from an offset on: where the next one begins; `None` at the end. If
    /// the segment was replaced meanwhile, what is behind it may be in the same file now: then the reader looks again where it is.
    pub(crate) fn begin_behind(&self, id: SegmentId, offset: Offset) -> Option<Offset> {
        let state = self.state.borrow();
        let at = state.segment_for(offset);
        match at.map(|at| state.segments[at].id()) {
            Some(there) if there == id => {
                let next = state.segments.get(at? + 1)?;
                Some(next.base_offset)
            }
            _ => Some(offset),
        }
    }

    /// Tells what went wrong with a segment from what merely went: compaction replaced it, and the reader looks again; or
    /// retention took it, and the offset is out of range.
    fn explain(&self, error: ReadError, segment: &ColdSegment, offset: Offset) -> Result<(), ReadError> {
        let state = self.state.borrow();
        let (start, end) = (state.start_offset, state.end_offset);
        if offset < start {
            return Err(ReadError::OffsetOutOfRange { offset, start, end });
        }
        if state.segments.iter().any(|s| s.id() == segment.id) {
            return Err(error);
        }
        Ok(())
    }

    async fn read_segment(
        &self,
        segment: &ColdSegment,
        from: &ReadFrom,
        sendfile: bool,
    ) -> Result<Option<ReadResult>, ReadError> {
        let index = self.index_for(segment, from.offset).await?;
        let id = segment.id;
        let place = self.with_index(id, index.as_deref(), |index| index.at_or_before(from.offset));
        let place = place.unwrap_or(segment.base);
        let file = match &segment.file {
            Some(file) => file.clone(),
            None => self.descriptor(id, OpenMode::ReadDirect).await?,
        };
        let budget = from.max_bytes.min(COLD_READ_BYTES_MAX);
        let mut window = Window::new(&file, &self.shared.memory, segment.end);
        let start = self
            .find_batch(&mut window, segment, index.as_deref(), place, from.offset, budget)
            .await?;
        let Some((start, first_bytes)) = start else {
            return Ok(None);
        };
        if sendfile && self.shared.options.cold_read == ColdRead::Sendfile && !self.shared.disk.has_faults() {
            let limit = start + from.max_bytes as u64;
            let end = self.with_index(id, index.as_deref(), |i| {
                i.at_or_before_position(limit, from.bound)
            });
            if let Some(end) = end.filter(|end| end.position > start) {
                let file = self.descriptor(id, OpenMode::ReadBuffered).await?;
                let len = (end.position - start) as usize;
                let part = Part::File {
                    file: file.file().clone(),
                    at: start,
                    len,
                };
                return Ok(Some(ReadResult {
                    parts: vec![part],
                    size_bytes: len,
                    next_offset: end.offset,
                }));
            }
        }
        if first_bytes > budget && !from.min_one_batch && first_bytes > from.max_bytes {
            return Ok(Some(ReadResult::default()));
        }
        let budget = budget.max(first_bytes);
        let bytes = window.get(start, first_bytes, budget).await?;
        let (len, next_offset) = self.take_sound(bytes, segment, start, budget, from).await?;
        let mut result = ReadResult::default();
        if len > 0 {
            result.push(window.into_slice(start, start + len as u64), next_offset);
        }
        Ok(Some(result))
    }

    /// How many of the bytes are whole, sound batches within the bounds, and the offset behind them.
    async fn take_sound(
        &self,
        bytes: &[u8],
        segment: &ColdSegment,
        start: u64,
        budget: usize,
        from: &ReadFrom,
    ) -> Result<(usize, Offset), ReadError> {
        let (mut len, mut next_offset) = (0, from.offset);
        let mut held_bytes = 0;
        while let Ok((batch, _)) = Batch::parse(&bytes[len..]) {
            if len + batch.size_bytes() > budget || batch.next_offset() > from.bound {
                break;
            }
            held_bytes += batch.size_bytes();
            if held_bytes > VERIFY_STEP_BYTES {
                held_bytes = batch.size_bytes();
                yield_now().await;
            }
            if batch.verify_crc().is_err() {
                let damage = Damage {
                    sequence: segment.id.sequence,
                    position: start + len as u64,
                    from: batch.base_offset(),
                    to: Some(batch.next_offset()),
                };
                self.note_damage(damage);
                return if len == 0 {
                    Err(ReadError::Corrupt { offset: from.offset })
                } else {
                    Ok((len, next_offset))
                };
            }
            len += batch.size_bytes();
            next_offset = batch.next_offset();
        }
        Ok((len, next_offset))
    }

    /// Position and size of the batch that contains `offset`, looking from `place` on; `None` if the segment ends before it.
    async fn find_batch(
        &self,
        window: &mut Window<'_>,
        segment: &ColdSegment,
        index: Option<&SparseIndex>,
        place: Place,
        offset: Offset,
        ahead: usize,
    ) -> Result<Option<(u64, usize)>, ReadError> {
        let (mut position, mut expected) = (place.position, place.offset);
        while position < segment.end {
            let bytes = window
                .get(position, BATCH_HEADER_BYTES, ahead + BLOCK_BYTES as usize)
                .await?;
            let (size_bytes, next) = match header_of(bytes) {
                Some((size, base, next)) if base >= expected && position + size as u64 <= segment.end => {
                    (size, next)
                }
                _ => {
                    // Its length is not to be trusted: the range ends where the index knows a batch again.
                    let after = self.with_index(segment.id, index, |index| index.after_position(position));
                    let to = Some(after.flatten().map_or(segment.end_offset, |place| place.offset));
                    self.note_damage(Damage {
                        sequence: segment.id.sequence,
                        position,
                        from: expected,
                        to,
                    });
                    return Err(ReadError::Corrupt { offset });
                }
            };
            if next > offset {
                return Ok(Some((position, size_bytes)));
            }
            position += size_bytes as u64;
            expected = next;
        }
        Ok(None)
    }

    pub(crate) fn cold_segment(&self, offset: Offset) -> Option<ColdSegment> {
        let state = self.state.borrow();
        Some(ColdSegment::of(&state.segments[state.segment_for(offset)?]))
    }

    /// An open descriptor of a segment, from the cache if it has one.
    pub(crate) async fn descriptor(&self, id: SegmentId, mode: OpenMode) -> io::Result<Rc<LogFile>> {
        let key = ((self.number, id), mode == OpenMode::ReadBuffered);
        if let Some(file) = self.shared.descriptors.get(key) {
            return Ok(file);
        }
        let file = Rc::new(self.shared.disk.open(&self.dir.file(id), mode).await?);
        self.shared.descriptors.put(key, file.clone(), 1);
        Ok(file)
    }

    /// Asks the loaded index, or the live segment's own.
    pub(crate) fn with_index<T>(
        &self,
        id: SegmentId,
        loaded: Option<&SparseIndex>,
        ask: impl FnOnce(&SparseIndex) -> T,
    ) -> Option<T> {
        if let Some(index) = loaded {
            return Some(ask(index));
        }
        let state = self.state.borrow();
        let at = state.segments.binary_search_by_key(&id, |s| s.id()).ok()?;
        state.segments[at].live.as_ref().map(|live| ask(&live.index))
    }

    pub(crate) fn note_damage(&self, damage: Damage) {
        let mut state = self.state.borrow_mut();
        if state
            .damage
            .iter()
            .any(|d| (d.sequence, d.position) == (damage.sequence, damage.position))
        {
            return;
        }
        self.shared.metrics.damage.add(1);
        tracing::error!(log = %self.identity, %damage, "damage on disk; nothing is removed, the range is not served");
        state.damage.push(damage);
    }
}

/// Size, base offset and next offset of the batch that begins here, from its header alone.
pub(crate) fn header_of(bytes: &[u8]) -> Option<(usize, Offset, Offset)> {
    let size = match Batch::parse(bytes) {
        Ok((batch, _)) => batch.size_bytes(),
        Err(BatchError::Truncated { needed }) if bytes.len() >= BATCH_HEADER_BYTES => needed,
        Err(_) => return None,
    };
    let number = |at: usize| i64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    let delta = i32::from_be_bytes(bytes[23..27].try_into().expect("four bytes"));
    let base = number(0);
    (base >= 0 && delta >= 0).then(|| {
        (
            size,
            Offset(base),
            Offset(base.saturating_add(i64::from(delta) + 1)),
        )
    })
}
