//! The broker's effective settings, typed. What topics inherit is in [`TopicSettings`](super::TopicSettings).

use tautline_replica::controller::ClusterDefaults;
use tautline_replica::metadata::MetadataImage;
use tautline_store::CleanerOptions;

use super::BrokerConfig;

/// What this broker does, after all layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokerSettings {
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `num.partitions`.
    pub partition_count: u32,
    /// `default.replication.factor`.
    pub replication_factor: i16,
    /// `delete.topic.enable`.
    pub topics_deletable: bool,
    /// `socket.request.max.bytes`.
    pub request_bytes_max: usize,
    /// `fetch.max.bytes`.
    pub fetch_bytes_max: usize,
    /// `max.incremental.fetch.session.cache.slots`, of the whole broker.
    pub fetch_session_slots: usize,
    /// `connections.max.idle.ms`, `None` for ever.
    pub connection_idle_ms_max: Option<u64>,
    /// `max.connections`, of the whole broker.
    pub connections_max: usize,
    /// `producer.id.expiration.ms`.
    pub producer_id_expiration_ms: i64,
    /// `transaction.partition.verification.enable`.
    pub partition_verification: bool,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// `log.cleaner.*`.
    pub cleaner: CleanerOptions,
}

impl BrokerSettings {
    /// What the controller asks the configuration.
    #[must_use]
    pub const fn cluster_defaults(&self) -> ClusterDefaults {
        ClusterDefaults {
            partition_count: self.partition_count,
            replication_factor: self.replication_factor,
            topics_deletable: self.topics_deletable,
        }
    }
}

impl BrokerConfig {
    /// The broker's settings. Those of read-only configurations never change.
    #[must_use]
    pub fn settings(&self, image: &MetadataImage) -> BrokerSettings {
        let layers = self.layers(image);
        let size = |name| usize::try_from(layers.integer(name)).expect("the table has no negative one");
        BrokerSettings {
            auto_create_topics: layers.flag("auto.create.topics.enable"),
            partition_count: layers.integer("num.partitions") as u32,
            replication_factor: layers.integer("default.replication.factor") as i16,
            topics_deletable: layers.flag("delete.topic.enable"),
            request_bytes_max: size("socket.request.max.bytes"),
            fetch_bytes_max: size("fetch.max.bytes"),
            fetch_session_slots: size("max.incremental.fetch.session.cache.slots"),
            connection_idle_ms_max: u64::try_from(layers.integer("connections.max.idle.ms")).ok(),
            connections_max: size("max.connections"),
            producer_id_expiration_ms: layers.integer("producer.id.expiration.ms"),
            partition_verification: layers.flag("transaction.partition.verification.enable"),
            retention_check_interval_ms: layers.integer("log.retention.check.interval.ms"),
            cleaner: CleanerOptions {
                enabled: layers.flag("log.cleaner.enable"),
                logs_at_a_time: size("log.cleaner.threads"),
                dedupe_buffer_bytes: size("log.cleaner.dedupe.buffer.size"),
                backoff_ms: layers.integer("log.cleaner.backoff.ms"),
                // Rounds what is larger than any number to the largest.
                io_bytes_per_second_max: layers.number("log.cleaner.io.max.bytes.per.second").ceil() as u64,
            },
        }
    }
}
