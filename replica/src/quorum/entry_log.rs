//! The entries behind the anchor in memory: what raft asks of its storage, and where each entry stands in the log.
//!
//! A function of what was written: entries come here when they are handed to the disk, and raft itself counts how far they are
//! durable. It holds at most [`ENTRIES_KEPT_MAX`](super::limits::ENTRIES_KEPT_MAX) descriptors, a follower that needs
//! earlier ones gets a copy of the log.

use std::collections::VecDeque;

use raft::prelude::{ConfState, Entry as RaftEntry, HardState as RaftHardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Result, Storage, StorageError};
use tautline_core::ids::{LeaderEpoch, Offset};

use super::entry::{Body, Entry, epoch_of, node_of, raft_id, term_of};
use super::limits::APPEND_BYTES_MAX;
use super::state::{Anchor, HardState, Replicas};

/// An entry and the offset after it.
#[derive(Clone, Copy, Debug)]
struct Placed {
    entry: Entry,
    end_offset: Offset,
}

/// See the module.
pub(super) struct EntryLog {
    anchor: Anchor,
    entries: VecDeque<Placed>,
    hard: HardState,
    /// Who replicates at the last applied entry.
    replicas: Replicas,
    applied: u64,
    per_append_max: usize,
}

impl EntryLog {
    pub fn new(anchor: Anchor, entries: Vec<Entry>, mut hard: HardState, per_append_max: usize) -> Self {
        let (replicas, applied) = (anchor.replicas.clone(), anchor.index);
        let mut log = Self {
            anchor,
            entries: VecDeque::new(),
            hard,
            replicas,
            applied,
            per_append_max,
        };
        for entry in entries {
            log.append(entry);
        }
        // The hint may know of more than was durable here.
        hard.commit = hard.commit.clamp(log.anchor.index, log.last_index_held());
        log.hard = hard;
        log
    }

    pub fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    pub fn replicas(&self) -> &Replicas {
        &self.replicas
    }

    pub fn hard(&self) -> HardState {
        self.hard
    }

    pub fn set_hard(&mut self, hard: HardState) {
        self.hard = hard;
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn last_index_held(&self) -> u64 {
        self.anchor.index + self.entries.len() as u64
    }

    /// Where the next entry begins.
    pub fn end_offset(&self) -> Offset {
        self.entries
            .back()
            .map_or(self.anchor.offset, |placed| placed.end_offset)
    }

    /// The offset after the entry with that index; `None` if it isn't held.
    pub fn end_offset_of(&self, index: u64) -> Option<Offset> {
        match index.checked_sub(self.anchor.index)? {
            0 => Some(self.anchor.offset),
            after => Some(self.entries.get(after as usize - 1)?.end_offset),
        }
    }

    pub fn entry(&self, index: u64) -> Option<&Entry> {
        let position = index.checked_sub(self.anchor.index + 1)?;
        Some(&self.entries.get(position as usize)?.entry)
    }

    /// The epoch of an entry that is held, or of the anchor.
    pub fn epoch_of(&self, index: u64) -> Option<LeaderEpoch> {
        if index == self.anchor.index {
            return Some(self.anchor.epoch);
        }
        self.entry(index).map(|entry| entry.epoch)
    }

    /// Appends the entry that follows.
    pub fn append(&mut self, entry: Entry) {
        assert_eq!(entry.index, self.last_index_held() + 1, "entries have no gaps");
        let at = self.end_offset();
        if let Body::Batch(batch) = entry.body {
            assert_eq!(batch.base_offset, at, "batches have no gaps");
        }
        self.entries.push_back(Placed {
            entry,
            end_offset: entry.body.end_offset(at),
        });
    }

    /// Removes entries from `index` on, which are behind the anchor.
    pub fn truncate(&mut self, index: u64) {
        assert!(index > self.anchor.index, "what the anchor covers is settled");
        self.entries.truncate((index - self.anchor.index - 1) as usize);
    }

    /// Moves the anchor to an applied entry.
    pub fn settle(&mut self, index: u64) -> &Anchor {
        assert!(
            index <= self.applied && index >= self.anchor.index,
            "only what is applied is settled"
        );
        // The members at an applied entry before the last are not known any more: walk the changes since the anchor.
        let mut replicas = self.anchor.replicas.clone();
        while self.anchor.index < index {
            let placed = self
                .entries
                .pop_front()
                .expect("entries up to the applied one are held");
            if let Body::Voters(change) = placed.entry.body {
                replicas.apply(change);
            }
            self.anchor.index = placed.entry.index;
            self.anchor.epoch = placed.entry.epoch;
            self.anchor.offset = placed.end_offset;
        }
        self.anchor.replicas = replicas;
        &self.anchor
    }

    /// Notes that all up to `index` is applied.
    pub fn applied(&mut self, index: u64) {
        self.applied = self.applied.max(index);
    }

    pub fn set_replicas(&mut self, replicas: Replicas) {
        self.replicas = replicas;
    }

    /// The last applied entry, as a copy of the log would reach it.
    pub fn applied_anchor(&self) -> Anchor {
        Anchor {
            index: self.applied,
            epoch: self.epoch_of(self.applied).expect("the applied entry is held"),
            offset: self
                .end_offset_of(self.applied)
                .expect("the applied entry is held"),
            replicas: self.replicas.clone(),
        }
    }
}

impl Storage for EntryLog {
    fn initial_state(&self) -> Result<RaftState> {
        Ok(RaftState::new(
            self.hard.to_raft(),
            self.anchor.replicas.to_raft(),
        ))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> Result<Vec<RaftEntry>> {
        if low <= self.anchor.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(
            high <= self.last_index_held() + 1,
            "raft asks for what it was given"
        );
        let limited = max_size.into().is_some_and(|bytes| bytes != raft::NO_LIMIT);
        let (mut bytes, first) = (0, (low - self.anchor.index - 1) as usize);
        let wanted = self.entries.iter().skip(first).take((high - low) as usize);
        let fits = wanted.enumerate().take_while(|(position, placed)| {
            if let Body::Batch(batch) = placed.entry.body {
                bytes += u64::from(batch.size_bytes);
            }
            !limited || *position == 0 || (*position < self.per_append_max && bytes <= APPEND_BYTES_MAX)
        });
        Ok(fits.map(|(_, placed)| placed.entry.to_raft()).collect())
    }

    fn term(&self, index: u64) -> Result<u64> {
        match self.epoch_of(index) {
            Some(epoch) => Ok(term_of(epoch)),
            None if index < self.anchor.index => Err(Error::Store(StorageError::Compacted)),
            None => Err(Error::Store(StorageError::Unavailable)),
        }
    }

    fn first_index(&self) -> Result<u64> {
        Ok(self.anchor.index + 1)
    }

    fn last_index(&self) -> Result<u64> {
        Ok(self.last_index_held())
    }

    /// What a copy of the log reaches: the last applied entry. The bytes go another way, see `copy.rs`.
    fn snapshot(&self, _: u64, _: u64) -> Result<Snapshot> {
        let reached = self.applied_anchor();
        let mut snapshot = Snapshot::default();
        let metadata = snapshot.mut_metadata();
        metadata.index = reached.index;
        metadata.term = term_of(reached.epoch);
        metadata.set_conf_state(reached.replicas.to_raft());
        Ok(snapshot)
    }
}

impl HardState {
    pub(super) fn to_raft(self) -> RaftHardState {
        let vote = self.vote.map_or(0, raft_id);
        RaftHardState {
            term: self.term,
            vote,
            commit: self.commit,
            ..RaftHardState::default()
        }
    }

    pub(super) fn of_raft(hard: &RaftHardState) -> Self {
        // Keeps terms within an epoch's range before anything is written.
        let _ = epoch_of(hard.term);
        Self {
            term: hard.term,
            vote: node_of(hard.vote),
            commit: hard.commit,
        }
    }
}

impl Replicas {
    pub(super) fn to_raft(&self) -> ConfState {
        let ids = |nodes: &[_]| nodes.iter().map(|&node| raft_id(node)).collect::<Vec<_>>();
        ConfState::from((ids(&self.voters), ids(&self.learners)))
    }

    pub(super) fn of_raft(state: &ConfState) -> Self {
        let nodes = |ids: &[u64]| {
            let mut nodes: Vec<_> = ids.iter().filter_map(|&id| node_of(id)).collect();
            nodes.sort_unstable();
            nodes
        };
        Self {
            voters: nodes(&state.voters),
            learners: nodes(&state.learners),
        }
    }
}
