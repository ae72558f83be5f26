//! The partitions a shard owns, kept in step with the metadata image.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rustc_hash::FxHashMap;
use tautline_core::ids::{LeaderEpoch, PartitionIndex, TopicId};
use tautline_core::sync::Signal;
use tautline_replica::metadata::{MetadataImage, TopicImage};
use tautline_store::{LogIdentity, StoreError};

use super::offline::Offline;
use super::settings::log_config;
use super::{Broker, Partition};

/// Logs opened at a time: their reads overlap, and the descriptors and memory of recovery stay bounded.
const OPENING_MAX: usize = 64;

/// The partitions of one shard.
#[derive(Default)]
pub struct Partitions {
    open: RefCell<FxHashMap<(TopicId, PartitionIndex), Rc<Partition>>>,
    pub(super) offline: Offline,
    /// Logs are being opened and deleted.
    busy: Cell<bool>,
    idle: Signal,
}

/// Held by whoever opens and deletes logs: a log is not opened twice at a time, nor while another of its name is deleted.
pub(super) struct Turn<'a>(&'a Partitions);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
        self.0.idle.notify_all();
    }
}

impl Partitions {
    /// The partition, if this shard owns it and its log is open.
    pub fn get(&self, topic: TopicId, partition: PartitionIndex) -> Option<Rc<Partition>> {
        self.open.borrow().get(&(topic, partition)).cloned()
    }

    /// Waits until nobody else opens or deletes logs.
    pub(super) async fn turn(&self) -> Turn<'_> {
        while self.busy.replace(true) {
            self.idle.wait().await;
        }
        Turn(self)
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
        let defaults_changed = before.broker_defaults() != after.broker_defaults()
            || before.broker_configs(broker.node_id()) != after.broker_configs(broker.node_id());
        let mut opened = Vec::new();
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
                        opening.push(self.try_open(broker, topic, index));
                        if opening.len() >= OPENING_MAX {
                            opened.extend(opening.next().await);
                        }
                    }
                }
            }
        }
        opened.extend(opening.collect::<Vec<_>>().await);
        broker.note_offline(|keys| {
            for (key, is_open) in opened {
                if is_open {
                    keys.remove(&key);
                } else {
                    keys.insert(key);
                }
            }
        });
    }

    /// Opens a partition's log, if it can; otherwise the partition is offline, and the others go on.
    async fn try_open(
        &self,
        broker: &Rc<Broker>,
        topic: &Arc<TopicImage>,
        index: PartitionIndex,
    ) -> ((TopicId, PartitionIndex), bool) {
        let opened = self.open(broker, topic, index).await;
        if let Err(error) = &opened {
            tracing::error!(topic = %topic.name, partition = %index, "log not opened: {error}");
        }
        ((topic.id, index), opened.is_ok())
    }

    /// Opens a partition's log and begins to lead it.
    pub(super) async fn open(
        &self,
        broker: &Rc<Broker>,
        topic: &Arc<TopicImage>,
        index: PartitionIndex,
    ) -> Result<(), StoreError> {
        let identity = LogIdentity {
            topic: topic.name.to_string(),
            topic_id: topic.id,
            partition: index,
        };
        let config = log_config(topic, &broker.topic_settings(topic));
        let log = broker.store.open_log(identity, config).await?;
        let image = broker.image();
        let epoch = image
            .broker(broker.node_id())
            .map_or(LeaderEpoch(0), |b| LeaderEpoch(b.incarnation));
        let partition = Partition::new(topic.name.clone(), topic.id, index, log, epoch);
        configure(broker, topic, &partition);
        self.open.borrow_mut().insert((topic.id, index), partition);
        Ok(())
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
        broker.note_offline(|keys| keys.retain(|(topic, _)| !gone.contains(topic)));
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
