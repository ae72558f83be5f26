//! The bytes of a segment file that are not record batches: its header block and the footers of its writes.
//!
//! ```text
//! 0            4096                                                   data end          capacity
//! | header     | batch | batch | batch | ... | batch | zeros ... footer | zeros (pre-written)     |
//! |<- 1 block->|<- exactly as on the wire ---------->|<- last block ---->|
//! ```
//!
//! A *footer* lies in the last 32 bytes of the last block of each write, in the slack behind the data (in a block of its own
//! where there is none), and is overwritten by the next write. It says how much of the file was durable when that write began:
//! everything below is known to have been on stable storage, so whatever is wrong there is damage; what lies above may have
//! been torn by a power cut before anybody was told that it is safe. This is how recovery tells the two apart.

use uuid::Uuid;
use zerocopy::byteorder::little_endian::{I32, I64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use tautline_core::buffer::BLOCK_SIZE;
use tautline_core::checksum::{crc32, crc32_append};
use tautline_core::ids::{Offset, PartitionIndex, TopicId};

const MAGIC: [u8; 8] = *b"TAUTLOG\0";
const VERSION: u32 = 1;
const CLEANED_MAGIC: [u8; 8] = *b"TAUTCLN\0";
const FOOTER_MAGIC: u32 = 0x7461_7574;

/// What a segment file says of itself, at its start.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct SegmentHeader {
    magic: [u8; 8],
    version: U32,
    partition: I32,
    topic_id: [u8; 16],
    sequence: U64,
    salt: U64,
    created_ms: I64,
    crc: U32,
}

/// What the last write of a block said of the file (see the module).
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Footer {
    magic: U32,
    crc: U32,
    sequence: U64,
    durable: U64,
    end: U64,
}

/// What a cleaned segment file says of itself besides, behind its [`SegmentHeader`]. Such a file is whole from the moment it has
/// its name; without a checkpoint this tells which files it replaces.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct CleanedHeader {
    magic: [u8; 8],
    generation: U64,
    first_sequence: U64,
    base_offset: I64,
    end_offset: I64,
    end_position: U64,
    crc: U32,
}

/// Size of a [`Footer`].
pub(crate) const FOOTER_BYTES: usize = 32;
const HEADER_CRC_AT: usize = std::mem::offset_of!(SegmentHeader, crc);
/// Where in the header block of a cleaned file the [`CleanedHeader`] lies.
pub(crate) const CLEANED_HEADER_AT: usize = 512;
const CLEANED_CRC_AT: usize = std::mem::offset_of!(CleanedHeader, crc);

const _: () = assert!(size_of::<Footer>() == FOOTER_BYTES);
const _: () = assert!(size_of::<SegmentHeader>() <= CLEANED_HEADER_AT);
const _: () = assert!(CLEANED_HEADER_AT + size_of::<CleanedHeader>() <= BLOCK_SIZE);

/// Why a file's first block is not the header that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("it does not begin with a segment header")]
    NoHeader,
    #[error("its header has format {0}, this broker knows {VERSION}")]
    Version(u32),
    #[error("the checksum of its header is wrong")]
    Crc,
}

impl SegmentHeader {
    pub fn new(
        topic_id: TopicId,
        partition: PartitionIndex,
        sequence: u64,
        created_ms: i64,
    ) -> SegmentHeader {
        let mut header = SegmentHeader {
            magic: MAGIC,
            version: U32::new(VERSION),
            partition: I32::new(partition.0),
            topic_id: topic_id.0.into_bytes(),
            sequence: U64::new(sequence),
            salt: U64::new(Uuid::new_v4().as_u64_pair().0),
            created_ms: I64::new(created_ms),
            crc: U32::ZERO,
        };
        header.crc = U32::new(crc32(&header.as_bytes()[..HEADER_CRC_AT]));
        header
    }

    /// Reads a file's first bytes.
    pub fn parse(block: &[u8]) -> Result<SegmentHeader, HeaderError> {
        let (header, _) = SegmentHeader::read_from_prefix(block).map_err(|_| HeaderError::NoHeader)?;
        if header.magic != MAGIC {
            return Err(HeaderError::NoHeader);
        }
        if header.version.get() != VERSION {
            return Err(HeaderError::Version(header.version.get()));
        }
        if header.crc.get() != crc32(&header.as_bytes()[..HEADER_CRC_AT]) {
            return Err(HeaderError::Crc);
        }
        Ok(header)
    }

    pub fn topic_id(&self) -> TopicId {
        TopicId(Uuid::from_bytes(self.topic_id))
    }

    pub fn partition(&self) -> PartitionIndex {
        PartitionIndex(self.partition.get())
    }

    pub fn sequence(&self) -> u64 {
        self.sequence.get()
    }

    /// Told nowhere else, so that a client can't make bytes that look like a footer of this file.
    pub fn salt(&self) -> u64 {
        self.salt.get()
    }
}

impl CleanedHeader {
    /// Of a file that replaces those from `first_sequence` to its own number.
    pub fn new(generation: u64, first_sequence: u64, offsets: (Offset, Offset), end_position: u64) -> Self {
        let mut header = CleanedHeader {
            magic: CLEANED_MAGIC,
            generation: U64::new(generation),
            first_sequence: U64::new(first_sequence),
            base_offset: I64::new(offsets.0.0),
            end_offset: I64::new(offsets.1.0),
            end_position: U64::new(end_position),
            crc: U32::ZERO,
        };
        header.crc = U32::new(crc32(&header.as_bytes()[..CLEANED_CRC_AT]));
        header
    }

    /// Reads a file's first block; `None` if it is not that of a cleaned file, or damaged.
    pub fn parse(block: &[u8]) -> Option<CleanedHeader> {
        let (header, _) = CleanedHeader::read_from_prefix(block.get(CLEANED_HEADER_AT..)?).ok()?;
        let sound = header.magic == CLEANED_MAGIC
            && header.crc.get() == crc32(&header.as_bytes()[..CLEANED_CRC_AT])
            && header.base_offset.get() <= header.end_offset.get();
        sound.then_some(header)
    }

    pub fn generation(&self) -> u64 {
        self.generation.get()
    }

    /// Number of the first file it replaces.
    pub fn first_sequence(&self) -> u64 {
        self.first_sequence.get()
    }

    /// First offset of what it replaces.
    pub fn base_offset(&self) -> Offset {
        Offset(self.base_offset.get())
    }

    /// First offset behind what it replaces.
    pub fn end_offset(&self) -> Offset {
        Offset(self.end_offset.get())
    }

    /// Where its data ends.
    pub fn end_position(&self) -> u64 {
        self.end_position.get()
    }
}

impl Footer {
    /// The footer of a write that ends at `end`, begun when all below `durable` was on stable storage.
    pub fn new(sequence: u64, salt: u64, durable: u64, end: u64) -> Footer {
        let mut footer = Footer {
            magic: U32::new(FOOTER_MAGIC),
            crc: U32::ZERO,
            sequence: U64::new(sequence),
            durable: U64::new(durable),
            end: U64::new(end),
        };
        footer.crc = U32::new(footer.checksum(salt));
        footer
    }

    fn checksum(&self, salt: u64) -> u32 {
        crc32_append(crc32(&salt.to_le_bytes()), &self.as_bytes()[8..])
    }

    /// The footer at the end of a block, if it is one of this file.
    pub fn find(block: &[u8], sequence: u64, salt: u64) -> Option<Footer> {
        let at = block.len().checked_sub(FOOTER_BYTES)?;
        let footer = Footer::read_from_bytes(&block[at..]).ok()?;
        let ours = footer.magic.get() == FOOTER_MAGIC
            && footer.sequence.get() == sequence
            && footer.crc.get() == footer.checksum(salt);
        ours.then_some(footer)
    }

    /// Position below which all was durable when the write began.
    pub fn durable(&self) -> u64 {
        self.durable.get()
    }

    /// Position at which the write ended.
    pub fn end(&self) -> u64 {
        self.end.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_footers_notice_every_flipped_bit() {
        let header = SegmentHeader::new(TopicId(Uuid::from_u128(7)), PartitionIndex(3), 9, 1);
        let bytes = header.as_bytes().to_vec();
        assert_eq!(SegmentHeader::parse(&bytes).unwrap().sequence(), 9);
        let footer = Footer::new(9, header.salt(), 4096, 5000);
        let mut block = vec![0; BLOCK_SIZE];
        block[BLOCK_SIZE - FOOTER_BYTES..].copy_from_slice(footer.as_bytes());
        assert_eq!(Footer::find(&block, 9, header.salt()), Some(footer));
        assert_eq!(Footer::find(&block, 8, header.salt()), None);
        assert_eq!(Footer::find(&block, 9, header.salt() ^ 1), None);
        let cleaned = CleanedHeader::new(7, 3, (Offset(20), Offset(90)), 9_000);
        let mut first = vec![0; BLOCK_SIZE];
        assert!(CleanedHeader::parse(&first).is_none());
        first[CLEANED_HEADER_AT..][..size_of::<CleanedHeader>()].copy_from_slice(cleaned.as_bytes());
        assert_eq!(CleanedHeader::parse(&first).unwrap().end_offset(), Offset(90));
        for bit in 0..size_of::<CleanedHeader>() * 8 {
            let mut first = first.clone();
            first[CLEANED_HEADER_AT + bit / 8] ^= 1 << (bit % 8);
            assert!(CleanedHeader::parse(&first).is_none());
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            SegmentHeader::parse(&bytes).unwrap_err();
        }
        for bit in 0..FOOTER_BYTES * 8 {
            let mut block = block.clone();
            block[BLOCK_SIZE - FOOTER_BYTES + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Footer::find(&block, 9, header.salt()), None);
        }
    }
}
