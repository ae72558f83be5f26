//! Which batches of a log are of aborted transactions, and which markers are still needed, as the cleaner walks over the log from
//! its start.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use tautline_core::batch::{Batch, EndTransactionMarker};
use tautline_core::ids::{Offset, ProducerId};

use crate::aborted::Aborted;

/// What is known of the transactions at some place of the log.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// Aborted ones that begin later, in the order in which they begin.
    coming: BTreeMap<(Offset, ProducerId), Aborted>,
    /// The aborted ones that are open here; whether a batch of theirs was met.
    aborted: FxHashMap<ProducerId, (Aborted, bool)>,
    /// Who has batches in a transaction that commits.
    committed: FxHashSet<ProducerId>,
    /// Aborted transactions with batches that stay, by the order of their markers.
    kept: Vec<Aborted>,
}

impl Transactions {
    /// Hears of the aborted transactions that overlap the next segment; some may be known.
    pub fn expect(&mut self, list: &[Aborted]) {
        for aborted in list {
            self.coming.insert((aborted.first, aborted.producer), *aborted);
        }
    }

    /// Meets a batch of records; true if it is of an aborted transaction.
    pub fn is_aborted(&mut self, batch: &Batch<'_>) -> bool {
        self.begin_until(batch.last_offset());
        if !batch.is_transactional() {
            return false;
        }
        match self.aborted.get_mut(&batch.producer_id()) {
            Some((_, met)) => {
                *met = true;
                true
            }
            None => {
                self.committed.insert(batch.producer_id());
                false
            }
        }
    }

    /// Meets a control batch; true if nobody needs it: no batch of its transaction was met.
    pub fn is_needless(&mut self, batch: &Batch<'_>) -> bool {
        self.begin_until(batch.last_offset());
        let id = batch.producer_id();
        match EndTransactionMarker::of(batch) {
            Some(EndTransactionMarker { committed: true, .. }) => !self.committed.remove(&id),
            Some(_) => match self.aborted.remove(&id) {
                Some((aborted, true)) => {
                    self.kept.push(aborted);
                    false
                }
                _ => true,
            },
            // An emptied one. What other control records say is not ours to judge.
            None => batch.record_count() == 0,
        }
    }

    /// The aborted transactions that still have batches, of the markers met since the last call.
    pub fn take_kept(&mut self) -> Vec<Aborted> {
        std::mem::take(&mut self.kept)
    }

    fn begin_until(&mut self, offset: Offset) {
        while let Some(next) = self.coming.first_entry()
            && next.key().0 <= offset
        {
            let aborted = next.remove();
            self.aborted.entry(aborted.producer).or_insert((aborted, false));
        }
    }
}

#[cfg(test)]
mod tests {
    use tautline_core::batch::BatchBuilder;
    use tautline_core::ids::{LeaderEpoch, ProducerEpoch};

    use super::*;

    fn data(id: i64, offset: i64) -> Vec<u8> {
        BatchBuilder::new(1)
            .producer(ProducerId(id), ProducerEpoch(0), 0)
            .transactional()
            .position(Offset(offset), LeaderEpoch(1))
            .record(Some(b"k"), Some(b"v"))
            .build()
    }

    fn marker(id: i64, offset: i64, committed: bool) -> Vec<u8> {
        let marker = EndTransactionMarker {
            committed,
            coordinator_epoch: 1,
        };
        let mut bytes = marker.batch(ProducerId(id), ProducerEpoch(0), 1);
        tautline_core::batch::patch_position(&mut bytes, Offset(offset), LeaderEpoch(1));
        bytes
    }

    fn aborted(id: i64, first: i64, marker: i64) -> Aborted {
        Aborted {
            producer: ProducerId(id),
            first: Offset(first),
            marker: Offset(marker),
            stable: Offset(marker + 1),
        }
    }

    /// KAFKA-8335: a marker stays as long as a batch of its transaction does.
    #[test]
    fn markers_stay_for_their_batches() {
        let mut t = Transactions::default();
        let parse = |bytes: &'static [u8]| Batch::parse(bytes).unwrap().0;
        let leak = |bytes: Vec<u8>| parse(bytes.leak());
        t.expect(&[aborted(1, 0, 4), aborted(2, 6, 9)]);
        assert!(t.is_aborted(&leak(data(1, 0))));
        assert!(!t.is_aborted(&leak(data(2, 1))), "its aborted one comes later");
        assert!(!t.is_needless(&leak(marker(2, 2, true))));
        t.expect(&[aborted(1, 0, 4)]);
        assert!(t.is_aborted(&leak(data(1, 3))));
        assert!(!t.is_needless(&leak(marker(1, 4, false))));
        assert!(!t.is_aborted(&leak(data(1, 5))), "the next one commits");
        assert!(
            t.is_needless(&leak(marker(2, 9, false))),
            "none of its batches is left"
        );
        assert!(t.is_needless(&leak(marker(3, 10, true))));
        assert_eq!(t.take_kept(), [aborted(1, 0, 4)]);
        assert!(t.take_kept().is_empty());
        assert!(!t.is_needless(&leak(marker(1, 11, true))));
    }
}
