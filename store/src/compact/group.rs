//! Segments that are cleaned into one file.

use tautline_core::ids::Offset;

use super::fault::Fault;
use super::output::Output;
use super::pass::Job;
use crate::aborted::{self, Aborted, SegmentContent};
use crate::checkpoint::SealedSegment;
use crate::index::SparseIndex;
use crate::limits::SEGMENT_HEADER_BYTES;
use crate::segment::{Segment, SegmentId};

/// A sealed segment to be cleaned.
#[derive(Clone, Debug)]
pub(super) struct SourceSegment {
    pub id: SegmentId,
    pub base_offset: Offset,
    pub end_offset: Offset,
    pub end_position: u64,
    pub opened_ms: i64,
    pub open_from: Offset,
}

/// Segments being cleaned into one file.
pub(super) struct Group {
    pub output: Output,
    /// Something of them went, or was written otherwise.
    pub changed: bool,
    generation: u64,
    sources: Vec<SegmentId>,
    base_offset: Offset,
    end_offset: Offset,
    opened_ms: i64,
    open_from: Offset,
}

/// A file with its name, durable, ready to take its place.
pub(super) struct Finished {
    pub segment: SealedSegment,
    pub index: SparseIndex,
    pub aborted: Vec<Aborted>,
    /// What it replaces.
    pub sources: Vec<SegmentId>,
}

impl SourceSegment {
    pub fn of(segment: &Segment) -> SourceSegment {
        SourceSegment {
            id: segment.id(),
            base_offset: segment.base_offset,
            end_offset: segment.end_offset,
            end_position: segment.end_position,
            opened_ms: segment.opened_ms,
            open_from: segment.open_from,
        }
    }

    /// Bytes of its batches.
    pub fn size_bytes(&self) -> u64 {
        self.end_position - SEGMENT_HEADER_BYTES
    }
}

impl Group {
    pub fn new(first: &SourceSegment, generation: u64, output: Output) -> Group {
        Group {
            output,
            changed: false,
            generation,
            sources: vec![first.id],
            base_offset: first.base_offset,
            end_offset: first.end_offset,
            opened_ms: first.opened_ms,
            open_from: first.open_from,
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub fn extend(&mut self, next: &SourceSegment) {
        debug_assert!(self.end_offset <= next.base_offset);
        self.sources.push(next.id);
        self.end_offset = next.end_offset;
        self.opened_ms = self.opened_ms.min(next.opened_ms);
    }

    /// Whether the file still has room if all of the next segment stays.
    pub fn has_room_for(&self, next: &SourceSegment, segment_bytes: u64) -> bool {
        let end = self.output.position() + next.size_bytes();
        let offsets = next.end_offset - self.base_offset;
        end <= SEGMENT_HEADER_BYTES + segment_bytes && offsets < i64::from(i32::MAX)
    }

    pub fn is_worth_it(&self) -> bool {
        self.changed || self.sources.len() > 1
    }

    /// Makes the file durable; gives also how many bytes that has written.
    pub fn finish(self, job: &Job, aborted: Vec<Aborted>) -> Result<(Finished, u64), Fault> {
        let (&first, &last) = (
            self.sources.first().expect("a group has a segment"),
            self.sources.last().expect("a group has a segment"),
        );
        let id = SegmentId {
            sequence: last.sequence,
            generation: self.generation,
        };
        let content = SegmentContent {
            sequence: id.sequence,
            base_offset: self.base_offset,
            end_position: self.output.position(),
        };
        let list = (!aborted.is_empty()).then(|| aborted::to_file(&aborted, content));
        let offsets = (self.base_offset, self.end_offset);
        let written = self
            .output
            .finish(job, id, first.sequence, offsets, list.as_deref())?;
        let finished = Finished {
            segment: SealedSegment {
                sequence: id.sequence,
                generation: id.generation,
                base_offset: self.base_offset,
                end_offset: self.end_offset,
                end_position: written.end_position,
                max_timestamp_ms: written.max_timestamp_ms,
                opened_ms: self.opened_ms,
                open_from: self.open_from,
                aborted: aborted.len() as u32,
            },
            index: written.index,
            aborted,
            sources: self.sources,
        };
        Ok((finished, written.bytes))
    }
}
