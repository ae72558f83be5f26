//! Makes uncompressed batches: for logs of our own and for tests. Not on the path of a client's message.

use zerocopy::IntoBytes;
use zerocopy::byteorder::big_endian::{I16, I32, I64, U32};

use super::header::{BATCH_HEADER_BYTES, BatchHeader, CONTROL, LENGTH_COVERS_FROM, MAGIC_V2, TRANSACTIONAL};
use super::{patch, varint};
use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// Collects records and gives the bytes of a batch.
///
/// ```
/// use tautline_core::batch::{Batch, BatchBuilder};
/// let bytes = BatchBuilder::new(1_700_000_000_000).record(None, Some(b"hello")).build();
/// assert_eq!(Batch::parse(&bytes).unwrap().0.record_count(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    record: Vec<u8>,
    base_offset: Offset,
    leader_epoch: LeaderEpoch,
    attributes: i16,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    base_sequence: i32,
    record_count: i32,
}

impl BatchBuilder {
    /// An empty batch; records without a timestamp of their own carry `base_timestamp_ms`.
    #[must_use]
    pub fn new(base_timestamp_ms: i64) -> Self {
        Self {
            bytes: vec![0; BATCH_HEADER_BYTES],
            record: Vec::new(),
            base_offset: Offset(0),
            leader_epoch: LeaderEpoch::NONE,
            attributes: 0,
            base_timestamp_ms,
            max_timestamp_ms: base_timestamp_ms,
            producer_id: ProducerId::NONE,
            producer_epoch: ProducerEpoch::NONE,
            base_sequence: -1,
            record_count: 0,
        }
    }

    /// Sets the place in the log, as a leader does at append; offset 0 and no epoch otherwise.
    #[must_use]
    pub fn position(mut self, base_offset: Offset, leader_epoch: LeaderEpoch) -> Self {
        (self.base_offset, self.leader_epoch) = (base_offset, leader_epoch);
        self
    }

    /// Makes the batch an idempotent producer's.
    #[must_use]
    pub fn producer(mut self, id: ProducerId, epoch: ProducerEpoch, base_sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, base_sequence);
        self
    }

    /// Marks the batch as part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes |= TRANSACTIONAL;
        self
    }

    /// Marks the batch as control records.
    #[must_use]
    pub fn control(mut self) -> Self {
        self.attributes |= CONTROL;
        self
    }

    /// Adds a record at the base timestamp, without headers.
    #[must_use]
    pub fn record(mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Self {
        self.push(self.base_timestamp_ms, key, value, &[]);
        self
    }

    /// Adds a record.
    ///
    /// # Panics
    /// If the batch grows beyond 2 GiB or the timestamp is more than `i64::MAX` from the base.
    pub fn push(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) {
        let record = &mut self.record;
        record.clear();
        record.push(0);
        varint::put(record, timestamp_ms - self.base_timestamp_ms);
        varint::put(record, i64::from(self.record_count));
        put_nullable(record, key);
        put_nullable(record, value);
        varint::put(record, headers.len() as i64);
        for (name, value) in headers {
            put_nullable(record, Some(name.as_bytes()));
            put_nullable(record, *value);
        }
        varint::put(&mut self.bytes, record.len() as i64);
        self.bytes.extend_from_slice(record);
        assert!(
            i32::try_from(self.bytes.len()).is_ok(),
            "a batch is shorter than 2 GiB"
        );
        self.max_timestamp_ms = self.max_timestamp_ms.max(timestamp_ms);
        self.record_count += 1;
    }

    /// Number of records so far.
    #[must_use]
    pub const fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Size of the batch so far, header included.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes of the batch, with a valid checksum.
    ///
    /// # Panics
    /// If there is no record: an empty batch has no last offset.
    #[must_use]
    pub fn build(mut self) -> Vec<u8> {
        assert!(self.record_count > 0, "a batch has a record at least");
        let header = BatchHeader {
            base_offset: I64::new(self.base_offset.0),
            batch_length: I32::new((self.bytes.len() - LENGTH_COVERS_FROM) as i32),
            leader_epoch: I32::new(self.leader_epoch.0),
            magic: MAGIC_V2 as i8,
            crc: U32::ZERO,
            attributes: I16::new(self.attributes),
            last_offset_delta: I32::new(self.record_count - 1),
            base_timestamp: I64::new(self.base_timestamp_ms),
            max_timestamp: I64::new(self.max_timestamp_ms),
            producer_id: I64::new(self.producer_id.0),
            producer_epoch: I16::new(self.producer_epoch.0),
            base_sequence: I32::new(self.base_sequence),
            record_count: I32::new(self.record_count),
        };
        self.bytes[..BATCH_HEADER_BYTES].copy_from_slice(header.as_bytes());
        patch::patch_crc(&mut self.bytes);
        self.bytes
    }
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    varint::put(out, bytes.map_or(-1, |bytes| bytes.len() as i64));
    out.extend_from_slice(bytes.unwrap_or_default());
}
