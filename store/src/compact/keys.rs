//! Whether every record of a client's batch has a key: a compacted topic takes no others (KAFKA-4808).

use tautline_core::batch::{Batch, Compression};

use crate::unpack::{self, DECODED_BYTES_MAX};

/// Compressed batches up to that size are looked into at once; larger ones belong on a helper thread.
const PROMPT_BYTES_MAX: usize = 4 << 10;
/// And so many decoded bytes at most.
const PROMPT_DECODED_BYTES_MAX: u64 = 64 << 10;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyCheck {
    /// All records have keys.
    Sound,
    /// The record at this place of the batch has none.
    Missing {
        /// From 0.
        index: u32,
    },
    /// The records can't be told apart: they do not decompress, need more than 64 MiB to, or make no sense. Such a batch could
    /// not be cleaned.
    Unreadable,
    /// It takes long to find out: ask [`check_keys`] on a helper thread.
    Long,
}

impl KeyCheck {
    /// What can be told at once: of uncompressed batches that were validated, and of small ones.
    #[must_use]
    pub fn promptly(batch: &Batch<'_>) -> KeyCheck {
        match batch.compression() {
            Compression::None => check_keys(batch),
            _ if batch.size_bytes() > PROMPT_BYTES_MAX => KeyCheck::Long,
            _ => match unpack::find_keyless(batch, PROMPT_DECODED_BYTES_MAX) {
                // It may only be larger than it looks.
                KeyCheck::Unreadable => KeyCheck::Long,
                found => found,
            },
        }
    }
}

/// Looks at each record of a batch, decoding it if need be: up to 64 MiB, by a decoder with at most 8 MiB of memory.
#[must_use]
pub fn check_keys(batch: &Batch<'_>) -> KeyCheck {
    if batch.compression() != Compression::None {
        return unpack::find_keyless(batch, DECODED_BYTES_MAX);
    }
    for (index, record) in batch.records().enumerate() {
        match record {
            Ok(record) if record.key.is_some() => {}
            Ok(_) => return KeyCheck::Missing { index: index as u32 },
            Err(_) => return KeyCheck::Unreadable,
        }
    }
    KeyCheck::Sound
}
