//! A topic as every shard knows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tautline_core::ids::{PartitionIndex, TopicId};

/// Configurations that were set, by Kafka's names, in name order. What is not in it has its default.
pub type Configs = BTreeMap<String, String>;

/// Topics that the broker itself writes to. A client may create and delete them, as in Kafka.
pub const INTERNAL_TOPICS: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

/// Whether a topic is one of [`INTERNAL_TOPICS`].
#[must_use]
pub fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// One topic. Never changed once made: a change makes a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: Arc<str>,
    /// Number of partitions.
    pub partition_count: u32,
    /// What was set for it.
    pub configs: Configs,
}

impl TopicImage {
    /// Whether it has that partition. Any number may be asked for.
    #[must_use]
    pub fn has_partition(&self, partition: PartitionIndex) -> bool {
        u32::try_from(partition.0).is_ok_and(|index| index < self.partition_count)
    }

    /// Its partitions in order.
    pub fn partitions(&self) -> impl ExactSizeIterator<Item = PartitionIndex> + use<> {
        (0..self.partition_count as i32).map(PartitionIndex)
    }
}
