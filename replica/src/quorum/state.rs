//! What a replica keeps beside the partition's log: its vote, and the entries that take no offset.
//!
//! A host writes it durably (a journal a shard, all groups of a turn in one write). It is small: entries are forgotten below
//! the anchor. Everything else that a replica must know after a restart is in the log itself.

use tautline_core::ids::{LeaderEpoch, NodeId, Offset};

use super::entry::{BatchDescriptor, Body, Entry, VoterChange};

/// The epoch before all elections. Not 0: raft takes a term of 0 for "nothing there".
pub const BOOTSTRAP_EPOCH: LeaderEpoch = LeaderEpoch(1);
/// The index before the first entry, for the same reason. A replica that begins at 0 knows nothing and is given a copy.
pub const BOOTSTRAP_INDEX: u64 = 1;

/// What must be durable before a vote or an acknowledgement leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The current term.
    pub term: u64,
    /// For whom this replica has voted in it.
    pub vote: Option<NodeId>,
    /// Entries known to be committed when this was written. A hint, but it stands in the journal before each change of replicas,
    /// so that a restart goes back one change at most.
    pub commit: u64,
}

/// Who replicates a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// Those whose word counts, in the order of their ids.
    pub voters: Vec<NodeId>,
    /// Those that copy and have no vote yet, in the order of their ids.
    pub learners: Vec<NodeId>,
}

impl Replicas {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().chain(&self.learners).copied()
    }

    /// Whether a node is one of them.
    #[must_use]
    pub fn contains(&self, node: NodeId) -> bool {
        self.all().any(|other| other == node)
    }

    /// How many voters decide.
    #[must_use]
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// What a change makes of them.
    pub fn apply(&mut self, change: VoterChange) {
        let (VoterChange::AddLearner(node) | VoterChange::Promote(node) | VoterChange::Remove(node)) = change;
        self.voters.retain(|&other| other != node);
        self.learners.retain(|&other| other != node);
        match change {
            VoterChange::AddLearner(_) => self.learners.push(node),
            VoterChange::Promote(_) => self.voters.push(node),
            VoterChange::Remove(_) => {}
        }
        self.voters.sort_unstable();
        self.learners.sort_unstable();
    }
}

/// The last entry that needs not be known: all of the log below it is committed and settled. Nothing above it may be removed
/// from the log by retention or compaction, since its batches are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Anchor {
    /// Its index.
    pub index: u64,
    /// Its epoch.
    pub epoch: LeaderEpoch,
    /// Where the entry after it begins.
    pub offset: Offset,
    /// Who replicates at it.
    pub replicas: Replicas,
}

/// A copy of the log that has begun: until it is whole, this replica has no vote and acknowledges nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copying {
    /// What the copy reaches.
    pub target: Anchor,
    /// Who offered it.
    pub source: NodeId,
}

/// A control entry and where it stands: before the batch with that base offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// The entry; never a batch.
    pub entry: Entry,
    /// The log's end when it was appended.
    pub offset: Offset,
}

/// Where the bytes of a batch are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BytesAt {
    /// This replica proposed the batch: the host has had them all along.
    Own,
    /// Beside the frame with this number, from and to these bytes.
    Frame(u64, std::ops::Range<usize>),
}

/// One thing to be made durable. The writes of a turn go to the disk together, each kind in its order; what they allow is
/// held back until all are durable, so a crash may leave any part of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// To the journal: replaces the last one.
    HardState(HardState),
    /// To the journal: removes those from this index on.
    TruncateControls(u64),
    /// To the journal.
    Control(Control),
    /// To the journal: replaces the last one, forgets controls up to it, and ends a copy that reaches it.
    Anchor(Anchor),
    /// To the journal: a copy begins.
    Copying(Copying),
    /// To the log: removes batches from this offset on.
    TruncateLog(Offset),
    /// To the log: if it holds batches up to this offset, as [`Write::TruncateLog`]; else it is emptied and begins there.
    ResetLog(Offset),
    /// To the log, at its end.
    Append {
        /// The epoch in the batch's header.
        epoch: LeaderEpoch,
        /// The batch.
        batch: BatchDescriptor,
        /// Its bytes.
        bytes: BytesAt,
    },
}

/// All that the journal says of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuorumState {
    /// The last hard state.
    pub hard: HardState,
    /// The last anchor.
    pub anchor: Anchor,
    /// The copy that has begun and is not whole.
    pub copying: Option<Copying>,
    /// Controls behind the anchor, by index.
    pub controls: Vec<Control>,
}

impl QuorumState {
    /// Of a new partition with these voters; each of them begins so.
    #[must_use]
    pub fn bootstrap(voters: &[NodeId]) -> Self {
        let mut voters = voters.to_vec();
        voters.sort_unstable();
        Self {
            hard: HardState {
                term: BOOTSTRAP_EPOCH.0 as u64,
                vote: None,
                commit: BOOTSTRAP_INDEX,
            },
            anchor: Anchor {
                index: BOOTSTRAP_INDEX,
                epoch: BOOTSTRAP_EPOCH,
                offset: Offset(0),
                replicas: Replicas {
                    voters,
                    learners: Vec::new(),
                },
            },
            ..Self::default()
        }
    }

    /// Takes what a write says of the journal; those of the log are the host's.
    pub fn apply(&mut self, write: &Write) {
        match write {
            Write::HardState(hard) => self.hard = *hard,
            Write::TruncateControls(from) => self.controls.retain(|control| control.entry.index < *from),
            Write::Control(control) => {
                debug_assert!(!matches!(control.entry.body, Body::Batch(_)));
                self.controls
                    .retain(|other| other.entry.index < control.entry.index);
                self.controls.push(*control);
            }
            Write::Anchor(anchor) => {
                self.controls.retain(|control| control.entry.index > anchor.index);
                self.hard.commit = self.hard.commit.max(anchor.index);
                self.anchor = anchor.clone();
                if self
                    .copying
                    .as_ref()
                    .is_some_and(|copying| copying.target.index <= anchor.index)
                {
                    self.copying = None;
                }
            }
            Write::Copying(copying) => self.copying = Some(copying.clone()),
            Write::TruncateLog(_) | Write::ResetLog(_) | Write::Append { .. } => {}
        }
    }
}
