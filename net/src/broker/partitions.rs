//! The partitions a shard owns, kept in step with the metadata image.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustc_hash::{FxHashMap, FxHashSet};
use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, PartitionIndex, TopicId};
use tautline_replica::metadata::{MetadataImage, TopicImage};
use tautline_store::LogIdentity;

use super::settings::log_config;
use super::{Broker, Partition};

/// Logs opened at a time: their reads overlap, and the descriptors and memory of recovery stay bounded.
const OPENING_MAX: usize = 64;

/// The partitions of one shard.
#[derive(Default)]
pub struct Partitions {
    open: RefCell<FxHashMap<(TopicId, PartitionIndex), Rc<Partition>>>,
    /// Those whose log could not be opened.
    offline: RefCell<FxHashSet<(TopicId, PartitionIndex)>>,
}

impl Partitions {
    /// The partition, if this shard owns it and its log is open.
    pub fn get(&self, topic: TopicId, partition: PartitionIndex) -> Option<Rc<Partition>> {
        self.open.borrow().get(&(topic, partition)).cloned()
    }

    /// The partition, or what to tell a client.
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR if its log could not be opened, NOT_LEADER_OR_FOLLOWER if it is not open yet.
    pub fn find(&self, topic: TopicId, partition: PartitionIndex) -> Result<Rc<Partition>, ErrorCode> {
        self.get(topic, partition).ok_or_else(|| {
            if self.offline.borrow().contains(&(topic, partition)) {
                ErrorCode::KafkaStorageError
            } else {
                ErrorCode::NotLeaderOrFollower
            }
        })
    }

    /// All partitions, in no order.
    pub fn all(&self) -> Vec<Rc<Partition>> {
        self.open.borrow().values().cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.open.borrow().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Opens, configures and deletes logs so that they match `after`.
    pub(super) async fn follow(&self, broker: &Rc<Broker>, before: &MetadataImage, after: &MetadataImage) {
        self.delete_missing(broker, before, after).await;
        broker
            .store
            .set_producer_id_expiration_ms(broker.settings().producer_id_expiration_ms);
        let epoch = after
            .broker(broker.node_id())
            .map_or(LeaderEpoch(0), |b| LeaderEpoch(b.incarnation));
        let defaults_changed = before.broker_defaults() != after.broker_defaults()
            || before.broker_configs(broker.node_id()) != after.broker_configs(broker.node_id());
        let mut opening = FuturesUnordered::new();
        for topic in after.topics() {
            let known = before.topic_by_id(topic.id);
            if !defaults_changed && known.is_some_and(|known| Arc::ptr_eq(known, topic)) {
                continue;
            }
            let settings_changed =
                defaults_changed || known.is_none_or(|known| known.configs != topic.configs);
            for index in topic
                .partitions()
                .filter(|&index| broker.owner(topic.id, index) == broker.shard())
            {
                match self.get(topic.id, index) {
                    Some(partition) if settings_changed => configure(broker, topic, &partition),
                    Some(_) => {}
                    None => {
                        opening.push(self.open(broker, topic, index, epoch));
                        if opening.len() >= OPENING_MAX {
                            opening.next().await;
                        }
                    }
                }
            }
        }
        while opening.next().await.is_some() {}
    }

    async fn open(
        &self,
        broker: &Rc<Broker>,
        topic: &Arc<TopicImage>,
        index: PartitionIndex,
        epoch: LeaderEpoch,
    ) {
        let identity = LogIdentity {
            topic: topic.name.to_string(),
            topic_id: topic.id,
            partition: index,
        };
        let config = log_config(topic, &broker.topic_settings(topic));
        match broker.store.open_log(identity, config).await {
            Ok(log) => {
                let partition = Partition::new(topic.name.clone(), topic.id, index, log, epoch);
                configure(broker, topic, &partition);
                self.open.borrow_mut().insert((topic.id, index), partition);
            }
            // The partition stays offline: requests answer KAFKA_STORAGE_ERROR; the others go on.
            Err(error) => {
                tracing::error!(topic = %topic.name, partition = %index, "log not opened: {error}");
                self.offline.borrow_mut().insert((topic.id, index));
            }
        }
    }

    async fn delete_missing(&self, broker: &Rc<Broker>, before: &MetadataImage, after: &MetadataImage) {
        let gone: BTreeSet<TopicId> = before
            .topics()
            .filter(|topic| after.topic_by_id(topic.id).is_none())
            .map(|topic| topic.id)
            .collect();
        if gone.is_empty() {
            return;
        }
        self.offline
            .borrow_mut()
            .retain(|(topic, _)| !gone.contains(topic));
        let keys: Vec<_> = self
            .open
            .borrow()
            .keys()
            .filter(|(topic, _)| gone.contains(topic))
            .copied()
            .collect();
        for key in keys {
            let Some(partition) = self.open.borrow_mut().remove(&key) else {
                continue;
            };
            partition.fire_watchers();
            if let Err(error) = broker.store.delete_log(partition.log.clone()).await {
                tracing::error!(topic = %partition.topic, partition = %partition.index, "log not deleted: {error}");
            }
        }
    }
}

fn configure(broker: &Rc<Broker>, topic: &Arc<TopicImage>, partition: &Rc<Partition>) {
    let settings = broker.topic_settings(topic);
    partition.log.configure(log_config(topic, &settings));
    partition.set_min_insync_replicas(settings.min_insync_replicas);
}
