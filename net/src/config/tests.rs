//! Layers, settings, rules and descriptions together.

use tautline_core::batch::TimestampType;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{NodeId, TopicId};
use tautline_replica::controller::{ClusterDefaults, ConfigRules};
use tautline_replica::metadata::{ConfigResource, Configs, MetadataImage, MetadataRecord};

use super::*;

const NODE: NodeId = NodeId(1);

fn image(set: &[(ConfigResource, &str, &str)]) -> MetadataImage {
    let mut image = MetadataImage::default();
    let id = TopicId::default();
    image
        .apply(&MetadataRecord::Topic {
            id,
            name: "t".to_owned(),
            partition_count: 1,
        })
        .unwrap();
    for (resource, name, value) in set {
        let (resource, name, value) = (resource.clone(), (*name).to_owned(), (*value).to_owned());
        image
            .apply(&MetadataRecord::SetConfig {
                resource,
                name,
                value,
            })
            .unwrap();
    }
    image
}

fn topic() -> ConfigResource {
    ConfigResource::Topic("t".to_owned())
}

fn settings(fixed: &[(&str, &str)], set: &[(ConfigResource, &str, &str)]) -> TopicSettings {
    let image = image(set);
    let config = BrokerConfig::new(NODE, fixed.iter().copied()).unwrap();
    config.topic_settings(&image, &image.topic("t").unwrap().configs)
}

#[test]
fn topics_are_durable_by_default() {
    let settings = settings(&[], &[]);
    assert_eq!(
        settings,
        TopicSettings {
            retention_ms: 604_800_000,
            retention_bytes: -1,
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            flush_messages: 1,
            flush_ms: i64::MAX,
            max_message_bytes: 1_048_588,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            index_interval_bytes: 4_096,
            file_delete_delay_ms: 60_000,
            min_insync_replicas: 1,
            delete: true,
            compact: false,
            delete_retention_ms: 86_400_000,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_millionths: 500_000,
        }
    );
    assert!(settings.is_durable());
}

#[test]
fn brokers_have_kafkas_defaults() {
    let settings = BrokerConfig::new(NODE, [])
        .unwrap()
        .settings(&MetadataImage::default());
    assert_eq!(
        settings,
        BrokerSettings {
            auto_create_topics: true,
            partition_count: 1,
            replication_factor: 1,
            topics_deletable: true,
            request_bytes_max: 104_857_600,
            fetch_bytes_max: 57_671_680,
            fetch_session_slots: 1_000,
            connection_idle_ms_max: Some(600_000),
            connections_max: 2_147_483_647,
            producer_id_expiration_ms: 86_400_000,
            partition_verification: true,
            retention_check_interval_ms: 300_000,
            cleaner: tautline_store::CleanerOptions::default(),
        }
    );
    assert_eq!(settings.cluster_defaults(), ClusterDefaults::default());
    let never = BrokerConfig::new(NODE, [("connections.max.idle.ms", "-1")]).unwrap();
    assert_eq!(
        never.settings(&MetadataImage::default()).connection_idle_ms_max,
        None
    );
}

#[test]
fn the_nearest_layer_counts() {
    let retention = |fixed: &[_], set: &[_]| settings(fixed, set).retention_ms;
    let broker = |name, value| (ConfigResource::Broker(NODE), name, value);
    let all = |name, value| (ConfigResource::BrokerDefault, name, value);
    let other = (ConfigResource::Broker(NodeId(9)), "log.retention.ms", "9");
    let ms = "log.retention.ms";
    assert_eq!(retention(&[("log.retention.hours", "2")], &[]), 7_200_000);
    assert_eq!(
        retention(
            &[("log.retention.hours", "2"), ("log.retention.minutes", "3")],
            &[]
        ),
        180_000
    );
    assert_eq!(retention(&[("log.retention.hours", "-1")], &[]), -1);
    assert_eq!(retention(&[(ms, "1"), ("log.retention.hours", "2")], &[other]), 1);
    assert_eq!(retention(&[(ms, "1")], &[all(ms, "2")]), 2);
    assert_eq!(retention(&[(ms, "1")], &[all(ms, "2"), broker(ms, "3")]), 3);
    let own = (topic(), "retention.ms", "4");
    assert_eq!(retention(&[(ms, "1")], &[all(ms, "2"), broker(ms, "3"), own]), 4);
    // A topic configuration of the same name as a broker's does not read the broker's as its own.
    assert_eq!(
        settings(&[("min.insync.replicas", "2")], &[]).min_insync_replicas,
        2
    );
    let own = (topic(), "min.insync.replicas", "3");
    assert_eq!(
        settings(&[("min.insync.replicas", "2")], &[own]).min_insync_replicas,
        3
    );
}

#[test]
fn typed_settings_follow_their_texts() {
    let settings = settings(
        &[
            ("log.flush.interval.messages", "100"),
            ("message.max.bytes", "5000"),
        ],
        &[
            (topic(), "message.timestamp.type", "LogAppendTime"),
            (topic(), "segment.bytes", " 1048576 "),
        ],
    );
    assert!(!settings.is_durable());
    assert_eq!(settings.max_message_bytes, 5_000);
    assert_eq!(settings.timestamp_type, TimestampType::LogAppendTime);
    assert_eq!(settings.segment_bytes, 1 << 20);
}

#[test]
fn a_stored_value_that_is_not_legal_does_not_count() {
    // As after a start of an older version on newer metadata: the broker starts, with the next layer.
    let stale = (topic(), "retention.ms", "soon");
    assert_eq!(settings(&[("log.retention.ms", "5")], &[stale]).retention_ms, 5);
}

fn one(name: &str, value: &str) -> Configs {
    Configs::from([(name.to_owned(), value.to_owned())])
}

#[test]
fn compaction_has_layers_of_its_own() {
    let set = [
        (topic(), "cleanup.policy", "compact , delete"),
        (topic(), "min.cleanable.dirty.ratio", "0.25"),
    ];
    let found = settings(&[("log.cleaner.delete.retention.ms", "7")], &set);
    assert!(found.compact && found.delete);
    assert_eq!(
        (found.min_cleanable_dirty_millionths, found.delete_retention_ms),
        (250_000, 7)
    );
    let found = settings(
        &[
            ("log.cleanup.policy", "compact"),
            ("log.cleaner.min.cleanable.ratio", "0.1"),
        ],
        &[],
    );
    assert!(found.compact && !found.delete);
    assert_eq!(found.min_cleanable_dirty_millionths, 100_000);
}

#[test]
fn rules_refuse_what_is_not_honoured() {
    let code = |resource: &ConfigResource, name: &str, value: &str| {
        BrokerConfig::new(NODE, [])
            .unwrap()
            .rules()
            .check(resource, &one(name, value))
            .map_err(|refusal| {
                assert!(refusal.message.contains(name), "{}", refusal.message);
                refusal.code
            })
    };
    let broker = ConfigResource::Broker(NODE);
    assert_eq!(code(&topic(), "retention.ms", "1000"), Ok(()));
    assert_eq!(
        code(&topic(), "cleanup.policy", "squeeze"),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(code(&topic(), "cleanup.policy", "compact,delete"), Ok(()));
    let lags = |min: &str, max: &str| {
        let mut configs = one("min.compaction.lag.ms", min);
        configs.insert("max.compaction.lag.ms".to_owned(), max.to_owned());
        BrokerConfig::new(NODE, [])
            .unwrap()
            .rules()
            .check(&topic(), &configs)
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(lags("5", "5"), Ok(()));
    assert_eq!(lags("6", "5"), Err(ErrorCode::InvalidConfig));
    assert_eq!(
        code(&topic(), "compression.type", "gzip"),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(
        code(&topic(), "unclean.leader.election.enable", "true"),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(code(&topic(), "unclean.leader.election.enable", "false"), Ok(()));
    assert_eq!(
        code(&topic(), "segment.jitter.ms", "0"),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(
        code(&topic(), "no.such.thing", "1"),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(
        code(&topic(), "flush.messages", "0"),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(
        code(&topic(), "segment.bytes", "2147483648"),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(
        code(&topic(), "log.retention.ms", "1"),
        Err(ErrorCode::InvalidConfig)
    );
    assert_eq!(code(&broker, "log.retention.ms", "1"), Ok(()));
    assert_eq!(
        code(&ConfigResource::BrokerDefault, "message.max.bytes", "1"),
        Ok(())
    );
    assert_eq!(code(&broker, "retention.ms", "1"), Err(ErrorCode::InvalidConfig));
    assert_eq!(
        code(&broker, "num.partitions", "1"),
        Err(ErrorCode::InvalidRequest)
    );
    assert_eq!(code(&broker, "listeners", "x"), Err(ErrorCode::InvalidRequest));
    assert_eq!(
        BrokerConfig::new(NODE, [])
            .unwrap()
            .rules()
            .list_default(&topic(), "cleanup.policy")
            .as_deref(),
        Some("delete")
    );
    assert_eq!(
        BrokerConfig::new(NODE, [])
            .unwrap()
            .rules()
            .list_default(&topic(), "retention.ms"),
        None
    );
    assert_eq!(
        BrokerConfig::new(NODE, [])
            .unwrap()
            .rules()
            .list_default(&topic(), "no.such.thing"),
        None
    );
}

fn synonyms(described: &Described) -> Vec<(&str, &str, Source)> {
    described
        .synonyms
        .iter()
        .map(|it| (it.name, &it.value[..], it.source))
        .collect()
}

#[test]
fn topics_are_described_with_sources_and_synonyms() {
    let image = image(&[
        (topic(), "retention.ms", "4"),
        (ConfigResource::BrokerDefault, "log.retention.ms", "3"),
        (ConfigResource::BrokerDefault, "log.segment.bytes", "2097152"),
    ]);
    let config = BrokerConfig::new(NODE, [("log.retention.hours", "2"), ("log.roll.hours", "1")]).unwrap();
    let configs = &image.topic("t").unwrap().configs;
    let all = config.describe_topic(&image, configs, |_| true);
    assert_eq!(all.len(), topic_definitions().len());
    let get = |name: &str| all.iter().find(|it| it.name == name).unwrap();
    let retention = get("retention.ms");
    assert_eq!(
        (retention.value.as_deref(), retention.source),
        (Some("4"), Source::DynamicTopic)
    );
    assert!(!retention.is_default() && !retention.read_only && !retention.sensitive);
    assert_eq!(
        synonyms(retention),
        [
            ("retention.ms", "4", Source::DynamicTopic),
            ("log.retention.ms", "3", Source::DynamicDefaultBroker),
            ("log.retention.hours", "2", Source::StaticBroker),
            ("retention.ms", "604800000", Source::Default),
        ]
    );
    let segment = get("segment.bytes");
    assert_eq!(
        (segment.value.as_deref(), segment.source),
        (Some("2097152"), Source::DynamicDefaultBroker)
    );
    let largest = tautline_store::limits::SEGMENT_CLASSES.last().unwrap() >> 20;
    assert!(segment.documentation.contains(&format!("at most {largest} MiB")));
    let roll = get("segment.ms");
    assert_eq!(
        (roll.value.as_deref(), roll.source),
        (Some("3600000"), Source::StaticBroker)
    );
    let flush = get("flush.messages");
    assert!(flush.is_default());
    assert_eq!((flush.value.as_deref(), flush.kind), (Some("1"), Kind::Long));
    assert!(flush.documentation.contains("durable"));
    let some = config.describe_topic(&image, configs, |name| name == "flush.ms");
    assert_eq!(some.len(), 1);
}

#[test]
fn brokers_are_described() {
    let image = image(&[(ConfigResource::BrokerDefault, "message.max.bytes", "7")]);
    let mut config = BrokerConfig::new(NODE, [("num.partitions", "3")]).unwrap();
    config.tell("listeners", "PLAINTEXT://127.0.0.1:9092");
    let all = config.describe_broker(&image, |_| true);
    let get = |name: &str| all.iter().find(|it| it.name == name).unwrap();
    let partitions = get("num.partitions");
    assert_eq!(
        (partitions.value.as_deref(), partitions.source),
        (Some("3"), Source::StaticBroker)
    );
    assert!(partitions.read_only);
    assert_eq!(get("broker.id").value.as_deref(), Some("1"));
    assert_eq!(get("listeners").source, Source::StaticBroker);
    assert_eq!(get("log.retention.minutes").value, None);
    assert!(get("log.retention.minutes").is_default());
    let size = get("message.max.bytes");
    assert_eq!(
        (size.value.as_deref(), size.source),
        (Some("7"), Source::DynamicDefaultBroker)
    );
    assert!(!size.read_only);
    let defaults = config.describe_broker_default(&image, |_| true);
    assert_eq!(
        defaults.iter().map(|it| it.name).collect::<Vec<_>>(),
        ["message.max.bytes"]
    );
}
