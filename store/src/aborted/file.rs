//! `{sequence}.aborted`: the aborted transactions of one sealed segment; header, entries, CRC-32.

use zerocopy::byteorder::little_endian::{I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use tautline_core::checksum::{crc32, crc32_append};
use tautline_core::ids::{Offset, ProducerId};

use super::Aborted;

const MAGIC: [u8; 8] = *b"TAUTABRT";
const VERSION: u32 = 1;

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FileHeader {
    magic: [u8; 8],
    version: U32,
    crc: U32,
    sequence: U64,
    base_offset: I64,
    end_position: U64,
    entries: U64,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Entry {
    producer: I64,
    first: I64,
    marker: I64,
    stable: I64,
}

const CRC_COVERS_FROM: usize = std::mem::offset_of!(FileHeader, sequence);
const _: () = assert!(size_of::<FileHeader>() == 48 && size_of::<Entry>() == 32);

/// Which segment, and which content of it, a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentContent {
    pub sequence: u64,
    pub base_offset: Offset,
    pub end_position: u64,
}

/// The bytes of a segment's file.
pub(crate) fn to_file(list: &[Aborted], of: SegmentContent) -> Vec<u8> {
    let entry = |aborted: &Aborted| Entry {
        producer: I64::new(aborted.producer.0),
        first: I64::new(aborted.first.0),
        marker: I64::new(aborted.marker.0),
        stable: I64::new(aborted.stable.0),
    };
    let entries: Vec<Entry> = list.iter().map(entry).collect();
    let mut header = FileHeader {
        magic: MAGIC,
        version: U32::new(VERSION),
        crc: U32::ZERO,
        sequence: U64::new(of.sequence),
        base_offset: I64::new(of.base_offset.0),
        end_position: U64::new(of.end_position),
        entries: U64::new(entries.len() as u64),
    };
    header.crc = U32::new(crc32_append(
        crc32(&header.as_bytes()[CRC_COVERS_FROM..]),
        entries.as_bytes(),
    ));
    [header.as_bytes(), entries.as_bytes()].concat()
}

/// Reads a file's bytes; `None` if they are damaged, or of another segment, or of less of it.
pub(crate) fn from_file(bytes: &[u8], of: SegmentContent) -> Option<Vec<Aborted>> {
    let (header, entries) = FileHeader::read_from_prefix(bytes).ok()?;
    let entries = <[Entry]>::ref_from_bytes(entries).ok()?;
    let sound = header.magic == MAGIC
        && header.version.get() == VERSION
        && header.sequence.get() == of.sequence
        && header.base_offset.get() == of.base_offset.0
        && header.end_position.get() == of.end_position
        && header.entries.get() == entries.len() as u64
        && header.crc.get() == crc32(&bytes[CRC_COVERS_FROM..]);
    let aborted = |entry: &Entry| Aborted {
        producer: ProducerId(entry.producer.get()),
        first: Offset(entry.first.get()),
        marker: Offset(entry.marker.get()),
        stable: Offset(entry.stable.get()),
    };
    sound.then(|| entries.iter().map(aborted).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_back_and_damage_is_noticed() {
        let aborted = |n: i64| Aborted {
            producer: ProducerId(n),
            first: Offset(n * 10),
            marker: Offset(n * 10 + 5),
            stable: Offset(n * 10 + 6),
        };
        let list: Vec<Aborted> = (0..5).map(aborted).collect();
        let of = SegmentContent {
            sequence: 3,
            base_offset: Offset(2),
            end_position: 9_000,
        };
        let bytes = to_file(&list, of);
        assert_eq!(from_file(&bytes, of), Some(list));
        assert_eq!(from_file(&bytes, SegmentContent { sequence: 4, ..of }), None);
        assert_eq!(
            from_file(
                &bytes,
                SegmentContent {
                    end_position: 9_078,
                    ..of
                }
            ),
            None
        );
        assert_eq!(from_file(&bytes[..bytes.len() - 32], of), None);
        for at in 0..bytes.len() {
            let mut bytes = bytes.clone();
            bytes[at] ^= 4;
            assert_eq!(from_file(&bytes, of), None);
        }
    }
}
