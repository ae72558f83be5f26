//! What group coordinators are told, and how the internal topics are made.

use tautline_replica::groups::{GroupConfig, MigrationPolicy};
use tautline_replica::metadata::MetadataImage;

use super::BrokerConfig;
use super::definition::list;

/// How an internal topic is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InternalTopicSettings {
    /// Number of partitions.
    pub partition_count: i32,
    /// Replicas of each.
    pub replication_factor: i16,
    /// `segment.bytes`.
    pub segment_bytes: i64,
}

impl BrokerConfig {
    /// The settings of group coordinators; none of them changes while the broker runs.
    #[must_use]
    pub fn group_config(&self) -> GroupConfig {
        let image = MetadataImage::default();
        let layers = self.layers(&image);
        let int = |name| layers.integer(name) as i32;
        let size = |name| usize::try_from(layers.integer(name)).expect("the table has no negative one");
        GroupConfig {
            initial_rebalance_delay_ms: int("group.initial.rebalance.delay.ms"),
            min_session_timeout_ms: int("group.min.session.timeout.ms"),
            max_session_timeout_ms: int("group.max.session.timeout.ms"),
            max_size: size("group.max.size"),
            offset_metadata_max_bytes: size("offset.metadata.max.bytes"),
            offsets_retention_minutes: layers.integer("offsets.retention.minutes"),
            offsets_retention_check_interval_ms: layers.integer("offsets.retention.check.interval.ms"),
            consumer_session_timeout_ms: int("group.consumer.session.timeout.ms"),
            consumer_heartbeat_interval_ms: int("group.consumer.heartbeat.interval.ms"),
            consumer_max_size: size("group.consumer.max.size"),
            consumer_assignors: list(&layers.word("group.consumer.assignors"))
                .map(str::to_owned)
                .collect(),
            consumer_assignment_interval_ms: 0,
            consumer_migration_policy: MigrationPolicy::from_name(
                &layers.word("group.consumer.migration.policy"),
            )
            .expect("the candidates are legal"),
            consumer_regex_refresh_interval_ms: layers.integer("group.consumer.regex.refresh.interval.ms"),
        }
    }

    /// How `__consumer_offsets` is created.
    #[must_use]
    pub fn offsets_topic(&self) -> InternalTopicSettings {
        self.internal_topic([
            "offsets.topic.num.partitions",
            "offsets.topic.replication.factor",
            "offsets.topic.segment.bytes",
        ])
    }

    /// How `__transaction_state` is created.
    #[must_use]
    pub fn transactions_topic(&self) -> InternalTopicSettings {
        self.internal_topic([
            "transaction.state.log.num.partitions",
            "transaction.state.log.replication.factor",
            "transaction.state.log.segment.bytes",
        ])
    }

    fn internal_topic(&self, names: [&'static str; 3]) -> InternalTopicSettings {
        let image = MetadataImage::default();
        let [partitions, replicas, segment] = names.map(|name| self.layers(&image).integer(name));
        InternalTopicSettings {
            partition_count: partitions as i32,
            replication_factor: replicas as i16,
            segment_bytes: segment,
        }
    }
}

#[cfg(test)]
mod tests {
    use tautline_core::ids::NodeId;

    use super::*;

    #[test]
    fn groups_have_kafkas_defaults() {
        let config = BrokerConfig::new(NodeId(1), []).unwrap();
        assert_eq!(config.group_config(), GroupConfig::default());
        let topic = InternalTopicSettings {
            partition_count: 50,
            replication_factor: 1,
            segment_bytes: 104_857_600,
        };
        assert_eq!(
            (config.offsets_topic(), config.transactions_topic()),
            (topic, topic)
        );
    }

    #[test]
    fn what_is_set_at_start_counts() {
        let set = [
            ("group.consumer.assignors", "range, uniform"),
            ("group.consumer.migration.policy", "upgrade"),
            ("group.max.size", "3"),
            ("offsets.topic.num.partitions", "4"),
        ];
        let config = BrokerConfig::new(NodeId(1), set).unwrap();
        let groups = config.group_config();
        assert_eq!(groups.consumer_assignors, ["range", "uniform"]);
        assert_eq!(groups.consumer_migration_policy, MigrationPolicy::Upgrade);
        assert_eq!(groups.max_size, 3);
        assert_eq!(config.offsets_topic().partition_count, 4);
        for wrong in [
            ("group.consumer.assignors", "sticky"),
            ("group.consumer.migration.policy", "sideways"),
            ("offsets.topic.replication.factor", "3"),
        ] {
            assert!(BrokerConfig::new(NodeId(1), [wrong]).is_err(), "{wrong:?}");
        }
    }
}
