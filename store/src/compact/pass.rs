//! The work on the bytes of a log being cleaned, in steps: each reads a piece of a segment at most, and runs on a helper thread.
//! The log's core decides (`walk.rs`) which segment comes next, how fast, and when a finished file takes its place.

use std::sync::Arc;

use tautline_core::batch::Batch;
use tautline_core::buffer::Pool;
use tautline_core::ids::{Offset, PartitionIndex, ProducerEpoch, TopicId};

use super::fault::Fault;
use super::filter::{Filter, Left, Part, Rules};
use super::group::{Finished, Group, SourceSegment};
use super::offset_map::OffsetMap;
use super::output::Output;
use super::source::Source;
use super::transactions::Transactions;
use crate::aborted::Aborted;
use crate::config::LogDir;
use crate::fault::{FaultPlan, Stop};
use crate::producers::Producers;
use crate::segment::SegmentId;

/// What does not change while a log is cleaned.
pub(super) struct Job {
    pub dir: LogDir,
    pub topic_id: TopicId,
    pub partition: PartitionIndex,
    pub direct: bool,
    pub memory: Pool,
    pub faults: Option<Arc<FaultPlan>>,
    pub index_interval_bytes: u64,
    pub delete_retention_ms: i64,
    pub now_ms: i64,
    /// What is below was deleted.
    pub start: Offset,
    /// What is below was clean before.
    pub dirty_from: Offset,
    /// Nothing at or behind is touched.
    pub end: Offset,
    pub producers: Producers,
}

/// The batch that keeps what must be known of an active producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastBatch {
    /// The one with its last sequence, by its last offset.
    Records(Offset),
    /// The marker with its last epoch: it has written nothing since.
    Marker(ProducerEpoch),
}

/// How far a step came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// There is more of the segment.
    More,
    EndOfSegment,
    /// The map is full.
    Full,
}

/// What a step has read and written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    pub read_bytes: u64,
    pub written_bytes: u64,
}

/// See the module.
pub(super) struct Pass {
    job: Job,
    map: OffsetMap,
    map_end: Offset,
    filter: Filter,
    transactions: Transactions,
    source: Option<Source>,
    group: Option<Group>,
}

impl Job {
    /// Where a test's fault ends a cleaning as a crash would.
    pub fn stop(&self, at: Stop) -> std::io::Result<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.stop(at))
    }
}

impl Pass {
    /// Clears the map: some milliseconds.
    pub fn new(job: Job, map: OffsetMap) -> Pass {
        Pass {
            map_end: job.dirty_from,
            filter: Filter::new(&job.memory),
            job,
            map,
            transactions: Transactions::default(),
            source: None,
            group: None,
        }
    }

    pub fn job(&self) -> &Job {
        &self.job
    }

    pub fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// The map knows all below.
    pub fn map_end(&self) -> Offset {
        self.map_end
    }

    pub fn keys(&self) -> usize {
        self.map.len()
    }

    /// Begins to map a segment, given the aborted transactions that overlap it.
    pub fn begin_map(&mut self, segment: &SourceSegment, aborted: &[Aborted]) -> Result<(), Fault> {
        self.transactions.expect(aborted);
        self.open(segment)
    }

    /// Notes the keys of a piece of the segment.
    pub fn map_step(&mut self) -> Result<(Reached, Moved), Fault> {
        let source = self.source.as_mut().expect("a segment was begun");
        let read_bytes = source.fill()?;
        let mut reached = Reached::More;
        while let Some(batch) = source.next()? {
            // Nothing of it counts: it was clean before, or aborted.
            let passed_over = if batch.is_control() {
                self.transactions.is_needless(&batch);
                true
            } else {
                self.transactions.is_aborted(&batch) || batch.next_offset() <= self.job.dirty_from
            };
            if !passed_over
                && let Some(full_at) = self.filter.map(&batch, self.job.dirty_from, &mut self.map)?
            {
                self.map_end = full_at;
                reached = Reached::Full;
                break;
            }
            self.map_end = self.map_end.max(batch.next_offset());
        }
        if reached == Reached::More && source.is_at_end() {
            reached = Reached::EndOfSegment;
        }
        let moved = Moved {
            read_bytes,
            written_bytes: 0,
        };
        Ok((reached, moved))
    }

    /// The whole segment is mapped, up to an end that its last batches may not reach.
    pub fn mapped(&mut self, segment: &SourceSegment) {
        self.map_end = self.map_end.max(segment.end_offset);
    }

    /// All is mapped that will be; cleaning begins at the log's start.
    pub fn turn(&mut self) {
        self.transactions = Transactions::default();
        self.source = None;
    }

    /// Begins to clean a segment into the file under way, or into a new one with that generation.
    pub fn begin_clean(
        &mut self,
        segment: &SourceSegment,
        aborted: &[Aborted],
        generation: u64,
    ) -> Result<(), Fault> {
        self.transactions.expect(aborted);
        match &mut self.group {
            Some(group) => group.extend(segment),
            None => {
                // The number becomes that of the last segment that is put in.
                let id = SegmentId {
                    sequence: segment.id.sequence,
                    generation,
                };
                let output = Output::create(&self.job, id, segment.base_offset)?;
                self.group = Some(Group::new(segment, generation, output));
            }
        }
        self.open(segment)
    }

    /// Copies what stays of a piece of the segment.
    pub fn clean_step(&mut self) -> Result<(Reached, Moved), Fault> {
        let source = self.source.as_mut().expect("a segment was begun");
        let group = self.group.as_mut().expect("a file was begun");
        let mut written_bytes = 0;
        let read_bytes = source.fill()?;
        let rules = Rules {
            map: &self.map,
            map_end: self.map_end,
            now_ms: self.job.now_ms,
            delete_retention_ms: self.job.delete_retention_ms,
        };
        while let Some(batch) = source.next()? {
            let part = self.job.part(&batch, &mut self.transactions);
            let (bytes, max_timestamp_ms) = match self.filter.apply(&batch, &rules, part)? {
                Left::Whole if batch.record_count() > 0 => (batch.bytes(), Some(batch.max_timestamp())),
                Left::Whole => (batch.bytes(), None),
                Left::Rewritten { max_timestamp_ms, .. } => {
                    group.changed = true;
                    (self.filter.bytes(), max_timestamp_ms)
                }
                Left::Nothing => {
                    group.changed = true;
                    continue;
                }
            };
            if !group.output.fits(bytes.len()) {
                return Err(std::io::Error::other("a cleaned segment grew beyond 2 GiB").into());
            }
            written_bytes += group.output.append(&self.job, bytes, max_timestamp_ms)?;
        }
        let reached = if source.is_at_end() {
            Reached::EndOfSegment
        } else {
            Reached::More
        };
        let moved = Moved {
            read_bytes,
            written_bytes,
        };
        Ok((reached, moved))
    }

    /// Makes the file under way durable; `None` if it is the same as the one it would replace.
    pub fn finish_group(&mut self) -> Result<Option<(Finished, Moved)>, Fault> {
        let aborted = self.transactions.take_kept();
        match self.group.take() {
            Some(group) if group.is_worth_it() => {
                let (finished, written_bytes) = group.finish(&self.job, aborted)?;
                let moved = Moved {
                    read_bytes: 0,
                    written_bytes,
                };
                Ok(Some((finished, moved)))
            }
            _ => Ok(None),
        }
    }

    fn open(&mut self, segment: &SourceSegment) -> Result<(), Fault> {
        self.source = None;
        let path = self.job.dir.file(segment.id);
        let base = segment.base_offset;
        let source = Source::open(
            &path,
            self.job.direct,
            base,
            segment.end_position,
            &self.job.memory,
        )?;
        self.source = Some(source);
        Ok(())
    }
}

impl Job {
    /// What is known of a batch from its transaction, its producer and its place.
    fn part(&self, batch: &Batch<'_>, transactions: &mut Transactions) -> Part {
        let (discard, needless) = if batch.is_control() {
            let needless = transactions.is_needless(batch);
            let expired = batch.delete_horizon_ms().is_some_and(|at| at <= self.now_ms);
            (needless && expired, needless)
        } else {
            (transactions.is_aborted(batch), false)
        };
        Part {
            discard: discard || batch.next_offset() <= self.start,
            keep_empty: self.is_last_of_producer(batch) || batch.next_offset() == self.end,
            needless,
        }
    }

    fn is_last_of_producer(&self, batch: &Batch<'_>) -> bool {
        match self.producers.last_batch(batch.producer_id()) {
            None => false,
            Some(LastBatch::Records(last)) => batch.last_offset() == last,
            Some(LastBatch::Marker(epoch)) => batch.is_control() && batch.producer_epoch() == epoch,
        }
    }
}
