//! What Kafka demands of a batch in a Produce request, and why it is refused.

use tautline_core::batch::{AppendCheck, Batch, BatchError, Compression, TimestampType};
use tautline_core::error::ErrorCode;
use tautline_core::time::now_ms;
use tautline_store::{KeyCheck, check_keys};

use crate::config::TopicSettings;

/// Of Produce (KIP-110).
const ZSTD_SINCE_VERSION: i16 = 7;
const ONE_BATCH: &str = "a produce request carries exactly one record batch a partition";

/// Why a batch was refused.
pub(super) struct Refusal {
    pub code: ErrorCode,
    pub message: Option<String>,
    /// The record that is the reason (KIP-467).
    pub record: Option<u32>,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal {
            code,
            message: None,
            record: None,
        }
    }
}

impl Refusal {
    pub fn new(code: ErrorCode, message: String) -> Refusal {
        Refusal {
            message: Some(message),
            ..Refusal::from(code)
        }
    }
}

/// What was found of a batch that may be appended.
pub(super) struct Checked {
    /// Largest timestamp of its records.
    pub max_timestamp_ms: i64,
    /// It is part of a transaction.
    pub is_transactional: bool,
}

/// One batch, whole and sound, with timestamps that the topic takes: what Kafka demands of Produce from version 3 on.
pub(super) fn check(bytes: &[u8], version: i16, settings: &TopicSettings) -> Result<Checked, Refusal> {
    let refusal = |error: BatchError| Refusal::new(error.error_code(), error.to_string());
    if bytes.is_empty() {
        // For good: a client tries a batch again that it is told was damaged on its way.
        return Err(Refusal::new(ErrorCode::InvalidRecord, ONE_BATCH.to_owned()));
    }
    let (batch, rest) = Batch::parse(bytes).map_err(refusal)?;
    if !rest.is_empty() {
        return Err(Refusal::new(ErrorCode::InvalidRecord, ONE_BATCH.to_owned()));
    }
    if version < ZSTD_SINCE_VERSION && batch.compression() == Compression::Zstd {
        let message = format!("zstd needs Produce version {ZSTD_SINCE_VERSION} or later, not {version}");
        return Err(Refusal::new(ErrorCode::UnsupportedCompressionType, message));
    }
    let found = batch
        .validate_for_append(settings.max_message_bytes)
        .map_err(refusal)?;
    if settings.timestamp_type == TimestampType::CreateTime {
        check_timestamps(found, settings)?;
    }
    if settings.compact {
        check_record_keys(&batch)?;
    }
    Ok(Checked {
        max_timestamp_ms: found.max_timestamp_ms,
        is_transactional: batch.is_transactional(),
    })
}

/// A compacted topic takes no record without a key. Compressed batches are looked into by their partition, in their order.
fn check_record_keys(batch: &Batch<'_>) -> Result<(), Refusal> {
    if batch.compression() != Compression::None {
        return Ok(());
    }
    match check_keys(batch) {
        KeyCheck::Missing { index } => Err(Refusal {
            record: Some(index),
            ..Refusal::new(
                ErrorCode::InvalidRecord,
                "One or more records have been rejected".to_owned(),
            )
        }),
        _ => Ok(()),
    }
}

/// `message.timestamp.before.max.ms` and `message.timestamp.after.max.ms` (KIP-937). A record without a timestamp passes.
fn check_timestamps(found: AppendCheck, settings: &TopicSettings) -> Result<(), Refusal> {
    let now = now_ms();
    let too_old = found.min_timestamp_ms >= 0
        && now.saturating_sub(found.min_timestamp_ms) > settings.timestamp_before_max_ms;
    let too_new = found.max_timestamp_ms.saturating_sub(now) > settings.timestamp_after_max_ms;
    if too_old || too_new {
        let found = if too_old {
            found.min_timestamp_ms
        } else {
            found.max_timestamp_ms
        };
        let message =
            format!("timestamp {found} is out of the range the topic takes (the broker's clock says {now})");
        return Err(Refusal::new(ErrorCode::InvalidTimestamp, message));
    }
    Ok(())
}
