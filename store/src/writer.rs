//! The task that carries a log's appended bytes to its file.
//!
//! At most one write of a log is in flight; what is appended meanwhile joins the next, so batching comes from load. A write
//! covers whole blocks: full ones straight from the chunks, the partial last one as a private zero-padded copy with a footer
//! (a block under DMA is never appended to). It is durable when it completes, unless the topic is relaxed: then the file is
//! synced every `flush.messages` messages and every `flush.ms`, and before the log goes on to its next segment.
//!
//! The last block is written again by the next write. Its old bytes are the same in both, so a torn sector can't take them.

use std::rc::Rc;
use std::time::Duration;

use tautline_core::buffer::BLOCK_SIZE;
use tautline_core::file::{Durability, OpenMode};
use tautline_core::task::{Queue, spawn};
use tautline_core::time::{monotonic_ns, sleep, turn_ns};

use crate::error::LogError;
use crate::limits::{RELAXED_WRITE_BYTES, RELAXED_WRITE_PAUSE};
use crate::log::Log;
use crate::segment::FileState;
use crate::state::{State, Writer};
use crate::write_plan::{Step, Sync, Write};

/// How long a write waits for a buffer when the memory budget is spent.
const MEMORY_RETRY: Duration = Duration::from_millis(1);

impl Log {
    /// Lets the writer look for work; starts it if there is none.
    pub(crate) fn wake_writer(&self) {
        let mut state = self.state.borrow_mut();
        match state.writer {
            Writer::Busy | Writer::Retiring => {}
            Writer::Parked => {
                state.writer = Writer::Busy;
                drop(state);
                self.work.notify_all();
            }
            Writer::Absent => {
                state.writer = Writer::Busy;
                let log = self.me.upgrade().expect("a log in use is alive");
                drop(state);
                spawn(Queue::Produce, log.write_loop());
            }
        }
    }

    /// Has the log synced within `delay_ms` (`flush.ms`).
    pub(crate) fn flush_later(&self, delay_ms: i64) {
        let log = self.me.clone();
        spawn(Queue::Produce, async move {
            sleep(Duration::from_millis(delay_ms.max(0) as u64)).await;
            if let Some(log) = log.upgrade() {
                let mut state = log.state.borrow_mut();
                state.flush_timer = false;
                state.sync_until = state.end_offset;
                drop(state);
                log.wake_writer();
            }
        });
    }

    async fn write_loop(self: Rc<Log>) {
        loop {
            let step = self.next_step();
            match step {
                Step::Write(write) => {
                    let relaxed = write.durability == Durability::Cached;
                    self.write(write).await;
                    if relaxed && self.state.borrow().unwritten_bytes < RELAXED_WRITE_BYTES {
                        sleep(RELAXED_WRITE_PAUSE).await;
                    }
                }
                Step::Sync(sync) => self.sync(sync).await,
                Step::Reopen(sequence) => self.reopen(sequence).await,
                Step::Wait | Step::Park => self.work.wait().await,
                Step::NoMemory => {
                    self.shared.shrink_tail_cache(2 * BLOCK_SIZE);
                    sleep(MEMORY_RETRY).await;
                }
                Step::End => return,
            }
        }
    }

    async fn write(&self, write: Write) {
        let Write {
            file,
            sequence,
            at,
            parts,
            end,
            durability,
        } = write;
        let metrics = &self.shared.metrics;
        let bytes: usize = parts.slices().iter().map(|part| part.len()).sum();
        self.shared.begin_write().await;
        let began_ns = monotonic_ns();
        let (result, room) = file.write_parts(parts, at, durability).await;
        self.parts.set(room);
        let ended_ns = turn_ns().max(began_ns);
        metrics.write_latency.borrow_mut().record(ended_ns - began_ns);
        self.shared.end_write();
        metrics.writes.add(1);
        metrics.write_bytes.add(bytes as u64);
        match result {
            Ok(()) => {
                metrics
                    .durable_writes
                    .add(u64::from(durability == Durability::Durable));
                let mut state = self.state.borrow_mut();
                state.wrote(sequence, end, durability);
                state.last_write_ns = (began_ns, ended_ns);
                drop(state);
                self.progress.notify_all();
                self.shared.trim_tail_cache();
            }
            Err(error) => {
                metrics.write_errors.add(1);
                self.fail(LogError::from(error));
            }
        }
    }

    async fn sync(&self, sync: Sync) {
        self.shared.begin_write().await;
        let result = sync.file.sync_data().await;
        self.shared.end_write();
        self.shared.metrics.syncs.add(1);
        match result {
            Ok(()) => {
                let mut state = self.state.borrow_mut();
                if let Some(live) = state.segment_mut(sync.sequence).and_then(|s| s.live.as_mut()) {
                    live.durable = live.durable.max(sync.written);
                }
                state.durable_end = state.durable_end.max(sync.written_end);
                state.unsynced_messages = state.unsynced_messages.saturating_sub(sync.messages);
                drop(state);
                self.progress.notify_all();
            }
            // What was written is not to be trusted to be on disk: the log ends here.
            Err(error) => {
                self.shared.metrics.write_errors.add(1);
                self.fail(LogError::from(error));
            }
        }
    }

    async fn reopen(&self, sequence: u64) {
        match self
            .shared
            .disk
            .open(&self.dir.segment(sequence), OpenMode::ReadWriteDirect)
            .await
        {
            Ok(file) => {
                let mut state = self.state.borrow_mut();
                if let Some(live) = state.segment_mut(sequence).and_then(|s| s.live.as_mut()) {
                    live.file = FileState::Open(Rc::new(file));
                }
            }
            Err(error) => self.fail(LogError::from(error)),
        }
    }
}

impl State {
    fn wrote(&mut self, sequence: u64, end: u64, durability: Durability) {
        let Some(segment) = self.segment_mut(sequence) else {
            return;
        };
        let Some(live) = segment.live.as_mut() else { return };
        let written_before = live.written;
        live.written = end;
        if durability == Durability::Durable {
            live.durable = end;
        }
        self.unwritten_bytes -= end - written_before;
        while let Some(batch) = self.unwritten.front()
            && (batch.sequence, batch.position) <= (sequence, end)
        {
            self.written_end = batch.offset;
            self.unwritten.pop_front();
        }
        if durability == Durability::Durable {
            self.durable_end = self.written_end;
            self.unsynced_messages = 0;
        }
    }
}
