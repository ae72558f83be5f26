//! When and how a log's checkpoint is written: soon after a segment is sealed, after the start offset moves, from time to time, and
//! at a clean shutdown. Always off the core, one at a time, and only once all it describes is durable. Those that nobody waits
//! for are written one log at a time.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use tautline_core::blocking;
use tautline_core::ids::Offset;
use tautline_core::sync::Signal;
use tautline_core::task::{Queue, spawn};
use tautline_core::time::now_ms;

use crate::atomic_file::{Replace, create_dirs};
use crate::checkpoint::{Checkpoint, RecoveryPoint};
use crate::error::LogError;
use crate::log::Log;
use crate::shared::Shared;
use crate::state::State;

/// Held while a checkpoint is written, or nobody shall write one; whoever waits for its turn is woken when it is dropped.
pub(crate) struct Turn<'a> {
    taken: &'a Cell<bool>,
    over: &'a Signal,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.taken.set(false);
        self.over.notify_all();
    }
}

impl Log {
    pub(crate) async fn checkpoint_turn(&self) -> Turn<'_> {
        while self.checkpointing.replace(true) {
            self.checkpointed.wait().await;
        }
        Turn {
            taken: &self.checkpointing,
            over: &self.checkpointed,
        }
    }

    /// Writes a checkpoint of the log as it is now.
    pub(crate) async fn checkpoint(&self, how: Replace) -> Result<(), LogError> {
        self.checkpoint_unless(how, |_| false).await
    }

    /// Has the start offset, also one that is only wanted yet, on stable storage.
    pub(crate) async fn make_start_durable(&self) -> Result<(), LogError> {
        let start = self.state.borrow().next_start();
        let is_durable = move |state: &State| state.durable_start >= start;
        if is_durable(&self.state.borrow()) {
            return Ok(());
        }
        // Whoever has the turn before may see to it.
        self.checkpoint_unless(Replace::Durably, is_durable).await
    }

    /// In a task of its own: the helper thread writes on when whoever waits for it goes away, and then the turn must not be over,
    /// nor what follows the write be left undone.
    async fn checkpoint_unless(
        &self,
        how: Replace,
        is_needless: impl FnOnce(&State) -> bool + 'static,
    ) -> Result<(), LogError> {
        let log = self.me.upgrade().expect("a log that is asked for it is there");
        let writing = spawn(Queue::Background, async move {
            let turn = log.checkpoint_turn().await;
            if is_needless(&log.state.borrow()) {
                return Ok(());
            }
            log.checkpoint_in(&turn, how).await
        });
        writing.await
    }

    async fn checkpoint_in(&self, _turn: &Turn<'_>, how: Replace) -> Result<(), LogError> {
        if let Some(error @ LogError::Closed) = self.failure() {
            return Err(error);
        }
        let (checkpoint, gone) = {
            let mut state = self.state.borrow_mut();
            state.generation += 1;
            state.dirty = false;
            state.sealed_unsaved = false;
            state.checkpointed_ms = now_ms();
            (state.snapshot(self), std::mem::take(&mut state.gone))
        };
        let start = checkpoint.start_offset;
        let written = self.write_checkpoint(checkpoint, how).await;
        let moved = {
            let mut state = self.state.borrow_mut();
            if written.is_err() || how != Replace::Durably {
                state.dirty |= written.is_err();
                state.gone.extend(gone);
                return written;
            }
            state.durable_start = state.durable_start.max(start);
            let moved = start > state.start_offset;
            if moved {
                state.move_start(start);
            }
            moved
        };
        if moved {
            // For readers of what is gone now.
            self.appended.notify_all();
        }
        if let Err(error) = self.remove_gone(gone).await {
            tracing::warn!(log = %self.identity, %error, "files of segments that are gone; trying again with the next checkpoint");
        }
        Ok(())
    }

    /// Writes a checkpoint now, durably: the next recovery begins here. The store does so by itself from time to time.
    ///
    /// # Errors
    /// The log has failed, or the file could not be written.
    pub async fn save_checkpoint(&self) -> Result<(), LogError> {
        self.checkpoint(Replace::Durably).await
    }

    async fn write_checkpoint(&self, checkpoint: Checkpoint, how: Replace) -> Result<(), LogError> {
        self.flush().await?;
        self.until_committed(checkpoint.end_offset).await?;
        self.put_checkpoint(checkpoint, how).await
    }

    /// Waits until nothing below `end` can be cut off any more.
    async fn until_committed(&self, end: Offset) -> Result<(), LogError> {
        loop {
            let moved = {
                let state = self.state.borrow();
                if !state.config.replicated || state.high_watermark >= end {
                    return Ok(());
                }
                if let Some(error) = &state.failed {
                    return Err(error.clone());
                }
                if state.cutting > 0 || state.closing {
                    return Err(LogError::Cut);
                }
                self.appended.wait()
            };
            moved.await;
        }
    }

    /// Writes a checkpoint of which all is durable.
    pub(crate) async fn put_checkpoint(&self, checkpoint: Checkpoint, how: Replace) -> Result<(), LogError> {
        let (data, dir) = (self.shared.data.clone(), self.dir.path.clone());
        let faults = self.shared.options.faults.clone();
        let write = move || {
            let bytes = checkpoint.to_file()?;
            let write = || {
                if let Some(faults) = &faults {
                    faults.check_new_file(bytes.len() as u64)?;
                }
                create_dirs(&dir)?;
                Checkpoint::write(&bytes, &dir, how)
            };
            match write() {
                // What would give the disk room may be waiting for this very checkpoint.
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    data.make_room(bytes.len() as u64, faults.as_deref())?;
                    write()
                }
                written => written,
            }
        };
        blocking::run(write).await?;
        self.shared.metrics.checkpoints.add(1);
        Ok(())
    }

    /// Has a checkpoint written when it is the log's turn: one log of the store at a time.
    pub(crate) fn checkpoint_in_background(&self) {
        let mut state = self.state.borrow_mut();
        if !state.dirty || std::mem::replace(&mut state.checkpoint_queued, true) {
            return;
        }
        drop(state);
        self.shared.to_checkpoint.borrow_mut().push_back(self.me.clone());
        self.shared.write_checkpoints();
    }

    async fn checkpoint_from_queue(&self) {
        let (dirty, how) = {
            let mut state = self.state.borrow_mut();
            state.checkpoint_queued = false;
            // Nothing rests on it, unless files wait for it to go.
            let nothing_gone = state.gone.is_empty();
            let how = if nothing_gone {
                Replace::Wholly
            } else {
                Replace::Durably
            };
            (state.dirty, how)
        };
        if !dirty {
            return;
        }
        match self.checkpoint(how).await {
            Ok(()) | Err(LogError::Closed | LogError::Damaged | LogError::Cut) => {}
            Err(error) => {
                tracing::warn!(log = %self.identity, %error, "no checkpoint; recovery will read more");
            }
        }
    }
}

impl Shared {
    /// Writes the checkpoints that are due, one after the other: thousands of logs may be due at once.
    fn write_checkpoints(self: &Rc<Shared>) {
        if self.writes_checkpoints.replace(true) {
            return;
        }
        let shared = Rc::downgrade(self);
        spawn(Queue::Background, async move {
            while let Some(shared) = shared.upgrade() {
                let Some(log) = shared.to_checkpoint.borrow_mut().pop_front() else {
                    shared.writes_checkpoints.set(false);
                    return;
                };
                drop(shared);
                if let Some(log) = log.upgrade() {
                    log.checkpoint_from_queue().await;
                }
            }
        });
    }
}

impl State {
    pub(crate) fn snapshot(&self, log: &Log) -> Checkpoint {
        let (active, start_offset) = (self.active(), self.next_start());
        let mut epochs = self.epochs.clone();
        epochs.trim_start(start_offset);
        let sealed = self.segments.len() - usize::from(active.is_some());
        Checkpoint {
            generation: self.generation,
            topic_id: log.identity.topic_id,
            partition: log.identity.partition,
            start_offset,
            high_watermark: self.high_watermark,
            end_offset: self.end_offset,
            active: active.map(|segment| RecoveryPoint {
                sequence: segment.sequence,
                base_offset: segment.base_offset,
                opened_ms: segment.opened_ms,
                max_timestamp_ms: segment.max_timestamp_ms,
                position: segment.end_position,
                open_from: segment.open_from,
                aborted: segment
                    .live
                    .as_ref()
                    .map_or(Vec::new(), |live| live.aborted.clone()),
            }),
            next_sequence: self.next_sequence,
            sealed: self
                .segments
                .iter()
                .take(sealed)
                .map(|segment| segment.to_sealed())
                .collect(),
            epochs,
            producers: self.producers.snapshot(),
            damage: self.damage_from(start_offset),
            cleaned_to: self.cleaned_to,
            next_generation: self.next_generation,
            read_only: matches!(self.failed, Some(LogError::Damaged)),
            live_from: self.live_from,
        }
    }
}
