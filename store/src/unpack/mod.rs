//! A look inside compressed batches: for the times of records (ListOffsets), and for records without a key (compacted topics).
//! What else is done to them, compaction does, with the same decoders.
//!
//! It decodes as it goes and stops at the record it looks for: of each record it reads the length, the timestamp, the
//! offset and the length of the key, the rest runs through a small buffer. It computes for long and belongs on a helper thread
//! ([`blocking`](tautline_core::blocking)), never on a core.
//!
//! A client's bytes come here unseen. Whatever they are, nothing panics, no more than the given number of bytes is decoded,
//! and no decoder takes more memory than [`DECODER_BYTES_MAX`] and the few buffers of its format.

mod snappy;

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use ruzstd::decoding::StreamingDecoder as ZstdDecoder;
use tautline_core::batch::{Batch, Compression};
use tautline_core::ids::Offset;

pub(crate) use self::snappy::write_snappy;

use self::snappy::SnappyDecoder;
use crate::compact::KeyCheck;

/// Bytes one lookup decodes, of all batches it has to look into. Beyond that it answers with the batch, not the record.
pub(crate) const DECODED_BYTES_MAX: u64 = 64 << 20;

/// A zstd window and a snappy block may be that large: what RFC 8878 wants of every decoder, enough for zstd's level 19. A
/// batch that needs more is [`Unpacked::Unreadable`].
pub(crate) const DECODER_BYTES_MAX: usize = 8 << 20;

/// What a record's body is skipped through.
const SKIP_BUFFER_BYTES: usize = 16 << 10;

const _: () = assert!(DECODER_BYTES_MAX as u64 <= DECODED_BYTES_MAX);

/// What was looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// This timestamp or a later one.
    pub timestamp_ms: i64,
    /// This offset or a later one.
    pub offset: Offset,
}

/// What was found in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpacked {
    /// The first such record.
    Record { offset: Offset, timestamp_ms: i64 },
    /// There is none, as so many decoded bytes say.
    Absent { decoded_bytes: u64 },
    /// The bytes are not what their codec makes, or hold no records, or need more memory or bytes than allowed.
    Unreadable,
}

/// Looks for a record in a compressed batch, decoding `decoded_bytes_max` at most.
pub(crate) fn find(batch: &Batch<'_>, wanted: Wanted, decoded_bytes_max: u64) -> Unpacked {
    try_find(batch, wanted, decoded_bytes_max).unwrap_or(Unpacked::Unreadable)
}

fn try_find(batch: &Batch<'_>, wanted: Wanted, decoded_bytes_max: u64) -> io::Result<Unpacked> {
    let decoder = decoder(batch.compression(), batch.payload())?;
    let mut records = RecordHeads::new(decoder.take(decoded_bytes_max));
    let last_delta = batch.last_offset().0 - batch.base_offset().0;
    for _ in 0..batch.record_count() {
        let record = records.next()?;
        let timestamp_ms = batch.base_timestamp().checked_add(record.timestamp_delta);
        let timestamp_ms = timestamp_ms.ok_or(io::ErrorKind::InvalidData)?;
        if !(0..=last_delta).contains(&record.offset_delta) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let offset = batch.base_offset() + record.offset_delta;
        if offset >= wanted.offset && timestamp_ms >= wanted.timestamp_ms {
            return Ok(Unpacked::Record { offset, timestamp_ms });
        }
    }
    Ok(Unpacked::Absent {
        decoded_bytes: records.read_bytes,
    })
}

/// Looks for a record without a key in a compressed batch, decoding `decoded_bytes_max` at most.
pub(crate) fn find_keyless(batch: &Batch<'_>, decoded_bytes_max: u64) -> KeyCheck {
    let look = || -> io::Result<KeyCheck> {
        let decoder = decoder(batch.compression(), batch.payload())?;
        let mut records = RecordHeads::new(decoder.take(decoded_bytes_max));
        for index in 0..batch.record_count() {
            let record = records.next()?;
            if record.offset_delta != i64::from(index) {
                return Ok(KeyCheck::Unreadable);
            }
            if !record.has_key {
                return Ok(KeyCheck::Missing { index });
            }
        }
        Ok(if records.is_at_end()? {
            KeyCheck::Sound
        } else {
            KeyCheck::Unreadable
        })
    };
    look().unwrap_or(KeyCheck::Unreadable)
}

/// Decodes what a batch carries. What a client made of it is an error at worst.
pub(crate) fn decoder(codec: Compression, payload: &[u8]) -> io::Result<Box<dyn Read + '_>> {
    Ok(match codec {
        Compression::None => Box::new(payload),
        Compression::Gzip => Box::new(MultiGzDecoder::new(payload)),
        Compression::Snappy => Box::new(SnappyDecoder::new(payload)),
        Compression::Lz4 => Box::new(Lz4Decoder::new(payload)),
        Compression::Zstd => {
            let decoder = ZstdDecoder::new_with_max_window_size(payload, DECODER_BYTES_MAX as u64);
            Box::new(decoder.map_err(io::Error::other)?)
        }
    })
}

/// What is read of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct RecordHead {
    timestamp_delta: i64,
    offset_delta: i64,
    has_key: bool,
}

/// Reads records one after the other. After an error it makes no more sense.
struct RecordHeads<R> {
    source: BufReader<R>,
    read_bytes: u64,
}

impl<R: Read> RecordHeads<R> {
    fn new(source: R) -> RecordHeads<R> {
        RecordHeads {
            source: BufReader::with_capacity(SKIP_BUFFER_BYTES, source),
            read_bytes: 0,
        }
    }

    fn next(&mut self) -> io::Result<RecordHead> {
        let length = u64::from(u32::try_from(self.varint()?).map_err(|_| io::ErrorKind::InvalidData)?);
        let begin = self.read_bytes;
        let _attributes = self.byte()?;
        let record = RecordHead {
            timestamp_delta: self.varint()?,
            offset_delta: self.varint()?,
            has_key: self.varint()? >= 0,
        };
        let body = length.checked_sub(self.read_bytes - begin);
        self.skip(body.ok_or(io::ErrorKind::InvalidData)?)?;
        Ok(record)
    }

    fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.some()?.is_empty())
    }

    /// A zigzag variable-length integer.
    fn varint(&mut self) -> io::Result<i64> {
        let mut value = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    #[inline]
    fn byte(&mut self) -> io::Result<u8> {
        let &byte = self.some()?.first().ok_or(io::ErrorKind::UnexpectedEof)?;
        self.advance(1);
        Ok(byte)
    }

    fn skip(&mut self, mut bytes: u64) -> io::Result<()> {
        while bytes > 0 {
            let step = bytes.min(self.some()?.len() as u64);
            if step == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.advance(step as usize);
            bytes -= step;
        }
        Ok(())
    }

    /// The decoded bytes at hand: none at the end only.
    fn some(&mut self) -> io::Result<&[u8]> {
        self.source.fill_buf()
    }

    fn advance(&mut self, bytes: usize) {
        self.source.consume(bytes);
        self.read_bytes += bytes as u64;
    }
}

#[cfg(test)]
mod tests;
