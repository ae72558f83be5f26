//! Frames there and back, and bytes of any content.

use super::*;
use crate::quorum::entry::{BatchDescriptor, Body, Entry, VoterChange};
use crate::quorum::message::{GroupId, MessageBody};
use crate::quorum::recovery::LoggedBatch;
use crate::quorum::state::{Anchor, Replicas};
use proptest::prelude::*;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use uuid::Uuid;

fn index() -> impl Strategy<Value = u64> {
    0..u64::MAX / 4
}

fn epoch() -> impl Strategy<Value = LeaderEpoch> {
    (0..i32::MAX).prop_map(LeaderEpoch)
}

fn offset() -> impl Strategy<Value = Offset> {
    (0..i64::MAX / 2).prop_map(Offset)
}

fn nodes() -> impl Strategy<Value = Vec<NodeId>> {
    prop::collection::btree_set((0..i32::MAX).prop_map(NodeId), 0..5)
        .prop_map(|nodes| nodes.into_iter().collect())
}

/// Batches one after the other, with gaps if there may be.
fn batches(gap: i64) -> impl Strategy<Value = (Offset, Vec<LoggedBatch>)> {
    let one = (1i64..50, 0..=gap, 61u32..200_000, any::<u32>(), epoch());
    (offset(), prop::collection::vec(one, 0..8)).prop_map(|(start, parts)| {
        let mut end = start;
        let batches = parts.into_iter().map(|(records, gap, size_bytes, crc, epoch)| {
            let base_offset = end + gap;
            end = base_offset + records;
            let batch = BatchDescriptor {
                base_offset,
                last_offset: end + -1,
                size_bytes,
                crc,
            };
            LoggedBatch { epoch, batch }
        });
        (start, batches.collect())
    })
}

fn append() -> impl Strategy<Value = MessageBody> {
    let bodies = prop::collection::vec((0u8..5, 0i32..3, 0..i32::MAX), 0..10);
    (index(), 0i32..1_000, index(), bodies, batches(0)).prop_map(
        |(prev_index, prev, commit, bodies, (_, batches))| {
            let (mut batches, mut epoch) = (batches.into_iter(), prev);
            let entries = bodies.into_iter().enumerate().map(|(place, (kind, step, node))| {
                epoch += step;
                let body = match kind {
                    0 => Body::EpochStart,
                    1 => batches
                        .next()
                        .map_or(Body::EpochStart, |found| Body::Batch(found.batch)),
                    kind => Body::Voters(VoterChange::of_parts(kind - 2, NodeId(node)).unwrap()),
                };
                Entry {
                    index: prev_index + 1 + place as u64,
                    epoch: LeaderEpoch(epoch),
                    body,
                }
            });
            MessageBody::Append {
                prev_index,
                prev_epoch: LeaderEpoch(prev),
                commit,
                entries: entries.collect(),
            }
        },
    )
}

fn body() -> impl Strategy<Value = MessageBody> {
    prop_oneof![
        append(),
        (index(), index(), prop::option::of((index(), epoch())))
            .prop_map(|(index, commit, hint)| MessageBody::AppendResponse { index, commit, hint }),
        (any::<bool>(), any::<bool>(), index(), epoch(), (index(), epoch())).prop_map(
            |(pre, transfer, last_index, last_epoch, commit)| MessageBody::Vote {
                pre,
                transfer,
                last_index,
                last_epoch,
                commit
            }
        ),
        (any::<bool>(), any::<bool>(), (index(), epoch()))
            .prop_map(|(pre, granted, commit)| MessageBody::VoteResponse { pre, granted, commit }),
        (index(), any::<u64>(), any::<u64>()).prop_map(|(commit, sent_ns, read)| MessageBody::Heartbeat {
            commit,
            sent_ns,
            read
        }),
        (index(), any::<u64>(), any::<u64>()).prop_map(|(commit, sent_ns, read)| {
            MessageBody::HeartbeatResponse {
                commit,
                sent_ns,
                read,
            }
        }),
        (index(), epoch(), offset(), nodes(), nodes()).prop_map(
            |(index, epoch, offset, voters, learners)| {
                MessageBody::Snapshot(Anchor {
                    index,
                    epoch,
                    offset,
                    replicas: Replicas { voters, learners },
                })
            }
        ),
        Just(MessageBody::TimeoutNow),
        index().prop_map(MessageBody::Sleep),
        (offset(), offset()).prop_map(|(from, to)| MessageBody::CopyRequest { from, to }),
        (batches(9), 0i64..5).prop_map(|((from, batches), gap)| {
            let end = batches.last().map_or(from, |found| found.batch.end_offset()) + gap;
            MessageBody::Copied { from, end, batches }
        }),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    (any::<u128>(), any::<i32>(), 1_000_000u64..2_000_000, body()).prop_map(
        |(topic, partition, term, body)| Message {
            group: GroupId {
                topic: TopicId(Uuid::from_u128(topic)),
                partition: PartitionIndex(partition),
            },
            term,
            body,
        },
    )
}

fn frame() -> impl Strategy<Value = (NodeId, NodeId, Vec<Message>)> {
    (0..i32::MAX, 0..i32::MAX, prop::collection::vec(message(), 0..6))
        .prop_map(|(from, to, messages)| (NodeId(from), NodeId(to), messages))
}

proptest! {
    #[test]
    fn there_and_back((from, to, messages) in frame()) {
        let bytes = encode(from, to, &messages);
        prop_assert_eq!(length(bytes.first_chunk().unwrap()), Ok(bytes.len()));
        let found = decode(&bytes).unwrap();
        let attached = messages.iter().flat_map(|message| message.body.attached()).map(|found| u64::from(found.batch.size_bytes)).sum::<u64>();
        prop_assert_eq!(found.attached_bytes, attached);
        prop_assert_eq!((found.from, found.to, found.messages), (from, to, messages));
    }

    /// No damage of one byte goes unseen, and no cut.
    #[test]
    fn damage_is_seen((from, to, messages) in frame(), at: prop::sample::Index, flip in 1u8.., cut: prop::sample::Index) {
        let mut bytes = encode(from, to, &messages);
        prop_assert!(decode(&bytes[..cut.index(bytes.len())]).is_err());
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        // The reserved bytes are nobody's.
        prop_assert!(decode(&bytes).is_err() || (5..8).contains(&at));
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        prop_assert!(decode(&bytes).is_err());
    }

    /// Whoever knows the checksum can say anything; what comes out is then within bounds, or an error.
    #[test]
    fn hostile_bytes_with_a_sound_checksum((from, to, messages) in frame(), damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), more in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut bytes = encode(from, to, &messages);
        for (at, value) in damage {
            let at = CRC_COVERS_FROM + at.index(bytes.len() - CRC_COVERS_FROM);
            bytes[at] = value;
        }
        bytes.extend_from_slice(&more);
        let length = bytes.len() as u32;
        bytes[LENGTH_AT..CRC_AT].copy_from_slice(&length.to_be_bytes());
        let crc = checksum::crc32c(&bytes[CRC_COVERS_FROM..]);
        bytes[CRC_AT..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        if let Ok(frame) = decode(&bytes) {
            prop_assert!(frame.messages.len() <= MESSAGES_PER_FRAME_MAX && frame.attached_bytes <= ATTACHED_BYTES_MAX);
            prop_assert_eq!(decode(&encode(frame.from, frame.to, &frame.messages)).unwrap(), frame);
        }
    }
}

#[test]
fn lengths_are_bounded_before_anything_is_read() {
    let mut prefix = *encode(NodeId(1), NodeId(2), &[])
        .first_chunk::<PREFIX_BYTES>()
        .unwrap();
    prefix[LENGTH_AT..].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(length(&prefix), Err(FrameError::TooLong(u64::from(u32::MAX))));
    prefix[LENGTH_AT..].copy_from_slice(&3u32.to_be_bytes());
    assert_eq!(length(&prefix), Err(FrameError::Length));
    prefix[4] = 9;
    assert_eq!(length(&prefix), Err(FrameError::Version(9)));
    prefix[0] = 0;
    assert_eq!(length(&prefix), Err(FrameError::Magic));
}
