//! The controller: what the cluster may agree on next.
//!
//! Decisions are pure functions of an image and a request. Each answers with the records to append, all of them or none, or
//! refuses in the words of Kafka's KRaft controller: an error code and a sentence. Nothing is changed by deciding; who decides
//! appends the records to the metadata log and, in the same turn, [`apply`](Controller::apply)s them here, so that the next
//! decision sees them. Others see them once they are committed.
//!
//! It runs on shard 0 of the node that leads the metadata log. A `validate_only` request decides and drops the records.

mod alter_configs;
mod assignments;
mod create_partitions;
mod create_topics;
mod delete_topics;
mod features;
mod producer_ids;
mod register_broker;
#[cfg(test)]
mod tests;

pub use alter_configs::{ConfigChange, ConfigOp, ConfigRules};
pub use assignments::ManualAssignment;
pub use create_partitions::NewPartitions;
pub use create_topics::{CreatedTopic, NewTopic};
pub use delete_topics::{DeletedTopic, TopicRef};
pub use features::{FEATURES, Feature, FeatureChange, FeatureUpdate, GROUP_VERSION, TRANSACTION_VERSION};
pub use producer_ids::ProducerIdBlock;

pub use crate::refusal::Refusal;

use crate::metadata::{ApplyError, MetadataImage, MetadataRecord};

/// What a request of several parts came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<T> {
    /// To be appended as one batch; may be empty.
    pub records: Vec<MetadataRecord>,
    /// One result for each part of the request, in its order.
    pub results: Vec<Result<T, Refusal>>,
}

/// What the cluster's configuration says to a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterDefaults {
    /// `num.partitions`: partitions of a topic whose creator does not say.
    pub partition_count: u32,
    /// `default.replication.factor`: likewise.
    pub replication_factor: i16,
    /// `delete.topic.enable`.
    pub topics_deletable: bool,
}

impl Default for ClusterDefaults {
    fn default() -> Self {
        Self {
            partition_count: 1,
            replication_factor: 1,
            topics_deletable: true,
        }
    }
}

/// The metadata as far as it is decided, committed or not.
#[derive(Clone, Debug, Default)]
pub struct Controller {
    image: MetadataImage,
}

impl Controller {
    /// Takes over from a replayed log.
    #[must_use]
    pub const fn new(image: MetadataImage) -> Self {
        Self { image }
    }

    /// What is decided so far.
    #[must_use]
    pub const fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Takes note of a decision that has been appended to the log.
    ///
    /// # Errors
    /// If a record does not follow the ones before: it was decided on another image. What came before it stays applied.
    pub fn apply(&mut self, records: &[MetadataRecord]) -> Result<(), ApplyError> {
        records.iter().try_for_each(|record| self.image.apply(record))
    }
}

/// Marks the items whose key occurs more than once in a request.
fn repeated<K: Ord>(keys: impl Iterator<Item = K>) -> std::collections::BTreeSet<K> {
    let mut seen = std::collections::BTreeSet::new();
    let mut repeated = std::collections::BTreeSet::new();
    for key in keys {
        if let Some(key) = seen.replace(key) {
            repeated.insert(key);
        }
    }
    repeated
}
