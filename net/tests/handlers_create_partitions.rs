//! CreatePartitions against a real broker, and what a crash leaves of topics.

mod common;

use common::{TestBroker, create, end_offset, on_one_and_two_shards, produce, topic_name, topics};
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::metadata_request::MetadataRequest;
use tautline_core::error::ErrorCode;

#[test]
fn partitions_are_added() {
    on_one_and_two_shards(|_, client| {
        create(client, "grows", 1, &[]);
        produce(client, "grows", 0, 3);
        let to = |name: &str, count: i32| {
            let topic = CreatePartitionsTopic::default()
                .with_name(topic_name(name))
                .with_count(count);
            topic.with_assignments(None)
        };
        for version in 0..=3 {
            let count = 2 + 2 * i32::from(version);
            let request = CreatePartitionsRequest::default().with_topics(vec![to("grows", count)]);
            let checked = client.ask(version, &request.clone().with_validate_only(true));
            assert_eq!(checked.results[0].error_code, 0);
            assert!(!topics(client).contains(&("grows".to_owned(), count as usize)));
            let response = client.ask(version, &request);
            assert_eq!(
                (response.results[0].error_code, &response.results[0].error_message),
                (0, &None)
            );
            assert!(topics(client).contains(&("grows".to_owned(), count as usize)));
            assert_eq!(produce(client, "grows", count - 1, 1), 0);
        }
        assert_eq!(end_offset(client, "grows", 0), 3);
        let on = |broker: i32| {
            Some(vec![
                CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(broker)]),
            ])
        };
        let refused = [
            (to("grows", 8), ErrorCode::InvalidPartitions),
            (to("absent", 2), ErrorCode::UnknownTopicOrPartition),
            (to("twice", 2), ErrorCode::InvalidRequest),
            (to("twice", 2), ErrorCode::InvalidRequest),
        ];
        let (wanted, expected): (Vec<_>, Vec<_>) = refused.into_iter().unzip();
        let response = client.ask(3, &CreatePartitionsRequest::default().with_topics(wanted));
        let found: Vec<_> = response.results.iter().map(|it| it.error_code).collect();
        assert_eq!(found, expected.iter().map(|code| code.code()).collect::<Vec<_>>());
        assert!(response.results.iter().all(|it| it.error_message.is_some()));
        for (wanted, code) in [
            (to("grows", 7), ErrorCode::InvalidPartitions),
            (to("grows", -1), ErrorCode::InvalidPartitions),
            (to("grows", 10_001), ErrorCode::PolicyViolation),
            (
                to("grows", 10).with_assignments(on(1)),
                ErrorCode::InvalidReplicaAssignment,
            ),
            (
                to("grows", 9).with_assignments(on(7)),
                ErrorCode::InvalidReplicaAssignment,
            ),
            (to("grows", 9).with_assignments(on(1)), ErrorCode::None),
        ] {
            let response = client.ask(
                3,
                &CreatePartitionsRequest::default().with_topics(vec![wanted.clone()]),
            );
            assert_eq!(response.results[0].error_code, code.code(), "{wanted:?}");
        }
    });
}

/// What was answered survives kill -9, and another number of shards.
#[test]
fn topics_survive_a_crash() {
    let mut broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    let id = create(client, "kept", 3, &[("retention.ms", "1234567")]);
    create(client, "gone", 3, &[]);
    for partition in 0..3 {
        produce(client, "kept", partition, 10);
        produce(client, "gone", partition, 10);
    }
    let grow = CreatePartitionsTopic::default()
        .with_name(topic_name("kept"))
        .with_count(5)
        .with_assignments(None);
    client.ask(3, &CreatePartitionsRequest::default().with_topics(vec![grow]));
    client.ask(
        5,
        &DeleteTopicsRequest::default().with_topic_names(vec![topic_name("gone")]),
    );
    for shards in [1, 2] {
        let client = &mut broker.crash_and_restart(shards);
        assert_eq!(topics(client), [("kept".to_owned(), 5)]);
        let all = client.ask(12, &MetadataRequest::default().with_topics(None));
        assert_eq!(all.topics[0].topic_id, id.0);
        let ends: Vec<_> = (0..5)
            .map(|partition| end_offset(client, "kept", partition))
            .collect();
        assert_eq!(ends, [10, 10, 10, 0, 0]);
    }
    let client = &mut broker.connect();
    create(client, "gone", 1, &[]);
    assert_eq!(end_offset(client, "gone", 0), 0);
    broker.stop();
}
