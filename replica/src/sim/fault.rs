//! What goes wrong in a run, and when: drawn from the seed before the run begins, so that a failing run can be tried again
//! with fewer of them.

use std::fmt;

use crate::quorum::Random;

/// One kind of fault, by the name that `--faults` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A node stops and loses what was not synced.
    Crash,
    /// A node does nothing for a while, and does not know it.
    Pause,
    /// Some nodes can't speak with the others.
    Partition,
    /// One node is heard by another no more.
    OneWay,
    /// Frames are lost, doubled, damaged and overtaken.
    Lossy,
    /// A node's disk is slow.
    SlowDisk,
    /// A node's disk is full.
    FullDisk,
    /// Leadership is handed over.
    Transfer,
    /// A replica is added, or removed.
    Membership,
    /// The log's start moves.
    Trim,
}

/// All kinds.
pub const KINDS: [Kind; 10] = [
    Kind::Crash,
    Kind::Pause,
    Kind::Partition,
    Kind::OneWay,
    Kind::Lossy,
    Kind::SlowDisk,
    Kind::FullDisk,
    Kind::Transfer,
    Kind::Membership,
    Kind::Trim,
];

impl Kind {
    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crash => "crash",
            Self::Pause => "pause",
            Self::Partition => "partition",
            Self::OneWay => "one-way",
            Self::Lossy => "lossy",
            Self::SlowDisk => "slow-disk",
            Self::FullDisk => "full-disk",
            Self::Transfer => "transfer",
            Self::Membership => "membership",
            Self::Trim => "trim",
        }
    }

    /// The kind with that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.name() == name)
    }
}

/// A fault of a run: from when, for how long, and whom it concerns. What the numbers mean depends on the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub kind: Kind,
    /// When it begins.
    pub at_ns: u64,
    /// How long it lasts.
    pub for_ns: u64,
    /// Chooses whom: a random number, so that it means something in any state.
    pub who: u64,
}

const SECOND_NS: u64 = 1_000_000_000;

impl Fault {
    /// Whether a cluster may stand still while it lasts, although a quorum lives.
    pub(super) fn disturbs(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Crash | Kind::Transfer | Kind::Membership | Kind::Trim
        )
    }

    /// The faults of a run that lasts so long.
    pub(super) fn schedule(random: &mut Random, kinds: &[Kind], until_ns: u64) -> Vec<Self> {
        if kinds.is_empty() {
            return Vec::new();
        }
        // Some runs see few kinds, so that one can build on another of its own.
        let mut mine: Vec<_> = kinds.iter().copied().filter(|_| random.once_in(2)).collect();
        if mine.is_empty() {
            mine.push(random.one_of(kinds));
        }
        // In some runs one comes upon another.
        let pause_ns = if random.once_in(3) {
            SECOND_NS / 2
        } else {
            2 * SECOND_NS
        };
        let mut faults = Vec::new();
        let mut at_ns = random.between(SECOND_NS / 5, 2 * SECOND_NS);
        while at_ns < until_ns {
            let kind = random.one_of(&mine);
            let for_ns = if random.once_in(3) {
                random.between(SECOND_NS / 50, SECOND_NS / 3)
            } else if random.once_in(5) {
                random.between(3 * SECOND_NS, 8 * SECOND_NS)
            } else {
                random.between(SECOND_NS / 3, 3 * SECOND_NS)
            };
            faults.push(Self {
                kind,
                at_ns,
                for_ns,
                who: random.next_u64(),
            });
            // Often while the last one lasts.
            at_ns += random.between(SECOND_NS / 100, pause_ns);
        }
        faults
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at_ns / 1_000_000, self.for_ns / 1_000_000);
        write!(f, "{} at {at} ms for {lasts} ms", self.kind.name())
    }
}
