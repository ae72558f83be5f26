//! Random schedules, from proptest's printed seed: producers that share transactional ids, requests and answers that are late,
//! lost, doubled and overtaken, markers that fail, transactions that take too long, ids that expire and epochs that run out,
//! and crashes that leave a prefix of the log.
//!
//! What must hold is said where it is checked: [`Judge`](judge::Judge) for the coordinator's answers and its log,
//! [`Partitions`](partitions::Partitions) for what readers of committed data would see.

mod client;
mod host;
mod judge;
mod partitions;
mod world;

use proptest::prelude::*;

use world::World;

/// Xorshift: the same seed, the same choices.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % bound
    }

    pub fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn kip98_kip360_kip890_hold_in_any_schedule(seed: u64) {
        World::new(seed).run();
    }
}
