//! What a replica finds after a restart: the journal's controls and the log's batches, put in order again.
//!
//! Both are written at the same time, so after a crash either may have what the other lacks. Where they first disagree the
//! rest is cut: it was never acknowledged, since an acknowledgement waits for both. A batch belongs to the epoch whose start
//! was the last control before it, so a batch of another epoch is one that its controls do not account for.
//!
//! That holds for a crash. If a journal is *lost*, all of a log would be cut: a host that finds a log and no journal refuses
//! to serve it and has it copied from the quorum (CORRECTNESS.md, 8).

use tautline_core::ids::{LeaderEpoch, Offset};

use super::entry::{BatchDescriptor, Body, Entry};
use super::state::{Anchor, QuorumState};

/// A batch that recovery of the log has found, in the order of offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedBatch {
    /// The epoch in its header.
    pub epoch: LeaderEpoch,
    /// The batch.
    pub batch: BatchDescriptor,
}

/// The entries behind an anchor that are whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// By index, beginning after the anchor.
    pub entries: Vec<Entry>,
    /// The log is to be cut here before anything is appended.
    pub end_offset: Offset,
}

/// Puts controls and batches together. `batches` are those from the anchor's offset on; earlier ones are settled.
#[must_use]
pub fn merge(
    anchor: &Anchor,
    state: &QuorumState,
    batches: impl IntoIterator<Item = LoggedBatch>,
) -> Recovered {
    let mut batches = batches
        .into_iter()
        .filter(|found| found.batch.base_offset >= anchor.offset)
        .peekable();
    let mut controls = state
        .controls
        .iter()
        .filter(|control| control.entry.index > anchor.index)
        .peekable();
    let (mut index, mut epoch, mut end_offset) = (anchor.index + 1, anchor.epoch, anchor.offset);
    let mut entries = Vec::new();
    loop {
        let entry = if let Some(control) = controls.next_if(|control| control.entry.index == index) {
            if control.offset != end_offset || control.entry.epoch < epoch {
                break;
            }
            control.entry
        } else if let Some(found) =
            batches.next_if(|found| found.epoch == epoch && found.batch.base_offset == end_offset)
        {
            Entry {
                index,
                epoch,
                body: Body::Batch(found.batch),
            }
        } else {
            break;
        };
        (index, epoch, end_offset) = (index + 1, entry.epoch, entry.body.end_offset(end_offset));
        entries.push(entry);
    }
    Recovered { entries, end_offset }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::state::{Control, Write};
    use proptest::prelude::*;
    use tautline_core::ids::NodeId;

    fn batch(base: i64, records: i64) -> BatchDescriptor {
        BatchDescriptor {
            base_offset: Offset(base),
            last_offset: Offset(base + records - 1),
            size_bytes: 70,
            crc: base as u32,
        }
    }

    /// A log of random epochs, as entries.
    fn history(steps: &[(bool, i64)]) -> Vec<Entry> {
        let anchor = QuorumState::bootstrap(&[NodeId(0)]).anchor;
        let (mut epoch, mut end) = (anchor.epoch, 0);
        let mut entries = Vec::new();
        for &(starts, records) in steps {
            let index = anchor.index + 1 + entries.len() as u64;
            let body = if starts || epoch == anchor.epoch {
                epoch = LeaderEpoch(epoch.0 + 1);
                Body::EpochStart
            } else {
                end += records;
                Body::Batch(batch(end - records, records))
            };
            entries.push(Entry { index, epoch, body });
        }
        entries
    }

    fn split(entries: &[Entry]) -> (QuorumState, Vec<LoggedBatch>) {
        let mut state = QuorumState::bootstrap(&[NodeId(0)]);
        let (mut batches, mut offset) = (Vec::new(), Offset(0));
        for &entry in entries {
            match entry.body {
                Body::Batch(batch) => batches.push(LoggedBatch {
                    epoch: entry.epoch,
                    batch,
                }),
                _ => state.apply(&Write::Control(Control { entry, offset })),
            }
            offset = entry.body.end_offset(offset);
        }
        (state, batches)
    }

    proptest! {
        /// Whatever part of each file is lost at its end, what is left is a prefix, and as long as the shorter one allows.
        #[test]
        fn any_two_prefixes_give_a_prefix(steps in prop::collection::vec((prop::bool::weighted(0.2), 1i64..5), 0..40), lost_controls in 0usize..4, lost_batches in 0usize..10) {
            let entries = history(&steps);
            let (mut state, mut batches) = split(&entries);
            let whole = merge(&state.anchor, &state, batches.clone());
            prop_assert_eq!(&whole.entries, &entries);
            let controls = state.controls.len().saturating_sub(lost_controls);
            let first_lost_control = state.controls.get(controls).map(|control| control.entry.index);
            state.controls.truncate(controls);
            let kept = batches.len().saturating_sub(lost_batches);
            let first_lost_batch = batches.get(kept).map(|lost| lost.batch.base_offset);
            batches.truncate(kept);
            let found = merge(&state.anchor, &state, batches);
            let expected = entries.iter().take_while(|entry| {
                let lost = match entry.body {
                    Body::Batch(batch) => first_lost_batch.is_some_and(|lost| batch.base_offset >= lost),
                    _ => false,
                };
                !lost && first_lost_control.is_none_or(|lost| entry.index < lost)
            });
            prop_assert_eq!(found.entries, expected.copied().collect::<Vec<_>>());
        }
    }

    /// A follower's log was cut for a new leader's, and the crash came before the journal heard of it.
    #[test]
    fn batches_of_another_epoch_than_the_controls_say_are_cut() {
        let entries = history(&[(true, 1), (false, 2), (true, 1), (false, 3)]);
        let (state, mut batches) = split(&entries);
        batches[1].epoch = LeaderEpoch(2);
        let found = merge(&state.anchor, &state, batches);
        assert_eq!(
            (found.entries.as_slice(), found.end_offset),
            (&entries[..3], Offset(2))
        );
    }
}
