//! A Produce request built once and patched for each send: one topic, one partition, one uncompressed batch of
//! records of equal size. What changes (correlation id, partition, timestamps, sequence, values, CRC) has a fixed
//! place, so a send allocates nothing.

use std::ops::Range;

use tautline_core::checksum::crc32c;
use uuid::Uuid;

use super::wire::{
    CORRELATION_AT, close_frame, open_frame, put_compact_len, put_compact_str, put_unsigned_varint,
    put_varint,
};

const PRODUCE_KEY: i16 = 0;
/// Length of a v2 batch header.
pub const BATCH_HEADER_BYTES: usize = 61;

// Places in the batch header (Kafka's record batch, magic 2).
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const CRC_FROM: usize = 21;
const BASE_TIMESTAMP_AT: usize = 27;
const MAX_TIMESTAMP_AT: usize = 35;
const PRODUCER_ID_AT: usize = 43;
const PRODUCER_EPOCH_AT: usize = 51;
const BASE_SEQUENCE_AT: usize = 53;

/// What a producer's requests have in common.
#[derive(Clone, Debug)]
pub struct RequestShape {
    /// Produce version: 9 to 12 name the topic, 13 carries its id.
    pub version: i16,
    /// The topic's name.
    pub topic: String,
    /// The topic's id, for version 13.
    pub topic_id: Uuid,
    /// 0, 1, or -1 for all.
    pub acks: i16,
    /// How long the broker may take, in milliseconds.
    pub timeout_ms: i32,
    /// Bytes of the value of each record.
    pub value_bytes: usize,
    /// Key of each record; empty for a null key.
    pub key: Vec<u8>,
    /// Records of a batch.
    pub records: usize,
}

impl RequestShape {
    /// Records of `value_bytes` that fit a batch of `batch_bytes`; at least one.
    pub fn records_for(value_bytes: usize, batch_bytes: usize) -> usize {
        // A record's own fields take at most this much beside a value and no key.
        let record_bytes = value_bytes + 12;
        (batch_bytes.saturating_sub(BATCH_HEADER_BYTES) / record_bytes).max(1)
    }
}

/// The patched frame.
pub struct Template {
    frame: Vec<u8>,
    partition_at: usize,
    batch: Range<usize>,
    values_at: Vec<usize>,
    value_bytes: usize,
    /// Bytes of the varint that says so.
    value_len_bytes: usize,
    key_bytes: usize,
}

impl Template {
    /// Builds the frame; values are filled with bytes that don't compress well.
    pub fn new(shape: &RequestShape) -> Template {
        let (records, relative) = encode_records(shape);
        let batch_len = BATCH_HEADER_BYTES + records.len();

        let mut frame = Vec::with_capacity(batch_len + shape.topic.len() + 128);
        open_frame(&mut frame, PRODUCE_KEY, shape.version, "tautline-bench");
        frame.push(0); // transactional id: null
        frame.extend_from_slice(&shape.acks.to_be_bytes());
        frame.extend_from_slice(&shape.timeout_ms.to_be_bytes());
        put_compact_len(&mut frame, 1);
        if shape.version >= 13 {
            frame.extend_from_slice(shape.topic_id.as_bytes());
        } else {
            put_compact_str(&mut frame, &shape.topic);
        }
        put_compact_len(&mut frame, 1);
        let partition_at = frame.len();
        frame.extend_from_slice(&0i32.to_be_bytes());
        put_unsigned_varint(&mut frame, batch_len as u32 + 1);
        let batch_at = frame.len();
        put_batch_header(&mut frame, batch_len, shape.records);
        let records_at = frame.len();
        frame.extend_from_slice(&records);
        frame.extend_from_slice(&[0; 3]); // no tags: partition, topic, request
        close_frame(&mut frame);

        Template {
            frame,
            partition_at,
            batch: batch_at..batch_at + batch_len,
            values_at: relative.into_iter().map(|at| records_at + at).collect(),
            value_bytes: shape.value_bytes,
            value_len_bytes: varint_bytes(shape.value_bytes),
            key_bytes: shape.key.len(),
        }
    }

    /// Bytes of one batch as the broker stores it.
    pub fn batch_bytes(&self) -> usize {
        self.batch.len()
    }

    /// Records of one batch.
    pub fn records(&self) -> usize {
        self.values_at.len()
    }

    /// Sets the correlation id.
    pub fn set_correlation(&mut self, correlation: i32) {
        self.put(CORRELATION_AT, &correlation.to_be_bytes());
    }

    /// Sets the partition.
    pub fn set_partition(&mut self, partition: i32) {
        self.put(self.partition_at, &partition.to_be_bytes());
    }

    /// Makes the batch that of an idempotent producer.
    pub fn set_producer(&mut self, id: i64, epoch: i16, base_sequence: i32) {
        self.put(self.batch.start + PRODUCER_ID_AT, &id.to_be_bytes());
        self.put(self.batch.start + PRODUCER_EPOCH_AT, &epoch.to_be_bytes());
        self.put(self.batch.start + BASE_SEQUENCE_AT, &base_sequence.to_be_bytes());
    }

    /// The value of one record.
    pub fn value_mut(&mut self, record: usize) -> &mut [u8] {
        let at = self.values_at[record];
        &mut self.frame[at..at + self.value_bytes]
    }

    /// The key of one record; as long as the shape's.
    pub fn key_mut(&mut self, record: usize) -> &mut [u8] {
        // Between a key and its value there is only the value's length.
        let end = self.values_at[record] - self.value_len_bytes;
        &mut self.frame[end - self.key_bytes..end]
    }

    /// Writes a stamp into the first eight bytes of each value: `stamp_ns`, and for each next one `spacing_ns` more.
    pub fn stamp(&mut self, stamp_ns: u64, spacing_ns: u64) {
        for (record, &at) in self.values_at.iter().enumerate() {
            let stamp = stamp_ns + record as u64 * spacing_ns;
            self.frame[at..at + 8].copy_from_slice(&stamp.to_be_bytes());
        }
    }

    /// Sets the timestamps and the CRC, and returns the frame to send.
    pub fn seal(&mut self, timestamp_ms: i64) -> &[u8] {
        let at = self.batch.start;
        self.put(at + BASE_TIMESTAMP_AT, &timestamp_ms.to_be_bytes());
        self.put(at + MAX_TIMESTAMP_AT, &timestamp_ms.to_be_bytes());
        let crc = crc32c(&self.frame[at + CRC_FROM..self.batch.end]);
        self.put(at + CRC_AT, &crc.to_be_bytes());
        &self.frame
    }

    /// The frame as it was last sealed.
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.frame[at..at + bytes.len()].copy_from_slice(bytes);
    }
}

/// Bytes of a length as a zigzag varint.
fn varint_bytes(len: usize) -> usize {
    let mut bytes = Vec::with_capacity(5);
    put_varint(&mut bytes, len as i64);
    bytes.len()
}

fn put_batch_header(to: &mut Vec<u8>, batch_len: usize, records: usize) {
    let at = to.len();
    to.resize(at + BATCH_HEADER_BYTES, 0);
    let header = &mut to[at..];
    header[8..12].copy_from_slice(&(batch_len as i32 - 12).to_be_bytes());
    header[12..16].copy_from_slice(&(-1i32).to_be_bytes()); // leader epoch: unknown to a client
    header[MAGIC_AT] = 2;
    header[23..27].copy_from_slice(&(records as i32 - 1).to_be_bytes());
    header[PRODUCER_ID_AT..PRODUCER_ID_AT + 8].copy_from_slice(&(-1i64).to_be_bytes());
    header[PRODUCER_EPOCH_AT..PRODUCER_EPOCH_AT + 2].copy_from_slice(&(-1i16).to_be_bytes());
    header[BASE_SEQUENCE_AT..BASE_SEQUENCE_AT + 4].copy_from_slice(&(-1i32).to_be_bytes());
    header[57..61].copy_from_slice(&(records as i32).to_be_bytes());
}

/// The records and the place of each value among them.
fn encode_records(shape: &RequestShape) -> (Vec<u8>, Vec<usize>) {
    let mut records = Vec::new();
    let mut values_at = Vec::with_capacity(shape.records);
    let mut filler = Filler(0x9e37_79b9_7f4a_7c15);
    let mut record = Vec::new();
    for offset_delta in 0..shape.records {
        record.clear();
        record.push(0); // attributes
        put_varint(&mut record, 0); // timestamp delta
        put_varint(&mut record, offset_delta as i64);
        if shape.key.is_empty() {
            put_varint(&mut record, -1);
        } else {
            put_varint(&mut record, shape.key.len() as i64);
            record.extend_from_slice(&shape.key);
        }
        put_varint(&mut record, shape.value_bytes as i64);
        let value_at = record.len();
        record.extend((0..shape.value_bytes).map(|_| filler.next_byte()));
        put_varint(&mut record, 0); // headers
        put_varint(&mut records, record.len() as i64);
        values_at.push(records.len() + value_at);
        records.extend_from_slice(&record);
    }
    (records, values_at)
}

/// Xorshift, for bytes that don't compress.
struct Filler(u64);

impl Filler {
    fn next_byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u8
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafka_protocol::messages::ProduceRequest;
    use kafka_protocol::protocol::{Decodable, decode_request_header_from_buffer};
    use kafka_protocol::records::RecordBatchDecoder;

    use super::*;

    fn shape(version: i16, records: usize) -> RequestShape {
        RequestShape {
            version,
            topic: "orders".into(),
            topic_id: Uuid::from_u128(7),
            acks: -1,
            timeout_ms: 1500,
            value_bytes: 100,
            key: b"k".to_vec(),
            records,
        }
    }

    /// kafka-protocol's decoder is the oracle of our encoder.
    #[test]
    fn a_foreign_decoder_reads_the_frame() {
        for version in 9..=13 {
            for records in [1, 3, 200] {
                let mut template = Template::new(&shape(version, records));
                template.set_correlation(77);
                template.set_partition(5);
                template.set_producer(9, 2, 41);
                template.stamp(0x0102_0304_0506_0708, 256);
                template.key_mut(records - 1).copy_from_slice(b"z");
                let frame = template.seal(1_700_000_000_000).to_vec();
                assert_eq!(
                    frame.len() - 4,
                    u32::from_be_bytes(frame[..4].try_into().unwrap()) as usize
                );

                let mut bytes = Bytes::from(frame).slice(4..);
                let header = decode_request_header_from_buffer(&mut bytes).unwrap();
                assert_eq!((header.request_api_version, header.correlation_id), (version, 77));
                let request = ProduceRequest::decode(&mut bytes, version).unwrap();
                assert!(bytes.is_empty());
                assert_eq!((request.acks, request.timeout_ms), (-1, 1500));
                let topic = &request.topic_data[0];
                if version >= 13 {
                    assert_eq!(topic.topic_id, Uuid::from_u128(7));
                } else {
                    assert_eq!(topic.name.as_str(), "orders");
                }
                let partition = &topic.partition_data[0];
                assert_eq!(partition.index, 5);
                let mut batch = partition.records.clone().unwrap();
                let set = RecordBatchDecoder::decode(&mut batch).unwrap();
                assert_eq!(set.records.len(), records);
                for (at, record) in set.records.iter().enumerate() {
                    assert_eq!((record.producer_id, record.producer_epoch), (9, 2));
                    assert_eq!(record.sequence, 41 + at as i32);
                    assert_eq!(record.timestamp, 1_700_000_000_000);
                    let key = if at + 1 < records { b"k" } else { b"z" };
                    assert_eq!(record.key.as_deref(), Some(&key[..]));
                    let value = record.value.as_ref().unwrap();
                    let stamp = 0x0102_0304_0506_0708u64 + 256 * at as u64;
                    assert_eq!((value.len(), &value[..8]), (100, &stamp.to_be_bytes()[..]));
                }
            }
        }
    }

    #[test]
    fn batches_fill_the_bytes_asked_for() {
        assert_eq!(RequestShape::records_for(1024, 64 << 10), 63);
        assert_eq!(RequestShape::records_for(1024, 1), 1);
        let shape = RequestShape {
            records: 63,
            value_bytes: 1024,
            key: Vec::new(),
            ..shape(9, 1)
        };
        assert!(Template::new(&shape).batch_bytes() <= 64 << 10);
    }
}
