//! Which transactions of a log are undecided, and so how far `read_committed` consumers may read.
//!
//! A transaction is *open* from its first record to its marker, and *unstable* until its marker lies below the high watermark.
//! The last stable offset is the first offset of the oldest unstable transaction.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use tautline_core::ids::Offset;

use crate::limits::TRANSACTIONS_ENDED_MAX;

/// Transactions whose markers are not below the high watermark yet, as far as they hold up the last stable offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    /// Offset of the marker.
    marker: Offset,
    /// The smallest first offset of what this and later markers end.
    first: Offset,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Transactions {
    /// First offsets of the open ones.
    open: BTreeSet<Offset>,
    /// Both offsets grow: a transaction that began earlier and ended later hides those in between.
    ended: VecDeque<Ended>,
}

impl Transactions {
    /// How many are open.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    pub fn begin(&mut self, first: Offset) {
        self.open.insert(first);
    }

    /// Ends the one that began at `first` by a marker behind all before it.
    pub fn end(&mut self, first: Offset, marker: Offset) {
        self.open.remove(&first);
        while self.ended.back().is_some_and(|ended| ended.first >= first) {
            self.ended.pop_back();
        }
        self.ended.push_back(Ended { marker, first });
        // Only a recovery without a checkpoint has so many: the oldest then wait for the marker of the next.
        if self.ended.len() > TRANSACTIONS_ENDED_MAX
            && let Some(oldest) = self.ended.pop_front()
            && let Some(next) = self.ended.front_mut()
        {
            next.first = oldest.first;
        }
    }

    /// What ended below the high watermark is stable.
    pub fn high_watermark(&mut self, high_watermark: Offset) {
        while self
            .ended
            .front()
            .is_some_and(|ended| ended.marker < high_watermark)
        {
            self.ended.pop_front();
        }
    }

    /// First offset of the oldest open one.
    pub fn first_open(&self) -> Option<Offset> {
        self.open.first().copied()
    }

    /// First offset of the oldest one that is open, or whose marker is not below the high watermark.
    pub fn first_unstable(&self) -> Option<Offset> {
        let ended = self.ended.front().map(|ended| ended.first);
        match (self.first_open(), ended) {
            (Some(open), Some(ended)) => Some(open.min(ended)),
            (open, ended) => open.or(ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a list of all transactions, whatever their order and however they overlap.
        #[test]
        fn the_first_unstable_is_that_of_a_plain_list(steps: Vec<(bool, u8, u8)>) {
            let mut transactions = Transactions::default();
            // First offset and marker.
            let mut all: Vec<(i64, Option<i64>)> = Vec::new();
            let (mut end, mut high_watermark) = (0, 0);
            for (begins, pick, confirm) in steps {
                let open: Vec<usize> = (0..all.len()).filter(|&n| all[n].1.is_none()).collect();
                if begins || open.is_empty() {
                    transactions.begin(Offset(end));
                    all.push((end, None));
                } else {
                    let n = open[usize::from(pick) % open.len()];
                    transactions.end(Offset(all[n].0), Offset(end));
                    all[n].1 = Some(end);
                }
                end += 1 + i64::from(pick % 3);
                high_watermark = end.min(high_watermark + i64::from(confirm % 5));
                transactions.high_watermark(Offset(high_watermark));
                let unstable = all.iter().filter(|(_, marker)| marker.is_none_or(|m| m >= high_watermark));
                prop_assert_eq!(transactions.first_unstable(), unstable.map(|&(first, _)| Offset(first)).min());
            }
        }
    }

    #[test]
    fn very_many_that_ended_are_kept_together() {
        let mut transactions = Transactions::default();
        let count = TRANSACTIONS_ENDED_MAX as i64 + 10;
        for n in 0..count {
            transactions.begin(Offset(n * 2));
            transactions.end(Offset(n * 2), Offset(n * 2 + 1));
        }
        assert_eq!(transactions.ended.len(), TRANSACTIONS_ENDED_MAX);
        transactions.high_watermark(Offset(4));
        assert_eq!(transactions.first_unstable(), Some(Offset(0)), "never too far");
        transactions.high_watermark(Offset(count * 2));
        assert_eq!(transactions.first_unstable(), None);
    }
}
