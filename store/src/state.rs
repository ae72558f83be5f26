//! What a log knows in memory, behind its `RefCell`: plain data, changed without waiting.

use std::collections::VecDeque;

use tautline_core::ids::Offset;
use tautline_core::time::now_ms;

use crate::config::LogConfig;
use crate::damage::Damage;
use crate::error::LogError;
use crate::leader_epochs::LeaderEpochs;
use crate::producers::Producers;
use crate::recovery::Recovered;
use crate::segment::{FileState, Live, NextSegment, PreparedFile, Segment, SegmentId};
use crate::tail::Tail;

/// Where an appended batch ends, until the file has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchEnd {
    pub sequence: u64,
    pub position: u64,
    pub offset: Offset,
}

/// What the writer task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// There is none.
    Absent,
    Busy,
    /// It waits for work.
    Parked,
    /// It ends when it has nothing to do.
    Retiring,
}

/// See the module.
pub(crate) struct State {
    pub config: LogConfig,
    pub start_offset: Offset,
    /// The start offset of the last checkpoint that is on stable storage.
    pub durable_start: Offset,
    /// What retention or DeleteRecords asked for: the start offset of the next checkpoint, and the log's once that is on stable storage.
    pub wanted_start: Offset,
    pub high_watermark: Offset,
    /// Nothing at or above is deleted or cleaned.
    pub settled: Offset,
    pub end_offset: Offset,
    pub written_end: Offset,
    pub durable_end: Offset,
    /// When the last write that completed was begun, and when it completed: nanoseconds on the monotonic clock.
    pub last_write_ns: (u64, u64),
    /// Oldest first. The last one is the active one if it is live.
    pub segments: VecDeque<Segment>,
    pub next: Option<NextSegment>,
    pub next_sequence: u64,
    /// See [`Checkpoint::live_from`](crate::checkpoint::Checkpoint).
    pub live_from: u64,
    pub tail: Tail,
    pub unwritten: VecDeque<BatchEnd>,
    pub unwritten_bytes: u64,
    pub unsynced_messages: u64,
    /// A sync is wanted until the durable end has reached this.
    pub sync_until: Offset,
    pub flush_timer: bool,
    pub epochs: LeaderEpochs,
    pub producers: Producers,
    pub failed: Option<LogError>,
    pub closing: bool,
    /// How many want the log's end cut off: whoever waits for it to be committed gives up.
    pub cutting: usize,
    pub damage: Vec<Damage>,
    /// Compaction has seen all below.
    pub cleaned_to: Offset,
    /// Generation of the next cleaned segment.
    pub next_generation: u64,
    /// Segments whose files go when a checkpoint does not name them any more.
    pub gone: Vec<SegmentId>,
    /// How often compaction has put a cleaned segment in place of others, since the log was opened.
    pub segments_replaced: u64,
    pub writer: Writer,
    pub last_append_ms: i64,
    /// Segment files being made.
    pub preparing: usize,
    pub prepare_failed_ms: i64,
    /// Something is not in the checkpoint yet.
    pub dirty: bool,
    /// A segment was sealed since.
    pub sealed_unsaved: bool,
    /// It waits for its turn to have a checkpoint written.
    pub checkpoint_queued: bool,
    pub generation: u64,
    pub checkpointed_ms: i64,
}

impl State {
    pub(crate) fn recovered(r: Recovered, config: LogConfig) -> State {
        let mut segments: VecDeque<Segment> = r.sealed.iter().map(Segment::sealed).collect();
        let mut tail = Tail::new();
        if let Some(active) = r.active {
            let (sequence, end) = (active.segment.sequence, active.segment.end_position);
            if !r.read_only {
                tail = Tail::recovered(sequence, end, &active.partial);
            }
            let live = Live {
                file: FileState::Closed,
                capacity: active.capacity,
                salt: active.salt,
                written: end,
                durable: end,
                index: active.index,
                aborted: active.aborted,
            };
            segments.push_back(Segment {
                live: Some(Box::new(live)),
                ..Segment::sealed(&active.segment)
            });
        }
        let next = r.next.map(|empty| NextSegment {
            sequence: empty.sequence,
            prepared: PreparedFile {
                capacity: empty.capacity,
                salt: empty.salt,
                file: FileState::Closed,
            },
        });
        // Of a replicated log its replica knows; nobody has asked it yet.
        let settled = Offset(if config.replicated { 0 } else { i64::MAX });
        let mut producers = r.producers;
        producers.high_watermark(r.high_watermark);
        State {
            config,
            start_offset: r.start_offset,
            durable_start: r.durable_start,
            wanted_start: r.start_offset,
            high_watermark: r.high_watermark,
            settled,
            end_offset: r.end_offset,
            written_end: r.end_offset,
            durable_end: r.end_offset,
            last_write_ns: (0, 0),
            segments,
            next,
            next_sequence: r.next_sequence,
            live_from: r.live_from,
            tail,
            unwritten: VecDeque::new(),
            unwritten_bytes: 0,
            unsynced_messages: 0,
            sync_until: r.end_offset,
            flush_timer: false,
            epochs: r.epochs,
            producers,
            failed: r.read_only.then_some(LogError::Damaged),
            closing: false,
            cutting: 0,
            damage: r.damage,
            cleaned_to: r.cleaned_to,
            next_generation: r.next_generation,
            gone: Vec::new(),
            segments_replaced: 0,
            writer: Writer::Absent,
            last_append_ms: r.last_append_ms,
            preparing: 0,
            prepare_failed_ms: 0,
            dirty: r.dirty,
            sealed_unsaved: false,
            checkpoint_queued: false,
            generation: r.generation,
            checkpointed_ms: now_ms(),
        }
    }

    /// Drops the oldest chunk that the file has; the only one too, but for its last block. Gives the memory that frees.
    pub(crate) fn evict_chunk(&mut self) -> Option<usize> {
        let segments = &self.segments;
        let written = |sequence: u64, end| {
            let at = segments.binary_search_by_key(&sequence, |s| s.sequence);
            // A segment that is gone was deleted.
            at.map_or(true, |at| {
                segments[at].live.as_ref().is_none_or(|live| live.written >= end)
            })
        };
        self.tail.evict_oldest(written).or_else(|| {
            let settled = self.tail.chunks().len() == 1 && self.written_end == self.end_offset;
            settled.then(|| self.tail.give_back())
        })
    }

    /// The offset up to which waiting producers are answered.
    pub fn committed_end(&self) -> Offset {
        if self.config.is_relaxed() {
            self.end_offset
        } else {
            self.durable_end
        }
    }

    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(Segment::size_bytes).sum()
    }

    /// The segment with the batch that contains `offset`, or the one before a gap.
    pub fn segment_for(&self, offset: Offset) -> Option<usize> {
        self.segments
            .partition_point(|s| s.base_offset <= offset)
            .checked_sub(1)
    }

    pub fn segment_mut(&mut self, sequence: u64) -> Option<&mut Segment> {
        let at = self
            .segments
            .binary_search_by_key(&sequence, |s| s.sequence)
            .ok()?;
        Some(&mut self.segments[at])
    }

    pub fn active(&self) -> Option<&Segment> {
        self.segments.back().filter(|s| s.live.is_some())
    }
}
