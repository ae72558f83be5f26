//! The sparse index of one segment: every `index.interval.bytes` the offset and position of a batch, and the largest timestamp
//! before it.
//!
//! In memory while the segment is written; in `{sequence}.index` (header, entries, CRC-32) once it is sealed, loaded when
//! somebody reads there. It is a hint that can always be made again from the batches: a missing or damaged file is rebuilt.

use zerocopy::byteorder::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use tautline_core::checksum::{crc32, crc32_append};
use tautline_core::ids::Offset;

const MAGIC: [u8; 8] = *b"TAUTIDX\0";
const VERSION: u32 = 1;

/// One batch of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Entry {
    relative_offset: U32,
    position: U32,
    max_timestamp_before: I64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FileHeader {
    magic: [u8; 8],
    version: U32,
    crc: U32,
    base_offset: I64,
    sequence: U64,
    end_position: U64,
    entries: U64,
}

const HEADER_BYTES: usize = size_of::<FileHeader>();
const CRC_COVERS_FROM: usize = std::mem::offset_of!(FileHeader, base_offset);

/// A place in a segment where a batch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub offset: Offset,
    pub position: u64,
}

/// Entries in growing order. The first batch of the segment needs none: it is where lookups begin that find nothing.
#[derive(Clone, Debug)]
pub(crate) struct SparseIndex {
    base: Place,
    /// Batches below are not in the index, because recovery began here: who looks below loads or rebuilds it.
    pub complete_from: Place,
    entries: Vec<Entry>,
    /// Where the next entry is due.
    due: u64,
}

impl SparseIndex {
    /// An empty index of a segment whose first batch lies at `base`.
    pub fn new(base: Place) -> SparseIndex {
        SparseIndex {
            base,
            complete_from: base,
            entries: Vec::new(),
            due: base.position,
        }
    }

    /// An index that knows nothing of the batches below `from`.
    pub fn starting_at(base: Place, from: Place) -> SparseIndex {
        SparseIndex {
            base,
            complete_from: from,
            entries: Vec::new(),
            due: from.position,
        }
    }

    /// Notes a batch about to be placed; `max_timestamp_before` is the largest timestamp of those before it in the segment.
    pub fn note(&mut self, place: Place, max_timestamp_before: i64, interval_bytes: u64) {
        if place.position >= self.due {
            self.force(place, max_timestamp_before);
            self.due = place.position + interval_bytes;
        }
    }

    /// Notes a batch whatever the distance to the last.
    pub fn force(&mut self, place: Place, max_timestamp_before: i64) {
        self.entries.push(Entry {
            relative_offset: U32::new((place.offset - self.base.offset) as u32),
            position: U32::new(place.position as u32),
            max_timestamp_before: I64::new(max_timestamp_before),
        });
    }

    fn place(&self, entry: &Entry) -> Place {
        let offset = self.base.offset + i64::from(entry.relative_offset.get());
        Place {
            offset,
            position: u64::from(entry.position.get()),
        }
    }

    fn before(&self, after: usize) -> Place {
        after
            .checked_sub(1)
            .map_or(self.base, |i| self.place(&self.entries[i]))
    }

    /// The last known batch at or before `offset`.
    pub fn at_or_before(&self, offset: Offset) -> Place {
        self.before(self.entries.partition_point(|e| self.place(e).offset <= offset))
    }

    /// The last known batch at or before `offset`, and the largest timestamp of those before it in the segment, -1 for none.
    pub fn with_timestamp_before(&self, offset: Offset) -> (Place, i64) {
        let after = self.entries.partition_point(|e| self.place(e).offset <= offset);
        match after.checked_sub(1).map(|i| &self.entries[i]) {
            Some(entry) => (self.place(entry), entry.max_timestamp_before.get()),
            None => (self.base, -1),
        }
    }

    /// The last known batch that begins at or before `position`, and at or before `offset`.
    pub fn at_or_before_position(&self, position: u64, offset: Offset) -> Place {
        self.before(self.entries.partition_point(|e| {
            let place = self.place(e);
            place.position <= position && place.offset <= offset
        }))
    }

    /// The first known batch that begins behind `position`.
    pub fn after_position(&self, position: u64) -> Option<Place> {
        let after = self
            .entries
            .partition_point(|e| u64::from(e.position.get()) <= position);
        self.entries.get(after).map(|entry| self.place(entry))
    }

    /// A batch from which the first one with a timestamp of `timestamp_ms` or later can't be missed.
    pub fn before_timestamp(&self, timestamp_ms: i64) -> Place {
        self.before(
            self.entries
                .partition_point(|e| e.max_timestamp_before.get() < timestamp_ms),
        )
    }

    /// Memory it takes.
    pub fn size_bytes(&self) -> usize {
        size_of::<SparseIndex>() + self.entries.capacity() * size_of::<Entry>()
    }

    /// The bytes of its file.
    pub fn to_file(&self, sequence: u64, end_position: u64) -> Vec<u8> {
        let mut header = FileHeader {
            magic: MAGIC,
            version: U32::new(VERSION),
            crc: U32::ZERO,
            base_offset: I64::new(self.base.offset.0),
            sequence: U64::new(sequence),
            end_position: U64::new(end_position),
            entries: U64::new(self.entries.len() as u64),
        };
        let entries = self.entries.as_bytes();
        header.crc = U32::new(crc32_append(
            crc32(&header.as_bytes()[CRC_COVERS_FROM..]),
            entries,
        ));
        [header.as_bytes(), entries].concat()
    }

    /// Reads a file's bytes; `None` if it is damaged, or of another segment, or of less of it.
    pub fn from_file(bytes: &[u8], base: Place, sequence: u64, end_position: u64) -> Option<SparseIndex> {
        let (header, entries) = FileHeader::read_from_prefix(bytes).ok()?;
        let entries = <[Entry]>::ref_from_bytes(entries).ok()?;
        let sound = header.magic == MAGIC
            && header.version.get() == VERSION
            && header.base_offset.get() == base.offset.0
            && header.sequence.get() == sequence
            && header.end_position.get() == end_position
            && header.entries.get() == entries.len() as u64
            && header.crc.get() == crc32(&bytes[CRC_COVERS_FROM..]);
        sound.then(|| SparseIndex {
            base,
            complete_from: base,
            entries: entries.to_vec(),
            due: end_position,
        })
    }
}

const _: () = assert!(HEADER_BYTES == 48 && size_of::<Entry>() == 16);

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SparseIndex {
        let mut index = SparseIndex::new(Place {
            offset: Offset(100),
            position: 4096,
        });
        for i in 0..100 {
            // Batches of ten records and 1,000 bytes; timestamps grow by ten, with a peak at the 50th.
            let max_before = if i > 50 { 5_000 } else { i * 10 };
            index.note(
                Place {
                    offset: Offset(100 + i * 10),
                    position: 4096 + i as u64 * 1_000,
                },
                max_before,
                4_000,
            );
        }
        index
    }

    #[test]
    fn lookups_never_overshoot() {
        let index = sample();
        for offset in 100..1_100 {
            let place = index.at_or_before(Offset(offset));
            assert!(
                place.offset.0 <= offset && offset - place.offset.0 < 50,
                "{offset}: {place:?}"
            );
            assert_eq!(place.position, 4096 + (place.offset.0 - 100) as u64 * 100);
        }
        let place = index.at_or_before_position(50_000, Offset(200));
        assert!(place.offset <= Offset(200) && place.position <= 50_000);
        assert_eq!(index.before_timestamp(0).position, 4096);
        assert!(index.before_timestamp(4_000).offset.0 <= 100 + 50 * 10);
        assert!(index.before_timestamp(4_000).offset.0 > 100 + 40 * 10);
    }

    #[test]
    fn files_come_back_and_damage_is_noticed() {
        let index = sample();
        let base = Place {
            offset: Offset(100),
            position: 4096,
        };
        let bytes = index.to_file(3, 104_096);
        let read = SparseIndex::from_file(&bytes, base, 3, 104_096).unwrap();
        assert_eq!(read.entries, index.entries);
        assert!(SparseIndex::from_file(&bytes, base, 4, 104_096).is_none());
        assert!(SparseIndex::from_file(&bytes, base, 3, 104_097).is_none());
        assert!(SparseIndex::from_file(&bytes[..bytes.len() - 16], base, 3, 104_096).is_none());
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 4;
            assert!(SparseIndex::from_file(&bytes, base, 3, 104_096).is_none());
        }
    }
}
