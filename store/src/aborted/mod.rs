//! Transactions that were aborted, as `read_committed` consumers need them: their records are in the log, and are passed over.
//!
//! Each belongs to the segment that has its marker. While the segment is live its list is in memory and in the log's checkpoint;
//! when it is sealed the list goes to `{sequence}.aborted`, is loaded when somebody reads there, and is made again from the
//! batches if it is missing or damaged. A segment without any has no file.

mod file;
mod load;

pub(crate) use file::{SegmentContent, to_file};

use serde::{Deserialize, Serialize};
use tautline_core::ids::{Offset, ProducerId};

/// A transaction whose records `read_committed` consumers pass over, from an offset on to its abort marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer: ProducerId,
    /// Offset of its first record.
    pub first_offset: Offset,
}

/// One aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Aborted {
    pub producer: ProducerId,
    /// Its first record.
    pub first: Offset,
    /// Its abort marker.
    pub marker: Offset,
    /// When it ended all transactions that began before this offset were decided: those that end later begin here or behind.
    pub stable: Offset,
}

impl From<&Aborted> for AbortedTransaction {
    fn from(aborted: &Aborted) -> AbortedTransaction {
        AbortedTransaction {
            producer: aborted.producer,
            first_offset: aborted.first,
        }
    }
}

/// Adds those that overlap `from..to` to `found`. `list` is in the order of the markers. Gives whether no later list can have
/// another.
pub(crate) fn overlapping(list: &[Aborted], from: Offset, to: Offset, found: &mut Vec<Aborted>) -> bool {
    let behind = list.partition_point(|aborted| aborted.marker < from);
    for aborted in &list[behind..] {
        if aborted.first < to {
            found.push(*aborted);
        }
        if aborted.stable >= to {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aborted(producer: i64, first: i64, marker: i64, stable: i64) -> Aborted {
        Aborted {
            producer: ProducerId(producer),
            first: Offset(first),
            marker: Offset(marker),
            stable: Offset(stable),
        }
    }

    fn find(list: &[Aborted], from: i64, to: i64) -> (Vec<i64>, bool) {
        let mut found = Vec::new();
        let complete = overlapping(list, Offset(from), Offset(to), &mut found);
        (found.iter().map(|a| a.producer.0).collect(), complete)
    }

    /// Both ends of a transaction count, the end of the range does not.
    #[test]
    fn ranges_are_exclusive_at_their_end_and_transactions_inclusive() {
        let list = [
            aborted(1, 10, 15, 12),
            aborted(2, 12, 20, 21),
            aborted(3, 30, 31, 32),
        ];
        assert_eq!(find(&list, 0, 10), (vec![], true));
        assert_eq!(find(&list, 0, 11), (vec![1], true));
        assert_eq!(find(&list, 15, 16), (vec![1, 2], true));
        assert_eq!(find(&list, 16, 17), (vec![2], true));
        assert_eq!(find(&list, 20, 31), (vec![2, 3], true));
        assert_eq!(find(&list, 21, 30), (vec![], true));
        assert_eq!(find(&list, 31, 40), (vec![3], false));
        assert_eq!(find(&list, 32, 40), (vec![], false));
    }
}
