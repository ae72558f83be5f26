//! Cleaned segments in a log without a checkpoint: which files they replace, and what is in them.
//!
//! A cleaned file gets its name only when all of it is on stable storage, and says which files it replaces. Whether or not the
//! checkpoint that is lost named it, what it holds is true: what it lacks was replaced by records that were durable before the
//! cleaning began. So of two files for the same offsets the one of the higher generation counts.

use std::io;

use super::scan::{Replay, Scanner};
use super::{Recovered, Recovery};
use crate::checkpoint::SealedSegment;
use crate::damage::Damage;
use crate::segment::SegmentId;

impl Recovery<'_> {
    /// Puts files in the trash that a cleaned one replaces.
    pub(super) fn remove_replaced(&self, files: &mut Vec<SegmentId>) -> io::Result<()> {
        let mut replaced = Vec::new();
        for &id in files.iter().filter(|id| id.is_cleaned()) {
            if let Some(header) = Scanner::open(&self.dir.file(id))?.cleaned_header()? {
                replaced.push((header.first_sequence()..=id.sequence, id.generation));
            }
        }
        self.keep(files, |id| {
            let is_replaced = |(sequences, generation): &(std::ops::RangeInclusive<u64>, u64)| {
                id.generation < *generation && sequences.contains(&id.sequence)
            };
            !replaced.iter().any(is_replaced)
        })
    }

    /// Adds a cleaned segment: it is whole, or damaged.
    pub(super) fn take_cleaned(
        &self,
        out: &mut Recovered,
        replay: &mut Replay,
        id: SegmentId,
    ) -> io::Result<()> {
        self.finish_previous(out)?;
        let mut scanner = Scanner::open(&self.dir.file(id))?;
        let sound = scanner
            .header()?
            .is_ok_and(|header| header.sequence() == id.sequence);
        let cleaned = scanner.cleaned_header()?.filter(|cleaned| {
            let in_order = replay.any_offset || cleaned.base_offset() >= replay.expected;
            sound && in_order && cleaned.generation() == id.generation
        });
        let damage = |position, from, to| Damage {
            sequence: id.sequence,
            position,
            from,
            to,
        };
        let Some(cleaned) = cleaned else {
            self.found(out, damage(0, replay.expected, None));
            return Ok(());
        };
        if !replay.any_offset && cleaned.base_offset() > replay.expected {
            self.found(out, damage(0, replay.expected, Some(cleaned.base_offset())));
        }
        replay.any_offset = false;
        replay.expected = cleaned.base_offset();
        replay.max_timestamp_ms = -1;
        replay.aborted.clear();
        let open_from = replay.open_from();
        let end = cleaned.end_position();
        let position = scanner.replay_cleaned(end, replay)?;
        if position != end || replay.expected > cleaned.end_offset() {
            self.found(out, damage(position, replay.expected, Some(cleaned.end_offset())));
        }
        replay.expected = cleaned.end_offset();
        out.dirty = true;
        let segment = SealedSegment {
            sequence: id.sequence,
            generation: id.generation,
            base_offset: cleaned.base_offset(),
            end_offset: cleaned.end_offset(),
            end_position: end,
            max_timestamp_ms: replay.max_timestamp_ms,
            opened_ms: self.now_ms,
            open_from,
            aborted: replay.aborted.len() as u32,
        };
        self.write_aborted(&segment, &replay.aborted)?;
        out.sealed.push(segment);
        Ok(())
    }
}
