//! Why a record of the metadata log can not be applied.

use tautline_core::ids::TopicId;

/// A record that can't follow what was applied before it: the log is not one this code wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It speaks of a topic id that does not exist.
    #[error("the metadata log speaks of topic id {0}, which does not exist")]
    UnknownTopicId(TopicId),
    /// It configures a topic that does not exist.
    #[error("the metadata log configures topic {0:?}, which does not exist")]
    UnknownTopic(String),
    /// It creates a topic whose name or id exists.
    #[error("the metadata log creates topic {0:?} twice")]
    TopicExists(String),
    /// It creates a topic whose name differs from another's in nothing but '.' and '_'.
    #[error("the metadata log creates topic {name:?}, which collides with {other:?}")]
    Collides {
        /// The topic's name.
        name: String,
        /// The one that exists.
        other: String,
    },
    /// Its partition count is 0, too large or not larger than the one before.
    #[error("the metadata log gives topic {name:?} {partition_count} partitions")]
    BadPartitionCount {
        /// The topic's name.
        name: String,
        /// The count.
        partition_count: u32,
    },
    /// A number that only grows went back.
    #[error("the metadata log sets {what} back from {from} to {to}")]
    WentBack {
        /// Which number.
        what: &'static str,
        /// What it was.
        from: i64,
        /// What it would be.
        to: i64,
    },
}
