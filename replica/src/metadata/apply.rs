//! Moving an image on, record by record.

use std::sync::Arc;

use tautline_core::ids::{NodeId, TopicId};
use tautline_core::limits::PARTITIONS_PER_REQUEST_MAX;

use super::{ApplyError, BrokerImage, ConfigResource, Configs, MetadataImage, MetadataRecord, TopicImage};
use crate::names;

/// Partitions a topic may have.
const PARTITIONS_PER_TOPIC_MAX: u32 = PARTITIONS_PER_REQUEST_MAX as u32;

impl MetadataImage {
    /// Moves the image on by one record.
    ///
    /// # Errors
    /// If the record can't follow what was applied before; the image is then as it was.
    pub fn apply(&mut self, record: &MetadataRecord) -> Result<(), ApplyError> {
        match record {
            MetadataRecord::RegisterBroker { node, incarnation } => self.register(*node, *incarnation),
            MetadataRecord::Topic {
                id,
                name,
                partition_count,
            } => self.add_topic(*id, name, *partition_count),
            MetadataRecord::PartitionCount { id, partition_count } => self.grow_topic(*id, *partition_count),
            MetadataRecord::RemoveTopic { id } => self.remove_topic(*id),
            MetadataRecord::SetConfig {
                resource,
                name,
                value,
            } => self.set_config(resource, name, Some(value)),
            MetadataRecord::RemoveConfig { resource, name } => self.set_config(resource, name, None),
            MetadataRecord::ProducerIds { next } => {
                check_grows("the next producer id", self.next_producer_id, *next)?;
                self.next_producer_id = *next;
                Ok(())
            }
            MetadataRecord::FeatureLevel { name, level, epoch } => {
                check_grows("the epoch of features", self.features_epoch(), *epoch)?;
                Arc::make_mut(&mut self.features).insert(name.clone(), (*level, *epoch));
                Ok(())
            }
        }
    }

    fn register(&mut self, node: NodeId, incarnation: i32) -> Result<(), ApplyError> {
        let before = self.broker(node).map_or(-1, |broker| broker.incarnation);
        check_grows(
            "the incarnation of a broker",
            i64::from(before),
            i64::from(incarnation),
        )?;
        Arc::make_mut(&mut self.brokers).insert(node, BrokerImage { incarnation });
        Ok(())
    }

    fn add_topic(&mut self, id: TopicId, name: &str, partition_count: u32) -> Result<(), ApplyError> {
        if self.topics.contains_key(name) || self.names.contains_key(&id) {
            return Err(ApplyError::TopicExists(name.to_owned()));
        }
        if !(1..=PARTITIONS_PER_TOPIC_MAX).contains(&partition_count) {
            return Err(ApplyError::BadPartitionCount {
                name: name.to_owned(),
                partition_count,
            });
        }
        if let Some(other) = self.colliding_topic(name) {
            return Err(ApplyError::Collides {
                name: name.to_owned(),
                other: other.to_string(),
            });
        }
        let shared: Arc<str> = Arc::from(name);
        if let Some(folded) = names::folded(name) {
            Arc::make_mut(&mut self.folded).insert(folded, shared.clone());
        }
        let topic = TopicImage {
            id,
            name: shared.clone(),
            partition_count,
            configs: Configs::new(),
        };
        Arc::make_mut(&mut self.names).insert(id, shared.clone());
        Arc::make_mut(&mut self.topics).insert(shared, Arc::new(topic));
        self.partition_total += u64::from(partition_count);
        Ok(())
    }

    fn grow_topic(&mut self, id: TopicId, partition_count: u32) -> Result<(), ApplyError> {
        let topic = self.topic_by_id(id).ok_or(ApplyError::UnknownTopicId(id))?;
        let before = topic.partition_count;
        if partition_count <= before || partition_count > PARTITIONS_PER_TOPIC_MAX {
            return Err(ApplyError::BadPartitionCount {
                name: topic.name.to_string(),
                partition_count,
            });
        }
        let name = topic.name.clone();
        self.change_topic(&name, |topic| topic.partition_count = partition_count);
        self.partition_total += u64::from(partition_count - before);
        Ok(())
    }

    fn remove_topic(&mut self, id: TopicId) -> Result<(), ApplyError> {
        let topic = self
            .topic_by_id(id)
            .ok_or(ApplyError::UnknownTopicId(id))?
            .clone();
        Arc::make_mut(&mut self.topics).remove(&topic.name);
        Arc::make_mut(&mut self.names).remove(&id);
        if let Some(folded) = names::folded(&topic.name) {
            Arc::make_mut(&mut self.folded).remove(&folded);
        }
        self.partition_total -= u64::from(topic.partition_count);
        Ok(())
    }

    fn set_config(
        &mut self,
        resource: &ConfigResource,
        name: &str,
        value: Option<&String>,
    ) -> Result<(), ApplyError> {
        let change = |configs: &mut Configs| match value {
            Some(value) => drop(configs.insert(name.to_owned(), value.clone())),
            None => drop(configs.remove(name)),
        };
        match resource {
            ConfigResource::Topic(topic) => {
                if !self.topics.contains_key(&topic[..]) {
                    return Err(ApplyError::UnknownTopic(topic.clone()));
                }
                self.change_topic(topic, |topic| change(&mut topic.configs));
            }
            ConfigResource::Broker(node) => {
                let all = Arc::make_mut(&mut self.broker_configs);
                let configs = all.entry(*node).or_default();
                change(configs);
                // Nothing set and never set are the same, also to a snapshot.
                if configs.is_empty() {
                    all.remove(node);
                }
            }
            ConfigResource::BrokerDefault => change(Arc::make_mut(&mut self.broker_defaults)),
            ConfigResource::Group(group) => {
                let all = Arc::make_mut(&mut self.group_configs);
                let configs = all.entry(group.clone()).or_default();
                change(configs);
                if configs.is_empty() {
                    all.remove(group);
                }
            }
        }
        Ok(())
    }

    fn change_topic(&mut self, name: &str, change: impl FnOnce(&mut TopicImage)) {
        let entry = Arc::make_mut(&mut self.topics)
            .get_mut(name)
            .expect("the caller has seen the topic");
        change(Arc::make_mut(entry));
    }
}

fn check_grows(what: &'static str, from: i64, to: i64) -> Result<(), ApplyError> {
    if to > from {
        Ok(())
    } else {
        Err(ApplyError::WentBack { what, from, to })
    }
}
