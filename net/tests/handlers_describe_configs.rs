//! DescribeConfigs and ListConfigResources against a real broker.

mod common;

use common::configs::*;
use common::{TestBroker, create, text};
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use tautline_core::error::ErrorCode;

#[test]
fn topics_and_brokers_are_described() {
    let broker = TestBroker::start(2, &["--set", "log.retention.hours=5"]);
    let client = &mut broker.connect();
    create(client, "described", 1, &[("segment.bytes", "2097152")]);
    for version in 1..=4 {
        let all = describe(client, version, TOPIC, "described", None);
        assert_eq!(
            (all.error_code, all.resource_type, &*all.resource_name),
            (0, TOPIC, "described")
        );
        let find = |name: &str| all.configs.iter().find(|it| &*it.name == name).unwrap();
        let size = find("segment.bytes");
        assert_eq!(
            (size.value.as_deref(), size.config_source, size.read_only),
            (Some("2097152"), DYNAMIC_TOPIC, false)
        );
        assert_eq!(size.config_type, if version >= 3 { 3 } else { 0 });
        assert_eq!(
            size.documentation
                .as_deref()
                .is_some_and(|it| it.contains("segment")),
            version >= 3
        );
        let synonyms: Vec<_> = size
            .synonyms
            .iter()
            .map(|it| (it.name.to_string(), it.source))
            .collect();
        assert_eq!(synonyms[0], ("segment.bytes".to_owned(), DYNAMIC_TOPIC));
        assert_eq!(synonyms.last().unwrap().1, DEFAULT);
        let retention = find("retention.ms");
        assert_eq!(
            (retention.value.as_deref(), retention.config_source),
            (Some("18000000"), STATIC_BROKER)
        );
        let synonym = &retention.synonyms[0];
        assert_eq!(
            (&*synonym.name, synonym.value.as_deref()),
            ("log.retention.hours", Some("5"))
        );
        assert_eq!(find("flush.messages").config_source, DEFAULT);
        // No keys, or null, is all; otherwise those that exist.
        assert_eq!(
            describe(client, version, TOPIC, "described", Some(&[])).configs,
            all.configs
        );
        let some = describe(
            client,
            version,
            TOPIC,
            "described",
            Some(&["flush.ms", "no.such"]),
        );
        assert_eq!(some.configs.len(), 1);
    }
    let this = describe(client, 4, BROKER, "1", None);
    let find = |name: &str| this.configs.iter().find(|it| &*it.name == name).unwrap();
    assert_eq!(
        (find("node.id").value.as_deref(), find("node.id").read_only),
        (Some("1"), true)
    );
    assert!(!find("log.segment.bytes").read_only);
    assert_eq!(find("log.retention.hours").config_source, STATIC_BROKER);
    assert_eq!(
        describe(client, 4, BROKER, "", None).configs,
        [],
        "nothing was set for all brokers"
    );
}

/// Synonyms and documentation cost bytes: only who asks gets them.
#[test]
fn synonyms_and_documentation_are_extra() {
    let broker = TestBroker::start(1, &[]);
    let client = &mut broker.connect();
    let resource = DescribeConfigsResource::default()
        .with_resource_type(BROKER)
        .with_resource_name(text("1"))
        .with_configuration_keys(None);
    let twice = vec![resource.clone(), resource];
    let response = client.ask(4, &DescribeConfigsRequest::default().with_resources(twice));
    assert_eq!(response.results.len(), 1, "the same resource is told once");
    let configs = &response.results[0].configs;
    assert!(
        configs
            .iter()
            .all(|it| it.synonyms.is_empty() && it.documentation.is_none())
    );
}

#[test]
fn what_cannot_be_described_says_so() {
    let broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    for (kind, name, code) in [
        (TOPIC, "absent", ErrorCode::UnknownTopicOrPartition),
        (TOPIC, "no/slash", ErrorCode::InvalidTopicException),
        (TOPIC, "", ErrorCode::InvalidTopicException),
        (BROKER, "2", ErrorCode::InvalidRequest),
        (BROKER, "one", ErrorCode::InvalidRequest),
        (BROKER_LOGGER, "1", ErrorCode::InvalidRequest),
        (CLIENT_METRICS, "x", ErrorCode::InvalidRequest),
        (GROUP, "", ErrorCode::InvalidRequest),
        (0, "x", ErrorCode::InvalidRequest),
        (99, "x", ErrorCode::InvalidRequest),
    ] {
        let result = describe(client, 4, kind, name, None);
        assert_eq!(result.error_code, code.code(), "{kind} {name}");
        assert_eq!(
            (result.resource_type, &*result.resource_name, &result.configs[..]),
            (kind, name, &[][..])
        );
        assert!(result.error_message.is_some());
    }
}

/// KIP-1142.
#[test]
fn configured_resources_are_listed() {
    let broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    create(client, "b", 1, &[]);
    create(client, "a", 1, &[]);
    let mut list = |version: i16, kinds: &[i8]| {
        let response = client.ask(
            version,
            &ListConfigResourcesRequest::default().with_resource_types(kinds.to_vec()),
        );
        let names = response
            .config_resources
            .iter()
            .map(|it| (it.resource_type, it.resource_name.to_string()));
        (response.error_code, names.collect::<Vec<_>>())
    };
    let (topics, brokers) = (
        [(TOPIC, "a".to_owned()), (TOPIC, "b".to_owned())],
        [(BROKER, "1".to_owned())],
    );
    assert_eq!(
        list(0, &[]),
        (0, vec![]),
        "only subscriptions to clients' metrics"
    );
    assert_eq!(list(1, &[]), (0, [&brokers[..], &topics[..]].concat()));
    assert_eq!(list(1, &[TOPIC, TOPIC]), (0, topics.to_vec()));
    assert_eq!(list(1, &[BROKER]), (0, brokers.to_vec()));
    assert_eq!(list(1, &[BROKER_LOGGER, CLIENT_METRICS, GROUP]), (0, vec![]));
    assert_eq!(
        list(1, &[TOPIC, 99]),
        (ErrorCode::UnsupportedVersion.code(), vec![])
    );
}
