//! The records of a compressed batch, out of their codec and back into it. Computes for long; for helper threads.
//!
//! What was compressed is decoded again and compared before the original goes. Where the two differ, and where the codec makes
//! more of the records than they are, they are stored uncompressed, which every client reads: never is a record kept that has to
//! go, and never one lost, because a codec fails. zstd is made by a young encoder, in frames of 128 KiB windows, about as dense as
//! level 1.

use std::io::{self, Read, Write};

use flate2::write::GzEncoder;
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use ruzstd::encoding::{CompressionLevel, FrameCompressor};
use tautline_core::batch::{Batch, Compression};
use tautline_core::buffer::OutOfMemory;

use super::fault::Fault;
use super::scratch::Scratch;
use crate::unpack::{self, DECODED_BYTES_MAX};

/// How much is decoded at once.
const STEP_BYTES: usize = 64 << 10;

/// Puts the records of a compressed batch into `out`.
pub(super) fn unpack(batch: &Batch<'_>, out: &mut Scratch) -> Result<(), Fault> {
    let unreadable = || Fault::Unreadable(batch.base_offset());
    let mut decoder = unpack::decoder(batch.compression(), batch.payload()).map_err(|_| unreadable())?;
    out.clear();
    loop {
        let read = decoder.read(&mut out.room(STEP_BYTES)?[..STEP_BYTES]);
        match read.map_err(|_| unreadable())? {
            0 => return Ok(()),
            len => out.grow(len),
        }
        if out.len() as u64 > DECODED_BYTES_MAX {
            return Err(unreadable());
        }
    }
}

/// Compresses `records` behind what `out` has; gives how they lie there now.
pub(super) fn pack(
    codec: Compression,
    records: &[u8],
    out: &mut Scratch,
) -> Result<Compression, OutOfMemory> {
    let begin = out.len();
    let packed = match compress(codec, records, out) {
        Ok(()) => out.len() - begin < records.len() && comes_back(codec, &out.bytes()[begin..], records),
        Err(_) => false,
    };
    if packed {
        return Ok(codec);
    }
    out.shorten(begin);
    out.push(records)?;
    Ok(Compression::None)
}

fn compress(codec: Compression, records: &[u8], out: &mut Scratch) -> io::Result<()> {
    match codec {
        Compression::None => out.write_all(records),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(out, flate2::Compression::default());
            encoder.write_all(records)?;
            encoder.finish().map(drop)
        }
        Compression::Snappy => unpack::write_snappy(records, out),
        Compression::Lz4 => {
            // What Kafka's own reader takes: independent blocks.
            let info = FrameInfo::new()
                .block_size(BlockSize::Max64KB)
                .block_mode(BlockMode::Independent);
            let mut encoder = FrameEncoder::with_frame_info(info, out);
            encoder.write_all(records)?;
            encoder.finish().map(drop).map_err(io::Error::other)
        }
        Compression::Zstd => {
            let mut drain = Drain { out, failed: false };
            let mut encoder = FrameCompressor::new(CompressionLevel::Fastest);
            encoder.set_source(records);
            encoder.set_drain(&mut drain);
            encoder.compress();
            drop(encoder);
            if drain.failed {
                return Err(io::ErrorKind::OutOfMemory.into());
            }
            Ok(())
        }
    }
}

fn comes_back(codec: Compression, packed: &[u8], records: &[u8]) -> bool {
    let Ok(mut decoder) = unpack::decoder(codec, packed) else {
        return false;
    };
    let mut buffer = [0; 8 << 10];
    let mut rest = records;
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return rest.is_empty(),
            Ok(len) => match rest.split_at_checked(len) {
                Some((expected, behind)) if expected == &buffer[..len] => rest = behind,
                _ => return false,
            },
            Err(_) => return false,
        }
    }
}

/// Takes all that is written and tells later that it could not: the zstd encoder does not expect an error.
struct Drain<'a> {
    out: &'a mut Scratch,
    failed: bool,
}

impl Write for &mut Drain<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.failed |= self.failed || self.out.push(bytes).is_err();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tautline_core::batch::Compacted;
    use tautline_core::batch::{BATCH_HEADER_BYTES, BatchBuilder};
    use tautline_core::buffer::Pool;

    use super::*;

    pub(crate) const CODECS: [Compression; 4] = [
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    fn round_trip(records: &[u8]) -> Vec<Compression> {
        let pool = Pool::new(64 << 20);
        let header = BatchBuilder::new(1).record(None, Some(b"v")).build();
        CODECS
            .into_iter()
            .map(|codec| {
                let mut out = Scratch::new(pool.clone());
                out.push(&header[..BATCH_HEADER_BYTES]).unwrap();
                let compression = pack(codec, records, &mut out).unwrap();
                let compacted = Compacted {
                    compression,
                    record_count: 1,
                    base_timestamp_ms: 1,
                    max_timestamp_ms: 1,
                    has_delete_horizon: false,
                };
                compacted.patch(out.bytes_mut());
                let batch = Batch::parse(out.bytes()).unwrap().0;
                let mut back = Scratch::new(pool.clone());
                unpack(&batch, &mut back).unwrap();
                assert_eq!(back.bytes(), records, "{codec:?}");
                compression
            })
            .collect()
    }

    #[test]
    fn every_codec_comes_back() {
        let text: Vec<u8> = (0..200_000u32)
            .flat_map(|n| format!("{} ", n % 977).into_bytes())
            .collect();
        assert_eq!(round_trip(&text), CODECS, "they were worth it");
        let noise: Vec<u8> = (0..100_000u64)
            .map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8)
            .collect();
        round_trip(&noise);
        round_trip(b"x");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_come_back(words: Vec<(u8, u8)>) {
            let bytes: Vec<u8> = words.iter().flat_map(|&(byte, times)| vec![byte; usize::from(times) * 9]).collect();
            round_trip(&bytes);
        }
    }
}
