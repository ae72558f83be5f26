//! CreateTopics against a real broker.

mod common;

use common::{TestBroker, create, on_one_and_two_shards, produce, text, topic_name, topics};
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use tautline_core::error::ErrorCode;

const DYNAMIC_TOPIC: i8 = 1;
const DEFAULT: i8 = 5;

fn topic(name: &str, partitions: i32, replicas: i16) -> CreatableTopic {
    let topic = CreatableTopic::default().with_name(topic_name(name));
    topic
        .with_num_partitions(partitions)
        .with_replication_factor(replicas)
}

fn config(name: &str, value: Option<&str>) -> CreatableTopicConfig {
    CreatableTopicConfig::default()
        .with_name(text(name))
        .with_value(value.map(text))
}

/// KIP-525: from version 5 on the answer has the topic's whole configuration.
#[test]
fn creating_answers_with_the_configuration() {
    on_one_and_two_shards(|_, client| {
        for version in 2..=7 {
            let name = format!("created-{version}");
            let wanted = topic(&name, 3, 1).with_configs(vec![config("retention.ms", Some("3600000"))]);
            let request = CreateTopicsRequest::default().with_topics(vec![wanted]);
            let checked = client.ask(version, &request.clone().with_validate_only(true));
            assert_eq!(checked.topics[0].error_code, 0);
            let created = &client.ask(version, &request).topics[0];
            assert_eq!((created.error_code, &created.error_message), (0, &None), "{name}");
            if version >= 5 {
                assert_eq!((created.num_partitions, created.replication_factor), (3, 1));
                let configs = created.configs.as_ref().unwrap();
                let find = |name: &str| configs.iter().find(|it| &*it.name == name).unwrap();
                let retention = find("retention.ms");
                assert_eq!(
                    (retention.value.as_deref(), retention.config_source),
                    (Some("3600000"), DYNAMIC_TOPIC)
                );
                let flush = find("flush.messages");
                assert_eq!(
                    (flush.value.as_deref(), flush.config_source),
                    (Some("1"), DEFAULT)
                );
                assert!(!flush.read_only && !flush.is_sensitive);
                assert_eq!(checked.topics[0].configs, created.configs);
            }
            assert_eq!(created.topic_id.is_nil(), version < 7);
            assert!(topics(client).contains(&(name.clone(), 3)));
            assert_eq!(
                produce(client, &name, 2, 1),
                0,
                "its partitions are led when it is answered"
            );
        }
    });
}

#[test]
fn creating_is_refused_with_kafkas_codes() {
    let broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    create(client, "exists", 1, &[]);
    create(client, "a.b", 1, &[]);
    let assigned = |broker: i32| {
        let replicas = CreatableReplicaAssignment::default().with_partition_index(0);
        vec![replicas.with_broker_ids(vec![BrokerId(broker)])]
    };
    let refused = [
        (topic("exists", 1, 1), ErrorCode::TopicAlreadyExists),
        (topic("a_b", 1, 1), ErrorCode::InvalidTopicException),
        (topic("no/slash", 1, 1), ErrorCode::InvalidTopicException),
        (topic("", 1, 1), ErrorCode::InvalidTopicException),
        (topic("none", 0, 1), ErrorCode::InvalidPartitions),
        (topic("many", 10_001, 1), ErrorCode::PolicyViolation),
        (topic("unreplicated", 1, 0), ErrorCode::InvalidReplicationFactor),
        (topic("replicated", 1, 2), ErrorCode::InvalidReplicationFactor),
        (
            topic("no-config", 1, 1).with_configs(vec![config("no.such", Some("1"))]),
            ErrorCode::InvalidConfig,
        ),
        (
            topic("bad-config", 1, 1).with_configs(vec![config("segment.bytes", Some("x"))]),
            ErrorCode::InvalidConfig,
        ),
        (
            topic("null-config", 1, 1).with_configs(vec![config("segment.bytes", None)]),
            ErrorCode::InvalidConfig,
        ),
        (
            topic("both", 1, -1).with_assignments(assigned(1)),
            ErrorCode::InvalidRequest,
        ),
        (
            topic("elsewhere", -1, -1).with_assignments(assigned(7)),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (topic("twice", 1, 1), ErrorCode::InvalidRequest),
        (topic("twice", 1, 1), ErrorCode::InvalidRequest),
    ];
    let (mut wanted, codes): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
    wanted.push(topic("assigned", -1, -1).with_assignments(assigned(1)));
    let response = client.ask(7, &CreateTopicsRequest::default().with_topics(wanted));
    for (result, code) in response.topics.iter().zip(codes.iter().chain([&ErrorCode::None])) {
        assert_eq!(result.error_code, code.code(), "{result:?}");
        assert_eq!(result.error_message.is_some(), *code != ErrorCode::None);
    }
    let names: Vec<_> = topics(client).into_iter().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        ["a.b", "assigned", "exists"],
        "the others of the request are as if alone"
    );
}
