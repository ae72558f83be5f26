//! A long append in pieces whose batches fit beside one frame: the entries of one follow those of the other.

use super::entry::{Body, Entry};
use super::limits::{APPEND_BYTES_MAX, ENTRIES_PER_APPEND_MAX};
use super::message::{Message, MessageBody};

/// Calls `each` with the pieces of a message, in order; all but appends are whole.
pub(super) fn split(message: Message, mut each: impl FnMut(Message)) {
    let (group, term) = (message.group, message.term);
    let MessageBody::Append {
        mut prev_index,
        mut prev_epoch,
        commit,
        entries,
    } = message.body
    else {
        return each(message);
    };
    let mut rest = entries.as_slice();
    loop {
        let (piece, after) = rest.split_at(piece(rest));
        let entries = piece.to_vec();
        let last = entries.last().copied();
        each(Message {
            group,
            term,
            body: MessageBody::Append {
                prev_index,
                prev_epoch,
                commit,
                entries,
            },
        });
        let Some(last) = last.filter(|_| !after.is_empty()) else {
            return;
        };
        (prev_index, prev_epoch, rest) = (last.index, last.epoch, after);
    }
}

/// How many entries go together: one at least, where there is one.
fn piece(entries: &[Entry]) -> usize {
    let mut bytes = 0;
    let fits = entries.iter().take(ENTRIES_PER_APPEND_MAX).take_while(|entry| {
        if let Body::Batch(batch) = entry.body {
            bytes += u64::from(batch.size_bytes);
        }
        bytes <= APPEND_BYTES_MAX
    });
    fits.count().max(entries.len().min(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quorum::entry::BatchDescriptor;
    use crate::quorum::message::GroupId;
    use proptest::prelude::*;
    use tautline_core::ids::{LeaderEpoch, Offset};

    proptest! {
        #[test]
        fn pieces_are_the_whole(sizes in prop::collection::vec(61u32..3_000_000, 0..40)) {
            let entries: Vec<_> = sizes.iter().enumerate().map(|(at, &size_bytes)| Entry {
                index: 8 + at as u64,
                epoch: LeaderEpoch(3 + at as i32 / 5),
                body: Body::Batch(BatchDescriptor { base_offset: Offset(at as i64), last_offset: Offset(at as i64), size_bytes, crc: 0 }),
            }).collect();
            let body = MessageBody::Append { prev_index: 7, prev_epoch: LeaderEpoch(2), commit: 5, entries: entries.clone() };
            let (mut found, mut last) = (Vec::new(), (7, LeaderEpoch(2)));
            split(Message { group: GroupId::default(), term: 99, body }, |part| {
                let MessageBody::Append { prev_index, prev_epoch, commit: 5, entries } = part.body else { panic!() };
                assert_eq!((prev_index, prev_epoch), last);
                let bytes: u64 = entries.iter().map(|entry| match entry.body { Body::Batch(batch) => u64::from(batch.size_bytes), _ => 0 }).sum();
                assert!(entries.len() <= 1 || bytes <= APPEND_BYTES_MAX);
                last = entries.last().map_or(last, |entry| (entry.index, entry.epoch));
                found.extend(entries);
            });
            prop_assert_eq!(found, entries);
        }
    }
}
