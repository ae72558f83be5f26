//! Effective settings on this shard: what the node was told, under what the metadata says.

use std::rc::Rc;
use std::sync::Arc;

use tautline_core::ids::TopicId;
use tautline_replica::metadata::{TopicImage, is_internal};
use tautline_store::LogConfig;

use super::Broker;
use crate::config::{BrokerSettings, TopicSettings};
use crate::coordinator::BATCH_BYTES_MAX;

/// A topic's settings, and the image of the topic that they were worked out from.
pub(super) type CachedSettings = (Arc<TopicImage>, Rc<TopicSettings>);

impl Broker {
    /// The broker's settings.
    pub fn settings(&self) -> BrokerSettings {
        self.settings.get()
    }

    /// A topic's settings; worked out once for each image of the topic.
    pub fn topic_settings(&self, topic: &Arc<TopicImage>) -> Rc<TopicSettings> {
        let key: TopicId = topic.id;
        if let Some((image, settings)) = self.topic_settings.borrow().get(&key)
            && Arc::ptr_eq(image, topic)
        {
            return settings.clone();
        }
        let settings = Rc::new(self.node.config.topic_settings(&self.image(), &topic.configs));
        self.topic_settings
            .borrow_mut()
            .insert(key, (topic.clone(), settings.clone()));
        settings
    }
}

/// A log's share of a topic's settings.
pub fn log_config(topic: &TopicImage, settings: &TopicSettings) -> LogConfig {
    // `max.message.bytes` bounds what clients write: here nobody but coordinators does, and they know their own bound.
    let max_message_bytes = if is_internal(&topic.name) {
        settings.max_message_bytes.max(BATCH_BYTES_MAX)
    } else {
        settings.max_message_bytes
    };
    LogConfig {
        segment_bytes: settings.segment_bytes,
        segment_ms: settings.segment_ms,
        retention_bytes: settings.retention_bytes,
        retention_ms: settings.retention_ms,
        flush_messages: settings.flush_messages.max(1) as u64,
        // `flush.messages=1` flushes each batch whatever `flush.ms` says; and Kafka's "never" is the largest number.
        flush_ms: (settings.flush_messages > 1 && settings.flush_ms != i64::MAX).then_some(settings.flush_ms),
        index_interval_bytes: settings.index_interval_bytes,
        max_message_bytes,
        timestamp_type: settings.timestamp_type,
        file_delete_delay_ms: settings.file_delete_delay_ms,
        delete: settings.delete,
        compact: settings.compact,
        delete_retention_ms: settings.delete_retention_ms,
        min_compaction_lag_ms: settings.min_compaction_lag_ms,
        max_compaction_lag_ms: settings.max_compaction_lag_ms,
        min_cleanable_dirty_millionths: settings.min_cleanable_dirty_millionths,
        replicated: false,
    }
}
