//! The topics that coordinators keep their state in, and which partition of one a key belongs to.

use std::rc::Rc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::PartitionIndex;
use tautline_replica::Refusal;
use tautline_replica::controller::NewTopic;

use crate::broker::Broker;
use crate::config::{BrokerConfig, InternalTopicSettings};

/// One of Kafka's internal topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InternalTopic {
    /// Of groups.
    ConsumerOffsets,
    /// Of transactions.
    TransactionState,
}

impl InternalTopic {
    /// All of them.
    pub const ALL: [InternalTopic; 2] = [InternalTopic::ConsumerOffsets, InternalTopic::TransactionState];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            InternalTopic::ConsumerOffsets => "__consumer_offsets",
            InternalTopic::TransactionState => "__transaction_state",
        }
    }

    fn settings(self, config: &BrokerConfig) -> InternalTopicSettings {
        match self {
            InternalTopic::ConsumerOffsets => config.offsets_topic(),
            InternalTopic::TransactionState => config.transactions_topic(),
        }
    }

    /// The topic of that name.
    pub fn of(name: &str) -> Option<InternalTopic> {
        Self::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// Gives a topic of this name what its creator left open: Kafka's settings, and what a coordinator relies on.
    pub fn complete(self, new: &mut NewTopic, config: &BrokerConfig) {
        let settings = self.settings(config);
        if new.assignments.is_empty() && new.partition_count == -1 {
            new.partition_count = settings.partition_count;
        }
        if new.assignments.is_empty() && new.replication_factor == -1 {
            new.replication_factor = settings.replication_factor;
        }
        let configs = [
            ("cleanup.policy", "compact".to_owned()),
            ("segment.bytes", settings.segment_bytes.to_string()),
            // What was answered is on disk, whatever other topics do.
            ("flush.messages", "1".to_owned()),
        ];
        for (name, value) in configs {
            if new.configs.iter().all(|(set, _)| set != name) {
                new.configs.push((name.to_owned(), Some(value)));
            }
        }
    }
}

impl Broker {
    /// Makes an internal topic unless there is one. Then every shard knows it, and its coordinators have begun to load.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE when it can't be made.
    pub async fn ensure_internal_topic(self: &Rc<Self>, topic: InternalTopic) -> Result<(), ErrorCode> {
        if self.image().topic(topic.name()).is_some() {
            return Ok(());
        }
        let new = vec![NewTopic::with_defaults(topic.name())];
        let created = match self.create_topics(new, false).await {
            Ok(mut results) => results.pop().map_or(Ok(()), |result| result.map(drop)),
            Err(refusal) => Err(refusal),
        };
        match created {
            Ok(()) => Ok(()),
            // Somebody on another shard was quicker.
            Err(Refusal {
                code: ErrorCode::TopicAlreadyExists,
                ..
            }) => Ok(()),
            Err(refusal) => {
                tracing::warn!("{} can't be created: {refusal}", topic.name());
                Err(ErrorCode::CoordinatorNotAvailable)
            }
        }
    }
}

/// The partition of a group or a transactional id, of so many: Kafka's, so that its tools look in the right place.
pub fn partition_of(key: &str, count: u32) -> PartitionIndex {
    // Kafka's absolute value of the smallest integer is 0.
    let hash = java_hash(key).checked_abs().unwrap_or(0);
    PartitionIndex(hash % i32::try_from(count).unwrap_or(i32::MAX).max(1))
}

/// Java's `String.hashCode`, which counts in UTF-16 units.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of a JVM.
    #[test]
    fn hashes_are_javas() {
        for (text, hash) in [
            ("", 0),
            ("a", 97),
            ("group", 98_629_247),
            ("my-group", -1_906_497_762),
            ("polygenelubricants", i32::MIN),
            ("é", 233),
            ("\u{1f600}", 1_772_899),
        ] {
            assert_eq!(java_hash(text), hash, "{text}");
        }
        assert_eq!(partition_of("polygenelubricants", 50), PartitionIndex(0));
        assert_eq!(partition_of("group", 50), PartitionIndex(47));
        assert_eq!(partition_of("my-group", 50), PartitionIndex(12));
        assert_eq!(partition_of("x", 0), PartitionIndex(0));
    }
}
