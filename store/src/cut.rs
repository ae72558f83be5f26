//! Cutting off the end of a replicated log, where its replica and its leader's do not agree, or beginning it anew behind what a copy
//! leaves out.
//!
//! ```text
//!   before   | 3 sealed | 4 sealed | 5 live |  6 made ahead     high watermark in 4, live_from 0
//!                             ^ end
//!   after    | 3 sealed | 4 sealed, ends there |  7 is next     live_from 7: files 5 and 6 are not of the log any more
//! ```
//!
//! A checkpoint does it: the one that ends where the log is to end takes the place of the last, durably, and that moment decides.
//! Files that it does not name go afterwards, by the next start if need be; every later one has a higher number
//! ([`Checkpoint::live_from`]). The log goes on in a new segment. Producers as of the new end come from the checkpoint before,
//! which describes nothing that may be cut, and the batches between.

use std::rc::Rc;

use tautline_core::batch::{BATCH_HEADER_BYTES, Batch};
use tautline_core::blocking;
use tautline_core::file::OpenMode;
use tautline_core::ids::Offset;
use tautline_core::task::{Queue, spawn, yield_if_needed};
use tautline_core::time::{now_ms, sleep};

use crate::atomic_file::Replace;
use crate::checkpoint::{Checkpoint, Found, SealedSegment};
use crate::checkpointing;
use crate::cold::{ColdSegment, header_of};
use crate::compact;
use crate::error::{LogError, ReadError};
use crate::leader_epochs::LeaderEpochs;
use crate::limits::{CUT_BYTES_MAX, POOL_STEP_PAUSE, SCAN_WINDOW_BYTES};
use crate::log::Log;
use crate::part::Part;
use crate::producers::Producers;
use crate::read::ReadFrom;
use crate::recovery::Recovered;
use crate::segment::SegmentId;
use crate::state::{State, Writer};
use crate::window::Window;

/// Why the end of a log was not cut. It is as before, or, if its disk has failed, takes no more writes.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CutError {
    /// What is committed stays.
    #[error("offset {end} is below the high watermark {high_watermark}")]
    Committed {
        /// Where the log was to end, or to begin anew.
        end: Offset,
        /// All below is committed.
        high_watermark: Offset,
    },
    /// The log ends before, or in the middle of a batch.
    #[error("no batch ends at offset {0}")]
    NoBatch(Offset),
    /// The batches could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The log takes no writes.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// What stays of the segments.
struct Kept {
    /// So many of the first, whole.
    whole: usize,
    /// A part of the next.
    part: Option<SealedSegment>,
}

/// Held while nothing is appended, written, cleaned, or described by a checkpoint.
struct Quiet<'a> {
    log: &'a Log,
    _cleaning: compact::Turn<'a>,
    _checkpoint: checkpointing::Turn<'a>,
    _cutting: Cutting<'a>,
}

/// Keeps appends off, and has those give up who wait for the log's end to be committed.
struct Cutting<'a>(&'a Log);

impl<'a> Cutting<'a> {
    fn begin(log: &'a Log) -> Cutting<'a> {
        log.state.borrow_mut().cutting += 1;
        log.appended.notify_all();
        Cutting(log)
    }
}

impl Drop for Cutting<'_> {
    fn drop(&mut self) {
        self.0.state.borrow_mut().cutting -= 1;
    }
}

impl Log {
    /// Removes all batches from `end` on, which is the end of one of them; durable when it completes. Meanwhile appends are
    /// refused. Once begun it goes on also if nobody waits for it.
    ///
    /// # Errors
    /// [`CutError`]: nothing was removed, unless the disk has failed.
    pub async fn truncate(&self, end: Offset) -> Result<(), CutError> {
        let log = self.me.upgrade().expect("a log that is asked for it is there");
        spawn(Queue::Replication, async move {
            let quiet = log.quiet().await?;
            {
                let state = log.state.borrow();
                let high_watermark = state.high_watermark;
                if end < high_watermark {
                    return Err(CutError::Committed { end, high_watermark });
                }
                if end > state.end_offset {
                    return Err(CutError::NoBatch(end));
                }
                if end == state.end_offset {
                    return Ok(());
                }
            }
            let kept = log.kept(end).await?;
            let producers = log.producers_at(end).await?;
            let mut checkpoint = log.next_checkpoint();
            checkpoint.sealed.truncate(kept.whole);
            checkpoint.sealed.extend(kept.part);
            checkpoint.epochs.trim_end(end);
            checkpoint.producers = producers;
            checkpoint.damage.retain(|damage| damage.from < end);
            checkpoint.end_offset = end;
            quiet.put(checkpoint).await?;
            Ok(())
        })
        .await
    }

    /// Removes all batches; the next one may begin at `start`, which is also the log's start from now on. Otherwise as
    /// [`Log::truncate`].
    ///
    /// # Errors
    /// [`CutError`], also if `start` is below what is committed.
    pub async fn reset(&self, start: Offset) -> Result<(), CutError> {
        let log = self.me.upgrade().expect("a log that is asked for it is there");
        spawn(Queue::Replication, async move {
            let quiet = log.quiet().await?;
            let high_watermark = log.high_watermark();
            if start < high_watermark {
                let end = start;
                return Err(CutError::Committed { end, high_watermark });
            }
            let checkpoint = Checkpoint {
                start_offset: start,
                high_watermark: start,
                end_offset: start,
                sealed: Vec::new(),
                epochs: LeaderEpochs::default(),
                producers: Producers::default(),
                damage: Vec::new(),
                cleaned_to: Offset(0),
                read_only: false,
                ..log.next_checkpoint()
            };
            quiet.put(checkpoint).await?;
            Ok(())
        })
        .await
    }

    async fn quiet(&self) -> Result<Quiet<'_>, LogError> {
        let quiet = Quiet {
            log: self,
            _cutting: Cutting::begin(self),
            _cleaning: self.cleaning.hold().await,
            _checkpoint: self.checkpoint_turn().await,
        };
        self.flush().await?;
        while !self.is_quiet()? {
            self.work.notify_all();
            sleep(POOL_STEP_PAUSE).await;
        }
        Ok(quiet)
    }

    /// Whether its writer has ended and no file is on its way; has the writer end when it has nothing to do.
    fn is_quiet(&self) -> Result<bool, LogError> {
        let mut state = self.state.borrow_mut();
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        if state.writer == Writer::Parked {
            state.writer = Writer::Retiring;
        }
        Ok(state.writer == Writer::Absent && state.preparing == 0)
    }

    /// Of the log as it is, without a segment that goes on.
    fn next_checkpoint(&self) -> Checkpoint {
        let mut state = self.state.borrow_mut();
        state.generation += 1;
        Checkpoint {
            active: None,
            live_from: state.next_sequence,
            ..state.snapshot(self)
        }
    }

    /// What stays of a log that ends at `end`. All of it is in files.
    async fn kept(&self, end: Offset) -> Result<Kept, CutError> {
        let (at, segment, mut part) = {
            let state = self.state.borrow();
            let Some(at) = state.segment_for(end) else {
                return Ok(Kept { whole: 0, part: None });
            };
            let segment = &state.segments[at];
            if end >= segment.end_offset {
                return Ok(Kept {
                    whole: at + 1,
                    part: None,
                });
            }
            if end == segment.base_offset {
                return Ok(Kept {
                    whole: at,
                    part: None,
                });
            }
            (at, ColdSegment::of(segment), segment.to_sealed())
        };
        let index = self.index_for(&segment, end).await?;
        let found = self.with_index(segment.id, index.as_deref(), |index| {
            index.with_timestamp_before(end)
        });
        let (place, mut max_timestamp_ms) = found.unwrap_or((segment.base, -1));
        let file = self
            .descriptor(segment.id, OpenMode::ReadDirect)
            .await
            .map_err(ReadError::from)?;
        let mut window = Window::new(&file, &self.shared.memory, segment.end);
        let mut position = place.position;
        while position < segment.end {
            let bytes = window
                .get(position, BATCH_HEADER_BYTES, SCAN_WINDOW_BYTES)
                .await?;
            let Some((size, base, next)) = header_of(bytes) else {
                return Err(ReadError::Corrupt { offset: end }.into());
            };
            if base >= end {
                break;
            }
            if next > end {
                return Err(CutError::NoBatch(end));
            }
            let timestamp_ms = i64::from_be_bytes(bytes[35..43].try_into().expect("eight bytes"));
            max_timestamp_ms = max_timestamp_ms.max(timestamp_ms);
            position += size as u64;
            yield_if_needed().await;
        }
        part.end_offset = end;
        part.end_position = position;
        part.max_timestamp_ms = max_timestamp_ms;
        Ok(Kept {
            whole: at,
            part: Some(part),
        })
    }

    /// The producers of a log that ends at `end`.
    async fn producers_at(&self, end: Offset) -> Result<Producers, CutError> {
        let dir = self.dir.path.clone();
        let read = blocking::run(move || Checkpoint::read(&dir)).await;
        let start = self.start_offset();
        let (mut producers, mut at) = match read.map_err(LogError::from)? {
            Found::Sound(checkpoint) if checkpoint.end_offset <= end => {
                (checkpoint.producers, checkpoint.end_offset.max(start))
            }
            Found::None => (Producers::default(), start),
            Found::Sound(_) | Found::Damaged | Found::NewerVersion(_) => {
                tracing::warn!(log = %self.identity, "no checkpoint of what stays: its producers are found from the log's start");
                (Producers::default(), start)
            }
        };
        while at < end {
            let from = ReadFrom {
                offset: at,
                max_bytes: CUT_BYTES_MAX,
                min_one_batch: true,
                bound: end,
            };
            let read = self.read_to_memory(from).await?;
            if read.is_empty() {
                break;
            }
            for part in &read.parts {
                let Part::Memory(bytes) = part else {
                    unreachable!("read to memory");
                };
                let mut rest = &bytes[..];
                while let Ok((batch, behind)) = Batch::parse(rest) {
                    producers.note(&batch, batch.base_offset(), batch.max_timestamp(), now_ms());
                    rest = behind;
                }
            }
            at = read.next_offset;
            yield_if_needed().await;
        }
        Ok(producers)
    }
}

impl Quiet<'_> {
    /// Makes the log what the checkpoint says, on disk first.
    async fn put(self, checkpoint: Checkpoint) -> Result<(), LogError> {
        let log = self.log;
        if let Err(error) = log.put_checkpoint(checkpoint.clone(), Replace::Durably).await {
            // What is on disk is not known: nothing is to rest on it.
            log.fail(error.clone());
            return Err(error);
        }
        tracing::info!(log = %log.identity, end = %checkpoint.end_offset, "the end of the log was cut off");
        let last = checkpoint.sealed.last().cloned();
        let gone = log.become_cut(checkpoint);
        log.progress.notify_all();
        log.appended.notify_all();
        if let Some(last) = last {
            log.cut_file(last);
        }
        if let Err(error) = log.remove_gone(gone).await {
            tracing::warn!(log = %log.identity, %error, "files that were cut off; trying again with the next checkpoint");
        }
        Ok(())
    }
}

impl Log {
    /// Takes over what the checkpoint says; gives the files that it does not name.
    fn become_cut(&self, checkpoint: Checkpoint) -> Vec<SegmentId> {
        let kept: Vec<SegmentId> = checkpoint.sealed.iter().map(SealedSegment::id).collect();
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let mut gone = std::mem::take(&mut state.gone);
        let named = state.segments.iter().map(|segment| segment.id());
        gone.extend(named.filter(|id| !kept.contains(id)));
        gone.extend(state.next.take().map(|next| SegmentId::appended(next.sequence)));
        self.shared.metrics.cache_bytes.sub(state.tail.bytes() as u64);
        let mut cut = State::recovered(Recovered::from(checkpoint), state.config.clone());
        cut.producers.follow(&state.producers);
        cut.segments_replaced = state.segments_replaced + 1;
        cut.checkpoint_queued = state.checkpoint_queued;
        cut.last_append_ms = state.last_append_ms;
        cut.settled = state.settled;
        cut.closing = state.closing;
        cut.cutting = state.cutting;
        cut.flush_timer = state.flush_timer;
        *state = cut;
        gone
    }

    /// Gives back what lies behind the data of the last segment, and forgets what was known of it.
    fn cut_file(&self, last: SealedSegment) {
        let key = (self.number, last.id());
        self.shared.indexes.remove_if(|&other| other == key);
        self.shared.aborted.remove_if(|&other| other == key);
        let path = self.dir.file(last.id());
        let cut = blocking::run(move || {
            let file = std::fs::OpenOptions::new().write(true).open(path)?;
            file.set_len(last.end_position)
        });
        let log = Rc::downgrade(&self.me.upgrade().expect("it is being cut"));
        spawn(Queue::Background, async move {
            if let (Err(error), Some(log)) = (cut.await, log.upgrade()) {
                // It only takes more room.
                tracing::warn!(log = %log.identity, %error, "cutting a segment's file");
            }
        });
    }
}
