//! The store's clock: once a second it looks after its logs, in the background queue. Retention, checkpoints of what changed,
//! memory of idle logs, forgotten producers, trash.

use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use tautline_core::blocking;
use tautline_core::task::{Queue, spawn, yield_if_needed};
use tautline_core::time::{now_ms, sleep};

use crate::atomic_file::Replace;
use crate::error::LogError;
use crate::limits::{HOUSEKEEPING_INTERVAL, IDLE_AFTER_MS, PRODUCER_EXPIRY_INTERVAL_MS, TRASH_PAUSE};
use crate::log::Log;
use crate::segment::FileState;
use crate::shared::Shared;
use crate::state::Writer;

/// Starts it; it ends with the store.
pub(crate) fn start(shared: Weak<Shared>) {
    spawn(Queue::Background, async move {
        let (mut retained_ms, mut expired_ms) = (now_ms(), now_ms());
        loop {
            sleep(HOUSEKEEPING_INTERVAL).await;
            let Some(shared) = shared.upgrade() else { return };
            shared.grow_tail_cache();
            let now = now_ms();
            let retention_due = now - retained_ms >= shared.options.retention_check_interval_ms;
            if retention_due {
                retained_ms = now;
            }
            let expiration_ms = shared.producer_id_expiration_ms.get();
            let expiry_due = now - expired_ms >= expiration_ms.min(PRODUCER_EXPIRY_INTERVAL_MS);
            if expiry_due {
                expired_ms = now;
            }
            let logs: Vec<Rc<Log>> = shared.open_logs();
            for log in logs {
                if expiry_due {
                    log.expire_producers(now, expiration_ms);
                }
                log.look_after(now, retention_due).await;
                yield_if_needed().await;
            }
            shared.sweep(now);
        }
    });
}

impl Shared {
    /// Empties the trash of what is due, little by little: hundreds of files at once would keep the disk from the writes that
    /// somebody waits for.
    fn sweep(self: &Rc<Shared>, now: i64) {
        if self.sweeping.replace(true) {
            return;
        }
        let shared = Rc::downgrade(self);
        spawn(Queue::Background, async move {
            while let Some(data) = shared.upgrade().map(|shared| shared.data.clone()) {
                let more = blocking::run(move || data.trash().sweep_some(now)).await;
                if let Err(error) = &more {
                    tracing::warn!(%error, "emptying the trash");
                }
                if !more.unwrap_or(false) {
                    break;
                }
                sleep(TRASH_PAUSE).await;
            }
            if let Some(shared) = shared.upgrade() {
                shared.sweeping.set(false);
            }
        });
    }
}

impl Log {
    async fn look_after(&self, now: i64, retention_due: bool) {
        if retention_due && let Err(error) = self.apply_retention(now).await {
            tracing::warn!(log = %self.identity, %error, "retention");
        }
        self.close_overdue_active(now);
        let checkpoint_due = {
            let state = self.state.borrow();
            let interval_ms = self.shared.options.checkpoint_interval_ms;
            let due = state.sealed_unsaved || now - state.checkpointed_ms >= interval_ms;
            state.dirty && due && state.failed.is_none()
        };
        if checkpoint_due {
            self.checkpoint_in_background();
        }
        if let Err(error) = self.reopen_after_full_disk().await {
            tracing::warn!(log = %self.identity, %error, "opening the log again after the disk was full");
        }
        self.rest_if_idle(now);
    }

    /// Gives back what a log without appends does not need.
    fn rest_if_idle(&self, now: i64) {
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let idle = now - state.last_append_ms >= IDLE_AFTER_MS && state.durable_end == state.end_offset;
        if !idle || matches!(state.writer, Writer::Busy | Writer::Retiring) {
            return;
        }
        self.shared.metrics.cache_bytes.sub(state.tail.give_back() as u64);
        if let Some(live) = state
            .segments
            .back_mut()
            .and_then(|segment| segment.live.as_mut())
            && matches!(live.file, FileState::Open(_))
        {
            live.file = FileState::Closed;
        }
        state.unwritten = VecDeque::new();
        if let Some(next) = &mut state.next
            && matches!(next.prepared.file, FileState::Open(_))
        {
            next.prepared.file = FileState::Closed;
        }
        if state.writer == Writer::Parked {
            state.writer = Writer::Retiring;
            drop(guard);
            self.work.notify_all();
        }
    }

    /// Takes no more appends, writes what is in memory, and leaves a checkpoint with which the next start need not read the log.
    ///
    /// # Errors
    /// The log had failed, or fails now.
    pub async fn close(&self) -> Result<(), LogError> {
        self.state.borrow_mut().closing = true;
        if let Some(error @ LogError::Io(_)) = self.failure() {
            return Err(error);
        }
        self.flush().await?;
        let (dirty, committed) = {
            let state = self.state.borrow();
            let committed = !state.config.replicated || state.high_watermark == state.end_offset;
            (state.dirty, committed)
        };
        // What may be cut off is read again by the next start.
        if dirty && committed {
            self.checkpoint(Replace::Lazily).await?;
        }
        self.fail(LogError::Closed);
        self.cleaning.over().await;
        self.shared.forget(self.number);
        self.shared.data.note_closed(&self.dir.path);
        Ok(())
    }
}
