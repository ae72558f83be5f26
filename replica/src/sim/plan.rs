//! What a run is: drawn from its seed.

use crate::quorum::{Random, Settings};

use super::fault::{Fault, Kind};

const SECOND_NS: u64 = 1_000_000_000;

/// A run. The same plan gives the same run, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Everything not said here is drawn from it.
    pub seed: u64,
    /// Replicas of each partition when the run begins.
    pub replicas: usize,
    /// Nodes, of which those beyond the replicas begin empty.
    pub nodes: usize,
    /// Partitions.
    pub partitions: usize,
    /// Of the replicas.
    pub settings: Settings,
    /// Producers with acks=all.
    pub all: usize,
    /// Producers with acks=1.
    pub one: usize,
    /// Consumers.
    pub consumers: usize,
    /// Batches of each producer.
    pub batches: u64,
    /// When the last fault is over.
    pub heal_ns: u64,
    /// From when to when no client asks for anything, so that groups fall asleep.
    pub lulls: Vec<(u64, u64)>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
}

/// How long after the last fault everything must have come right.
pub(super) const RECOVERY_NS: u64 = 40 * SECOND_NS;

impl Plan {
    /// The run of a seed, with faults of these kinds.
    #[must_use]
    pub fn new(seed: u64, kinds: &[Kind]) -> Self {
        let mut random = Random::new(seed ^ 0x5111_7a71_0e5e_ed00);
        let replicas = if random.once_in(4) { 5 } else { 3 };
        let heal_ns = random.between(6 * SECOND_NS, 14 * SECOND_NS);
        let entries_kept_max = if random.once_in(3) {
            2_048
        } else {
            random.between(6, 40) as usize
        };
        let settings = Settings {
            min_insync_replicas: 1 + random.below(3) as usize,
            entries_kept_max,
            entries_kept_min: (entries_kept_max / 4).max(2),
            entries_per_append_max: if random.once_in(2) {
                256
            } else {
                1 + random.below(4) as usize
            },
        };
        let lulls = (0..random.below(3)).map(|_| {
            let from_ns = random.between(SECOND_NS, heal_ns);
            (from_ns, from_ns + random.between(SECOND_NS, 4 * SECOND_NS))
        });
        Self {
            lulls: lulls.collect(),
            seed,
            replicas,
            nodes: replicas + usize::from(kinds.contains(&Kind::Membership)),
            partitions: 1 + random.below(2) as usize,
            settings,
            all: 1 + random.below(3) as usize,
            one: random.below(2) as usize,
            consumers: 1 + random.below(2) as usize,
            batches: random.between(60, 240),
            heal_ns,
            faults: Fault::schedule(&mut random, kinds, heal_ns - SECOND_NS),
        }
    }
}
