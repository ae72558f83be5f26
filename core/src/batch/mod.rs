//! Record batches of magic 2 (KIP-98), read and patched in place.
//!
//! ```text
//! 0            8            12           16    17        21
//! | base offset | length     | leader ep. | mag | CRC-32C |
//! |<--- outside the CRC: the broker patches these ------->|
//! 21          23            27         35         43          51             53         57      61
//! | attributes | last delta | base time | max time | producer id | epoch | sequence | count | records ...
//! |<--------------------------- what the CRC covers ------------------------------------------------->
//! ```
//!
//! A [`Batch`] borrows the bytes of one batch; nothing here allocates but [`BatchBuilder`]. All of it runs on whatever core
//! holds the bytes. Bytes of any content are answered with a [`BatchError`], never with a panic.

mod builder;
mod compacted;
mod error;
mod header;
mod marker;
mod patch;
mod records;
mod validate;
pub mod varint;

pub use builder::BatchBuilder;
pub use compacted::Compacted;
pub use error::BatchError;
pub use header::{BATCH_HEADER_BYTES, BatchHeader, Compression, TimestampType};
pub use marker::EndTransactionMarker;
pub use patch::{patch_log_append_time, patch_max_timestamp, patch_position};
pub use records::{BadHeader, Header, Headers, Record, Records};
pub use validate::AppendCheck;

use crate::checksum;
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use header::{CRC_COVERS_FROM, LENGTH_COVERS_FROM, MAGIC_AT, MAGIC_V2};

/// One record batch, borrowed. Its header is consistent with its length; checksum and records are checked on request.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    header: &'a BatchHeader,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Takes the first batch off `bytes` and gives the rest, without looking at the records.
    ///
    /// # Errors
    /// [`BatchError::Truncated`] if the bytes end before the batch does; the others if its header can't be one of a batch.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), BatchError> {
        if let Some(&magic) = bytes.get(MAGIC_AT)
            && magic != MAGIC_V2
        {
            return Err(BatchError::BadMagic { magic: magic as i8 });
        }
        let Ok((header, _)) = BatchHeader::view(bytes) else {
            return Err(BatchError::Truncated {
                needed: BATCH_HEADER_BYTES,
            });
        };
        let length = header.batch_length.get();
        if length < (BATCH_HEADER_BYTES - LENGTH_COVERS_FROM) as i32 {
            return Err(BatchError::BadLength { length });
        }
        let size_bytes = LENGTH_COVERS_FROM + length as usize;
        let Some((batch, rest)) = bytes.split_at_checked(size_bytes) else {
            return Err(BatchError::Truncated { needed: size_bytes });
        };
        let (count, last_delta) = (header.record_count.get(), header.last_offset_delta.get());
        if count < 0 || last_delta < 0 {
            return Err(BatchError::BadRecordCount { count, last_delta });
        }
        header.compression()?;
        Ok((Self { header, bytes: batch }, rest))
    }

    /// The fixed part in front.
    #[must_use]
    pub const fn header(&self) -> &'a BatchHeader {
        self.header
    }

    /// The whole batch, header and records.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length of [`bytes`](Self::bytes).
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The records as they are stored: compressed, if [`compression`](Self::compression) says so.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        &self.bytes[BATCH_HEADER_BYTES..]
    }

    /// Offset of the first record.
    #[must_use]
    pub fn base_offset(&self) -> Offset {
        Offset(self.header.base_offset.get())
    }

    /// Offset of the last record (of the last there was, if the batch has been compacted).
    #[must_use]
    pub fn last_offset(&self) -> Offset {
        let delta = i64::from(self.header.last_offset_delta.get());
        Offset(self.header.base_offset.get().saturating_add(delta))
    }

    /// Offset after the last one: where the next batch begins.
    #[must_use]
    pub fn next_offset(&self) -> Offset {
        Offset(self.last_offset().0.saturating_add(1))
    }

    /// Epoch of the leader that appended it, [`LeaderEpoch::NONE`] as it comes from a client.
    #[must_use]
    pub fn leader_epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.header.leader_epoch.get())
    }

    /// The codec of the records.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.header
            .compression()
            .expect("parse has refused unknown codecs")
    }

    /// Who set the timestamps.
    #[must_use]
    pub fn timestamp_type(&self) -> TimestampType {
        self.header.timestamp_type()
    }

    /// Part of a transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.header.attributes.get() & header::TRANSACTIONAL != 0
    }

    /// Control records (commit and abort markers), which only brokers write.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.header.attributes.get() & header::CONTROL != 0
    }

    /// What the records' timestamp deltas count from, in milliseconds since the epoch; -1 for none.
    #[must_use]
    pub fn base_timestamp(&self) -> i64 {
        self.header.base_timestamp.get()
    }

    /// The largest timestamp in the batch, as its writer says, in milliseconds since the epoch; -1 for none.
    #[must_use]
    pub fn max_timestamp(&self) -> i64 {
        self.header.max_timestamp.get()
    }

    /// The idempotent producer, or [`ProducerId::NONE`].
    #[must_use]
    pub fn producer_id(&self) -> ProducerId {
        ProducerId(self.header.producer_id.get())
    }

    /// The producer's epoch, or [`ProducerEpoch::NONE`].
    #[must_use]
    pub fn producer_epoch(&self) -> ProducerEpoch {
        ProducerEpoch(self.header.producer_epoch.get())
    }

    /// Sequence number of the first record, -1 for none.
    #[must_use]
    pub fn base_sequence(&self) -> i32 {
        self.header.base_sequence.get()
    }

    /// Sequence number of the last record, which wraps after `i32::MAX` to 0; -1 for none (KIP-98).
    #[must_use]
    pub fn last_sequence(&self) -> i32 {
        let (base, delta) = (
            self.header.base_sequence.get(),
            self.header.last_offset_delta.get(),
        );
        if base < 0 {
            -1
        } else {
            base.wrapping_add(delta) & i32::MAX
        }
    }

    /// Number of records still in the batch.
    #[must_use]
    pub fn record_count(&self) -> u32 {
        self.header.record_count.get() as u32
    }

    /// Compares the checksum with the bytes it covers.
    ///
    /// # Errors
    /// [`BatchError::BadCrc`].
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let (stored, computed) = (
            self.header.crc.get(),
            checksum::crc32c(&self.bytes[CRC_COVERS_FROM..]),
        );
        if stored == computed {
            Ok(())
        } else {
            Err(BatchError::BadCrc { stored, computed })
        }
    }

    /// Walks the records of a batch that is not compressed; one [`BatchError::Compressed`] if it is.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        Records::new(self)
    }
}

#[cfg(test)]
mod tests;
