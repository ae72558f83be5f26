//! What compaction changes in a batch: records go, offsets and the producer's sequence stay, and the base timestamp may become
//! the time from which tombstones and markers may go too (KIP-534).

use super::header::{BATCH_HEADER_BYTES, CODEC_MASK, DELETE_HORIZON, LENGTH_COVERS_FROM};
use super::{Batch, Compression, patch};

/// The header fields that follow from the records that are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// How the records are compressed now.
    pub compression: Compression,
    /// Number of records that are left.
    pub record_count: u32,
    /// What the records' timestamp deltas count from, milliseconds.
    pub base_timestamp_ms: i64,
    /// Largest timestamp that is left, milliseconds.
    pub max_timestamp_ms: i64,
    /// `base_timestamp_ms` is the delete horizon.
    pub has_delete_horizon: bool,
}

impl Compacted {
    /// Makes `bytes` (the old batch's header with the new records behind it, and nothing more) a batch with a valid checksum.
    ///
    /// # Panics
    /// If `bytes` is shorter than a batch header, or 2 GiB or longer.
    pub fn patch(&self, bytes: &mut [u8]) {
        let length = i32::try_from(bytes.len() - LENGTH_COVERS_FROM).expect("a batch is shorter than 2 GiB");
        let header = patch::header_mut(bytes);
        let codec = match self.compression {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Snappy => 2,
            Compression::Lz4 => 3,
            Compression::Zstd => 4,
        };
        let horizon = if self.has_delete_horizon {
            DELETE_HORIZON
        } else {
            0
        };
        let kept = header.attributes.get() & !(CODEC_MASK | DELETE_HORIZON);
        header.attributes.set(kept | codec | horizon);
        header.batch_length.set(length);
        header.base_timestamp.set(self.base_timestamp_ms);
        header.max_timestamp.set(self.max_timestamp_ms);
        header.record_count.set(self.record_count as i32);
        patch::patch_crc(bytes);
    }
}

impl Batch<'_> {
    /// From when on compaction may drop the batch's tombstones, or its marker, milliseconds since the epoch.
    #[must_use]
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        self.header().has_delete_horizon().then(|| self.base_timestamp())
    }
}

const _: () = assert!(BATCH_HEADER_BYTES > LENGTH_COVERS_FROM);

#[cfg(test)]
mod tests {
    use super::super::BatchBuilder;
    use super::*;
    use crate::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

    #[test]
    fn a_batch_without_records_keeps_its_offsets_and_its_sequence() {
        let bytes = BatchBuilder::new(1_000)
            .position(Offset(40), LeaderEpoch(3))
            .producer(ProducerId(7), ProducerEpoch(2), 5)
            .record(Some(b"k"), None)
            .record(Some(b"l"), Some(b"v"))
            .build();
        let mut empty = bytes[..BATCH_HEADER_BYTES].to_vec();
        let compacted = Compacted {
            compression: Compression::None,
            record_count: 0,
            base_timestamp_ms: 9_000,
            max_timestamp_ms: 1_000,
            has_delete_horizon: true,
        };
        compacted.patch(&mut empty);
        let (batch, rest) = Batch::parse(&empty).unwrap();
        assert!(rest.is_empty() && batch.verify_crc().is_ok());
        assert_eq!(
            (batch.base_offset(), batch.last_offset()),
            (Offset(40), Offset(41))
        );
        assert_eq!((batch.base_sequence(), batch.last_sequence()), (5, 6));
        assert_eq!((batch.record_count(), batch.records().count()), (0, 0));
        assert_eq!(batch.delete_horizon_ms(), Some(9_000));
        assert_eq!(Batch::parse(&bytes).unwrap().0.delete_horizon_ms(), None);
    }
}
