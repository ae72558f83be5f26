//! Offsets by time, for ListOffsets.
//!
//! Runs on the log's core. What has to be decompressed is, on a helper thread (`unpack`).

use tautline_core::batch::{Batch, Compression, TimestampType};
use tautline_core::blocking;
use tautline_core::buffer::Slice;
use tautline_core::ids::{LeaderEpoch, Offset};

use crate::cold::ColdSegment;
use crate::error::ReadError;
use crate::limits::SCAN_WINDOW_BYTES;
use crate::log::Log;
use crate::part::Part;
use crate::read::ReadFrom;
use crate::unpack::{self, Unpacked, Wanted};

/// A record found by its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOffset {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp, milliseconds.
    pub timestamp_ms: i64,
    /// Epoch of its batch.
    pub leader_epoch: LeaderEpoch,
}

/// A lookup under way.
struct Lookup {
    timestamp_ms: i64,
    /// Batches below hold no answer.
    from: Offset,
    /// What may still be decoded for it.
    decoded_bytes_left: u64,
}

impl Log {
    /// The first record below the high watermark with a timestamp of `timestamp_ms` or later.
    ///
    /// Exact also inside compressed batches, but for those that don't decode, or only with more than 64 MiB of output or a
    /// zstd window or snappy block of more than 8 MiB. Then the answer is the batch's first offset: a consumer that seeks
    /// there may get earlier records, and misses none. Batches whose headers claim too early a time are not found.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn offset_for_timestamp(&self, timestamp_ms: i64) -> Result<Option<FoundOffset>, ReadError> {
        let mut lookup = Lookup {
            timestamp_ms,
            from: self.start_offset(),
            decoded_bytes_left: unpack::DECODED_BYTES_MAX,
        };
        loop {
            let candidate = {
                let state = self.state.borrow();
                let from = lookup.from.max(state.start_offset);
                let mut later = state.segments.iter().filter(|s| s.end_offset > from);
                later
                    .find(|s| s.max_timestamp_ms >= timestamp_ms)
                    .map(|s| s.base_offset)
            };
            let Some(segment) = candidate.and_then(|base| self.cold_segment(base)) else {
                return Ok(None);
            };
            match self.find_in_segment(&segment, &mut lookup).await {
                // Retention took the segment meanwhile: look again.
                Err(ReadError::OffsetOutOfRange { .. }) if segment.base.offset < self.start_offset() => {}
                Ok(None) if lookup.from < self.high_watermark() => {}
                found => return found,
            }
        }
    }

    /// The first record below the high watermark with the largest timestamp of the log (KIP-734).
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn max_timestamp_offset(&self) -> Result<Option<FoundOffset>, ReadError> {
        let max = {
            let state = self.state.borrow();
            let live = state
                .segments
                .iter()
                .filter(|s| s.end_offset > state.start_offset);
            live.map(|s| s.max_timestamp_ms).max()
        };
        match max {
            Some(max) if max >= 0 => self.offset_for_timestamp(max).await,
            _ => Ok(None),
        }
    }

    /// Looks through a segment, or the rest of it, and notes how far it came.
    async fn find_in_segment(
        &self,
        segment: &ColdSegment,
        lookup: &mut Lookup,
    ) -> Result<Option<FoundOffset>, ReadError> {
        let start = self.start_before(segment, lookup.timestamp_ms).await?;
        lookup.from = lookup.from.max(start).max(self.start_offset());
        while lookup.from < segment.end_offset {
            let from = ReadFrom {
                offset: lookup.from,
                max_bytes: SCAN_WINDOW_BYTES,
                min_one_batch: true,
                bound: self.high_watermark(),
            };
            let result = self.read_to_memory(from).await?;
            if result.is_empty() {
                lookup.from = from.bound.max(lookup.from);
                return Ok(None);
            }
            for part in &result.parts {
                let Part::Memory(bytes) = part else {
                    unreachable!("sendfile was not allowed")
                };
                if let Some(found) = self.find_in_part(bytes, lookup).await {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }

    async fn find_in_part(&self, bytes: &Slice, lookup: &mut Lookup) -> Option<FoundOffset> {
        let mut at = 0;
        while let Ok((batch, _)) = Batch::parse(&bytes[at..]) {
            let end = at + batch.size_bytes();
            let wanted = Wanted {
                timestamp_ms: lookup.timestamp_ms,
                offset: self.start_offset(),
            };
            if batch.max_timestamp() >= wanted.timestamp_ms && batch.last_offset() >= wanted.offset {
                let found = if is_packed(&batch) {
                    find_packed(bytes.slice(at..end), wanted, &mut lookup.decoded_bytes_left).await
                } else {
                    find_in_batch(&batch, wanted)
                };
                if let Some((offset, timestamp_ms)) = found {
                    return Some(FoundOffset {
                        offset,
                        timestamp_ms,
                        leader_epoch: batch.leader_epoch(),
                    });
                }
            }
            lookup.from = batch.next_offset();
            at = end;
        }
        None
    }

    /// An offset of the segment from which no record of that time is missed.
    async fn start_before(&self, segment: &ColdSegment, timestamp_ms: i64) -> Result<Offset, ReadError> {
        let index = match segment.index_from {
            // The live index is whole.
            Some(from) if from == segment.base => None,
            _ => self.index_for(segment, segment.base.offset).await?,
        };
        let place = self.with_index(segment.id, index.as_deref(), |index| {
            index.before_timestamp(timestamp_ms)
        });
        Ok(place.unwrap_or(segment.base).offset)
    }
}

/// Whether a batch's times are known only by decompressing it. With log append time all records have the header's.
fn is_packed(batch: &Batch<'_>) -> bool {
    batch.compression() != Compression::None && batch.timestamp_type() == TimestampType::CreateTime
}

fn find_in_batch(batch: &Batch<'_>, wanted: Wanted) -> Option<(Offset, i64)> {
    if batch.timestamp_type() == TimestampType::LogAppendTime {
        return Some((batch.base_offset().max(wanted.offset), batch.max_timestamp()));
    }
    batch.records().map_while(Result::ok).find_map(|record| {
        let offset = batch.base_offset() + i64::from(record.offset_delta);
        let timestamp_ms = batch.base_timestamp() + record.timestamp_delta;
        (offset >= wanted.offset && timestamp_ms >= wanted.timestamp_ms).then_some((offset, timestamp_ms))
    })
}

/// Looks into a compressed batch on a helper thread.
async fn find_packed(bytes: Slice, wanted: Wanted, decoded_bytes_left: &mut u64) -> Option<(Offset, i64)> {
    let left = *decoded_bytes_left;
    blocking::run(move || {
        let (batch, _) = Batch::parse(&bytes).expect("these bytes have been parsed");
        match unpack::find(&batch, wanted, left) {
            Unpacked::Record { offset, timestamp_ms } => Ok((offset, timestamp_ms)),
            Unpacked::Absent { decoded_bytes } => Err(decoded_bytes),
            Unpacked::Unreadable => {
                let first = batch.base_offset().max(wanted.offset);
                Ok((first, batch.base_timestamp().max(wanted.timestamp_ms)))
            }
        }
    })
    .await
    .map_err(|decoded_bytes| *decoded_bytes_left -= decoded_bytes)
    .ok()
}
