//! How far a transaction is.

/// State of a transactional id. Kafka's names and numbers, which clients see and records have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionState {
    /// A producer has the id, no transaction was begun since.
    Empty = 0,
    /// Partitions were added.
    Ongoing = 1,
    /// Decided: markers of a commit are being written.
    PrepareCommit = 2,
    /// Decided: markers of an abort are being written.
    PrepareAbort = 3,
    /// Committed, with all markers.
    CompleteCommit = 4,
    /// Aborted, with all markers.
    CompleteAbort = 5,
    /// Expiring. Never seen here, where expiry is one step; a filter of ListTransactions may name it.
    Dead = 6,
    /// Being fenced. Never seen here, where fencing and the decision to abort are one step.
    PrepareEpochFence = 7,
}

impl TransactionState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Empty,
        Self::Ongoing,
        Self::PrepareCommit,
        Self::PrepareAbort,
        Self::CompleteCommit,
        Self::CompleteAbort,
        Self::Dead,
        Self::PrepareEpochFence,
    ];

    /// Its name in DescribeTransactions and ListTransactions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Ongoing => "Ongoing",
            Self::PrepareCommit => "PrepareCommit",
            Self::PrepareAbort => "PrepareAbort",
            Self::CompleteCommit => "CompleteCommit",
            Self::CompleteAbort => "CompleteAbort",
            Self::Dead => "Dead",
            Self::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Its number in records.
    #[must_use]
    pub const fn id(self) -> i8 {
        self as i8
    }

    /// The state of that number.
    #[must_use]
    pub fn from_id(id: i8) -> Option<Self> {
        Self::ALL.get(usize::try_from(id).ok()?).copied()
    }

    /// Whether it is decided how the transaction ends, and markers are still to be written.
    #[must_use]
    pub const fn is_decided(self) -> bool {
        matches!(self, Self::PrepareCommit | Self::PrepareAbort)
    }
}
