//! Reading forward from the checkpoint, segment by segment.

use std::fs::{self, OpenOptions};
use std::io;

use tautline_core::ids::Offset;

use super::files::cut;
use super::scan::{Replay, Scanner};
use super::tail_end::{End, Verdict, judge};
use super::{EmptySegment, Recovered, RecoveredActive, Recovery};
use crate::aborted::{self, Aborted, SegmentContent};
use crate::checkpoint::{Checkpoint, RecoveryPoint, SealedSegment};
use crate::damage::Damage;
use crate::format::SegmentHeader;
use crate::index::{Place, SparseIndex};
use crate::limits::SEGMENT_HEADER_BYTES;
use crate::segment::SegmentId;
use crate::tail::block_start;

/// A segment being read.
struct Current<'a> {
    scanner: Scanner,
    header: SegmentHeader,
    /// The checkpoint's place in it.
    point: Option<&'a RecoveryPoint>,
    base_offset: Offset,
    open_from: Offset,
    index: SparseIndex,
    position: u64,
}

impl Recovery<'_> {
    /// What the batches behind the checkpoint add to it.
    pub(super) fn replay(&self, files: Vec<SegmentId>, checkpoint: Checkpoint) -> io::Result<Recovered> {
        let fresh = checkpoint.generation == 0;
        let point = checkpoint.active.clone();
        let mut out = Recovered::from(checkpoint);
        if !self.synced {
            out.durable_start = Offset(0);
        }
        out.next_sequence = out
            .next_sequence
            .max(files.last().map_or(0, |last| last.sequence + 1));
        self.check_sealed(&mut out)?;
        let behind = out.sealed.last().map_or(0, |s| s.sequence + 1);
        let from = point.as_ref().map_or(behind, |point| point.sequence);
        let to_scan: Vec<SegmentId> = files.into_iter().filter(|id| id.sequence >= from).collect();
        if let Some(point) = &point
            && to_scan.first().map(|id| id.sequence) != Some(point.sequence)
        {
            let (sequence, to) = (point.sequence, Some(out.end_offset));
            self.found(
                &mut out,
                Damage {
                    sequence,
                    position: 0,
                    from: point.base_offset,
                    to,
                },
            );
        }
        let mut replay = Replay {
            expected: out.end_offset,
            epochs: std::mem::take(&mut out.epochs),
            producers: std::mem::take(&mut out.producers),
            now_ms: self.now_ms,
            max_timestamp_ms: -1,
            any_offset: fresh,
            gaps: self.replicated,
            aborted: Vec::new(),
        };
        for (n, &id) in to_scan.iter().enumerate() {
            if id.is_cleaned() {
                self.take_cleaned(&mut out, &mut replay, id)?;
                continue;
            }
            let sequence = id.sequence;
            let point = point.as_ref().filter(|point| point.sequence == sequence);
            if let Some(mut current) = self.open(&mut out, &mut replay, sequence, point)? {
                self.scan(&mut out, &mut replay, &mut current, &to_scan[n + 1..])?;
                self.take(&mut out, &mut replay, current)?;
            }
        }
        out.end_offset = replay.expected;
        out.epochs = replay.epochs;
        out.producers = replay.producers;
        if fresh {
            let active = out.active.as_ref().map(|active| active.segment.base_offset);
            let first = out.sealed.first().map(|segment| segment.base_offset).or(active);
            out.start_offset = first.unwrap_or(Offset(0));
        }
        out.high_watermark = out.high_watermark.max(out.start_offset).min(out.end_offset);
        out.last_append_ms = self.last_write_ms(&out)?;
        Ok(out)
    }

    /// Opens a segment for reading on; `None` if its header is damaged, and with it all of the file.
    fn open<'a>(
        &self,
        out: &mut Recovered,
        replay: &mut Replay,
        sequence: u64,
        point: Option<&'a RecoveryPoint>,
    ) -> io::Result<Option<Current<'a>>> {
        let mut scanner = Scanner::open(&self.dir.segment(sequence))?;
        let header = match scanner.header()? {
            Ok(header) if header.sequence() == sequence => header,
            other => {
                let why = other
                    .err()
                    .map_or("it has another file's number".to_owned(), |e| e.to_string());
                tracing::error!(log = %self.identity, sequence, why, "a segment's header is damaged");
                self.found(
                    out,
                    Damage {
                        sequence,
                        position: 0,
                        from: replay.expected,
                        to: None,
                    },
                );
                return Ok(None);
            }
        };
        let base_offset = match point {
            Some(point) => point.base_offset,
            None if replay.any_offset => scanner.first_sound_offset()?.unwrap_or(replay.expected),
            None => replay.expected,
        };
        if replay.any_offset {
            replay.expected = base_offset;
        }
        replay.max_timestamp_ms = point.map_or(-1, |point| point.max_timestamp_ms);
        replay.aborted = point.map_or(Vec::new(), |point| point.aborted.clone());
        let open_from = point.map_or_else(|| replay.open_from(), |point| point.open_from);
        let position = point.map_or(SEGMENT_HEADER_BYTES, |point| point.position);
        let base = Place {
            offset: base_offset,
            position: SEGMENT_HEADER_BYTES,
        };
        let index = SparseIndex::starting_at(
            base,
            Place {
                offset: replay.expected,
                position,
            },
        );
        Ok(Some(Current {
            scanner,
            header,
            point,
            base_offset,
            open_from,
            index,
            position,
        }))
    }

    /// Takes up a segment's batches, over damage if there is any, to where it ends.
    fn scan(
        &self,
        out: &mut Recovered,
        replay: &mut Replay,
        current: &mut Current<'_>,
        following: &[SegmentId],
    ) -> io::Result<()> {
        let (sequence, start) = (current.header.sequence(), current.position);
        if start > current.scanner.len() {
            let position = current.scanner.len();
            self.found(
                out,
                Damage {
                    sequence,
                    position,
                    from: replay.expected,
                    to: None,
                },
            );
            return Ok(());
        }
        if self.trust_checkpoint && current.point.is_some() {
            return Ok(());
        }
        loop {
            let Current { scanner, index, .. } = current;
            current.position = scanner.replay(current.position, replay, index, self.index_interval_bytes)?;
            let position = current.position;
            let next_base = self.first_base_of(following, replay)?;
            let end = End {
                position,
                known_durable: start,
                next_base,
                relaxed: self.relaxed,
                gaps: self.replicated,
            };
            match judge(scanner, &current.header, &end, replay)? {
                Verdict::End => return Ok(()),
                Verdict::Torn { to } => {
                    let bytes = to - position;
                    tracing::info!(log = %self.identity, sequence, position, bytes, "cutting a torn end, never acknowledged");
                    return cut(&self.dir.segment(sequence), position, to);
                }
                Verdict::Damaged { resume } => {
                    let to = resume.map(|place| place.offset).or(next_base);
                    self.found(
                        out,
                        Damage {
                            sequence,
                            position,
                            from: replay.expected,
                            to,
                        },
                    );
                    replay.expected = to.unwrap_or(replay.expected);
                    let Some(place) = resume else { return Ok(()) };
                    index.force(place, replay.max_timestamp_ms);
                    current.position = place.position;
                }
            }
        }
    }

    /// Adds a segment that was read: as the one that goes on, or as one for later if it is empty.
    fn take(&self, out: &mut Recovered, replay: &mut Replay, current: Current<'_>) -> io::Result<()> {
        let Current {
            scanner,
            header,
            point,
            base_offset,
            open_from,
            index,
            position,
        } = current;
        let (sequence, capacity, salt) = (header.sequence(), scanner.len(), header.salt());
        out.dirty |= point.is_none_or(|point| point.position != position);
        if position == SEGMENT_HEADER_BYTES {
            if out.damage.iter().any(|damage| damage.sequence == sequence) {
                return Ok(());
            }
            return match &out.next {
                None => {
                    out.next = Some(EmptySegment {
                        sequence,
                        capacity,
                        salt,
                    });
                    Ok(())
                }
                Some(_) => self.data.trash().put(&self.dir.segment(sequence), self.now_ms),
            };
        }
        replay.any_offset = false;
        self.finish_previous(out)?;
        // An empty file before one with data was given up for a larger one.
        if let Some(unused) = out.next.take() {
            self.data
                .trash()
                .put(&self.dir.segment(unused.sequence), self.now_ms)?;
        }
        let segment = SealedSegment {
            sequence,
            generation: 0,
            base_offset,
            end_offset: replay.expected,
            end_position: position,
            max_timestamp_ms: replay.max_timestamp_ms,
            opened_ms: point.map_or(self.now_ms, |point| point.opened_ms),
            open_from,
            aborted: replay.aborted.len() as u32,
        };
        let partial = scanner.range(block_start(position), position)?;
        out.active = Some(RecoveredActive {
            segment,
            capacity,
            salt,
            index,
            aborted: std::mem::take(&mut replay.aborted),
            partial,
        });
        Ok(())
    }

    /// Writes a sealed segment's aborted transactions beside it, if it has any.
    pub(super) fn write_aborted(&self, segment: &SealedSegment, list: &[Aborted]) -> io::Result<()> {
        if list.is_empty() {
            return Ok(());
        }
        let content = SegmentContent {
            sequence: segment.sequence,
            base_offset: segment.base_offset,
            end_position: segment.end_position,
        };
        fs::write(self.dir.aborted(segment.id()), aborted::to_file(list, content))
    }

    /// A segment that another follows takes no more batches.
    pub(super) fn finish_previous(&self, out: &mut Recovered) -> io::Result<()> {
        let Some(previous) = out.active.take() else {
            return Ok(());
        };
        let damaged = out.damage.iter().any(|d| d.sequence == previous.segment.sequence);
        if !damaged && previous.capacity > previous.segment.end_position {
            let file = OpenOptions::new()
                .write(true)
                .open(self.dir.segment(previous.segment.sequence))?;
            file.set_len(previous.segment.end_position)?;
        }
        self.write_aborted(&previous.segment, &previous.aborted)?;
        out.sealed.push(previous.segment);
        Ok(())
    }

    /// The first offset of the next segment that has one.
    fn first_base_of(&self, following: &[SegmentId], replay: &Replay) -> io::Result<Option<Offset>> {
        for &id in following {
            let mut scanner = Scanner::open(&self.dir.file(id))?;
            let cleaned = scanner.cleaned_header()?.filter(|_| id.is_cleaned());
            let base = match cleaned {
                Some(cleaned) => Some(cleaned.base_offset()),
                None => scanner.first_sound_offset()?,
            };
            if let Some(base) = base
                && base >= replay.expected
            {
                return Ok(Some(base));
            }
        }
        Ok(None)
    }
}
