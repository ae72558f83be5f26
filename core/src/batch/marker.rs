//! The control record that ends a producer's transaction in a partition (KIP-98), in Kafka's format.
//!
//! ```text
//! key   | version i16 = 0 | type i16: 0 abort, 1 commit |
//! value | version i16 = 0 | coordinator epoch i32 |
//! ```
//!
//! Later versions may add fields behind these, so what follows them is passed over.

use super::{Batch, BatchBuilder};
use crate::ids::{ProducerEpoch, ProducerId};

const ABORT: [u8; 2] = [0, 0];
const COMMIT: [u8; 2] = [0, 1];

/// How a transaction ended, and which coordinator said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTransactionMarker {
    /// Its records count; else they are passed over by `read_committed` consumers.
    pub committed: bool,
    /// Epoch of the coordinator: an older one than a partition has seen is a zombie.
    pub coordinator_epoch: i32,
}

impl EndTransactionMarker {
    /// The control batch with the marker, of the producer whose transaction ends.
    #[must_use]
    pub fn batch(self, id: ProducerId, epoch: ProducerEpoch, timestamp_ms: i64) -> Vec<u8> {
        let (mut key, mut value) = ([0; 4], [0; 6]);
        key[2..].copy_from_slice(if self.committed { &COMMIT } else { &ABORT });
        value[2..].copy_from_slice(&self.coordinator_epoch.to_be_bytes());
        BatchBuilder::new(timestamp_ms)
            .producer(id, epoch, -1)
            .transactional()
            .control()
            .record(Some(&key), Some(&value))
            .build()
    }

    /// The marker in a control batch; `None` for other control records, and for a batch that compaction has emptied.
    #[must_use]
    pub fn of(batch: &Batch<'_>) -> Option<Self> {
        if !batch.is_control() {
            return None;
        }
        let record = batch.records().next()?.ok()?;
        Self::parse(record.key?, record.value?)
    }

    /// The marker of a control record; `None` for other ones, and for bytes that are none.
    #[must_use]
    pub fn parse(key: &[u8], value: &[u8]) -> Option<Self> {
        let (version, kind) = (key.first_chunk::<2>()?, key.get(2..4)?);
        let committed = match kind {
            kind if kind == ABORT => false,
            kind if kind == COMMIT => true,
            _ => return None,
        };
        let coordinator_epoch = i32::from_be_bytes(*value.get(2..)?.first_chunk()?);
        let known = i16::from_be_bytes(*version) >= 0 && i16::from_be_bytes(*value.first_chunk()?) >= 0;
        known.then_some(Self {
            committed,
            coordinator_epoch,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(committed: bool, coordinator_epoch: i32, id in 0i64.., epoch in 0i16..) {
            let marker = EndTransactionMarker { committed, coordinator_epoch };
            let bytes = marker.batch(ProducerId(id), ProducerEpoch(epoch), 5);
            let (batch, rest) = Batch::parse(&bytes).unwrap();
            prop_assert!(rest.is_empty() && batch.verify_crc().is_ok());
            prop_assert!(batch.is_control() && batch.is_transactional());
            prop_assert_eq!((batch.producer_id().0, batch.producer_epoch().0, batch.base_sequence()), (id, epoch, -1));
            prop_assert_eq!(EndTransactionMarker::of(&batch), Some(marker));
        }

        #[test]
        fn any_bytes(key: Vec<u8>, value: Vec<u8>) {
            let _ = EndTransactionMarker::parse(&key, &value);
        }
    }

    /// The batch that Kafka 4.1's `MemoryRecords.withEndTransactionMarker` makes of the same.
    #[test]
    fn it_is_kafkas_format() {
        const OF_KAFKA: [u8; 78] = [
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 66, 0, 0, 0, 0, 2, 104, 63, 232, 178, 0, 48, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 255, 255, 255, 255, 0, 0,
            0, 1, 32, 0, 0, 0, 8, 0, 0, 0, 1, 12, 0, 0, 0, 0, 0, 7, 0,
        ];
        let marker = EndTransactionMarker {
            committed: true,
            coordinator_epoch: 7,
        };
        let mut bytes = marker.batch(ProducerId(1), ProducerEpoch(2), 3);
        crate::batch::patch_position(&mut bytes, crate::ids::Offset(0), crate::ids::LeaderEpoch(0));
        assert_eq!(bytes, OF_KAFKA);
    }

    #[test]
    fn other_control_records_are_no_markers() {
        let value = [0, 0, 0, 0, 0, 7];
        assert!(EndTransactionMarker::parse(&[0, 0, 0, 0], &value).is_some_and(|marker| !marker.committed));
        for key in [
            &[0, 0, 0, 2][..],
            &[0, 0, 1, 0],
            &[0xff, 0xff, 0, 1],
            &[0, 0, 0],
            &[],
        ] {
            assert_eq!(EndTransactionMarker::parse(key, &value), None, "{key:?}");
        }
        assert_eq!(EndTransactionMarker::parse(&[0, 0, 0, 1], &[0, 0, 0, 0, 0]), None);
        assert!(EndTransactionMarker::parse(&[0, 3, 0, 1, 9], &[0, 1, 0, 0, 0, 7, 8]).is_some());
    }
}
