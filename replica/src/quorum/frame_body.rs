//! The bytes of one message in a frame: group, term, kind, and the fields of the kind in the order of
//! [`MessageBody`](super::message::MessageBody).

use bytes::{Buf, BufMut};
use tautline_core::batch::BATCH_HEADER_BYTES;
use tautline_core::ids::{LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId};
use uuid::Uuid;

use super::entry::{BatchDescriptor, Body, Entry, VoterChange};
use super::frame::FrameError;
use super::limits::{ENTRIES_PER_APPEND_MAX, REPLICAS_MAX};
use super::message::{GroupId, Message, MessageBody};
use super::recovery::LoggedBatch;
use super::state::{Anchor, Replicas};

/// Kinds of messages.
mod kind {
    pub const APPEND: u8 = 1;
    pub const APPEND_RESPONSE: u8 = 2;
    pub const VOTE: u8 = 3;
    pub const VOTE_RESPONSE: u8 = 4;
    pub const HEARTBEAT: u8 = 5;
    pub const HEARTBEAT_RESPONSE: u8 = 6;
    pub const SNAPSHOT: u8 = 7;
    pub const TIMEOUT_NOW: u8 = 8;
    pub const SLEEP: u8 = 9;
    pub const COPY_REQUEST: u8 = 10;
    pub const COPIED: u8 = 11;
}

/// Kinds of entries; a change of voters is its own kind on top.
const EPOCH_START: u8 = 0;
const BATCH: u8 = 1;
const VOTERS: u8 = 2;

/// Indexes and terms beyond these are made by no node that counts from zero.
const INDEX_MAX: u64 = i64::MAX as u64;
const TERM_MAX: u64 = i32::MAX as u64;
const EPOCH_MAX: i32 = i32::MAX - 1;
const NODE_MAX: i32 = i32::MAX - 1;
const OFFSET_MAX: i64 = i64::MAX - 1;

type Taken<T> = Result<T, FrameError>;

pub(super) fn put_message(out: &mut Vec<u8>, message: &Message) {
    out.put_u128(message.group.topic.0.as_u128());
    out.put_i32(message.group.partition.0);
    out.put_u64(message.term);
    match &message.body {
        MessageBody::Append {
            prev_index,
            prev_epoch,
            commit,
            entries,
        } => {
            out.put_u8(kind::APPEND);
            out.put_u64(*prev_index);
            out.put_i32(prev_epoch.0);
            out.put_u64(*commit);
            out.put_u16(u16::try_from(entries.len()).expect("bounded by ENTRIES_PER_APPEND_MAX"));
            entries.iter().for_each(|entry| put_entry(out, entry));
        }
        MessageBody::AppendResponse { index, commit, hint } => {
            out.put_u8(kind::APPEND_RESPONSE);
            out.put_u64(*index);
            out.put_u64(*commit);
            out.put_u8(u8::from(hint.is_some()));
            let (hint, epoch) = hint.unwrap_or_default();
            out.put_u64(hint);
            out.put_i32(epoch.0);
        }
        MessageBody::Vote {
            pre,
            transfer,
            last_index,
            last_epoch,
            commit,
        } => {
            out.put_u8(kind::VOTE);
            out.put_u8(u8::from(*pre) | u8::from(*transfer) << 1);
            out.put_u64(*last_index);
            out.put_i32(last_epoch.0);
            put_commit(out, *commit);
        }
        MessageBody::VoteResponse { pre, granted, commit } => {
            out.put_u8(kind::VOTE_RESPONSE);
            out.put_u8(u8::from(*pre) | u8::from(*granted) << 1);
            put_commit(out, *commit);
        }
        MessageBody::Heartbeat {
            commit,
            sent_ns,
            read,
        } => {
            out.put_u8(kind::HEARTBEAT);
            [*commit, *sent_ns, *read]
                .iter()
                .for_each(|field| out.put_u64(*field));
        }
        MessageBody::HeartbeatResponse {
            commit,
            sent_ns,
            read,
        } => {
            out.put_u8(kind::HEARTBEAT_RESPONSE);
            [*commit, *sent_ns, *read]
                .iter()
                .for_each(|field| out.put_u64(*field));
        }
        MessageBody::Snapshot(anchor) => {
            out.put_u8(kind::SNAPSHOT);
            out.put_u64(anchor.index);
            out.put_i32(anchor.epoch.0);
            out.put_i64(anchor.offset.0);
            put_nodes(out, &anchor.replicas.voters);
            put_nodes(out, &anchor.replicas.learners);
        }
        MessageBody::TimeoutNow => out.put_u8(kind::TIMEOUT_NOW),
        MessageBody::Sleep(index) => {
            out.put_u8(kind::SLEEP);
            out.put_u64(*index);
        }
        MessageBody::CopyRequest { from, to } => {
            out.put_u8(kind::COPY_REQUEST);
            out.put_i64(from.0);
            out.put_i64(to.0);
        }
        MessageBody::Copied { from, end, batches } => {
            out.put_u8(kind::COPIED);
            out.put_i64(from.0);
            out.put_i64(end.0);
            out.put_u16(u16::try_from(batches.len()).expect("bounded by ENTRIES_PER_APPEND_MAX"));
            for found in batches {
                out.put_i32(found.epoch.0);
                out.put_slice(&found.batch.to_bytes());
            }
        }
    }
}

pub(super) fn take_message(from: &mut &[u8]) -> Taken<Message> {
    let topic = TopicId(Uuid::from_u128(
        from.try_get_u128().map_err(|_| FrameError::Length)?,
    ));
    let partition = PartitionIndex(take_i32(from)?);
    let (term, kind) = (take_term(from)?, take_u8(from)?);
    let body = match kind {
        kind::APPEND => take_append(from, term)?,
        kind::APPEND_RESPONSE => {
            let (index, commit) = (take_index(from)?, take_index(from)?);
            let (refused, hint) = (take_bits(from, 1)? == 1, (take_index(from)?, take_epoch(from)?));
            MessageBody::AppendResponse {
                index,
                commit,
                hint: refused.then_some(hint),
            }
        }
        kind::VOTE => {
            let bits = take_bits(from, 3)?;
            let (last_index, last_epoch, commit) = (take_index(from)?, take_epoch(from)?, take_commit(from)?);
            MessageBody::Vote {
                pre: bits & 1 != 0,
                transfer: bits & 2 != 0,
                last_index,
                last_epoch,
                commit,
            }
        }
        kind::VOTE_RESPONSE => {
            let bits = take_bits(from, 3)?;
            MessageBody::VoteResponse {
                pre: bits & 1 != 0,
                granted: bits & 2 != 0,
                commit: take_commit(from)?,
            }
        }
        kind::HEARTBEAT => {
            let (commit, sent_ns, read) = (take_index(from)?, take_u64(from)?, take_u64(from)?);
            MessageBody::Heartbeat {
                commit,
                sent_ns,
                read,
            }
        }
        kind::HEARTBEAT_RESPONSE => {
            let (commit, sent_ns, read) = (take_index(from)?, take_u64(from)?, take_u64(from)?);
            MessageBody::HeartbeatResponse {
                commit,
                sent_ns,
                read,
            }
        }
        kind::SNAPSHOT => MessageBody::Snapshot(Anchor {
            index: take_index(from)?,
            epoch: take_epoch(from)?,
            offset: take_offset(from)?,
            replicas: Replicas {
                voters: take_nodes(from)?,
                learners: take_nodes(from)?,
            },
        }),
        kind::TIMEOUT_NOW => MessageBody::TimeoutNow,
        kind::SLEEP => MessageBody::Sleep(take_index(from)?),
        kind::COPY_REQUEST => MessageBody::CopyRequest {
            from: take_offset(from)?,
            to: take_offset(from)?,
        },
        kind::COPIED => take_copied(from)?,
        _ => return Err(FrameError::Content("an unknown kind of message")),
    };
    Ok(Message {
        group: GroupId { topic, partition },
        term,
        body,
    })
}

fn take_append(from: &mut &[u8], term: u64) -> Taken<MessageBody> {
    let (prev_index, prev_epoch, commit) = (take_index(from)?, take_epoch(from)?, take_index(from)?);
    let count = take_count(from)?;
    let mut entries: Vec<Entry> = Vec::new();
    let (mut epoch, mut end): (_, Option<Offset>) = (prev_epoch, None);
    for place in 1..=count {
        let entry = take_entry(from, prev_index + place as u64)?;
        if entry.epoch < epoch || entry.epoch.0 as u64 > term {
            return Err(FrameError::Content("epochs that go back"));
        }
        if let Body::Batch(batch) = entry.body {
            if end.is_some_and(|end| end != batch.base_offset) {
                return Err(FrameError::Content("batches that don't follow each other"));
            }
            end = Some(batch.end_offset());
        }
        epoch = entry.epoch;
        entries.push(entry);
    }
    Ok(MessageBody::Append {
        prev_index,
        prev_epoch,
        commit,
        entries,
    })
}

fn take_copied(from: &mut &[u8]) -> Taken<MessageBody> {
    let (start, stop) = (take_offset(from)?, take_offset(from)?);
    let count = take_count(from)?;
    let (mut batches, mut end) = (Vec::new(), start);
    for _ in 0..count {
        let (epoch, batch) = (take_epoch(from)?, take_batch(from)?);
        // Compaction leaves gaps, so a copied batch may begin later than the last one ended.
        if batch.base_offset < end {
            return Err(FrameError::Content("batches that overlap"));
        }
        end = batch.end_offset();
        batches.push(LoggedBatch { epoch, batch });
    }
    if stop < end {
        return Err(FrameError::Content("batches beyond the end"));
    }
    Ok(MessageBody::Copied {
        from: start,
        end: stop,
        batches,
    })
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    out.put_i32(entry.epoch.0);
    match entry.body {
        Body::EpochStart => out.put_u8(EPOCH_START),
        Body::Batch(batch) => {
            out.put_u8(BATCH);
            out.put_slice(&batch.to_bytes());
        }
        Body::Voters(change) => {
            let (kind, node) = change.parts();
            out.put_u8(VOTERS + kind);
            out.put_i32(node.0);
        }
    }
}

fn take_entry(from: &mut &[u8], index: u64) -> Taken<Entry> {
    let (epoch, kind) = (take_epoch(from)?, take_u8(from)?);
    let body = match kind {
        EPOCH_START => Body::EpochStart,
        BATCH => Body::Batch(take_batch(from)?),
        kind => {
            let node = take_node(from)?;
            let change = VoterChange::of_parts(kind - VOTERS, node);
            Body::Voters(change.ok_or(FrameError::Content("an unknown kind of entry"))?)
        }
    };
    Ok(Entry { index, epoch, body })
}

fn take_batch(from: &mut &[u8]) -> Taken<BatchDescriptor> {
    let (base_offset, last_offset) = (take_offset(from)?, take_offset(from)?);
    let size_bytes = from.try_get_u32().map_err(|_| FrameError::Length)?;
    let crc = from.try_get_u32().map_err(|_| FrameError::Length)?;
    if last_offset < base_offset || (size_bytes as usize) < BATCH_HEADER_BYTES || size_bytes > i32::MAX as u32
    {
        return Err(FrameError::Content("a batch that can't be"));
    }
    Ok(BatchDescriptor {
        base_offset,
        last_offset,
        size_bytes,
        crc,
    })
}

fn put_commit(out: &mut Vec<u8>, commit: (u64, LeaderEpoch)) {
    out.put_u64(commit.0);
    out.put_i32(commit.1.0);
}

fn put_nodes(out: &mut Vec<u8>, nodes: &[NodeId]) {
    out.put_u16(u16::try_from(nodes.len()).expect("bounded by REPLICAS_MAX"));
    nodes.iter().for_each(|node| out.put_i32(node.0));
}

fn take_nodes(from: &mut &[u8]) -> Taken<Vec<NodeId>> {
    let count = usize::from(from.try_get_u16().map_err(|_| FrameError::Length)?);
    if count > REPLICAS_MAX {
        return Err(FrameError::Content("too many replicas"));
    }
    let nodes = (0..count).map(|_| take_node(from)).collect::<Taken<Vec<_>>>()?;
    if !nodes.is_sorted_by(|a, b| a < b) {
        return Err(FrameError::Content("replicas out of order"));
    }
    Ok(nodes)
}

fn take_commit(from: &mut &[u8]) -> Taken<(u64, LeaderEpoch)> {
    Ok((take_index(from)?, take_epoch(from)?))
}

fn take_count(from: &mut &[u8]) -> Taken<usize> {
    let count = usize::from(from.try_get_u16().map_err(|_| FrameError::Length)?);
    if count <= ENTRIES_PER_APPEND_MAX {
        Ok(count)
    } else {
        Err(FrameError::Content("too many entries"))
    }
}

fn take_bits(from: &mut &[u8], most: u8) -> Taken<u8> {
    match take_u8(from)? {
        bits if bits <= most => Ok(bits),
        _ => Err(FrameError::Content("unknown flags")),
    }
}

fn take_u8(from: &mut &[u8]) -> Taken<u8> {
    from.try_get_u8().map_err(|_| FrameError::Length)
}

fn take_i32(from: &mut &[u8]) -> Taken<i32> {
    from.try_get_i32().map_err(|_| FrameError::Length)
}

fn take_u64(from: &mut &[u8]) -> Taken<u64> {
    from.try_get_u64().map_err(|_| FrameError::Length)
}

fn take_node(from: &mut &[u8]) -> Taken<NodeId> {
    match take_i32(from)? {
        id @ 0..=NODE_MAX => Ok(NodeId(id)),
        _ => Err(FrameError::Content("a node without a number")),
    }
}

/// Not beyond what one more can be added to.
fn take_index(from: &mut &[u8]) -> Taken<u64> {
    match take_u64(from)? {
        index if index < INDEX_MAX => Ok(index),
        _ => Err(FrameError::Content("an index that can't be")),
    }
}

fn take_term(from: &mut &[u8]) -> Taken<u64> {
    match take_u64(from)? {
        term if term < TERM_MAX => Ok(term),
        _ => Err(FrameError::Content("a term that can't be")),
    }
}

fn take_epoch(from: &mut &[u8]) -> Taken<LeaderEpoch> {
    match take_i32(from)? {
        epoch @ 0..=EPOCH_MAX => Ok(LeaderEpoch(epoch)),
        _ => Err(FrameError::Content("an epoch that can't be")),
    }
}

fn take_offset(from: &mut &[u8]) -> Taken<Offset> {
    match from.try_get_i64().map_err(|_| FrameError::Length)? {
        offset @ 0..=OFFSET_MAX => Ok(Offset(offset)),
        _ => Err(FrameError::Content("an offset that can't be")),
    }
}
