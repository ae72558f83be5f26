//! Getting the next segment's file into the log's directory before it is needed: off the core, one at a time.

use std::io;
use std::rc::Rc;

use tautline_core::blocking;
use tautline_core::task::{Queue, spawn};
use tautline_core::time::now_ms;

use crate::error::LogError;
use crate::format::SegmentHeader;
use crate::log::Log;
use crate::pool::Taken;
use crate::segment::{FileState, NextSegment, PreparedFile};
use crate::state::State;

impl Log {
    /// Starts making the file of the next segment.
    pub(crate) fn prepare(&self, state: &mut State, capacity: u64) {
        debug_assert!(state.next.is_none());
        let sequence = state.next_sequence;
        state.next_sequence += 1;
        state.preparing += 1;
        let header = SegmentHeader::new(
            self.identity.topic_id,
            self.identity.partition,
            sequence,
            now_ms(),
        );
        let prepared = PreparedFile {
            capacity,
            salt: header.salt(),
            file: FileState::Awaited,
        };
        state.next = Some(NextSegment { sequence, prepared });
        let (data, faults) = (self.shared.data.clone(), self.shared.options.faults.clone());
        let path = self.dir.segment(sequence);
        let log = self.me.clone();
        spawn(Queue::Produce, async move {
            let take = move || data.pool().take(capacity, &header, &path, faults.as_deref());
            let taken = blocking::run(take).await;
            if let Some(log) = log.upgrade() {
                log.prepared(sequence, taken);
            }
        });
    }

    fn prepared(&self, sequence: u64, taken: io::Result<Taken>) {
        self.shared.refill_pool();
        let opened = taken.and_then(|taken| {
            self.shared.metrics.pool_waits.add(u64::from(taken.waited));
            Ok((Rc::new(self.shared.disk.wrap(taken.file)?), taken.capacity))
        });
        let mut state = self.state.borrow_mut();
        state.preparing -= 1;
        let awaited = state
            .segment_mut(sequence)
            .and_then(|segment| segment.live.as_mut());
        match (opened, awaited) {
            (Ok((file, capacity)), Some(live)) => {
                live.file = FileState::Open(file);
                live.capacity = capacity;
                state.prepare_failed_ms = 0;
            }
            (Ok((file, capacity)), None) => {
                state.prepare_failed_ms = 0;
                match &mut state.next {
                    Some(next) if next.sequence == sequence => {
                        next.prepared.file = FileState::Open(file);
                        next.prepared.capacity = capacity;
                    }
                    _ => self.remove_unused(sequence),
                }
            }
            (Err(error), Some(_)) => {
                drop(state);
                self.fail(LogError::from(error));
                return;
            }
            (Err(error), None) => {
                tracing::warn!(log = %self.identity, %error, "no file for the next segment; trying again when it is needed");
                state.next = None;
                state.prepare_failed_ms = now_ms();
            }
        }
        drop(state);
        self.work.notify_all();
    }

    /// Gives up the next segment, which turned out too small.
    pub(crate) fn discard_next(&self, state: &mut State) {
        if let Some(next) = state.next.take()
            && !matches!(next.prepared.file, FileState::Awaited)
        {
            self.remove_unused(next.sequence);
        }
    }

    /// Removes a segment file that never held a batch.
    fn remove_unused(&self, sequence: u64) {
        let path = self.dir.segment(sequence);
        let remove = blocking::run(move || std::fs::remove_file(path));
        spawn(Queue::Background, async move {
            // If it stays, the next start finds it empty.
            let _ = remove.await;
        });
    }
}
