//! Every refusal of the controller, with Kafka's code, and what it decides otherwise.

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, NodeId, PartitionIndex, ProducerId, TopicId};
use uuid::Uuid;

mod configs;
mod features;
mod partitions_and_deletion;

use super::*;
use crate::metadata::{ConfigResource, Configs};

const NODE: NodeId = NodeId(0);

/// Knows `cleanup.policy` (a list) and `retention.ms` (a number).
struct Rules;

impl ConfigRules for Rules {
    fn check(&self, _: &ConfigResource, configs: &Configs) -> Result<(), Refusal> {
        for (name, value) in configs {
            let good = match &name[..] {
                "cleanup.policy" => value
                    .split(',')
                    .all(|policy| policy == "delete" || policy == "compact"),
                "retention.ms" => value.parse::<i64>().is_ok(),
                _ => false,
            };
            if !good {
                return Err(Refusal::new(ErrorCode::InvalidConfig, format!("{name}={value}")));
            }
        }
        Ok(())
    }

    fn list_default(&self, _: &ConfigResource, name: &str) -> Option<String> {
        (name == "cleanup.policy").then(|| "delete".to_owned())
    }
}

/// A controller with one registered broker.
fn controller() -> Controller {
    let mut controller = Controller::default();
    let (_, records) = controller.register_broker(NODE).unwrap();
    controller.apply(&records).unwrap();
    controller
}

fn ids() -> impl FnMut() -> TopicId {
    let mut last = 0;
    move || {
        last += 1;
        TopicId(Uuid::from_u128(last))
    }
}

fn create(controller: &mut Controller, topics: &[NewTopic]) -> Vec<Result<CreatedTopic, Refusal>> {
    let defaults = ClusterDefaults {
        partition_count: 3,
        ..ClusterDefaults::default()
    };
    let decision = controller.create_topics(topics, &defaults, &Rules, ids());
    controller.apply(&decision.records).unwrap();
    decision.results
}

fn create_one(topic: NewTopic) -> Result<CreatedTopic, ErrorCode> {
    create(&mut controller(), &[topic])
        .remove(0)
        .map_err(|refusal| refusal.code)
}

fn with_topic(name: &str) -> Controller {
    let mut controller = controller();
    create(&mut controller, &[NewTopic::with_defaults(name)])
        .remove(0)
        .unwrap();
    controller
}

fn assigned(assignments: &[(i32, &[i32])]) -> NewTopic {
    let assignments = assignments.iter().map(|(partition, replicas)| ManualAssignment {
        partition: PartitionIndex(*partition),
        replicas: replicas.iter().copied().map(NodeId).collect(),
    });
    NewTopic {
        assignments: assignments.collect(),
        ..NewTopic::with_defaults("t")
    }
}

fn code<T: std::fmt::Debug>(result: &Result<T, Refusal>) -> ErrorCode {
    result.as_ref().expect_err("must be refused").code
}

#[test]
fn create_topics_takes_defaults_and_values() {
    let created = create_one(NewTopic::with_defaults("t")).unwrap();
    assert_eq!((created.partition_count, created.replication_factor), (3, 1));
    let created = create_one(NewTopic {
        partition_count: 8,
        replication_factor: 1,
        ..NewTopic::with_defaults("t")
    });
    assert_eq!(created.unwrap().partition_count, 8);
    let created = create_one(assigned(&[(1, &[0]), (0, &[0])])).unwrap();
    assert_eq!((created.partition_count, created.replication_factor), (2, 1));
    create_one(NewTopic::with_defaults("__consumer_offsets")).unwrap();
}

#[test]
fn create_topics_refuses_what_kafka_refuses() {
    let base = || NewTopic::with_defaults("t");
    let config = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
    let cases = [
        (
            NewTopic {
                name: "..".to_owned(),
                ..base()
            },
            ErrorCode::InvalidTopicException,
        ),
        (
            NewTopic {
                partition_count: 0,
                ..base()
            },
            ErrorCode::InvalidPartitions,
        ),
        (
            NewTopic {
                partition_count: -2,
                ..base()
            },
            ErrorCode::InvalidPartitions,
        ),
        (
            NewTopic {
                partition_count: 10_001,
                ..base()
            },
            ErrorCode::PolicyViolation,
        ),
        (
            NewTopic {
                partition_count: i32::MAX,
                ..base()
            },
            ErrorCode::PolicyViolation,
        ),
        (
            NewTopic {
                replication_factor: 0,
                ..base()
            },
            ErrorCode::InvalidReplicationFactor,
        ),
        (
            NewTopic {
                replication_factor: -2,
                ..base()
            },
            ErrorCode::InvalidReplicationFactor,
        ),
        (
            NewTopic {
                replication_factor: 2,
                ..base()
            },
            ErrorCode::InvalidReplicationFactor,
        ),
        (
            NewTopic {
                partition_count: 1,
                ..assigned(&[(0, &[0])])
            },
            ErrorCode::InvalidRequest,
        ),
        (
            NewTopic {
                replication_factor: 1,
                ..assigned(&[(0, &[0])])
            },
            ErrorCode::InvalidRequest,
        ),
        (
            assigned(&[(0, &[0]), (0, &[0])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (
            assigned(&[(0, &[0]), (2, &[0])]),
            ErrorCode::InvalidReplicaAssignment,
        ),
        (assigned(&[(1, &[0])]), ErrorCode::InvalidReplicaAssignment),
        (assigned(&[(-1, &[0])]), ErrorCode::InvalidReplicaAssignment),
        (assigned(&[(0, &[])]), ErrorCode::InvalidReplicaAssignment),
        (assigned(&[(0, &[7])]), ErrorCode::InvalidReplicaAssignment),
        (assigned(&[(0, &[0, 0])]), ErrorCode::InvalidReplicaAssignment),
        (
            NewTopic {
                configs: vec![config("nope", Some("1"))],
                ..base()
            },
            ErrorCode::InvalidConfig,
        ),
        (
            NewTopic {
                configs: vec![config("retention.ms", None)],
                ..base()
            },
            ErrorCode::InvalidConfig,
        ),
        (
            NewTopic {
                configs: vec![
                    config("retention.ms", Some("1")),
                    config("retention.ms", Some("2")),
                ],
                ..base()
            },
            ErrorCode::InvalidRequest,
        ),
    ];
    for (topic, expected) in cases {
        assert_eq!(create_one(topic.clone()).unwrap_err(), expected, "{topic:?}");
    }
}

#[test]
fn create_topics_knows_existing_and_colliding_names() {
    let mut controller = with_topic("a.b_c");
    let names = ["a.b_c", "a_b_c", "a.b.c", "abc"];
    let results = create(&mut controller, &names.map(NewTopic::with_defaults));
    assert_eq!(code(&results[0]), ErrorCode::TopicAlreadyExists);
    assert_eq!(code(&results[1]), ErrorCode::InvalidTopicException);
    assert_eq!(code(&results[2]), ErrorCode::InvalidTopicException);
    assert!(results[3].is_ok());
    // Within one request: both of a repeated name are refused, of two that collide the second.
    let results = create(
        &mut controller,
        &["x", "x", "p.q", "p_q"].map(NewTopic::with_defaults),
    );
    assert_eq!(code(&results[0]), ErrorCode::InvalidRequest);
    assert_eq!(code(&results[1]), ErrorCode::InvalidRequest);
    assert!(results[2].is_ok());
    assert_eq!(code(&results[3]), ErrorCode::InvalidTopicException);
    // A deleted topic frees its name and what it collides with.
    let topic = controller.image().topic("a.b_c").unwrap().id;
    let decision = controller.delete_topics(
        &[TopicRef {
            name: None,
            id: topic,
        }],
        &ClusterDefaults::default(),
    );
    controller.apply(&decision.records).unwrap();
    assert!(controller.image().colliding_topic("a_b_c").is_none());
}

#[test]
fn create_topics_counts_over_the_whole_request() {
    let wide = |name: &str| NewTopic {
        partition_count: 6_000,
        ..NewTopic::with_defaults(name)
    };
    let mut controller = controller();
    let results = create(
        &mut controller,
        &[wide("a"), wide("b"), NewTopic::with_defaults("c")],
    );
    assert_eq!(
        results.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [true, false, true]
    );
    assert_eq!(code(&results[1]), ErrorCode::PolicyViolation);
    assert_eq!(controller.image().partition_total(), 6_003);
}

#[test]
fn the_cluster_has_a_bound() {
    let mut controller = controller();
    let defaults = ClusterDefaults {
        partition_count: 10_000,
        ..ClusterDefaults::default()
    };
    let mut id = ids();
    for index in 0..20 {
        let topics = [NewTopic::with_defaults(format!("t{index}"))];
        let decision = controller.create_topics(&topics, &defaults, &Rules, &mut id);
        assert!(decision.results[0].is_ok());
        controller.apply(&decision.records).unwrap();
    }
    let topics = [NewTopic {
        partition_count: 1,
        ..NewTopic::with_defaults("more")
    }];
    let decision = controller.create_topics(&topics, &defaults, &Rules, &mut id);
    assert_eq!(code(&decision.results[0]), ErrorCode::PolicyViolation);
}

#[test]
fn created_topics_carry_their_configs() {
    let mut controller = controller();
    let configs = vec![("retention.ms".to_owned(), Some("5".to_owned()))];
    create(
        &mut controller,
        &[NewTopic {
            configs,
            ..NewTopic::with_defaults("t")
        }],
    )
    .remove(0)
    .unwrap();
    let topic = controller.image().topic("t").unwrap();
    assert_eq!(topic.configs.get("retention.ms").map(String::as_str), Some("5"));
    assert_eq!(controller.image().topic_by_id(topic.id), Some(topic));
}

#[test]
fn producer_id_blocks_never_overlap() {
    let mut controller = controller();
    let (first, records) = controller.allocate_producer_ids().unwrap();
    controller.apply(&records).unwrap();
    let (second, _) = controller.allocate_producer_ids().unwrap();
    assert_eq!(
        first,
        ProducerIdBlock {
            first: ProducerId(0),
            len: 1_000
        }
    );
    assert_eq!(second.first, ProducerId(1_000));
    controller
        .apply(&[MetadataRecord::ProducerIds { next: i64::MAX - 999 }])
        .unwrap();
    assert_eq!(
        controller.allocate_producer_ids().unwrap_err().code,
        ErrorCode::UnknownServerError
    );
}

#[test]
fn each_start_is_a_new_leader_epoch() {
    let mut controller = controller();
    let (epoch, records) = controller.register_broker(NODE).unwrap();
    assert_eq!(epoch, LeaderEpoch(1));
    controller.apply(&records).unwrap();
    assert_eq!(controller.image().broker(NODE).unwrap().incarnation, 1);
    let last = MetadataRecord::RegisterBroker {
        node: NODE,
        incarnation: i32::MAX,
    };
    controller.apply(&[last]).unwrap();
    assert_eq!(
        controller.register_broker(NODE).unwrap_err().code,
        ErrorCode::UnknownServerError
    );
}
