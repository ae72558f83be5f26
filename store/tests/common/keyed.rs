//! Batches of keyed records in every codec, and the records of a log taken apart again: an independent reader.

use std::io::{Read, Write};

use tautline_core::batch::{BATCH_HEADER_BYTES, Batch, BatchBuilder, Compacted, Compression};
use tautline_core::ids::{ProducerEpoch, ProducerId};

use super::*;

pub const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// A record as a producer sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp_ms: i64,
}

/// A record as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub offset: i64,
    pub record: Sent,
}

/// When all of it happens.
pub const NOW: i64 = 1_700_000_000_000;

/// Small segments, and a cleaner that only works when it is told to.
pub fn compacted() -> Disk {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 600;
    disk.config.compact = true;
    disk.config.delete = false;
    disk.config.file_delete_delay_ms = 0;
    disk.config.delete_retention_ms = 1_000;
    disk.options.cleaner.enabled = false;
    disk
}

pub fn sent(key: &str, value: Option<&str>, timestamp_ms: i64) -> Sent {
    Sent {
        key: Some(key.as_bytes().to_vec()),
        value: value.map(|value| value.as_bytes().to_vec()),
        timestamp_ms,
    }
}

/// Who sends a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct From {
    /// Id, epoch and first sequence.
    pub producer: Option<(i64, i16, i32)>,
    pub transactional: bool,
}

pub fn keyed(records: &[Sent], codec: Compression) -> Vec<u8> {
    keyed_from(records, codec, From::default())
}

pub fn keyed_from(records: &[Sent], codec: Compression, from: From) -> Vec<u8> {
    let mut builder = BatchBuilder::new(records[0].timestamp_ms);
    if let Some((id, epoch, sequence)) = from.producer {
        builder = builder.producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    }
    if from.transactional {
        builder = builder.transactional();
    }
    for record in records {
        let headers: &[(&str, Option<&[u8]>)] = &[("h", Some(b"x")), ("n", None)];
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        let headers = &headers[..(record.timestamp_ms % 3) as usize];
        builder.push(record.timestamp_ms, key, value, headers);
    }
    pack(builder.build(), codec)
}

fn pack(bytes: Vec<u8>, codec: Compression) -> Vec<u8> {
    if codec == Compression::None {
        return bytes;
    }
    let batch = parse(&bytes);
    let mut packed = bytes[..BATCH_HEADER_BYTES].to_vec();
    packed.extend(compress(codec, batch.payload()));
    let compacted = Compacted {
        compression: codec,
        record_count: batch.record_count(),
        base_timestamp_ms: batch.base_timestamp(),
        max_timestamp_ms: batch.max_timestamp(),
        has_delete_horizon: false,
    };
    compacted.patch(&mut packed);
    packed
}

fn compress(codec: Compression, plain: &[u8]) -> Vec<u8> {
    match codec {
        Compression::None => plain.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Snappy => snap::raw::Encoder::new().compress_vec(plain).unwrap(),
        Compression::Lz4 => {
            let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
            encoder.write_all(plain).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => {
            ruzstd::encoding::compress_to_vec(plain, ruzstd::encoding::CompressionLevel::Fastest)
        }
    }
}

/// The records of a batch.
pub fn open(batch: &Batch<'_>) -> Vec<Found> {
    let mut plain = Vec::new();
    let payload = batch.payload();
    match batch.compression() {
        Compression::None => plain.extend_from_slice(payload),
        Compression::Gzip => {
            flate2::read::GzDecoder::new(payload)
                .read_to_end(&mut plain)
                .unwrap();
        }
        Compression::Snappy if payload.starts_with(b"\x82SNAPPY\0") => {
            let mut rest = &payload[16..];
            while !rest.is_empty() {
                let len = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
                plain.extend(
                    snap::raw::Decoder::new()
                        .decompress_vec(&rest[4..4 + len])
                        .unwrap(),
                );
                rest = &rest[4 + len..];
            }
        }
        Compression::Snappy => plain = snap::raw::Decoder::new().decompress_vec(payload).unwrap(),
        Compression::Lz4 => {
            lz4_flex::frame::FrameDecoder::new(payload)
                .read_to_end(&mut plain)
                .unwrap();
        }
        Compression::Zstd => {
            let mut decoder = ruzstd::decoding::StreamingDecoder::new(payload).unwrap();
            decoder.read_to_end(&mut plain).unwrap();
        }
    }
    // As a batch that is not compressed, so that the core's own walk takes the records apart.
    let mut bytes = batch.bytes()[..BATCH_HEADER_BYTES].to_vec();
    bytes.extend_from_slice(&plain);
    let compacted = Compacted {
        compression: Compression::None,
        record_count: batch.record_count(),
        base_timestamp_ms: batch.base_timestamp(),
        max_timestamp_ms: batch.max_timestamp(),
        has_delete_horizon: false,
    };
    compacted.patch(&mut bytes);
    let records = parse(&bytes);
    records
        .records()
        .map(|record| {
            let record = record.unwrap();
            Found {
                offset: batch.base_offset().0 + i64::from(record.offset_delta),
                record: Sent {
                    key: record.key.map(<[u8]>::to_vec),
                    value: record.value.map(<[u8]>::to_vec),
                    timestamp_ms: batch.base_timestamp() + record.timestamp_delta,
                },
            }
        })
        .collect()
}

impl Life {
    /// All records of the log, control batches left out.
    pub async fn records(&self) -> Vec<Found> {
        let batches = self.read_all(self.log.start_offset().0, 10_000).await.unwrap();
        let batches = batches.iter().map(|(_, bytes)| parse(bytes));
        let records = batches.filter(|batch| !batch.is_control()).flat_map(|batch| {
            let records = open(&batch);
            assert_eq!(records.len(), batch.record_count() as usize);
            if let Some(max) = records.iter().map(|found| found.record.timestamp_ms).max() {
                assert_eq!(batch.max_timestamp(), max);
            }
            records
        });
        records.collect()
    }

    /// Appends records as one batch.
    pub async fn send(&self, records: &[Sent], codec: Compression) -> i64 {
        self.put(&keyed(records, codec)).await.base_offset.0
    }

    /// Key, value and offset of every record, as text.
    pub async fn table(&self) -> Vec<(i64, String, Option<String>)> {
        let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
        let rows = self.records().await.into_iter().map(|found| {
            let (key, value) = (found.record.key, found.record.value);
            (found.offset, text(&key.unwrap()), value.as_ref().map(text))
        });
        rows.collect()
    }
}
