//! What a leader checks before it appends a client's batch, in the order that finds the cheap faults first.

use super::{Batch, BatchError, Compression, TimestampType};

/// A length, attributes, two deltas, two lengths and a header count: no record is shorter.
const RECORD_BYTES_MIN: usize = 7;
/// "No timestamp".
const NO_TIMESTAMP: i64 = -1;

/// What [`Batch::validate_for_append`] learnt on its way over the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendCheck {
    /// Smallest timestamp: of the records, or the base timestamp if they are compressed. Milliseconds, -1 for none.
    pub min_timestamp_ms: i64,
    /// Largest timestamp: of the records, or what the header says if they are compressed. Some clients get the header's
    /// wrong; [`patch_max_timestamp`](super::patch_max_timestamp) puts it right. Milliseconds, -1 for none.
    pub max_timestamp_ms: i64,
}

impl Batch<'_> {
    /// Checks all that can be known of a client's batch without its partition: size, producer fields, counts, checksum and,
    /// where they are not compressed, each record.
    ///
    /// # Errors
    /// The first fault found; [`BatchError::error_code`] is the answer to the client.
    pub fn validate_for_append(&self, max_message_bytes: usize) -> Result<AppendCheck, BatchError> {
        let size_bytes = self.size_bytes();
        if size_bytes > max_message_bytes {
            return Err(BatchError::TooLarge {
                size_bytes,
                max_message_bytes,
            });
        }
        if self.is_control() {
            return Err(BatchError::Control);
        }
        if self.header.has_delete_horizon() {
            return Err(BatchError::BadAttributes {
                attributes: self.header.attributes.get(),
            });
        }
        if self.timestamp_type() == TimestampType::LogAppendTime {
            return Err(BatchError::BadTimestampType);
        }
        self.check_producer()?;
        let (count, last_delta) = (
            self.header.record_count.get(),
            self.header.last_offset_delta.get(),
        );
        let bad_count = BatchError::BadRecordCount { count, last_delta };
        if count == 0 || count - 1 != last_delta {
            return Err(bad_count);
        }
        self.verify_crc()?;
        let (base, max) = (self.base_timestamp(), self.max_timestamp());
        for timestamp_ms in [base, max] {
            if timestamp_ms < NO_TIMESTAMP {
                return Err(BatchError::BadTimestamp { timestamp_ms });
            }
        }
        if self.compression() != Compression::None {
            return Ok(AppendCheck {
                min_timestamp_ms: base,
                max_timestamp_ms: max.max(base),
            });
        }
        if count as usize > self.payload().len() / RECORD_BYTES_MIN {
            return Err(bad_count);
        }
        self.check_records(base)
    }

    fn check_producer(&self) -> Result<(), BatchError> {
        let (id, epoch, sequence) = (
            self.producer_id().0,
            self.producer_epoch().0,
            self.base_sequence(),
        );
        // Without an id some clients write 0 and some -1 as epoch and sequence.
        let fits = if id < 0 {
            !self.is_transactional()
        } else {
            epoch >= 0 && sequence >= 0
        };
        if fits {
            Ok(())
        } else {
            Err(BatchError::BadProducer {
                producer_id: id,
                epoch,
                sequence,
            })
        }
    }

    fn check_records(&self, base: i64) -> Result<AppendCheck, BatchError> {
        let mut check = AppendCheck {
            min_timestamp_ms: i64::MAX,
            max_timestamp_ms: i64::MIN,
        };
        for (index, record) in self.records().enumerate() {
            let record = record?;
            let bad_record = BatchError::BadRecord { index: index as u32 };
            if record.offset_delta != index as i32 || record.headers().any(|header| header.is_err()) {
                return Err(bad_record);
            }
            let timestamp_ms = base.checked_add(record.timestamp_delta).ok_or(bad_record)?;
            if timestamp_ms < NO_TIMESTAMP {
                return Err(BatchError::BadTimestamp { timestamp_ms });
            }
            check.min_timestamp_ms = check.min_timestamp_ms.min(timestamp_ms);
            check.max_timestamp_ms = check.max_timestamp_ms.max(timestamp_ms);
        }
        Ok(check)
    }
}
