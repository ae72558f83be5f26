//! Torn or damaged? What recovery concludes where the chain of sound batches ends.
//!
//! The evidence, in the order of its weight:
//! 1. A footer (see `format.rs`) proves how much was durable when its write began. What is wrong below that is damage.
//! 2. Batches in a later segment prove that all of this one was durable.
//! 3. A footer that names exactly this end proves that the blocks of a later write, if there was one, did not all arrive.
//! 4. Sound batches behind the bad one, within what may have been the last write: torn if a sector of the bad range was never
//!    written (still zeros), since a device writes whole sectors; damage if all of it was.
//! 5. Nothing sound behind: torn.
//!
//! A pure decision over the bytes; it changes nothing.

use std::io;

use tautline_core::batch::{BATCH_HEADER_BYTES, Batch};
use tautline_core::buffer::BLOCK_SIZE;
use tautline_core::ids::{LeaderEpoch, Offset};

use super::scan::{Replay, Scanner};
use crate::format::{FOOTER_BYTES, Footer, SegmentHeader};
use crate::index::Place;
use crate::limits::{BLOCK_BYTES, SEGMENT_HEADER_BYTES, WRITE_BYTES_MAX};
use crate::tail::block_start;

const SECTOR_BYTES: usize = 512;
/// Shorter than this the start of a batch may be zeros by right: only its base offset is sure to be there.
const TELLING_BYTES: usize = 17;

/// See the module.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The segment ends here.
    End,
    /// It ends here, and what was torn behind, up to `to`, is to be overwritten with zeros.
    Torn { to: u64 },
    /// The batch here is damaged; sound ones begin again at `resume`, if there are any in this segment.
    Damaged { resume: Option<Place> },
}

/// The bytes behind the end, from the start of its block.
struct Rest<'a> {
    bytes: &'a [u8],
    base: u64,
    sequence: u64,
    salt: u64,
}

/// The end that is in question.
pub(super) struct End {
    /// Where the sound batches end.
    pub position: u64,
    /// All below was in the checkpoint.
    pub known_durable: u64,
    /// The offset with which a later segment begins.
    pub next_base: Option<Offset>,
    /// Whether the log was written without waiting for the disk.
    pub relaxed: bool,
    /// Whether the next segment may begin behind a gap of offsets.
    pub gaps: bool,
}

/// What to make of the place where a segment's sound batches end.
pub(super) fn judge(
    scanner: &Scanner,
    header: &SegmentHeader,
    end: &End,
    replay: &Replay,
) -> io::Result<Verdict> {
    let position = end.position;
    let base = block_start(position);
    let near = scanner.range(base, base + WRITE_BYTES_MAX + 3 * BLOCK_BYTES)?;
    let rest = Rest {
        bytes: &near,
        base,
        sequence: header.sequence(),
        salt: header.salt(),
    };
    let untouched = position == SEGMENT_HEADER_BYTES && rest.is_zero(position, BATCH_HEADER_BYTES);
    if !end.relaxed && (untouched || rest.ends_cleanly_at(position)) {
        // At most one write was in flight, and it can't have gone further than this.
        return Ok(rest.judge(end, replay));
    }
    let whole = scanner.range(base, scanner.len())?;
    Ok(Rest {
        bytes: &whole,
        ..rest
    }
    .judge(end, replay))
}

impl Rest<'_> {
    fn judge(&self, end: &End, replay: &Replay) -> Verdict {
        let End {
            position,
            known_durable,
            next_base,
            gaps,
            ..
        } = *end;
        let proven = self
            .footers()
            .map(|footer| footer.durable())
            .max()
            .unwrap_or(0)
            .max(known_durable);
        let sound = self.find_sound(position + 1, replay.expected, replay.epochs.latest());
        if position < proven {
            return Verdict::Damaged { resume: sound };
        }
        let clean = self.ends_cleanly_at(position);
        // A sealed file ends with its data.
        let whole = clean || position == self.base + self.bytes.len() as u64;
        if next_base == Some(replay.expected) || gaps && whole && next_base.is_some() {
            return Verdict::End;
        }
        match sound {
            Some(place)
                if next_base.is_some()
                    || !clean && !self.has_hole(position, place.position, replay.expected) =>
            {
                Verdict::Damaged { resume: Some(place) }
            }
            None if next_base.is_some() => Verdict::Damaged { resume: None },
            _ => match self.dirty_end(position, clean) {
                Some(to) => Verdict::Torn { to },
                None => Verdict::End,
            },
        }
    }

    fn blocks(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let base = self.base;
        self.bytes
            .chunks(BLOCK_SIZE)
            .enumerate()
            .map(move |(n, block)| (base + (n * BLOCK_SIZE) as u64, block))
    }

    fn footer(&self, block: &[u8]) -> Option<Footer> {
        if block.len() < BLOCK_SIZE {
            None
        } else {
            Footer::find(block, self.sequence, self.salt)
        }
    }

    fn footers(&self) -> impl Iterator<Item = Footer> {
        self.blocks().filter_map(|(_, block)| self.footer(block))
    }

    /// Whether the last write to the block of `position` ended there.
    fn ends_cleanly_at(&self, position: u64) -> bool {
        self.blocks()
            .take(2)
            .filter_map(|(_, block)| self.footer(block))
            .any(|footer| footer.end() == position)
    }

    fn from(&self, position: u64) -> &[u8] {
        &self.bytes[((position - self.base) as usize).min(self.bytes.len())..]
    }

    fn is_zero(&self, position: u64, len: usize) -> bool {
        self.from(position).iter().take(len).all(|&b| b == 0)
    }

    /// The first sound batch at or behind `position` that could be one of this log.
    fn find_sound(&self, position: u64, expected: Offset, epoch: Option<LeaderEpoch>) -> Option<Place> {
        let mut at = (position - self.base) as usize;
        while at + BATCH_HEADER_BYTES <= self.bytes.len() {
            // A batch's magic lies 16 bytes behind its start: without a 2 in the next block there is none to look for.
            let magics = &self.bytes[at + 16..(at + 16 + BLOCK_SIZE).min(self.bytes.len())];
            let Some(skip) = magics.iter().position(|&b| b == 2) else {
                at += magics.len().max(1);
                continue;
            };
            at += skip;
            if let Ok((batch, _)) = Batch::parse(&self.bytes[at..])
                && batch.base_offset() >= expected
                && batch.base_offset() - expected <= i64::from(u32::MAX)
                && epoch.is_none_or(|latest| batch.leader_epoch() >= latest)
                && batch.verify_crc().is_ok()
            {
                return Some(Place {
                    offset: batch.base_offset(),
                    position: self.base + at as u64,
                });
            }
            at += 1;
        }
        None
    }

    /// Whether a sector between two positions was never written.
    fn has_hole(&self, from: u64, to: u64, expected: Offset) -> bool {
        let first_end = ((from / SECTOR_BYTES as u64 + 1) * SECTOR_BYTES as u64).min(to);
        let first = &self.from(from)[..(first_end - from) as usize];
        let start_of_batch = expected.0.to_be_bytes();
        let same = first.iter().zip(&start_of_batch).all(|(a, b)| a == b);
        if first.iter().all(|&b| b == 0) && (first.len() >= TELLING_BYTES || !same) {
            return true;
        }
        // The last one may hold the first bytes of the sound batch, which are zeros too.
        let mut sectors = (first_end..to).step_by(SECTOR_BYTES);
        sectors.any(|sector| self.is_unwritten_sector(sector))
    }

    /// Zeros, or zeros and the footer of an earlier write.
    fn is_unwritten_sector(&self, sector: u64) -> bool {
        if self.is_zero(sector, SECTOR_BYTES) {
            return true;
        }
        let block = &self.from(block_start(sector))[..BLOCK_SIZE.min(self.from(block_start(sector)).len())];
        sector + SECTOR_BYTES as u64 == block_start(sector) + BLOCK_BYTES
            && self.footer(block).is_some()
            && self.is_zero(sector, SECTOR_BYTES - FOOTER_BYTES)
    }

    /// Behind the last byte that is not zero; the footer of a clean end does not count.
    fn dirty_end(&self, position: u64, clean: bool) -> Option<u64> {
        let own_footer =
            |block: &[u8]| clean && self.footer(block).is_some_and(|footer| footer.end() == position);
        let mut end = None;
        for (at, block) in self.blocks() {
            let skip = position.saturating_sub(at) as usize;
            let len = if own_footer(block) {
                block.len() - FOOTER_BYTES
            } else {
                block.len()
            };
            if skip < len && block[skip..len].iter().any(|&b| b != 0) {
                end = Some(at + block.len() as u64);
            }
        }
        end
    }
}
