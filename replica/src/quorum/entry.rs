//! What a partition's replicas agree on: a sequence of entries, each with an index and the epoch of the leader that made it.
//!
//! An entry is the *descriptor* of a record batch, or a control entry, which takes no offset. The batch's bytes are in the
//! partition's log and travel beside the descriptor.

use raft::prelude::{ConfChange, ConfChangeType, Entry as RaftEntry, EntryType};
use tautline_core::batch::{Batch, BatchError};
use tautline_core::ids::{LeaderEpoch, NodeId, Offset};

/// One batch of the log: enough to know its bytes when they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchDescriptor {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Offset of its last record.
    pub last_offset: Offset,
    /// Length of its bytes.
    pub size_bytes: u32,
    /// The CRC-32C in its header.
    pub crc: u32,
}

/// A change of who replicates a partition. One at a time: the next is refused until the last is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoterChange {
    /// A replica that copies the log and has no vote yet.
    AddLearner(NodeId),
    /// A learner that has caught up gets its vote.
    Promote(NodeId),
    /// A replica leaves.
    Remove(NodeId),
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The first entry of every epoch. Until it is committed its leader serves nothing.
    EpochStart,
    /// A record batch.
    Batch(BatchDescriptor),
    /// A change of the replicas.
    Voters(VoterChange),
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place among all entries of the partition, without gaps.
    pub index: u64,
    /// The epoch of the leader that made it.
    pub epoch: LeaderEpoch,
    /// What it says.
    pub body: Body,
}

/// The bytes beside a descriptor are not the batch that it describes.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WrongBatch {
    /// They are no batch, or its checksum is wrong.
    #[error("not a sound batch: {0}")]
    Unsound(#[from] BatchError),
    /// They are another one.
    #[error("another batch than the one described")]
    Another,
}

impl BatchDescriptor {
    /// The descriptor of a batch whose place in the log is patched in.
    #[must_use]
    pub fn of(batch: &Batch<'_>) -> Self {
        Self {
            base_offset: batch.base_offset(),
            last_offset: batch.last_offset(),
            size_bytes: u32::try_from(batch.size_bytes()).expect("a batch's length is an i32"),
            crc: batch.header().crc.get(),
        }
    }

    /// The offset after its last record.
    #[must_use]
    pub fn end_offset(&self) -> Offset {
        self.last_offset.next()
    }

    /// Whether `bytes` are this batch, of that epoch, and sound.
    ///
    /// # Errors
    /// [`WrongBatch`]: do not append them.
    pub fn check(&self, epoch: LeaderEpoch, bytes: &[u8]) -> Result<(), WrongBatch> {
        let (batch, rest) = Batch::parse(bytes)?;
        if !rest.is_empty() || Self::of(&batch) != *self || batch.leader_epoch() != epoch {
            return Err(WrongBatch::Another);
        }
        Ok(batch.verify_crc()?)
    }
}

impl Body {
    /// The offset after the entry, if it stands at `at`.
    #[must_use]
    pub fn end_offset(&self, at: Offset) -> Offset {
        match self {
            Self::Batch(batch) => batch.end_offset(),
            Self::EpochStart | Self::Voters(_) => at,
        }
    }
}

/// Bytes of a descriptor in raft's memory.
const DESCRIPTOR_BYTES: usize = 24;

/// Raft's name of a node: zero means nobody there.
pub(super) fn raft_id(node: NodeId) -> u64 {
    u64::try_from(node.0).expect("a node's id is not negative") + 1
}

/// The node of a raft id; `None` for nobody.
pub(super) fn node_of(raft_id: u64) -> Option<NodeId> {
    let id = raft_id.checked_sub(1)?;
    i32::try_from(id).ok().map(NodeId)
}

/// The epoch of a term, which our own bounds keep an i32.
pub(super) fn epoch_of(term: u64) -> LeaderEpoch {
    LeaderEpoch(i32::try_from(term).expect("terms are bounded where they enter"))
}

/// The term of an epoch; an unknown epoch is before all terms.
pub(super) fn term_of(epoch: LeaderEpoch) -> u64 {
    u64::try_from(epoch.0).unwrap_or(0)
}

impl BatchDescriptor {
    pub(super) fn to_bytes(self) -> [u8; DESCRIPTOR_BYTES] {
        let mut bytes = [0; DESCRIPTOR_BYTES];
        bytes[..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.last_offset.0.to_be_bytes());
        bytes[16..20].copy_from_slice(&self.size_bytes.to_be_bytes());
        bytes[20..].copy_from_slice(&self.crc.to_be_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let part = |at: usize| bytes[at..at + 8].try_into().expect("eight bytes");
        let half = |at: usize| bytes[at..at + 4].try_into().expect("four bytes");
        Self {
            base_offset: Offset(i64::from_be_bytes(part(0))),
            last_offset: Offset(i64::from_be_bytes(part(8))),
            size_bytes: u32::from_be_bytes(half(16)),
            crc: u32::from_be_bytes(half(20)),
        }
    }
}

impl VoterChange {
    /// Kind and node, as in the peers' frames.
    pub(super) fn parts(self) -> (u8, NodeId) {
        match self {
            Self::AddLearner(node) => (0, node),
            Self::Promote(node) => (1, node),
            Self::Remove(node) => (2, node),
        }
    }

    pub(super) fn of_parts(kind: u8, node: NodeId) -> Option<Self> {
        match kind {
            0 => Some(Self::AddLearner(node)),
            1 => Some(Self::Promote(node)),
            2 => Some(Self::Remove(node)),
            _ => None,
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        let (kind, node) = self.parts();
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&node.0.to_be_bytes());
        bytes
    }

    fn of_bytes(bytes: &[u8]) -> Self {
        let node = bytes[1..5].try_into().expect("four bytes");
        Self::of_parts(bytes[0], NodeId(i32::from_be_bytes(node))).expect("it was made by to_bytes")
    }

    pub(super) fn to_raft(self) -> ConfChange {
        let (kind, node) = match self {
            Self::AddLearner(node) => (ConfChangeType::AddLearnerNode, node),
            Self::Promote(node) => (ConfChangeType::AddNode, node),
            Self::Remove(node) => (ConfChangeType::RemoveNode, node),
        };
        let mut change = ConfChange::default();
        change.set_change_type(kind);
        change.node_id = raft_id(node);
        change
    }
}

impl Entry {
    /// As raft keeps it. Raft reads the data of a change only where it was proposed, so ours is in the context.
    pub(super) fn to_raft(self) -> RaftEntry {
        let (index, term) = (self.index, term_of(self.epoch));
        let mut entry = RaftEntry {
            index,
            term,
            ..RaftEntry::default()
        };
        match self.body {
            Body::EpochStart => {}
            Body::Batch(batch) => entry.data = batch.to_bytes().to_vec().into(),
            Body::Voters(change) => {
                entry.set_entry_type(EntryType::EntryConfChange);
                entry.context = change.to_bytes().into();
            }
        }
        entry
    }

    /// Of an entry that [`Entry::to_raft`] or a proposal of ours has made.
    pub(super) fn of_raft(entry: &RaftEntry) -> Self {
        let body = match entry.get_entry_type() {
            EntryType::EntryNormal if entry.data.is_empty() => Body::EpochStart,
            EntryType::EntryNormal => Body::Batch(BatchDescriptor::of_bytes(&entry.data)),
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                Body::Voters(VoterChange::of_bytes(&entry.context))
            }
        };
        Self {
            index: entry.index,
            epoch: epoch_of(entry.term),
            body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tautline_core::batch::{BatchBuilder, patch_position};

    proptest! {
        #[test]
        fn through_raft_and_back(index: u64, epoch in 1i32.., kind in 0u8..5, base in 0i64..i64::MAX / 2, more in 0i64..1_000, size: u32, crc: u32, node in 0i32..) {
            let batch = BatchDescriptor { base_offset: Offset(base), last_offset: Offset(base + more), size_bytes: size, crc };
            let body = match kind {
                0 => Body::EpochStart,
                1 => Body::Batch(batch),
                kind => Body::Voters(VoterChange::of_parts(kind - 2, NodeId(node)).unwrap()),
            };
            let entry = Entry { index, epoch: LeaderEpoch(epoch), body };
            prop_assert_eq!(Entry::of_raft(&entry.to_raft()), entry);
        }

        #[test]
        fn a_descriptor_knows_its_batch(bytes: Vec<u8>, at in 0usize..80, flip in 1u8..) {
            let mut batch = BatchBuilder::new(5).record(None, Some(b"v")).build();
            patch_position(&mut batch, Offset(7), LeaderEpoch(3));
            let descriptor = BatchDescriptor::of(&Batch::parse(&batch).unwrap().0);
            prop_assert_eq!(descriptor.check(LeaderEpoch(3), &batch), Ok(()));
            prop_assert!(descriptor.check(LeaderEpoch(4), &batch).is_err());
            prop_assert!(descriptor.check(LeaderEpoch(3), &bytes).is_err());
            let at = at % batch.len();
            batch[at] ^= flip;
            prop_assert!(descriptor.check(LeaderEpoch(3), &batch).is_err());
        }
    }
}
