//! The state that the metadata log has led to.
//!
//! An image is plain data, `Send + Sync`. Cloning one is a few reference counts; the clones then share what neither changes.
//! [`apply`](MetadataImage::apply) on an image whose maps are shared copies them first (a reference count a topic), so a shard that
//! keeps an image of its own and applies the same records to it never pays for a copy.
//!
//! Promises: applying the same records in the same order gives equal images; a record that does not fit is refused and
//! changes nothing.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use tautline_core::ids::{NodeId, TopicId};

use super::{ConfigResource, Configs, MetadataRecord, TopicImage};
use crate::names;

/// A broker that registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerImage {
    /// How often it has started, counted from 0; the leader epoch of what it leads.
    pub incarnation: i32,
}

/// Everything the cluster agreed on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataImage {
    pub(super) topics: Arc<BTreeMap<Arc<str>, Arc<TopicImage>>>,
    pub(super) names: Arc<FxHashMap<TopicId, Arc<str>>>,
    /// The topic that holds a name once '.' and '_' are taken for the same; only of names that have one of them.
    pub(super) folded: Arc<BTreeMap<String, Arc<str>>>,
    pub(super) brokers: Arc<BTreeMap<NodeId, BrokerImage>>,
    pub(super) broker_configs: Arc<BTreeMap<NodeId, Configs>>,
    pub(super) broker_defaults: Arc<Configs>,
    pub(super) group_configs: Arc<BTreeMap<String, Configs>>,
    pub(super) partition_total: u64,
    pub(super) next_producer_id: i64,
    /// Level of each feature, and the epoch in which it was set.
    pub(super) features: Arc<BTreeMap<String, (i16, i64)>>,
}

impl MetadataImage {
    /// The topic of that name.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicImage>> {
        self.topics.get(name)
    }

    /// The topic of that id.
    #[must_use]
    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<TopicImage>> {
        self.topics.get(self.names.get(&id)?)
    }

    /// All topics in name order.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<TopicImage>> {
        self.topics.values()
    }

    /// The topics from that name on, in name order; the name itself need not exist.
    pub fn topics_from<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a Arc<TopicImage>> + use<'a> {
        self.topics
            .range::<str, _>((Bound::Included(name), Bound::Unbounded))
            .map(|(_, topic)| topic)
    }

    /// Number of topics.
    #[must_use]
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Number of partitions of all topics.
    #[must_use]
    pub const fn partition_total(&self) -> u64 {
        self.partition_total
    }

    /// A topic whose name differs from this one in nothing but '.' and '_', or is the same.
    #[must_use]
    pub fn colliding_topic(&self, name: &str) -> Option<&Arc<str>> {
        self.folded.get(&names::folded(name)?)
    }

    /// The brokers that ever registered, in order of their ids.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = (NodeId, BrokerImage)> {
        self.brokers.iter().map(|(node, broker)| (*node, *broker))
    }

    /// One broker.
    #[must_use]
    pub fn broker(&self, node: NodeId) -> Option<BrokerImage> {
        self.brokers.get(&node).copied()
    }

    /// What was set for one broker.
    #[must_use]
    pub fn broker_configs(&self, node: NodeId) -> Option<&Configs> {
        self.broker_configs.get(&node)
    }

    /// What was set for all brokers.
    #[must_use]
    pub fn broker_defaults(&self) -> &Configs {
        &self.broker_defaults
    }

    /// What was set for a group.
    #[must_use]
    pub fn group_configs(&self, group: &str) -> Option<&Configs> {
        self.group_configs.get(group)
    }

    /// The groups for which something was set, in order of their ids.
    pub fn configured_groups(&self) -> impl ExactSizeIterator<Item = &str> {
        self.group_configs.keys().map(String::as_str)
    }

    /// What was set for a resource; `None` if it does not exist or nothing was set.
    #[must_use]
    pub fn configs(&self, resource: &ConfigResource) -> Option<&Configs> {
        match resource {
            ConfigResource::Topic(name) => self.topic(name).map(|topic| &topic.configs),
            ConfigResource::Broker(node) => self.broker_configs(*node),
            ConfigResource::BrokerDefault => Some(&self.broker_defaults),
            ConfigResource::Group(group) => self.group_configs(group),
        }
    }

    /// First producer id that was never given out.
    #[must_use]
    pub const fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }

    /// The level at which a feature runs, 0 for none (KIP-584).
    #[must_use]
    pub fn feature_level(&self, name: &str) -> i16 {
        self.features.get(name).map_or(0, |(level, _)| *level)
    }

    /// The features that run at a level above 0, in name order.
    pub fn features(&self) -> impl Iterator<Item = (&str, i16)> {
        let features = self.features.iter();
        features
            .map(|(name, (level, _))| (&name[..], *level))
            .filter(|(_, level)| *level > 0)
    }

    /// Whether a level was ever set for a feature.
    #[must_use]
    pub fn knows_feature(&self, name: &str) -> bool {
        self.features.contains_key(name)
    }

    /// Grows with each change of a feature's level; -1 before the first.
    #[must_use]
    pub fn features_epoch(&self) -> i64 {
        self.features
            .values()
            .map(|(_, epoch)| *epoch)
            .max()
            .unwrap_or(-1)
    }

    /// Records that lead from an empty image to this one: what a snapshot holds.
    pub fn records(&self) -> impl Iterator<Item = MetadataRecord> {
        let brokers = self
            .brokers()
            .map(|(node, broker)| MetadataRecord::RegisterBroker {
                node,
                incarnation: broker.incarnation,
            });
        let topics = self.topics().flat_map(|topic| {
            let created = MetadataRecord::Topic {
                id: topic.id,
                name: topic.name.to_string(),
                partition_count: topic.partition_count,
            };
            let resource = ConfigResource::Topic(topic.name.to_string());
            std::iter::once(created).chain(set_records(resource, &topic.configs))
        });
        let broker_configs = self
            .broker_configs
            .iter()
            .flat_map(|(node, configs)| set_records(ConfigResource::Broker(*node), configs));
        let groups = self.group_configs.iter();
        let groups =
            groups.flat_map(|(group, configs)| set_records(ConfigResource::Group(group.clone()), configs));
        let defaults = set_records(ConfigResource::BrokerDefault, &self.broker_defaults);
        let producer_ids = (self.next_producer_id > 0).then_some(MetadataRecord::ProducerIds {
            next: self.next_producer_id,
        });
        // In the order of their epochs, which only grow.
        let mut features: Vec<_> = self.features.iter().collect();
        features.sort_by_key(|(_, (_, epoch))| *epoch);
        let features = features
            .into_iter()
            .map(|(name, &(level, epoch))| MetadataRecord::FeatureLevel {
                name: name.clone(),
                level,
                epoch,
            });
        brokers
            .chain(features)
            .chain(defaults)
            .chain(broker_configs)
            .chain(groups)
            .chain(topics)
            .chain(producer_ids)
    }
}

fn set_records(resource: ConfigResource, configs: &Configs) -> impl Iterator<Item = MetadataRecord> {
    configs
        .iter()
        .map(move |(name, value)| MetadataRecord::SetConfig {
            resource: resource.clone(),
            name: name.clone(),
            value: value.clone(),
        })
}
