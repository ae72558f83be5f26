//! The 61 bytes in front of a batch's records.

use zerocopy::byteorder::big_endian::{I16, I32, I64, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::BatchError;

/// Size of [`BatchHeader`].
pub const BATCH_HEADER_BYTES: usize = 61;

/// `batch_length` counts the bytes from here on.
pub(super) const LENGTH_COVERS_FROM: usize = 12;
/// The checksum covers the bytes from here on.
pub(super) const CRC_COVERS_FROM: usize = 21;
pub(super) const MAGIC_AT: usize = 16;
pub(super) const MAGIC_V2: u8 = 2;

pub(super) const CODEC_MASK: i16 = 0b111;
pub(super) const LOG_APPEND_TIME: i16 = 1 << 3;
pub(super) const TRANSACTIONAL: i16 = 1 << 4;
pub(super) const CONTROL: i16 = 1 << 5;
pub(super) const DELETE_HORIZON: i16 = 1 << 6;

const _: () = assert!(size_of::<BatchHeader>() == BATCH_HEADER_BYTES);
const _: () = assert!(std::mem::offset_of!(BatchHeader, leader_epoch) == LENGTH_COVERS_FROM);
const _: () = assert!(std::mem::offset_of!(BatchHeader, magic) == MAGIC_AT);
const _: () = assert!(std::mem::offset_of!(BatchHeader, attributes) == CRC_COVERS_FROM);

/// Header of a record batch of magic 2, as it lies in the bytes (big endian, unaligned).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BatchHeader {
    /// Offset of the first record; patched at append.
    pub base_offset: I64,
    /// Bytes of the batch after this field.
    pub batch_length: I32,
    /// Epoch of the leader that appended it; patched at append.
    pub leader_epoch: I32,
    /// 2.
    pub magic: i8,
    /// CRC-32C of everything after this field.
    pub crc: U32,
    /// Codec (bits 0-2), timestamp type (3), transactional (4), control (5), delete horizon (6).
    pub attributes: I16,
    /// Last offset minus base offset, kept when compaction removes records.
    pub last_offset_delta: I32,
    /// What record timestamps count from, milliseconds; the delete horizon if bit 6 is set.
    pub base_timestamp: I64,
    /// Largest timestamp, milliseconds.
    pub max_timestamp: I64,
    /// Idempotent producer, or -1.
    pub producer_id: I64,
    /// Its epoch, or -1.
    pub producer_epoch: I16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: I32,
    /// Number of records.
    pub record_count: I32,
}

impl BatchHeader {
    /// The header at the start of `bytes`.
    #[inline]
    pub(super) fn view(bytes: &[u8]) -> Result<(&Self, &[u8]), ()> {
        Self::ref_from_prefix(bytes).map_err(|_| ())
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// [`BatchError::BadCompression`] for the numbers Kafka does not use.
    #[inline]
    pub const fn compression(&self) -> Result<Compression, BatchError> {
        match self.attributes() & CODEC_MASK {
            0 => Ok(Compression::None),
            1 => Ok(Compression::Gzip),
            2 => Ok(Compression::Snappy),
            3 => Ok(Compression::Lz4),
            4 => Ok(Compression::Zstd),
            codec => Err(BatchError::BadCompression { codec: codec as u8 }),
        }
    }

    /// Who set the timestamps.
    #[must_use]
    pub const fn timestamp_type(&self) -> TimestampType {
        if self.attributes() & LOG_APPEND_TIME == 0 {
            TimestampType::CreateTime
        } else {
            TimestampType::LogAppendTime
        }
    }

    /// Whether `base_timestamp` is the time from which compaction may drop tombstones (KIP-534).
    #[must_use]
    pub const fn has_delete_horizon(&self) -> bool {
        self.attributes() & DELETE_HORIZON != 0
    }

    const fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.attributes.to_bytes())
    }
}

/// Codec of a batch's records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not compressed.
    #[default]
    None,
    /// gzip.
    Gzip,
    /// Snappy, in Xerial's framing.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// Zstandard (KIP-110).
    Zstd,
}

/// Who set a batch's timestamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    /// The producer.
    #[default]
    CreateTime,
    /// The broker, for all records of the batch at once.
    LogAppendTime,
}
