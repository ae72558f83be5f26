//! A partition's log as the simulator keeps it: real batches in order, in memory or on a disk. It is the model of what `store/`
//! does with the same writes.

use std::rc::Rc;

use tautline_core::batch::Batch;
use tautline_core::ids::{LeaderEpoch, Offset};

use super::producers::Producers;
use crate::quorum::{BatchDescriptor, LoggedBatch, Write};

/// A batch in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub found: LoggedBatch,
    pub bytes: Rc<[u8]>,
}

impl Stored {
    pub fn new(bytes: Rc<[u8]>) -> Self {
        let (batch, _) = Batch::parse(&bytes).expect("only sound batches are stored");
        let found = LoggedBatch {
            epoch: batch.leader_epoch(),
            batch: BatchDescriptor::of(&batch),
        };
        Self { found, bytes }
    }

    pub fn base_offset(&self) -> Offset {
        self.found.batch.base_offset
    }

    pub fn end_offset(&self) -> Offset {
        self.found.batch.end_offset()
    }

    pub fn epoch(&self) -> LeaderEpoch {
        self.found.epoch
    }

    pub fn batch(&self) -> Batch<'_> {
        Batch::parse(&self.bytes)
            .expect("only sound batches are stored")
            .0
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    pub start: Offset,
    /// What was known of producers at the start: it goes with the log.
    pub at_start: Producers,
    batches: Vec<Stored>,
}

impl Log {
    pub fn end_offset(&self) -> Offset {
        self.batches.last().map_or(self.start, Stored::end_offset)
    }

    pub fn batches(&self) -> &[Stored] {
        &self.batches
    }

    /// Batches from an offset on, which is the base of one, or the end.
    pub fn from(&self, offset: Offset) -> &[Stored] {
        let first = self
            .batches
            .partition_point(|stored| stored.base_offset() < offset);
        &self.batches[first..]
    }

    pub fn find(&self, base_offset: Offset) -> Option<&Stored> {
        self.from(base_offset)
            .first()
            .filter(|stored| stored.base_offset() == base_offset)
    }

    /// Whether an offset lies between two batches.
    pub fn is_edge(&self, offset: Offset) -> bool {
        offset == self.end_offset() || self.find(offset).is_some()
    }

    pub fn append(&mut self, stored: Stored) {
        assert!(
            stored.base_offset() >= self.end_offset(),
            "batches have their order"
        );
        self.batches.push(stored);
    }

    /// Removes batches from `to` on; if none is below, the log is empty and begins there.
    pub fn cut(&mut self, to: Offset) {
        self.batches.retain(|stored| stored.end_offset() <= to);
        if self.batches.is_empty() && self.start != to {
            self.start = to;
        }
    }

    /// Removes batches below `to`.
    pub fn trim(&mut self, to: Offset) {
        if to > self.start && self.is_edge(to) {
            for stored in self.batches.iter().filter(|stored| stored.end_offset() <= to) {
                self.at_start.note(stored);
            }
            self.batches.retain(|stored| stored.base_offset() >= to);
            self.start = to;
        }
    }

    /// What a write says of a log.
    pub fn apply(&mut self, write: &Write, bytes: Option<&Rc<[u8]>>, producers: Option<&Producers>) {
        match write {
            Write::TruncateLog(to) => self.cut(*to),
            Write::ResetLog(to) => {
                if *to > self.end_offset() || *to < self.start {
                    self.batches.clear();
                    self.start = *to;
                    self.at_start = producers.cloned().unwrap_or_default();
                }
                self.cut(*to);
            }
            Write::Append { .. } => self.append(Stored::new(Rc::clone(bytes.expect("a batch has bytes")))),
            _ => {}
        }
    }
}
