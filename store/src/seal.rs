//! Sealing a segment: its index, its aborted transactions and its last few words are kept, its file is cut to its data, all in
//! the background.

use std::sync::Arc;

use tautline_core::blocking;
use tautline_core::task::{Queue, spawn};

use crate::log::Log;
use crate::segment::FileState;
use crate::state::State;

impl Log {
    /// Seals the segment at `at`, whose bytes are all on stable storage.
    pub(crate) fn seal(&self, state: &mut State, at: usize) {
        let segment = &mut state.segments[at];
        let Some(live) = segment.seal() else { return };
        debug_assert!(live.durable == segment.end_position);
        let (id, end) = (segment.id(), segment.end_position);
        let sequence = segment.sequence;
        let whole = live.index.complete_from == segment.base();
        let index = Arc::new(live.index);
        if whole {
            // An index that was begun at recovery lacks the front: it is made again by the first who reads there.
            self.shared
                .indexes
                .put((self.number, id), index.clone(), index.size_bytes());
        } else {
            self.shared.indexes.remove_if(|&key| key == (self.number, id));
        }
        let aborted = self.keep_aborted(live.aborted, segment);
        let descriptor = match live.file {
            FileState::Open(file) => Some(file.file().descriptor()),
            FileState::Awaited | FileState::Closed => None,
        };
        let (segment_path, index_path) = (self.dir.segment(sequence), self.dir.index(id));
        let finish = blocking::run(move || {
            // A large segment's index takes a while to be put together.
            if whole {
                std::fs::write(index_path, index.to_file(sequence, end))?;
            }
            if let Some((path, bytes)) = aborted {
                std::fs::write(path, bytes)?;
            }
            match descriptor {
                Some(descriptor) => rustix::fs::ftruncate(&*descriptor, end).map_err(std::io::Error::from),
                None => std::fs::OpenOptions::new()
                    .write(true)
                    .open(segment_path)?
                    .set_len(end),
            }
        });
        state.dirty = true;
        state.sealed_unsaved = true;
        let log = self.me.clone();
        spawn(Queue::Background, async move {
            let finished = finish.await;
            if let (Err(error), Some(log)) = (finished, log.upgrade()) {
                // The segment is whole; it only takes more room, and the files beside it are made again.
                tracing::warn!(log = %log.identity, sequence, %error, "sealing a segment");
            }
        });
    }
}
