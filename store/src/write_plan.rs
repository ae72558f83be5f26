//! What a log's writer does next: which blocks it writes, when it syncs, when it rests. Decided from the state alone.

use std::rc::Rc;

use tautline_core::buffer::{BLOCK_SIZE, OutOfMemory};
use tautline_core::file::Durability;
use tautline_core::ids::Offset;
use tautline_core::parts::Parts;
use zerocopy::IntoBytes;

use crate::disk::LogFile;
use crate::format::{FOOTER_BYTES, Footer};
use crate::limits::{BLOCK_BYTES, WRITE_BYTES_MAX};
use crate::log::Log;
use crate::segment::FileState;
use crate::state::{State, Writer};
use crate::tail::block_start;

/// One write of a segment.
pub(crate) struct Write {
    pub file: Rc<LogFile>,
    pub sequence: u64,
    pub at: u64,
    pub parts: Parts,
    /// Position at which the data of this write ends.
    pub end: u64,
    pub durability: Durability,
}

/// One sync of a segment's file.
pub(crate) struct Sync {
    pub file: Rc<LogFile>,
    pub sequence: u64,
    /// What the file holds as the sync begins.
    pub written: u64,
    pub written_end: Offset,
    pub messages: u64,
}

/// What the writer does next.
pub(crate) enum Step {
    Write(Write),
    Sync(Sync),
    Reopen(u64),
    /// A segment file or memory is on its way.
    Wait,
    NoMemory,
    Park,
    End,
}

impl Log {
    /// The writer's next step.
    pub(crate) fn next_step(&self) -> Step {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        loop {
            if state.failed.is_some() {
                state.writer = Writer::Absent;
                return Step::End;
            }
            // Sealed segments come first, live ones last.
            let at = state.segments.partition_point(|s| s.live.is_none());
            let is_last = at + 1 >= state.segments.len();
            let Some(segment) = state.segments.get_mut(at) else {
                return state.rest();
            };
            let live = segment.live.as_mut().expect("found live");
            let relaxed = state.config.is_relaxed();
            let all_written = live.written == segment.end_position;
            let behind = live.durable < live.written;
            if all_written && !behind {
                if is_last {
                    return state.rest();
                }
                self.seal(state, at);
                continue;
            }
            let sync_due = behind
                && (!relaxed
                    || state.durable_end < state.sync_until
                    || state.unsynced_messages >= state.config.flush_messages
                    || all_written && !is_last);
            if all_written && !sync_due {
                return state.rest();
            }
            state.writer = Writer::Busy;
            let sequence = segment.sequence;
            let file = match &live.file {
                FileState::Awaited => return Step::Wait,
                FileState::Closed => return Step::Reopen(sequence),
                FileState::Open(file) => file.clone(),
            };
            if sync_due {
                let (written, written_end) = (live.written, state.written_end);
                let messages = state.unsynced_messages;
                return Step::Sync(Sync {
                    file,
                    sequence,
                    written,
                    written_end,
                    messages,
                });
            }
            return match self.plan_write(state, at, file) {
                Ok(write) => Step::Write(write),
                Err(OutOfMemory { .. }) => Step::NoMemory,
            };
        }
    }

    /// The next write of a segment: whole blocks from where the file ends.
    fn plan_write(&self, state: &State, at: usize, file: Rc<LogFile>) -> Result<Write, OutOfMemory> {
        let segment = &state.segments[at];
        let live = segment.live.as_ref().expect("a segment being written is live");
        let sequence = segment.sequence;
        let start = block_start(live.written);
        let end = segment.end_position.min(start + WRITE_BYTES_MAX);
        let last_block = block_start(end);
        let chunks = state.tail.chunks();
        let mut parts = self.parts.take();
        let mut next = state
            .tail
            .chunk_for_block(sequence, start)
            .expect("unwritten bytes are in memory");
        let mut from = start;
        while from < last_block {
            let chunk = &chunks[next];
            let following = chunks
                .get(next + 1)
                .filter(|c| c.sequence == sequence)
                .map_or(last_block, |c| c.base);
            let to = following.min(last_block);
            if to > from {
                parts.push(chunk.slice(from, to));
                from = to;
            }
            next += 1;
        }
        // The last block, and behind it one for the footer if that has no room there.
        let partial = (end - last_block) as usize;
        let len = if partial + FOOTER_BYTES > BLOCK_SIZE {
            2 * BLOCK_SIZE
        } else {
            BLOCK_SIZE
        };
        let mut tail = self.shared.memory.take(len)?;
        tail[partial..len].fill(0);
        if partial > 0 {
            let chunk = state
                .tail
                .chunk_for_block(sequence, last_block)
                .expect("unwritten bytes are in memory");
            tail[..partial].copy_from_slice(&chunks[chunk].slice(last_block, end));
        }
        let footer = Footer::new(sequence, live.salt, live.durable, end);
        tail[len - FOOTER_BYTES..len].copy_from_slice(footer.as_bytes());
        parts.push(tail.freeze().slice(..len));
        let durability = if state.config.is_relaxed() {
            Durability::Cached
        } else {
            Durability::Durable
        };
        Ok(Write {
            file,
            sequence,
            at: start,
            parts,
            end,
            durability,
        })
    }
}

impl State {
    /// Nothing to do.
    fn rest(&mut self) -> Step {
        if self.closing || self.writer == Writer::Retiring {
            self.writer = Writer::Absent;
            return Step::End;
        }
        self.writer = Writer::Parked;
        Step::Park
    }
}

const _: () = assert!(BLOCK_BYTES as usize == BLOCK_SIZE && FOOTER_BYTES < BLOCK_SIZE);
