//! `--advertise lanes`: each core is a broker of its own to clients, and all of them are one node.

mod common;
#[path = "common/transactions.rs"]
mod transactions;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use common::configs::{self, BROKER, Change, SET, change, describe};
use common::groups::{self, QUICK, commit, found};
use common::{Client, TestBroker, create, end_offset, produce, text, topic_name};
use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use kafka_protocol::messages::describe_cluster_request::DescribeClusterRequest;
use kafka_protocol::messages::describe_log_dirs_request::{DescribableLogDirTopic, DescribeLogDirsRequest};
use kafka_protocol::messages::describe_topic_partitions_request::{
    DescribeTopicPartitionsRequest, TopicRequest,
};
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::list_config_resources_request::ListConfigResourcesRequest;
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::list_transactions_request::ListTransactionsRequest;
use kafka_protocol::messages::metadata_request::MetadataRequest;
use kafka_protocol::messages::metadata_response::MetadataResponse;
use tautline_core::error::ErrorCode;

/// The first lane of the first node.
const LANE_0: i32 = 10_000;
const INVALID: i16 = ErrorCode::InvalidRequest.code();

fn start(shards: usize, more: &[&str]) -> TestBroker {
    let arguments = [&["--advertise", "lanes"], QUICK, more].concat();
    TestBroker::start(shards, &arguments)
}

fn metadata(client: &mut Client) -> MetadataResponse {
    client.ask(12, &MetadataRequest::default().with_topics(None))
}

/// The lanes' addresses, by id.
fn lanes(client: &mut Client) -> BTreeMap<i32, SocketAddr> {
    let brokers = metadata(client).brokers;
    let address = |host: &str, port: i32| format!("{host}:{port}").parse().expect("an address");
    let lanes = brokers
        .iter()
        .map(|it| (it.node_id.0, address(&it.host, it.port)));
    lanes.collect()
}

/// A client of each lane.
fn clients(client: &mut Client) -> BTreeMap<i32, Client> {
    let lanes = lanes(client).into_iter();
    lanes
        .map(|(id, address)| (id, Client::connect(address)))
        .collect()
}

/// The leader of each partition of a topic, and its epoch.
fn leaders(client: &mut Client, topic: &str) -> BTreeMap<i32, (i32, i32)> {
    let all = metadata(client).topics;
    let found = all
        .iter()
        .find(|it| it.name.as_ref().is_some_and(|name| name.as_str() == topic));
    let partitions = found.expect("the topic is there").partitions.iter();
    let leaders = partitions.map(|it| {
        assert_eq!(it.error_code, 0);
        assert_eq!(
            (&it.replica_nodes, &it.isr_nodes),
            (&vec![it.leader_id], &vec![it.leader_id])
        );
        (it.partition_index, (it.leader_id.0, it.leader_epoch))
    });
    leaders.collect()
}

#[test]
fn each_core_is_a_broker_that_leads_what_it_owns() {
    let broker = start(2, &[]);
    let client = &mut broker.connect();
    create(client, "t", 8, &[]);
    let lanes = lanes(client);
    let ids: Vec<i32> = lanes.keys().copied().collect();
    let expected: Vec<i32> = (0..lanes.len() as i32).map(|shard| LANE_0 + shard).collect();
    assert_eq!(ids, expected);
    let addresses: BTreeSet<_> = lanes.values().copied().chain([broker.address()]).collect();
    assert_eq!(addresses.len(), lanes.len() + 1, "each has an address of its own");
    assert_eq!(metadata(client).controller_id.0, LANE_0);
    let leaders = leaders(client, "t");
    let leading: BTreeSet<i32> = leaders.values().map(|(leader, _)| *leader).collect();
    assert_eq!(
        leading,
        ids.iter().copied().collect(),
        "8 partitions are spread over all lanes"
    );
    // The other ways to ask say the same.
    let cluster = client.ask(2, &DescribeClusterRequest::default());
    assert_eq!(cluster.controller_id.0, LANE_0);
    let described: Vec<i32> = cluster.brokers.iter().map(|it| it.broker_id.0).collect();
    assert_eq!(described, ids);
    let asked = TopicRequest::default().with_name(topic_name("t"));
    let request = DescribeTopicPartitionsRequest::default().with_topics(vec![asked]);
    let pages = client.ask(0, &request.with_response_partition_limit(100));
    for partition in &pages.topics[0].partitions {
        assert_eq!(partition.leader_id.0, leaders[&partition.partition_index].0);
        assert_eq!(partition.replica_nodes, vec![partition.leader_id]);
        assert_eq!(partition.isr_nodes, vec![partition.leader_id]);
    }
    // At the wrong lane, and at the node's address, a request is taken where it belongs.
    let mut clients = clients(client);
    for partition in 0..8 {
        for (n, (id, lane)) in clients.iter_mut().enumerate() {
            assert_eq!(produce(lane, "t", partition, 2), 2 * n as i64, "lane {id}");
            assert_eq!(end_offset(client, "t", partition), 2 * (n as i64 + 1));
        }
    }
    broker.stop();
}

#[test]
fn lanes_are_told_behind_the_advertised_address() {
    let broker = start(2, &["--advertise-address", "broker-1.example:7000"]);
    let told = metadata(&mut broker.connect()).brokers;
    for (shard, it) in told.iter().enumerate() {
        let expected = ("broker-1.example", 7001 + shard as i32);
        assert_eq!((it.host.as_str(), it.port), expected);
    }
    broker.stop();
}

/// Partitions in a description of the data directory.
fn described(client: &mut Client, named: bool) -> Vec<(String, i32)> {
    let named = named.then(|| {
        vec![
            DescribableLogDirTopic::default()
                .with_topic(topic_name("t"))
                .with_partitions((0..10).collect()),
        ]
    });
    let answer = client.ask(4, &DescribeLogDirsRequest::default().with_topics(named));
    let topics = answer.results[0].topics.iter();
    let topics = topics.filter(|it| it.name.as_str() == "t");
    let rows = topics.flat_map(|it| {
        let partitions = it.partitions.iter();
        partitions.map(|partition| (it.name.to_string(), partition.partition_index))
    });
    rows.collect()
}

fn groups_of(client: &mut Client) -> Vec<String> {
    let answer = client.ask(5, &ListGroupsRequest::default());
    assert_eq!(answer.error_code, 0);
    answer.groups.iter().map(|it| it.group_id.to_string()).collect()
}

fn transactions_of(client: &mut Client) -> Vec<String> {
    let answer = client.ask(1, &ListTransactionsRequest::default());
    assert_eq!(answer.error_code, 0);
    let listed = answer.transaction_states.iter();
    listed.map(|it| it.transactional_id.to_string()).collect()
}

/// What `list` gives from the node's address comes exactly once from the lanes; gives each lane's part.
fn parts<T: Ord + Clone + std::fmt::Debug>(
    client: &mut Client,
    lanes: &mut BTreeMap<i32, Client>,
    mut list: impl FnMut(&mut Client) -> Vec<T>,
) -> BTreeMap<i32, Vec<T>> {
    let mut whole = list(client);
    whole.sort();
    let parts: BTreeMap<i32, Vec<T>> = lanes.iter_mut().map(|(&id, lane)| (id, list(lane))).collect();
    let mut together: Vec<T> = parts.values().flatten().cloned().collect();
    together.sort();
    assert_eq!(together, whole);
    parts
}

fn coordinator(client: &mut Client, key: &str, key_type: i8) -> i32 {
    let asked = FindCoordinatorRequest::default()
        .with_key_type(key_type)
        .with_coordinator_keys(vec![text(key)]);
    let found = client.ask(6, &asked).coordinators.remove(0);
    assert_eq!(found.error_code, 0);
    // The old form of the request says the same.
    let asked = FindCoordinatorRequest::default()
        .with_key(text(key))
        .with_key_type(key_type);
    let old = client.ask(3, &asked);
    assert_eq!(
        (old.node_id, &old.host, old.port),
        (found.node_id, &found.host, found.port)
    );
    let address = format!("{}:{}", found.host, found.port)
        .parse()
        .expect("an address");
    assert_eq!(lanes(client)[&found.node_id.0], address);
    found.node_id.0
}

#[test]
fn asked_one_by_one_the_lanes_tell_everything_once() {
    let broker = start(2, &["--set", "transaction.state.log.num.partitions=5"]);
    let client = &mut broker.connect();
    create(client, "t", 7, &[]);
    let mut lanes = clients(client);
    let leaders = leaders(client, "t");
    for named in [false, true] {
        let found = parts(client, &mut lanes, |client| described(client, named));
        assert_eq!(found.values().flatten().count(), 7);
        for (lane, partitions) in found {
            assert!(partitions.iter().all(|(_, index)| leaders[index].0 == lane));
        }
    }
    let names: Vec<String> = (0..10).map(|n| format!("g{n}")).collect();
    for name in &names {
        found(client, name);
        commit(client, name, "t", &[(0, 1)]);
        let mut producer = transactions::Producer::new(&broker, name, transactions::Rules::V2);
        assert_eq!(producer.init(60_000), ErrorCode::None);
    }
    for (key_type, found) in [
        (0, parts(client, &mut lanes, groups_of)),
        (1, parts(client, &mut lanes, transactions_of)),
    ] {
        assert_eq!(found.values().flatten().count(), names.len());
        for (lane, names) in found {
            for name in names {
                assert_eq!(coordinator(client, &name, key_type), lane, "{name}");
            }
        }
    }
    // A coordinator is also reached through another lane.
    for lane in lanes.values_mut() {
        assert_eq!(groups::fetch(lane, "g3", "t", &[0]), Ok(vec![1]));
    }
    broker.stop();
}

#[test]
fn any_lane_stands_for_the_configuration_of_the_node() {
    let broker = start(2, &[]);
    let client = &mut broker.connect();
    let ids: Vec<i32> = lanes(client).into_keys().collect();
    let listed = client.ask(
        1,
        &ListConfigResourcesRequest::default().with_resource_types(vec![BROKER]),
    );
    let listed: Vec<String> = listed
        .config_resources
        .iter()
        .map(|it| it.resource_name.to_string())
        .collect();
    assert_eq!(listed, ids.iter().map(i32::to_string).collect::<Vec<_>>());
    let value = |client: &mut Client, id: i32, name: &str| {
        let described = describe(client, 4, BROKER, &id.to_string(), Some(&[name]));
        assert_eq!(described.error_code, 0);
        described.configs[0]
            .value
            .as_ref()
            .expect("it has one")
            .to_string()
    };
    for (n, &id) in ids.iter().enumerate() {
        let ms = (n + 60_000).to_string();
        let changes: &[Change<'_>] = &[("log.retention.ms", SET, Some(&ms))];
        assert_eq!(change(client, &[(BROKER, &id.to_string(), changes)], false), [0]);
        for &other in ids.iter().chain(&[1]) {
            assert_eq!(value(client, other, "log.retention.ms"), ms);
        }
        assert_eq!(value(client, id, "broker.id"), id.to_string());
        assert_eq!(value(client, id, "node.id"), id.to_string());
        let told = format!("PLAINTEXT://{}", lanes(client)[&id]);
        assert_eq!(value(client, id, "advertised.listeners"), told);
    }
    assert_eq!(value(client, 1, "broker.id"), "1", "the node's own id");
    for absent in [2, LANE_0 - 1, LANE_0 + 1_000, 20_000] {
        let refused = configs::describe(client, 4, BROKER, &absent.to_string(), None);
        assert_eq!(refused.error_code, INVALID, "{absent}");
    }
    broker.stop();
}

#[test]
fn a_replica_on_a_lane_is_one_on_its_node() {
    let broker = start(2, &[]);
    let client = &mut broker.connect();
    create(client, "t", 1, &[]);
    let last = *lanes(client).keys().next_back().expect("a lane");
    let mut add = |count: i32, ids: &[i32]| {
        let assignment =
            CreatePartitionsAssignment::default().with_broker_ids(ids.iter().map(|&id| id.into()).collect());
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name("t"))
            .with_count(count)
            .with_assignments(Some(vec![assignment]));
        let request = CreatePartitionsRequest::default().with_topics(vec![topic]);
        client.ask(3, &request.with_timeout_ms(10_000)).results[0].error_code
    };
    assert_eq!(add(2, &[last]), 0);
    let refused = ErrorCode::InvalidReplicaAssignment.code();
    assert_eq!(add(3, &[last, 1]), refused, "a node has one copy");
    assert_eq!(add(3, &[LANE_0 + 1_000]), refused);
    broker.stop();
}

#[test]
fn partitions_that_move_to_another_core_keep_everything() {
    let mut broker = start(2, &[]);
    let client = &mut broker.connect();
    create(client, "t", 4, &[]);
    for partition in 0..4 {
        assert_eq!(produce(client, "t", partition, 3), 0);
    }
    found(client, "g");
    commit(client, "g", "t", &[(0, 2)]);
    let mut epoch = leaders(client, "t")[&0].1;
    for (round, shards) in [1, 2].into_iter().enumerate() {
        let client = &mut broker.crash_and_restart(shards);
        let mut lanes = clients(client);
        let after = leaders(client, "t");
        assert!(after.values().all(|(leader, _)| lanes.contains_key(leader)));
        assert!(after[&0].1 > epoch, "clients believe the newer leader");
        epoch = after[&0].1;
        for (index, (leader, _)) in after {
            let lane = lanes.get_mut(&leader).expect("looked at above");
            assert_eq!(produce(lane, "t", index, 1), 3 + round as i64);
        }
        found(client, "g");
        assert_eq!(groups::fetch(client, "g", "t", &[0]), Ok(vec![2]));
    }
    broker.stop();
}
