//! Committed offsets against a real broker, and what administrators see and forget.

mod common;

use std::io::{Read, Write};

use common::groups::{
    Member, QUICK, code, commit, commit_codes, commit_request, describe, fetch, found, group_id,
};
use common::{TestBroker, create, text, topic_name};
use kafka_protocol::messages::delete_groups_request::DeleteGroupsRequest;
use kafka_protocol::messages::list_groups_request::ListGroupsRequest;
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request;
use tautline_core::error::ErrorCode;
use tautline_net::wire::{
    self, OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetFetchRequest, OffsetFetchResponse,
};

/// Offsets, generations and members are there after a crash, on another number of shards.
#[test]
fn what_was_committed_survives() {
    for shards in [1, 2] {
        let mut broker = TestBroker::start(shards, QUICK);
        let client = &mut broker.connect();
        create(client, "t", 3, &[]);
        for n in 0..10 {
            let group = format!("g{n}");
            found(client, &group);
            assert_eq!(
                commit(client, &group, "t", &[(0, n), (2, n + 1)]),
                [ErrorCode::None; 2]
            );
        }
        let mut member = Member::new(&broker, "members");
        member.alone();
        assert_eq!(member.commit("t", &[(1, 7)]), [ErrorCode::None]);
        let client = &mut broker.crash_and_restart(3 - shards);
        for n in 0..10 {
            let group = format!("g{n}");
            found(client, &group);
            assert_eq!(fetch(client, &group, "t", &[0, 1, 2]), Ok(vec![n, -1, n + 1]));
        }
        member.client = broker.connect();
        assert_eq!(fetch(&mut member.client, "members", "t", &[1]), Ok(vec![7]));
        assert_eq!(member.heartbeat(), ErrorCode::None);
        assert_eq!(member.commit("t", &[(1, 8)]), [ErrorCode::None]);
        assert_eq!(fetch(client, "members", "t", &[1]), Ok(vec![8]));
        broker.stop();
    }
}

#[test]
fn commits_are_checked() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 2, &[]);
    // Nobody has looked for a coordinator yet.
    assert_eq!(commit(client, "g", "t", &[(0, 1)]), [ErrorCode::NotCoordinator]);
    found(client, "g");
    for version in 2..=9 {
        let request = commit_request("g", "t", &[(0, i64::from(version)), (2, 1), (-1, 1)]);
        let unknown = ErrorCode::UnknownTopicOrPartition;
        assert_eq!(
            commit_codes(client, version, &request),
            [ErrorCode::None, unknown, unknown]
        );
        assert_eq!(fetch(client, "g", "t", &[0]), Ok(vec![i64::from(version)]));
    }
    let mut long = commit_request("g", "t", &[(0, 1)]);
    long.topics[0].partitions[0].committed_metadata = Some(text(&"x".repeat(4097)));
    assert_eq!(
        commit_codes(client, 8, &long),
        [ErrorCode::OffsetMetadataTooLarge]
    );
    let mut member = Member::new(&broker, "m");
    member.alone();
    assert_eq!(commit(client, "m", "t", &[(0, 1)]), [ErrorCode::UnknownMemberId]);
    member.generation += 1;
    assert_eq!(member.commit("t", &[(0, 1)]), [ErrorCode::IllegalGeneration]);
}

#[test]
fn every_version_tells_the_offsets() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 2, &[]);
    found(client, "g");
    commit(client, "g", "t", &[(0, 5)]);
    for version in 1..=7 {
        let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0, 1, 0]);
        let request = offset_fetch_request::OffsetFetchRequest::default()
            .with_group_id(group_id("g"))
            .with_topics(Some(vec![topic]));
        let response = client.ask(version, &request);
        assert_eq!(response.error_code, 0);
        let partitions = &response.topics[0].partitions;
        let offsets: Vec<_> = partitions
            .iter()
            .map(|it| (it.partition_index, it.committed_offset))
            .collect();
        assert_eq!(offsets, [(0, 5), (1, -1)], "each once");
        assert_eq!(partitions[0].metadata.as_deref(), Some("kept"));
        assert_eq!(
            partitions[0].committed_leader_epoch,
            if version < 5 { -1 } else { 0 }
        );
        if version >= 2 {
            let all = client.ask(version, &request.with_topics(None));
            assert_eq!(all.topics.len(), 1);
            assert_eq!(all.topics[0].partitions.len(), 1);
        }
    }
}

#[test]
fn groups_are_listed_described_and_deleted() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 1, &[]);
    let list = |client: &mut common::Client, states: &[&str], types: &[&str]| {
        let request = ListGroupsRequest::default()
            .with_states_filter(states.iter().map(|state| text(state)).collect())
            .with_types_filter(types.iter().map(|kind| text(kind)).collect());
        let response = client.ask(5, &request);
        assert_eq!(response.error_code, 0);
        let mut groups: Vec<_> = response
            .groups
            .iter()
            .map(|group| group.group_id.to_string())
            .collect();
        groups.sort();
        groups
    };
    assert!(list(client, &[], &[]).is_empty(), "before there is a coordinator");
    let names: Vec<String> = (0..12).map(|n| format!("g{n:02}")).collect();
    for name in &names {
        found(client, name);
        commit(client, name, "t", &[(0, 1)]);
    }
    let mut member = Member::new(&broker, "live");
    member.alone();
    let mut all = names.clone();
    all.push("live".to_owned());
    assert_eq!(list(client, &[], &[]), all);
    assert_eq!(list(client, &["stable"], &[]), ["live"]);
    assert_eq!(list(client, &["Empty"], &["Classic"]), names);
    assert!(list(client, &[], &["consumer"]).is_empty());
    assert!(list(client, &["Dead"], &[]).is_empty());
    assert_eq!(&*describe(client, "g00").group_state, "Empty");
    let absent = describe(client, "absent");
    assert_eq!(
        (code(absent.error_code), &*absent.group_state),
        (ErrorCode::GroupIdNotFound, "Dead")
    );
    let delete = |client: &mut common::Client, groups: &[&str]| {
        let request =
            DeleteGroupsRequest::default().with_groups_names(groups.iter().map(|it| group_id(it)).collect());
        let mut results: Vec<_> = client
            .ask(2, &request)
            .results
            .iter()
            .map(|it| (it.group_id.to_string(), code(it.error_code)))
            .collect();
        results.sort();
        results
    };
    let result = |group: &str, code| (group.to_owned(), code);
    assert_eq!(
        delete(client, &["live", "g00", "absent", "g00"]),
        [
            result("absent", ErrorCode::GroupIdNotFound),
            result("g00", ErrorCode::None),
            result("live", ErrorCode::NonEmptyGroup),
        ]
    );
    assert_eq!(fetch(client, "g00", "t", &[0]), Ok(vec![-1]));
    assert_eq!(list(client, &[], &[]).len(), 12);
}

/// KIP-496.
#[test]
fn offsets_are_deleted_unless_they_are_read() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 2, &[]);
    found(client, "g");
    commit(client, "g", "t", &[(0, 1), (1, 2)]);
    let partitions = [0, 7].map(|index| OffsetDeleteRequestPartition::default().with_partition_index(index));
    let topic = OffsetDeleteRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(partitions.to_vec());
    let request = |group: &str| {
        OffsetDeleteRequest::default()
            .with_group_id(group_id(group))
            .with_topics(vec![topic.clone()])
    };
    let deleted = client.ask(0, &request("g"));
    assert_eq!(deleted.error_code, 0);
    let codes: Vec<_> = deleted.topics[0]
        .partitions
        .iter()
        .map(|it| code(it.error_code))
        .collect();
    assert_eq!(codes, [ErrorCode::None, ErrorCode::UnknownTopicOrPartition]);
    assert_eq!(fetch(client, "g", "t", &[0, 1]), Ok(vec![-1, 2]));
    assert_eq!(
        code(client.ask(0, &request("absent")).error_code),
        ErrorCode::GroupIdNotFound
    );
    assert_eq!(
        code(client.ask(0, &request("")).error_code),
        ErrorCode::InvalidGroupId
    );
}

/// The offsets of a topic go with it, also where nobody asks for them.
#[test]
fn a_deleted_topic_takes_its_offsets_along() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 1, &[]);
    create(client, "u", 1, &[]);
    found(client, "g");
    commit(client, "g", "t", &[(0, 1)]);
    commit(client, "g", "u", &[(0, 2)]);
    let request = kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest::default()
        .with_topic_names(vec![topic_name("t")])
        .with_timeout_ms(10_000);
    assert_eq!(client.ask(5, &request).responses[0].error_code, 0);
    create(client, "t", 1, &[]);
    assert_eq!(fetch(client, "g", "u", &[0]), Ok(vec![2]));
    while fetch(client, "g", "t", &[0]) != Ok(vec![-1]) {}
}

/// What the broker says of its groups to an operator.
#[test]
fn groups_are_counted() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    create(client, "t", 2, &[]);
    for group in ["a", "b", "c"] {
        found(client, group);
        commit(client, group, "t", &[(0, 1), (1, 1), (2, 1)]);
    }
    let mut member = Member::new(&broker, "m");
    member.alone();
    let metrics = common::Metrics::scrape(broker.admin(), "/metrics");
    assert_eq!(metrics.sum("tautline_groups", "state=\"Empty\""), 3.0);
    assert_eq!(metrics.sum("tautline_groups", "state=\"Stable\""), 1.0);
    assert_eq!(metrics.sum("tautline_offsets_committed_total", ""), 6.0);
    assert_eq!(metrics.sum("tautline_group_rebalances_total", ""), 1.0);
}

/// The broker's own logs are read into memory, also where readers get ranges of files.
#[test]
fn replays_do_not_depend_on_how_cold_data_is_read() {
    let mut broker = TestBroker::start(1, &[QUICK, &["--cold-read", "sendfile"]].concat());
    let client = &mut broker.connect();
    for n in 0..60 {
        create(client, &format!("a-topic-with-a-long-name-{n:060}"), 1, &[]);
    }
    create(client, "t", 1, &[]);
    found(client, "g");
    for n in 0..100 {
        assert_eq!(commit(client, "g", "t", &[(0, n)]), [ErrorCode::None]);
    }
    let client = &mut broker.crash_and_restart(1);
    found(client, "g");
    assert_eq!(fetch(client, "g", "t", &[0]), Ok(vec![99]));
    assert_eq!(common::topics(client).len(), 62);
}

/// Version 10 names topics by their ids (KIP-848). The codec of the other tests does not know it: the broker's own is used.
#[test]
fn topics_are_told_by_id() {
    let broker = TestBroker::start(2, QUICK);
    let client = &mut broker.connect();
    let id = create(client, "t", 2, &[]).0;
    found(client, "g");
    let absent = uuid::Uuid::from_u128(9);
    let commit = |topic_id, partition_index| OffsetCommitRequestTopic {
        topic_id,
        partitions: vec![OffsetCommitRequestPartition {
            partition_index,
            committed_offset: 5,
            ..Default::default()
        }],
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: "g".into(),
        topics: vec![commit(id, 1), commit(absent, 0), commit(id, 7)],
        ..Default::default()
    };
    let frame = ask_newest(&broker, &request, 10);
    let response: OffsetCommitResponse<'_> = decoded(&frame, 10);
    let codes: Vec<_> = response
        .topics
        .iter()
        .map(|it| (it.topic_id, code(it.partitions[0].error_code)))
        .collect();
    let (unknown_id, unknown) = (ErrorCode::UnknownTopicId, ErrorCode::UnknownTopicOrPartition);
    assert_eq!(
        codes,
        [(id, ErrorCode::None), (absent, unknown_id), (id, unknown)]
    );
    let fetch = |topics| OffsetFetchRequest {
        groups: vec![wire::OffsetFetchRequestGroup {
            group_id: "g".into(),
            topics,
            ..Default::default()
        }],
        ..Default::default()
    };
    let topic = |topic_id| wire::OffsetFetchRequestTopic {
        topic_id,
        partition_indexes: vec![1],
        ..Default::default()
    };
    for topics in [None, Some(vec![topic(id), topic(absent)])] {
        let all = topics.is_none();
        let frame = ask_newest(&broker, &fetch(topics), 10);
        let response: OffsetFetchResponse<'_> = decoded(&frame, 10);
        let group = &response.groups[0];
        assert_eq!(
            (code(group.error_code), group.topics.len()),
            (ErrorCode::None, if all { 1 } else { 2 })
        );
        assert_eq!(
            (
                group.topics[0].topic_id,
                group.topics[0].partitions[0].committed_offset
            ),
            (id, 5)
        );
        if !all {
            assert_eq!(code(group.topics[1].partitions[0].error_code), unknown_id);
        }
    }
}

fn ask_newest<'a, M: wire::Message<'a>>(broker: &TestBroker, request: &M, version: i16) -> Vec<u8> {
    let mut writer = wire::Writer::new();
    wire::encode_request(request, version, 1, "test", &mut writer);
    let mut stream = common::raw::connect(broker.address());
    stream.write_all(writer.bytes()).expect("the broker reads");
    let mut size = [0; 4];
    stream.read_exact(&mut size).expect("the broker answers");
    let mut frame = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut frame).expect("the whole answer");
    frame
}

fn decoded<'a, M: wire::Message<'a>>(frame: &'a [u8], version: i16) -> M {
    let mut reader = wire::Reader::new(frame);
    wire::ResponseHeader::decode(&mut reader, M::API, version).expect("a header");
    M::decode(&mut reader, version).expect("a response")
}
