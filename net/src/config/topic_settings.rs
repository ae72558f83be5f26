//! A topic's effective settings, typed.

use tautline_core::batch::TimestampType;
use tautline_replica::metadata::{Configs, MetadataImage};

use super::BrokerConfig;
use super::definition::list;
use super::layers::Layers;

/// What a topic's partitions do, after all layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSettings {
    /// `retention.ms`, -1 for ever.
    pub retention_ms: i64,
    /// `retention.bytes`, -1 for all.
    pub retention_bytes: i64,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `flush.messages`; 1 is durable before acknowledged.
    pub flush_messages: i64,
    /// `flush.ms`, `i64::MAX` for no bound.
    pub flush_ms: i64,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.before.max.ms`, `i64::MAX` for any.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `cleanup.policy` contains `delete`.
    pub delete: bool,
    /// `cleanup.policy` contains `compact`.
    pub compact: bool,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`, `i64::MAX` for no bound.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`, in millionths.
    pub min_cleanable_dirty_millionths: u32,
}

impl TopicSettings {
    /// Whether a record is on disk before it is acknowledged. As in Kafka, `flush.messages=1` forces each record out, whatever
    /// `flush.ms` says.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        self.flush_messages == 1
    }

    fn of(layers: Layers<'_>) -> Self {
        let policy = layers.word("cleanup.policy");
        let cleans_by = |policy_word| list(&policy).any(|word| word == policy_word);
        let unsigned = |name| u64::try_from(layers.integer(name)).expect("the table has no negative one");
        Self {
            retention_ms: layers.integer("retention.ms"),
            retention_bytes: layers.integer("retention.bytes"),
            segment_bytes: unsigned("segment.bytes"),
            segment_ms: layers.integer("segment.ms"),
            flush_messages: layers.integer("flush.messages"),
            flush_ms: layers.integer("flush.ms"),
            max_message_bytes: unsigned("max.message.bytes") as usize,
            timestamp_type: match &layers.word("message.timestamp.type")[..] {
                "LogAppendTime" => TimestampType::LogAppendTime,
                _ => TimestampType::CreateTime,
            },
            timestamp_before_max_ms: layers.integer("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: layers.integer("message.timestamp.after.max.ms"),
            index_interval_bytes: unsigned("index.interval.bytes"),
            file_delete_delay_ms: layers.integer("file.delete.delay.ms"),
            min_insync_replicas: layers.integer("min.insync.replicas") as i32,
            delete: cleans_by("delete"),
            compact: cleans_by("compact"),
            delete_retention_ms: layers.integer("delete.retention.ms"),
            min_compaction_lag_ms: layers.integer("min.compaction.lag.ms"),
            max_compaction_lag_ms: layers.integer("max.compaction.lag.ms"),
            min_cleanable_dirty_millionths: (layers.number("min.cleanable.dirty.ratio") * 1e6) as u32,
        }
    }
}

impl BrokerConfig {
    /// The settings of a topic for which `configs` was set.
    #[must_use]
    pub fn topic_settings(&self, image: &MetadataImage, configs: &Configs) -> TopicSettings {
        TopicSettings::of(Layers {
            topic: Some(configs),
            ..self.layers(image)
        })
    }
}
