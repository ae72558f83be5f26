//! Which leader epoch began at which offset (KIP-101, KIP-279, KIP-320). In memory; saved in the checkpoint and extended from
//! the batches behind it at recovery, so that it is always a function of the log.

use serde::{Deserialize, Serialize};
use tautline_core::ids::{LeaderEpoch, Offset};

/// The end of an epoch, as OffsetForLeaderEpoch answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch in the log that is not larger than the requested one, or what was requested if the log begins later.
    pub epoch: LeaderEpoch,
    /// Offset after the last one of that epoch.
    pub end_offset: Offset,
}

/// Epochs in growing order, each with the offset of its first batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderEpochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl LeaderEpochs {
    /// The latest epoch of the log.
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|&(epoch, _)| epoch)
    }

    /// All entries, oldest first.
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    /// The epoch of the batch with that offset.
    pub fn epoch_of(&self, offset: Offset) -> Option<LeaderEpoch> {
        let after = self.entries.partition_point(|&(_, start)| start <= offset);
        after.checked_sub(1).map(|i| self.entries[i].0)
    }

    /// Notes a batch of `epoch` at `offset`. Epochs never go back: an older one is not noted.
    pub(crate) fn note(&mut self, epoch: LeaderEpoch, offset: Offset) {
        if epoch.0 >= 0 && self.latest().is_none_or(|latest| latest < epoch) {
            self.entries.push((epoch, offset));
        }
    }

    /// Where `epoch` ends in a log that ends at `log_end`; `None` if it is not known or later than any in the log.
    pub fn end_offset_for(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<EpochEnd> {
        if epoch.0 < 0 {
            return None;
        }
        if self.latest() == Some(epoch) {
            return Some(EpochEnd {
                epoch,
                end_offset: log_end,
            });
        }
        let after = self.entries.partition_point(|&(entry, _)| entry <= epoch);
        let (_, end_offset) = *self.entries.get(after)?;
        let epoch = after.checked_sub(1).map_or(epoch, |i| self.entries[i].0);
        Some(EpochEnd { epoch, end_offset })
    }

    /// Forgets what begins at or behind the log's new end.
    pub(crate) fn trim_end(&mut self, end: Offset) {
        self.entries.retain(|&(_, first)| first < end);
    }

    /// Forgets what lies wholly below the log's new start.
    pub(crate) fn trim_start(&mut self, start: Offset) {
        let after = self.entries.partition_point(|&(_, first)| first <= start);
        if let Some(current) = after.checked_sub(1) {
            self.entries.drain(..current);
            self.entries[0].1 = start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(i32, i64)]) -> LeaderEpochs {
        let mut epochs = LeaderEpochs::default();
        for &(epoch, offset) in entries {
            epochs.note(LeaderEpoch(epoch), Offset(offset));
        }
        epochs
    }

    fn end(epochs: &LeaderEpochs, epoch: i32) -> Option<(i32, i64)> {
        epochs
            .end_offset_for(LeaderEpoch(epoch), Offset(100))
            .map(|end| (end.epoch.0, end.end_offset.0))
    }

    /// KIP-279: the answer names the largest epoch at or below the requested one.
    #[test]
    fn ends_follow_kip_279() {
        let epochs = epochs(&[(2, 10), (4, 20), (4, 25), (7, 60), (5, 70)]);
        assert_eq!(end(&epochs, -1), None);
        assert_eq!(
            end(&epochs, 1),
            Some((1, 10)),
            "older than the log: it ended where the log begins"
        );
        assert_eq!(end(&epochs, 2), Some((2, 20)));
        assert_eq!(end(&epochs, 3), Some((2, 20)));
        assert_eq!(end(&epochs, 6), Some((4, 60)));
        assert_eq!(end(&epochs, 7), Some((7, 100)));
        assert_eq!(end(&epochs, 8), None, "newer than the log");
        assert_eq!(end(&LeaderEpochs::default(), 0), None);
        assert_eq!(epochs.epoch_of(Offset(9)), None);
        assert_eq!(epochs.epoch_of(Offset(59)), Some(LeaderEpoch(4)));
    }

    #[test]
    fn trimming_keeps_the_epoch_of_the_edge() {
        let mut epochs = epochs(&[(2, 10), (4, 20), (7, 60), (8, 70)]);
        epochs.trim_end(Offset(70));
        epochs.trim_start(Offset(30));
        assert_eq!(
            epochs.entries(),
            [(LeaderEpoch(4), Offset(30)), (LeaderEpoch(7), Offset(60))]
        );
    }
}
