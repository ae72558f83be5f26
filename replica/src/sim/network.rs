//! The network between nodes: who hears whom, and what becomes of a frame on its way.

use tautline_core::ids::NodeId;

use crate::quorum::Random;

/// See the module.
#[derive(Debug)]
pub(super) struct Network {
    nodes: usize,
    /// Until when one does not hear another.
    deaf_until_ns: Vec<u64>,
    lossy_until_ns: u64,
    random: Random,
}

/// Parts of a thousand, while the network is lossy.
const LOST: u64 = 80;
const DOUBLED: u64 = 40;
const DAMAGED: u64 = 10;
const OVERTAKEN: u64 = 150;

/// One copy of a frame that arrives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub delay_ns: u64,
    /// A byte of it is not what it was.
    pub damaged: Option<u64>,
}

impl Network {
    pub fn new(nodes: usize, random: Random) -> Self {
        Self {
            nodes,
            deaf_until_ns: vec![0; nodes * nodes],
            lossy_until_ns: 0,
            random,
        }
    }

    /// Nothing comes from one to the other.
    pub fn cut(&mut self, from: usize, to: usize, until_ns: u64) {
        let until = &mut self.deaf_until_ns[from * self.nodes + to];
        *until = until_ns.max(*until);
    }

    pub fn lossy(&mut self, until_ns: u64) {
        self.lossy_until_ns = until_ns.max(self.lossy_until_ns);
    }

    pub fn heal(&mut self) {
        self.deaf_until_ns.fill(0);
        self.lossy_until_ns = 0;
    }

    /// What arrives of a frame, and when.
    pub fn carry(&mut self, from: NodeId, to: NodeId, now_ns: u64) -> Vec<Arrival> {
        let (from, to) = (from.0 as usize, to.0 as usize);
        if self.deaf_until_ns[from * self.nodes + to] > now_ns {
            return Vec::new();
        }
        let random = &mut self.random;
        let quick = Arrival {
            delay_ns: random.between(30_000, 400_000),
            damaged: None,
        };
        if now_ns >= self.lossy_until_ns {
            return vec![quick];
        }
        if random.permille(LOST) {
            return Vec::new();
        }
        let late = random.between(1_000_000, 60_000_000);
        let first = if random.permille(OVERTAKEN) {
            Arrival {
                delay_ns: late,
                ..quick
            }
        } else {
            quick
        };
        let damaged = random.permille(DAMAGED).then(|| random.next_u64());
        let mut arrivals = vec![Arrival { damaged, ..first }];
        if random.permille(DOUBLED) {
            arrivals.push(Arrival {
                delay_ns: random.between(30_000, 300_000_000),
                damaged: None,
            });
        }
        arrivals
    }
}
