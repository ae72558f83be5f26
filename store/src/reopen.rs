//! A log that ran into a full disk goes on when there is room again, without a restart of the broker.
//!
//! Batches that waited for a segment file which could not be made were never written, and their producers were told that the
//! outcome is unknown. To take writes again the log has to forget them, with their offsets and sequences: it is opened anew
//! from what is on disk, in place. Until a file has been made, appends are refused before anything is changed
//! ([`AppendError::DiskFull`](crate::AppendError::DiskFull)). After EIO no such thing is tried: that disk is not trusted.

use tautline_core::blocking;
use tautline_core::time::now_ms;

use crate::error::{LogError, StoreError};
use crate::log::Log;
use crate::recovery::Recovery;
use crate::state::{State, Writer};

impl Log {
    /// Whether the log stopped for want of space, and all that was under way has ended.
    fn ran_out_of_space(&self) -> bool {
        let state = self.state.borrow();
        let full = |e: &std::io::Error| e.kind() == std::io::ErrorKind::StorageFull;
        let stopped = matches!(&state.failed, Some(LogError::Io(error)) if full(error));
        stopped && state.writer == Writer::Absent && state.preparing == 0 && !state.closing
    }

    /// Opens the log anew if it had stopped because the disk was full.
    pub(crate) async fn reopen_after_full_disk(&self) -> Result<(), StoreError> {
        if !self.ran_out_of_space() {
            return Ok(());
        }
        // Recovery takes files away that no checkpoint names: a cleaned one is not to get its place meanwhile.
        self.cleaning.over().await;
        let _turn = self.checkpoint_turn().await;
        let config = self.config();
        let (data, identity, dir) = (self.shared.data.clone(), self.identity.clone(), self.dir.clone());
        let (index_interval_bytes, relaxed) = (config.index_interval_bytes, config.is_relaxed());
        let replicated = config.replicated;
        let path = dir.path.clone();
        let recover = move || {
            // What was written and not synced is about to count as durable.
            let synced = std::fs::File::open(data.path()).and_then(|dir| Ok(rustix::fs::syncfs(dir)?));
            synced.map_err(StoreError::io(&path))?;
            let (trust_checkpoint, synced) = (false, true);
            Recovery {
                data: &data,
                identity: &identity,
                dir: &dir,
                index_interval_bytes,
                relaxed,
                replicated,
                trust_checkpoint,
                synced,
                now_ms: now_ms(),
            }
            .run()
        };
        let recovered = blocking::run(recover).await?;
        let mut state = self.state.borrow_mut();
        self.shared.metrics.cache_bytes.sub(state.tail.bytes() as u64);
        let mut reopened = State::recovered(recovered, config);
        reopened.high_watermark = state.high_watermark.min(reopened.end_offset);
        reopened.producers.high_watermark(reopened.high_watermark);
        reopened.producers.follow(&state.producers);
        // The names of cleaned files that were given up are still known to caches.
        reopened.next_generation = reopened.next_generation.max(state.next_generation);
        reopened.segments_replaced = state.segments_replaced + 1;
        reopened.prepare_failed_ms = 1;
        reopened.settled = state.settled;
        *state = reopened;
        tracing::info!(log = %self.identity, end = %state.end_offset, "the log goes on after the disk was full");
        drop(state);
        self.shared.indexes.remove_if(|(log, _)| *log == self.number);
        self.shared.aborted.remove_if(|(log, _)| *log == self.number);
        self.progress.notify_all();
        Ok(())
    }
}
