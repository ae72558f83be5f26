//! A node's disk: what is durable, and what is on its way there.
//!
//! Submits become durable in order, each as a whole. At a crash of those on their way any prefix *of each file* may be there,
//! the journal and each log for itself; a torn last write is as if it had not begun, since its checksum is wrong.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use tautline_core::ids::Offset;

use super::log::{Log, Stored};
use super::producers::Producers;
use crate::quorum::{GroupId, QuorumState, Random, Write};

/// What a disk holds of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct OnDisk {
    pub state: QuorumState,
    pub log: Log,
}

/// One write with its bytes.
#[derive(Clone, Debug)]
pub(super) struct DiskWrite {
    pub group: GroupId,
    pub write: Write,
    pub bytes: Option<Rc<[u8]>>,
    /// Of a log that begins anew: what is known of producers there.
    pub producers: Option<Producers>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub durable: BTreeMap<GroupId, OnDisk>,
    queue: VecDeque<(u64, Vec<DiskWrite>)>,
    pub busy_until_ns: u64,
    /// Time that each write takes on top.
    pub slow_ns: u64,
    pub full: bool,
}

impl Disk {
    /// Takes a submit; gives when it is done. `None` if there is no room for it.
    pub fn submit(
        &mut self,
        number: u64,
        writes: Vec<DiskWrite>,
        now_ns: u64,
        random: &mut Random,
    ) -> Option<u64> {
        if self.full && writes.iter().any(|write| write.bytes.is_some()) {
            return None;
        }
        self.queue.push_back((number, writes));
        let takes_ns = random.between(40_000, 250_000) + random.below(self.slow_ns + 1);
        self.busy_until_ns = self.busy_until_ns.max(now_ns) + takes_ns;
        Some(self.busy_until_ns)
    }

    /// The submit is durable.
    pub fn done(&mut self, number: u64) {
        let (first, writes) = self.queue.pop_front().expect("it was submitted");
        assert_eq!(first, number, "in order");
        for write in &writes {
            self.apply(write);
        }
    }

    /// Power is gone.
    pub fn crash(&mut self, random: &mut Random) {
        let writes: Vec<_> = self.queue.drain(..).flat_map(|(_, writes)| writes).collect();
        let mut files: BTreeMap<Option<GroupId>, Vec<&DiskWrite>> = BTreeMap::new();
        for write in &writes {
            files.entry(file_of(write)).or_default().push(write);
        }
        let mut kept: Vec<&DiskWrite> = Vec::new();
        for (_, file) in files {
            let there = random.below(file.len() as u64 + 1) as usize;
            kept.extend(&file[..there]);
        }
        for write in kept {
            self.apply(write);
        }
        self.busy_until_ns = 0;
    }

    fn apply(&mut self, write: &DiskWrite) {
        let there = self.durable.entry(write.group).or_default();
        there.state.apply(&write.write);
        there
            .log
            .apply(&write.write, write.bytes.as_ref(), write.producers.as_ref());
    }

    /// The log's start was moved by retention.
    pub fn trim(&mut self, group: GroupId, to: Offset) {
        if let Some(there) = self.durable.get_mut(&group) {
            there.log.trim(to);
        }
    }

    /// Whether a batch is durable here.
    pub fn has(&self, group: GroupId, batch: &Stored) -> bool {
        self.durable
            .get(&group)
            .is_some_and(|there| there.log.find(batch.base_offset()) == Some(batch))
    }
}

/// The file that a write goes to: a log, or the journal.
fn file_of(write: &DiskWrite) -> Option<GroupId> {
    match write.write {
        Write::TruncateLog(_) | Write::ResetLog(_) | Write::Append { .. } => Some(write.group),
        _ => None,
    }
}
