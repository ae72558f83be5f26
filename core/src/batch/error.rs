//! Why bytes are not a batch, or not one that may be appended.

use crate::error::ErrorCode;

/// What is wrong with a record batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("the batch ends after its bytes do: {needed} bytes needed")]
    Truncated {
        /// Bytes that must be there, counted from the batch's first, to get further.
        needed: usize,
    },
    /// Not a batch of magic 2.
    #[error("magic {magic} is not supported, only record batches of magic 2 are")]
    BadMagic {
        /// What stands in its place.
        magic: i8,
    },
    /// Shorter than its own header.
    #[error("a batch length of {length} is shorter than a batch header")]
    BadLength {
        /// The length field: bytes after itself.
        length: i32,
    },
    /// The bytes are not those the checksum was made of.
    #[error("the checksum says {stored:08x}, the bytes {computed:08x}")]
    BadCrc {
        /// In the header.
        stored: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// The record count, the last offset delta and the records do not agree.
    #[error("{count} records with a last offset delta of {last_delta} do not add up")]
    BadRecordCount {
        /// The count in the header.
        count: i32,
        /// The last offset delta in the header.
        last_delta: i32,
    },
    /// A codec number Kafka does not have.
    #[error("compression codec {codec} does not exist")]
    BadCompression {
        /// Bits 0 to 2 of the attributes.
        codec: u8,
    },
    /// The records are compressed, so they can't be walked.
    #[error("the records are compressed")]
    Compressed,
    /// A record's bytes make no record.
    #[error("record {index} of the batch is malformed")]
    BadRecord {
        /// Its place in the batch, from 0.
        index: u32,
    },
    /// Larger than `max.message.bytes`.
    #[error("a batch of {size_bytes} bytes is larger than max.message.bytes = {max_message_bytes}")]
    TooLarge {
        /// The batch's size.
        size_bytes: usize,
        /// The limit.
        max_message_bytes: usize,
    },
    /// A control batch, which a client may not write.
    #[error("clients can't write control batches")]
    Control,
    /// A negative timestamp other than -1, or a maximum below the base.
    #[error("timestamp {timestamp_ms} is not legal")]
    BadTimestamp {
        /// The first one found.
        timestamp_ms: i64,
    },
    /// Marked LogAppendTime, which only brokers do.
    #[error("clients can't mark a batch as LogAppendTime")]
    BadTimestampType,
    /// Marked with a delete horizon, which only compaction does.
    #[error("clients can't set the attributes {attributes:#06x}")]
    BadAttributes {
        /// All of them.
        attributes: i16,
    },
    /// A producer id without epoch or sequence, or the other way round.
    #[error("producer id {producer_id}, epoch {epoch} and sequence {sequence} do not go together")]
    BadProducer {
        /// The producer id.
        producer_id: i64,
        /// Its epoch.
        epoch: i16,
        /// The first sequence number.
        sequence: i32,
    },
}

impl BatchError {
    /// What a produce request is answered with.
    #[must_use]
    pub const fn error_code(self) -> ErrorCode {
        match self {
            Self::Truncated { .. } | Self::BadLength { .. } | Self::BadCrc { .. } => {
                ErrorCode::CorruptMessage
            }
            Self::BadCompression { .. } => ErrorCode::UnsupportedCompressionType,
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::BadTimestamp { .. } | Self::BadTimestampType => ErrorCode::InvalidTimestamp,
            Self::BadMagic { .. }
            | Self::BadRecordCount { .. }
            | Self::Compressed
            | Self::BadRecord { .. }
            | Self::BadAttributes { .. }
            | Self::Control
            | Self::BadProducer { .. } => ErrorCode::InvalidRecord,
        }
    }
}
