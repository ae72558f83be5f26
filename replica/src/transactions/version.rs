//! The feature `transaction.version`, as far as a client's requests show which rules it follows.

/// The rules a client follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TransactionVersion {
    /// The first (KIP-98).
    #[default]
    V0,
    /// The same to clients; records are flexible.
    V1,
    /// The epoch is bumped at the end of each transaction, and partitions are added by the brokers (KIP-890).
    V2,
}

impl TransactionVersion {
    /// As EndTxn shows it.
    #[must_use]
    pub const fn of_end_txn(api_version: i16) -> Self {
        if api_version >= 5 { Self::V2 } else { Self::V0 }
    }

    /// As AddPartitionsToTxn shows it: clients send it up to version 3, brokers from 4 on.
    #[must_use]
    pub const fn of_add_partitions_to_txn(api_version: i16) -> Self {
        if api_version >= 4 { Self::V2 } else { Self::V0 }
    }

    /// As AddOffsetsToTxn shows it. Clients of version 2 do not send it.
    #[must_use]
    pub const fn of_add_offsets_to_txn(api_version: i16) -> Self {
        if api_version >= 4 { Self::V2 } else { Self::V0 }
    }

    /// Whether the epoch grows when a transaction ends.
    #[must_use]
    pub const fn bumps_epoch(self) -> bool {
        matches!(self, Self::V2)
    }

    /// Its number, as records have it.
    #[must_use]
    pub const fn level(self) -> i16 {
        self as i16
    }

    /// The version of that number.
    #[must_use]
    pub const fn from_level(level: i16) -> Option<Self> {
        match level {
            0 => Some(Self::V0),
            1 => Some(Self::V1),
            2 => Some(Self::V2),
            _ => None,
        }
    }
}
