//! Features and internal topics against a real broker. KIP-584, KIP-1022.

mod common;

use common::configs::{self, GROUP};
use common::groups::{QUICK, code, commit, fetch, found};
use common::{TestBroker, create, end_offset, on_one_and_two_shards, produce_error, text, topic_name};
use kafka_protocol::messages::api_versions_request::ApiVersionsRequest;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequest;
use kafka_protocol::messages::update_features_request::{FeatureUpdateKey, UpdateFeaturesRequest};
use tautline_core::batch::BatchBuilder;
use tautline_core::error::ErrorCode;

/// Name and level of the features that run, and their epoch.
fn levels(client: &mut common::Client, version: i16) -> (Vec<(String, i16)>, i64) {
    let request = ApiVersionsRequest::default()
        .with_client_software_name(text("test"))
        .with_client_software_version(text("1"));
    let response = client.ask(version, &request);
    assert_eq!(response.error_code, 0);
    let supported = response
        .supported_features
        .iter()
        .find(|it| &*it.name == "group.version");
    assert_eq!(
        supported.is_some(),
        version >= 4,
        "version 3 can't say that 0 is supported"
    );
    let levels = response
        .finalized_features
        .iter()
        .map(|it| (it.name.to_string(), it.max_version_level));
    (levels.collect(), response.finalized_features_epoch)
}

fn update(client: &mut common::Client, feature: &str, level: i16, kind: i8, check: bool) -> ErrorCode {
    let key = FeatureUpdateKey::default()
        .with_feature(text(feature))
        .with_max_version_level(level)
        .with_upgrade_type(kind);
    let request = UpdateFeaturesRequest::default()
        .with_feature_updates(vec![key])
        .with_validate_only(check);
    let answers = [1, 2].map(|version| {
        let request = request.clone().with_validate_only(check || version == 1);
        client.ask(version, &request)
    });
    assert_eq!(answers[0].error_code, answers[1].error_code);
    assert_eq!(answers[0].results.len(), usize::from(answers[0].error_code == 0));
    code(answers[1].error_code)
}

#[test]
fn levels_are_told_and_changed() {
    const UPGRADE: i8 = 1;
    const SAFE_DOWNGRADE: i8 = 2;
    on_one_and_two_shards(|broker, client| {
        let group_version = |levels: &[(String, i16)]| {
            levels
                .iter()
                .find(|(name, _)| name == "group.version")
                .map(|(_, level)| *level)
        };
        let (before, epoch) = levels(client, 4);
        assert_eq!((group_version(&before), epoch >= 0), (Some(1), true));
        assert_eq!(levels(client, 3).0, before);
        let invalid = ErrorCode::InvalidUpdateVersion;
        assert_eq!(update(client, "group.version", 0, UPGRADE, false), invalid);
        assert_eq!(update(client, "group.version", 2, UPGRADE, false), invalid);
        assert_eq!(update(client, "group.version", 1, 9, false), invalid);
        assert_eq!(update(client, "no.such", 1, UPGRADE, false), invalid);
        assert_eq!(
            update(client, "group.version", 0, SAFE_DOWNGRADE, true),
            ErrorCode::None
        );
        assert_eq!(levels(client, 4), (before, epoch), "it was only checked");
        assert_eq!(
            update(client, "group.version", 0, SAFE_DOWNGRADE, false),
            ErrorCode::None
        );
        assert_eq!(group_version(&levels(client, 4).0), None);
        let client = &mut broker.crash_and_restart(2);
        let (after, later) = levels(client, 4);
        assert_eq!((group_version(&after), later > epoch), (None, true));
    });
}

#[test]
fn internal_topics_are_the_brokers() {
    let broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    // A client that asks for its metadata has it made as the broker would.
    let asked = kafka_protocol::messages::metadata_request::MetadataRequestTopic::default()
        .with_name(Some(topic_name("__consumer_offsets")));
    let request = MetadataRequest::default()
        .with_topics(Some(vec![asked]))
        .with_allow_auto_topic_creation(true);
    let topic = client.ask(9, &request).topics.remove(0);
    assert_eq!(
        (topic.error_code, topic.is_internal, topic.partitions.len()),
        (0, true, 50)
    );
    let config = |client: &mut common::Client, key| {
        configs::value_and_source(client, configs::TOPIC, "__consumer_offsets", key).0
    };
    assert_eq!(config(client, "cleanup.policy"), "compact");
    assert_eq!(config(client, "segment.bytes"), "104857600");
    let batch = BatchBuilder::new(1).record(Some(b"k"), Some(b"v")).build();
    let refused = produce_error(client, "__consumer_offsets", 0, batch);
    assert_eq!(code(refused), ErrorCode::InvalidTopicException);
    let more = CreatePartitionsTopic::default()
        .with_name(topic_name("__consumer_offsets"))
        .with_count(100);
    let request = CreatePartitionsRequest::default().with_topics(vec![more]);
    assert_eq!(
        code(client.ask(3, &request).results[0].error_code),
        ErrorCode::InvalidTopicException
    );
    // It can be read, and what lies in it is a group's.
    create(client, "t", 1, &[]);
    found(client, "g");
    commit(client, "g", "t", &[(0, 1)]);
    let written: i64 = (0..50)
        .map(|index| end_offset(client, "__consumer_offsets", index))
        .sum();
    assert!(written >= 1);
}

/// An administrator may delete it, as in Kafka: then all is forgotten, and goes on.
#[test]
fn deleting_the_offsets_forgets_them() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 1, &[]);
    found(client, "g");
    commit(client, "g", "t", &[(0, 1)]);
    let request = kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest::default()
        .with_topic_names(vec![topic_name("__consumer_offsets")])
        .with_timeout_ms(10_000);
    assert_eq!(client.ask(5, &request).responses[0].error_code, 0);
    assert_eq!(fetch(client, "g", "t", &[0]), Err(ErrorCode::NotCoordinator));
    found(client, "g");
    assert_eq!(fetch(client, "g", "t", &[0]), Ok(vec![-1]));
    assert_eq!(commit(client, "g", "t", &[(0, 3)]), [ErrorCode::None]);
}

#[test]
fn groups_have_configurations() {
    let broker = TestBroker::start(2, &["--set", "group.consumer.session.timeout.ms=50000"]);
    let client = &mut broker.connect();
    let key = "consumer.session.timeout.ms";
    let before = configs::value_and_source(client, GROUP, "g", key);
    assert_eq!(before, ("50000".to_owned(), configs::STATIC_BROKER));
    let set = (GROUP, "g", &[(key, configs::SET, Some("46000"))][..]);
    assert_eq!(configs::change(client, &[set], false), [0]);
    let after = configs::value_and_source(client, GROUP, "g", key);
    assert_eq!(after, ("46000".to_owned(), 8));
    for (change, expected) in [
        ((key, configs::SET, Some("x")), ErrorCode::InvalidConfig),
        (
            ("retention.ms", configs::SET, Some("1")),
            ErrorCode::InvalidConfig,
        ),
    ] {
        assert_eq!(
            configs::change(client, &[(GROUP, "g", &[change])], false),
            [expected.code()]
        );
    }
    assert_eq!(
        configs::change(client, &[(GROUP, "", &[])], false),
        [ErrorCode::InvalidRequest.code()]
    );
}
