//! Clients: idempotent producers that retry until they know, and consumers that read to the high watermark.

use std::collections::VecDeque;
use std::rc::Rc;

use tautline_core::batch::{Batch, BatchBuilder};
use tautline_core::ids::{NodeId, Offset, ProducerEpoch, ProducerId};

use super::log::Stored;
use crate::quorum::{GroupId, Random};

/// A question to a node.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub client: usize,
    pub number: u64,
    pub group: GroupId,
    pub ask: Ask,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Produce { batches: Vec<Rc<[u8]>>, all: bool },
    Fetch { from: Offset },
}

/// What a node answers.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The end offsets of the first batches of the request.
    Produced(Vec<Offset>),
    Fetched {
        batches: Vec<Stored>,
        high_watermark: Offset,
    },
    NotLeader(Option<NodeId>),
    OutOfOrder,
    Fenced,
    OutOfRange(Offset),
    /// Later, here or elsewhere.
    Retry,
}

/// A client: one request at a time, to whom it believes to lead.
#[derive(Debug)]
pub(super) struct Client {
    pub group: GroupId,
    pub role: Role,
    pub target: NodeId,
    /// Of the request that waits for its answer.
    pub waits: Option<u64>,
    pub number: u64,
    /// What it had to be shown when it asked.
    pub floor: Offset,
    /// Progress: batches acknowledged, or fetches answered.
    pub done: u64,
    /// Since when it has asked without success.
    pub busy_since_ns: Option<u64>,
}

impl Client {
    /// Whether a run may end as far as it is concerned: a consumer reads as long as there are producers.
    pub fn is_done(&self) -> bool {
        match &self.role {
            Role::Producer(producer) => producer.is_done(),
            Role::Consumer { .. } => true,
        }
    }

    /// A producer that has sent everything.
    pub fn has_nothing_to_do(&self) -> bool {
        matches!(&self.role, Role::Producer(producer) if producer.is_done())
    }
}

#[derive(Debug)]
pub(super) enum Role {
    Producer(Producer),
    Consumer { from: Offset },
}

/// A producer's own state.
#[derive(Debug)]
pub(super) struct Producer {
    id: ProducerId,
    epoch: ProducerEpoch,
    next_sequence: i32,
    /// Batches that are not acknowledged, oldest first.
    window: VecDeque<(i32, Rc<[u8]>)>,
    /// acks=all; else acks=1.
    pub all: bool,
    /// Batches to make still.
    pub left: u64,
    refused: u32,
}

/// Batches in one request: fewer than a partition remembers.
const WINDOW_MAX: usize = 3;
/// Refusals of a sequence in a row after which a producer with acks=1 takes it that its earlier batches are lost, and begins a
/// new epoch.
const REFUSALS_MAX: u32 = 12;

impl Producer {
    pub fn new(id: i64, all: bool, left: u64) -> Self {
        Self {
            id: ProducerId(id),
            epoch: ProducerEpoch(0),
            next_sequence: 0,
            window: VecDeque::new(),
            all,
            left,
            refused: 0,
        }
    }

    pub fn is_done(&self) -> bool {
        self.left == 0 && self.window.is_empty()
    }

    /// What to send next.
    pub fn batches(&mut self, random: &mut Random) -> Vec<Rc<[u8]>> {
        let wanted = 1 + random.below(WINDOW_MAX as u64) as usize;
        while self.window.len() < wanted && self.left > 0 {
            self.left -= 1;
            let records = 1 + random.below(3) as i32;
            self.push(records);
        }
        self.window.iter().map(|(_, bytes)| Rc::clone(bytes)).collect()
    }

    fn push(&mut self, records: i32) {
        let mut batch = BatchBuilder::new(0).producer(self.id, self.epoch, self.next_sequence);
        for record in 0..records {
            let value = format!("{}/{}/{}", self.id, self.epoch, self.next_sequence + record);
            batch = batch.record(None, Some(value.as_bytes()));
        }
        self.window.push_back((records, batch.build().into()));
        self.next_sequence += records;
    }

    /// The oldest are acknowledged.
    pub fn acked(&mut self, count: usize) -> Vec<Rc<[u8]>> {
        self.refused = 0;
        self.window
            .drain(..count.min(self.window.len()))
            .map(|(_, bytes)| bytes)
            .collect()
    }

    /// A sequence was refused. With acks=1 earlier ones may be lost for good.
    pub fn refused(&mut self) {
        self.refused += 1;
        if !self.all && self.refused > REFUSALS_MAX {
            self.refused = 0;
            self.epoch = ProducerEpoch(self.epoch.0 + 1);
            self.next_sequence = 0;
            let window = std::mem::take(&mut self.window);
            for (records, _) in window {
                self.push(records);
            }
        }
    }
}

/// The first sequence in a batch.
pub(super) fn sequence(bytes: &[u8]) -> i32 {
    Batch::parse(bytes).expect("it was built by us").0.base_sequence()
}
