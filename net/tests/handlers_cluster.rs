//! DescribeCluster and DescribeTopicPartitions against a real broker.

mod common;

use common::{Client, TestBroker, create, on_one_and_two_shards, produce, topic_name};
use kafka_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use kafka_protocol::messages::describe_topic_partitions_request::{
    Cursor, DescribeTopicPartitionsRequest, TopicRequest,
};
use kafka_protocol::messages::describe_topic_partitions_response::DescribeTopicPartitionsResponse;
use tautline_core::error::ErrorCode;

/// All that can be done with a topic: read, write, create, delete, alter, describe, and its configuration described, altered.
const TOPIC_OPERATIONS: i32 = 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;
/// With the cluster: create, alter, describe, cluster action, configuration described, altered, idempotent write.
const CLUSTER_OPERATIONS: i32 = 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12;

#[test]
fn the_cluster_is_described() {
    on_one_and_two_shards(|broker, client| {
        let mut cluster_id = None;
        for version in 0..=2 {
            let response = client.ask(version, &DescribeClusterRequest::default());
            assert_eq!((response.error_code, response.endpoint_type), (0, 1));
            assert_eq!((response.controller_id.0, response.brokers.len()), (1, 1));
            let it = &response.brokers[0];
            assert_eq!(
                (it.broker_id.0, &*it.host, it.port),
                (1, "127.0.0.1", i32::from(broker.address().port()))
            );
            assert!(it.rack.is_none() && !it.is_fenced);
            assert_eq!(response.cluster_authorized_operations, i32::MIN);
            assert_eq!(response.cluster_id.len(), 22, "16 bytes in base64");
            assert_eq!(
                &response.cluster_id,
                cluster_id.get_or_insert(response.cluster_id.clone())
            );
            let asked = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
            assert_eq!(
                client.ask(version, &asked).cluster_authorized_operations,
                CLUSTER_OPERATIONS
            );
        }
        // KIP-919.
        for (endpoint_type, code) in [
            (2, ErrorCode::MismatchedEndpointType),
            (3, ErrorCode::UnsupportedEndpointType),
            (0, ErrorCode::UnsupportedEndpointType),
        ] {
            let response = client.ask(
                1,
                &DescribeClusterRequest::default().with_endpoint_type(endpoint_type),
            );
            assert_eq!(response.error_code, code.code());
            assert!(response.error_message.is_some() && response.brokers.is_empty());
        }
        let restarted = &mut broker.crash_and_restart(1);
        let response = restarted.ask(
            2,
            &DescribeClusterRequest::default().with_include_fenced_brokers(true),
        );
        assert_eq!(
            (Some(response.cluster_id), response.brokers.len()),
            (cluster_id, 1)
        );
    });
}

/// A page from a cursor.
fn page(
    client: &mut Client,
    topics: &[&str],
    limit: i32,
    cursor: Option<(&str, i32)>,
) -> DescribeTopicPartitionsResponse {
    let cursor = cursor.map(|(topic, partition)| {
        Cursor::default()
            .with_topic_name(topic_name(topic))
            .with_partition_index(partition)
    });
    let topics = topics
        .iter()
        .map(|name| TopicRequest::default().with_name(topic_name(name)))
        .collect();
    let request = DescribeTopicPartitionsRequest::default().with_topics(topics);
    client.ask(
        0,
        &request.with_response_partition_limit(limit).with_cursor(cursor),
    )
}

/// Name, error and partition indexes of the topics of a page, and where the next one begins.
type Page = (Vec<(String, i16, Vec<i32>)>, Option<(String, i32)>);

fn shape(response: &DescribeTopicPartitionsResponse) -> Page {
    let topics = response.topics.iter().map(|topic| {
        let name = topic.name.as_ref().unwrap().to_string();
        (
            name,
            topic.error_code,
            topic.partitions.iter().map(|it| it.partition_index).collect(),
        )
    });
    let next = response
        .next_cursor
        .as_ref()
        .map(|it| (it.topic_name.to_string(), it.partition_index));
    (topics.collect(), next)
}

/// KIP-966.
#[test]
fn partitions_are_described_page_by_page() {
    on_one_and_two_shards(|_, client| {
        let id = create(client, "a", 3, &[]);
        create(client, "b", 2, &[]);
        create(client, "c", 4, &[]);
        produce(client, "a", 0, 1);
        let row =
            |name: &str, indexes: std::ops::Range<i32>| (name.to_owned(), 0, indexes.collect::<Vec<_>>());
        let at = |name: &str, index: i32| Some((name.to_owned(), index));
        let whole = vec![row("a", 0..3), row("b", 0..2), row("c", 0..4)];
        let all = page(client, &[], 2000, None);
        assert_eq!(shape(&all), (whole.clone(), None));
        let first = &all.topics[0];
        assert_eq!((first.topic_id, first.is_internal), (id.0, false));
        assert_eq!(first.topic_authorized_operations, TOPIC_OPERATIONS);
        let partition = &first.partitions[1];
        assert_eq!((partition.leader_id.0, partition.leader_epoch), (1, 0));
        assert_eq!(
            (&partition.replica_nodes, &partition.isr_nodes),
            (&vec![1.into()], &vec![1.into()])
        );
        assert_eq!(
            (&partition.eligible_leader_replicas, &partition.offline_replicas),
            (&Some(vec![]), &vec![])
        );
        // By name, in name order, each once.
        let some = shape(&page(client, &["c", "a", "c"], 2000, None));
        assert_eq!(some, (vec![row("a", 0..3), row("c", 0..4)], None));
        // Pages.
        assert_eq!(
            shape(&page(client, &[], 2, None)),
            (vec![row("a", 0..2)], at("a", 2))
        );
        assert_eq!(
            shape(&page(client, &[], 2, Some(("a", 2)))),
            (vec![row("a", 2..3), row("b", 0..1)], at("b", 1))
        );
        assert_eq!(
            shape(&page(client, &[], 3, None)),
            (vec![row("a", 0..3)], at("b", 0))
        );
        assert_eq!(
            shape(&page(client, &[], 0, None)),
            (vec![row("a", 0..1)], at("a", 1)),
            "one at least"
        );
        assert_eq!(
            shape(&page(client, &["c", "b"], 100, Some(("c", 1)))),
            (vec![row("c", 1..4)], None)
        );
        // A cursor at a topic that has gone leads to the next one.
        assert_eq!(
            shape(&page(client, &[], 2, Some(("aa", 1)))),
            (vec![row("b", 0..2)], at("c", 0))
        );
        // Every page of any size gives the same whole.
        for limit in 1..10 {
            let (mut found, mut next) = (Vec::new(), None);
            loop {
                let cursor: Option<(String, i32)> = next;
                let response = page(
                    client,
                    &[],
                    limit,
                    cursor.as_ref().map(|(name, index)| (&name[..], *index)),
                );
                let (topics, after) = shape(&response);
                found.extend(topics.into_iter().flat_map(|(name, _, partitions)| {
                    partitions.into_iter().map(move |index| (name.clone(), index))
                }));
                if after.is_none() {
                    break;
                }
                next = after;
            }
            let expected = whole
                .iter()
                .flat_map(|(name, _, indexes)| indexes.iter().map(|&it| (name.clone(), it)));
            assert_eq!(found, expected.collect::<Vec<_>>(), "pages of {limit}");
        }
    });
}

#[test]
fn what_has_no_partitions_says_so() {
    let broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    create(client, "__consumer_offsets", 1, &[]);
    let unknown = ErrorCode::UnknownTopicOrPartition.code();
    let illegal = ErrorCode::InvalidTopicException.code();
    let invalid = ErrorCode::InvalidRequest.code();
    let response = page(client, &["absent", "no/slash", "__consumer_offsets"], 10, None);
    let rows = vec![
        ("__consumer_offsets".to_owned(), 0, vec![0]),
        ("absent".to_owned(), unknown, vec![]),
        ("no/slash".to_owned(), illegal, vec![]),
    ];
    assert_eq!(shape(&response), (rows, None));
    assert!(response.topics[0].is_internal);
    // A cursor must be at one of the topics asked for.
    let refused = |name: &str| (name.to_owned(), invalid, vec![]);
    assert_eq!(
        shape(&page(client, &["x"], 10, Some(("y", 0)))),
        (vec![refused("x")], None)
    );
    assert_eq!(
        shape(&page(client, &["x"], 10, Some(("x", -1)))),
        (vec![refused("x")], None)
    );
}
