//! What the broker changes in a batch: always in its own copy, before anyone else can see it.

use zerocopy::FromBytes;

use super::header::{BATCH_HEADER_BYTES, BatchHeader, CRC_COVERS_FROM, LOG_APPEND_TIME};
use crate::checksum;
use crate::ids::{LeaderEpoch, Offset};

/// Gives the batch in `bytes` its place in the log. Both fields lie outside the checksum, which stays valid.
///
/// # Panics
/// If `bytes` is shorter than a batch header: call it on parsed batches only.
pub fn patch_position(bytes: &mut [u8], base_offset: Offset, leader_epoch: LeaderEpoch) {
    let header = header_mut(bytes);
    header.base_offset.set(base_offset.0);
    header.leader_epoch.set(leader_epoch.0);
}

/// Marks the batch in `bytes` (all of it, and nothing more) as stamped by the broker at `now_ms`, and makes its checksum anew.
///
/// # Panics
/// If `bytes` is shorter than a batch header.
pub fn patch_log_append_time(bytes: &mut [u8], now_ms: i64) {
    let header = header_mut(bytes);
    header.attributes.set(header.attributes.get() | LOG_APPEND_TIME);
    header.max_timestamp.set(now_ms);
    patch_crc(bytes);
}

/// Puts a wrong maximum timestamp right in the batch in `bytes` (all of it, and nothing more), and makes its checksum anew.
///
/// # Panics
/// If `bytes` is shorter than a batch header.
pub fn patch_max_timestamp(bytes: &mut [u8], max_timestamp_ms: i64) {
    header_mut(bytes).max_timestamp.set(max_timestamp_ms);
    patch_crc(bytes);
}

pub(super) fn patch_crc(bytes: &mut [u8]) {
    let crc = checksum::crc32c(&bytes[CRC_COVERS_FROM..]);
    header_mut(bytes).crc.set(crc);
}

pub(super) fn header_mut(bytes: &mut [u8]) -> &mut BatchHeader {
    BatchHeader::mut_from_bytes(&mut bytes[..BATCH_HEADER_BYTES])
        .expect("a slice of the header's size, unaligned")
}
