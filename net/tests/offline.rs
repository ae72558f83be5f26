//! A partition whose log can't be opened: clients are told, and it comes back without a restart.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Client, Metrics, TestBroker, create, end_offset, produce, produce_error, topic_name, within};
use kafka_protocol::messages::describe_topic_partitions_request::{
    DescribeTopicPartitionsRequest, TopicRequest,
};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use tautline_core::batch::BatchBuilder;
use tautline_core::error::ErrorCode;

const NO_LEADER: i32 = -1;
/// For the broker to have tried again, with pauses that double.
const WAIT: Duration = Duration::from_secs(60);

/// Error, leader and offline replicas of each partition.
type Leaders = Vec<(i16, i32, Vec<i32>)>;

/// As Metadata and DescribeTopicPartitions say alike, while nothing changes.
fn leaders(client: &mut Client, topic: &str) -> Leaders {
    let [said, also_said] = both(client, topic);
    assert_eq!(said, also_said);
    said
}

/// As Metadata has them, and then DescribeTopicPartitions.
fn both(client: &mut Client, topic: &str) -> [Leaders; 2] {
    let asked = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let metadata = client.ask(12, &MetadataRequest::default().with_topics(Some(vec![asked])));
    let said = metadata.topics[0].partitions.iter().map(|it| {
        let offline = it.offline_replicas.iter().map(|broker| broker.0).collect();
        (it.error_code, it.leader_id.0, offline)
    });
    let asked = TopicRequest::default().with_name(topic_name(topic));
    let described = client.ask(
        0,
        &DescribeTopicPartitionsRequest::default()
            .with_topics(vec![asked])
            .with_response_partition_limit(100),
    );
    let also_said = described.topics[0].partitions.iter().map(|it| {
        let offline = it.offline_replicas.iter().map(|broker| broker.0).collect();
        (it.error_code, it.leader_id.0, offline)
    });
    [said.collect(), also_said.collect()]
}

/// Puts a directory in place of a log's checkpoint: it can't be read.
fn break_log(log: &Path) {
    let checkpoint = log.join("checkpoint");
    if checkpoint.exists() {
        std::fs::remove_file(&checkpoint).expect("the broker does not run");
    }
    std::fs::create_dir(&checkpoint).expect("a log's directory");
}

#[test]
fn a_log_that_can_not_be_opened_is_reported_and_opened_later() {
    let mut broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    create(client, "t", 2, &[]);
    (0..2).for_each(|partition| assert_eq!(produce(client, "t", partition, 10), 0));
    let online = leaders(client, "t");
    let (node, log) = (online[0].1, broker.data_dir().join("topics/t/0"));
    assert_eq!(online[0], (0, node, vec![]));

    let client = &mut broker.crash_edit_and_restart(2, |_| break_log(&log));
    let no_leader = ErrorCode::LeaderNotAvailable.code();
    // Whichever shard is asked.
    for _ in 0..8 {
        let offline = leaders(&mut broker.connect(), "t");
        assert_eq!(offline, [(no_leader, NO_LEADER, vec![node]), online[1].clone()]);
    }
    let batch = || BatchBuilder::new(1).record(None, Some(b"v")).build();
    let storage = ErrorCode::KafkaStorageError.code();
    assert_eq!(produce_error(client, "t", 0, batch()), storage);
    assert_eq!(produce_error(client, "t", 1, batch()), 0, "the others go on");
    let offline = |broker: &TestBroker| {
        Metrics::scrape(broker.admin(), "/metrics").sum("tautline_partitions_offline", "")
    };
    assert_eq!(offline(&broker), 1.0);

    std::fs::remove_dir(log.join("checkpoint")).expect("it is empty");
    within(WAIT, "the log is opened again", || {
        both(client, "t").iter().all(|leaders| *leaders == online)
    });
    assert_eq!((produce(client, "t", 0, 1), end_offset(client, "t", 0)), (10, 11));
    assert_eq!(offline(&broker), 0.0);
    broker.stop();
}
