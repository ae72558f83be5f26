//! One segment of a log, as its owner knows it in memory.
//!
//! A segment is *live* while it is appended to or its bytes are on their way to the file; then it is sealed: its file is
//! truncated to the data, its index written, and only these few words stay in memory. Compaction puts a cleaned segment in place
//! of one or several sealed ones; it bears the number of the last of them, and a generation.

use std::rc::Rc;

use tautline_core::ids::Offset;

use crate::aborted::Aborted;
use crate::checkpoint::SealedSegment;
use crate::disk::LogFile;
use crate::index::{Place, SparseIndex};
use crate::limits::{SEGMENT_HEADER_BYTES, SEGMENT_SLACK_BYTES};

/// Which file of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SegmentId {
    pub sequence: u64,
    /// 0 for a file that was appended to; each cleaned file of a log has one of its own, later ones higher.
    pub generation: u64,
}

impl SegmentId {
    /// A file that is or was appended to.
    pub fn appended(sequence: u64) -> SegmentId {
        SegmentId {
            sequence,
            generation: 0,
        }
    }

    pub fn is_cleaned(self) -> bool {
        self.generation > 0
    }
}

/// See the module.
pub(crate) struct Segment {
    pub sequence: u64,
    /// See [`SegmentId`].
    pub generation: u64,
    pub base_offset: Offset,
    pub end_offset: Offset,
    /// File position behind the last batch.
    pub end_position: u64,
    /// Largest timestamp of its batches, -1 for none.
    pub max_timestamp_ms: i64,
    /// Wall clock of the first append.
    pub opened_ms: i64,
    /// No transaction that was open when the segment began, or began later, began before this offset.
    pub open_from: Offset,
    /// How many abort markers that ended a transaction it has; kept by `live` while there is that.
    pub sealed_aborted: u32,
    pub live: Option<Box<Live>>,
}

/// What only a live segment has.
pub(crate) struct Live {
    pub file: FileState,
    pub capacity: u64,
    pub salt: u64,
    /// Below this position the file has the bytes.
    pub written: u64,
    /// Below this position they are on stable storage.
    pub durable: u64,
    pub index: SparseIndex,
    /// In the order of their markers.
    pub aborted: Vec<Aborted>,
}

/// Whether the segment's file can be written.
pub(crate) enum FileState {
    /// The pool is making it.
    Awaited,
    /// It is in the log's directory, and closed because the log was idle.
    Closed,
    /// It can.
    Open(Rc<LogFile>),
}

impl Segment {
    /// An empty segment.
    pub fn new(
        sequence: u64,
        base_offset: Offset,
        open_from: Offset,
        prepared: PreparedFile,
        opened_ms: i64,
    ) -> Segment {
        let base = Place {
            offset: base_offset,
            position: SEGMENT_HEADER_BYTES,
        };
        Segment {
            sequence,
            generation: 0,
            base_offset,
            end_offset: base_offset,
            end_position: SEGMENT_HEADER_BYTES,
            max_timestamp_ms: -1,
            opened_ms,
            open_from,
            sealed_aborted: 0,
            live: Some(Box::new(Live {
                file: prepared.file,
                capacity: prepared.capacity,
                salt: prepared.salt,
                written: SEGMENT_HEADER_BYTES,
                durable: SEGMENT_HEADER_BYTES,
                index: SparseIndex::new(base),
                aborted: Vec::new(),
            })),
        }
    }

    pub fn sealed(sealed: &SealedSegment) -> Segment {
        Segment {
            sequence: sealed.sequence,
            generation: sealed.generation,
            base_offset: sealed.base_offset,
            end_offset: sealed.end_offset,
            end_position: sealed.end_position,
            max_timestamp_ms: sealed.max_timestamp_ms,
            opened_ms: sealed.opened_ms,
            open_from: sealed.open_from,
            sealed_aborted: sealed.aborted,
            live: None,
        }
    }

    pub fn to_sealed(&self) -> SealedSegment {
        SealedSegment {
            sequence: self.sequence,
            generation: self.generation,
            base_offset: self.base_offset,
            end_offset: self.end_offset,
            end_position: self.end_position,
            max_timestamp_ms: self.max_timestamp_ms,
            opened_ms: self.opened_ms,
            open_from: self.open_from,
            aborted: self.aborted_count() as u32,
        }
    }

    /// How many transactions its abort markers end.
    pub fn aborted_count(&self) -> usize {
        let live = self.live.as_ref();
        live.map_or(self.sealed_aborted as usize, |live| live.aborted.len())
    }

    /// Takes what only a live segment has: it is sealed from now on.
    pub fn seal(&mut self) -> Option<Box<Live>> {
        self.sealed_aborted = self.aborted_count() as u32;
        self.live.take()
    }

    pub fn id(&self) -> SegmentId {
        SegmentId {
            sequence: self.sequence,
            generation: self.generation,
        }
    }

    /// Where its first batch lies; what was in front of that was compacted, if its offset is higher.
    pub fn base(&self) -> Place {
        Place {
            offset: self.base_offset,
            position: SEGMENT_HEADER_BYTES,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.end_position == SEGMENT_HEADER_BYTES
    }

    /// Bytes of its batches.
    pub fn size_bytes(&self) -> u64 {
        self.end_position - SEGMENT_HEADER_BYTES
    }

    /// Below this position its file can be read.
    pub fn readable_end(&self) -> u64 {
        self.live.as_ref().map_or(self.end_position, |live| live.written)
    }
}

impl Live {
    /// Position that the segment's data may not pass.
    pub fn limit(&self, segment_bytes: u64) -> u64 {
        self.capacity
            .saturating_sub(SEGMENT_SLACK_BYTES)
            .min(SEGMENT_HEADER_BYTES + segment_bytes)
    }
}

/// A segment file made ahead of need, or being made.
pub(crate) struct PreparedFile {
    pub capacity: u64,
    pub salt: u64,
    pub file: FileState,
}

/// The file for the log's next segment.
pub(crate) struct NextSegment {
    pub sequence: u64,
    pub prepared: PreparedFile,
}
