//! Whether a batch for a compacted topic has records without a key, where it has to be decoded to find out.
//!
//! Small batches are looked into on the partition's core. Larger ones are decoded on a helper thread, and wait for that in their
//! place among the partition's batches. What is not compressed was looked at when the request was checked.

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use tautline_core::batch::{Batch, Compression};
use tautline_core::blocking;
use tautline_core::buffer::Slice;
use tautline_store::{AppendError, KeyCheck, Log, check_keys};

/// What has to be known of a batch's keys before it is appended.
pub(super) enum Keys {
    /// Nothing more.
    Known,
    /// What this comes to.
    Awaited(LocalBoxFuture<'static, KeyCheck>),
}

/// Looks at a batch for a log.
///
/// # Errors
/// It was found to have a record without a key, or to be unreadable.
pub(super) fn look(log: &Log, batch: &Slice) -> Result<Keys, AppendError> {
    let (parsed, _) = Batch::parse(batch).expect("the batch was parsed when the request was read");
    if parsed.compression() == Compression::None || !log.is_compacted() {
        return Ok(Keys::Known);
    }
    match KeyCheck::promptly(&parsed) {
        KeyCheck::Long => {
            let batch = batch.clone();
            let found = blocking::run(move || {
                let (parsed, _) = Batch::parse(&batch).expect("it was parsed before");
                check_keys(&parsed)
            });
            Ok(Keys::Awaited(found.boxed_local()))
        }
        found => judge(found).map(|()| Keys::Known),
    }
}

/// What a look has come to.
///
/// # Errors
/// [`AppendError::Keys`].
pub(super) fn judge(found: KeyCheck) -> Result<(), AppendError> {
    match found {
        KeyCheck::Sound => Ok(()),
        found => Err(AppendError::Keys(found)),
    }
}
