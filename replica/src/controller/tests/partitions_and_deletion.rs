//! DeleteTopics and CreatePartitions.

use super::*;

#[test]
fn delete_topics_by_name_and_id() {
    let mut controller = controller();
    create(&mut controller, &["a", "b", "c"].map(NewTopic::with_defaults));
    let id = |name: &str| controller.image().topic(name).unwrap().id;
    let by_name = |name: &str| TopicRef {
        name: Some(name.to_owned()),
        id: TopicId::ZERO,
    };
    let by_id = |id| TopicRef { name: None, id };
    let wanted = [
        by_name("a"),
        by_id(id("b")),
        by_name("b"),
        by_name("nope"),
        by_id(TopicId(Uuid::from_u128(99))),
        by_id(TopicId::ZERO),
        TopicRef {
            name: Some("c".to_owned()),
            id: id("c"),
        },
        by_name("twice"),
        by_name("twice"),
        by_id(TopicId(Uuid::from_u128(98))),
        by_id(TopicId(Uuid::from_u128(98))),
    ];
    let decision = controller.delete_topics(&wanted, &ClusterDefaults::default());
    let codes: Vec<_> = decision.results.iter().skip(2).map(code).collect();
    assert_eq!(decision.results[0].as_ref().unwrap().name, "a");
    assert_eq!(decision.results[1].as_ref().unwrap().partition_count, 3);
    assert_eq!(
        codes,
        [
            ErrorCode::InvalidRequest,
            ErrorCode::UnknownTopicOrPartition,
            ErrorCode::UnknownTopicId,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
            ErrorCode::InvalidRequest,
        ]
    );
    controller.apply(&decision.records).unwrap();
    assert_eq!(
        controller
            .image()
            .topics()
            .map(|topic| &topic.name[..])
            .collect::<Vec<_>>(),
        ["c"]
    );
    assert_eq!(controller.image().partition_total(), 3);
    let defaults = ClusterDefaults {
        topics_deletable: false,
        ..ClusterDefaults::default()
    };
    let decision = controller.delete_topics(&[by_name("c")], &defaults);
    assert_eq!(code(&decision.results[0]), ErrorCode::TopicDeletionDisabled);
    assert_eq!(decision.records, []);
}

#[test]
fn create_partitions_only_adds() {
    let mut controller = with_topic("t");
    create(&mut controller, &[NewTopic::with_defaults("u")]);
    let grow = |name: &str, partition_count, assignments: Option<&[&[i32]]>| NewPartitions {
        name: name.to_owned(),
        partition_count,
        assignments: assignments.map(|all| {
            all.iter()
                .map(|nodes| nodes.iter().copied().map(NodeId).collect())
                .collect()
        }),
    };
    let refused = |topic: NewPartitions| code(&controller.create_partitions(&[topic]).results[0]);
    assert_eq!(refused(grow("nope", 5, None)), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(refused(grow("", 5, None)), ErrorCode::UnknownTopicOrPartition);
    assert_eq!(refused(grow("t", 3, None)), ErrorCode::InvalidPartitions);
    assert_eq!(refused(grow("t", 2, None)), ErrorCode::InvalidPartitions);
    assert_eq!(refused(grow("t", -1, None)), ErrorCode::InvalidPartitions);
    assert_eq!(refused(grow("t", i32::MAX, None)), ErrorCode::PolicyViolation);
    assert_eq!(refused(grow("t", 10_001, None)), ErrorCode::PolicyViolation);
    assert_eq!(
        refused(grow("t", 5, Some(&[&[0]]))),
        ErrorCode::InvalidReplicaAssignment
    );
    assert_eq!(
        refused(grow("t", 4, Some(&[&[9]]))),
        ErrorCode::InvalidReplicaAssignment
    );
    let twice = controller.create_partitions(&[grow("t", 4, None), grow("t", 5, None)]);
    assert!(
        twice
            .results
            .iter()
            .all(|result| code(result) == ErrorCode::InvalidRequest)
    );
    let decision = controller.create_partitions(&[grow("t", 5, Some(&[&[0], &[0]])), grow("u", 4, None)]);
    assert_eq!(decision.results, [Ok(5), Ok(4)]);
    controller.apply(&decision.records).unwrap();
    assert_eq!(controller.image().topic("t").unwrap().partition_count, 5);
    assert!(
        controller
            .image()
            .topic("t")
            .unwrap()
            .has_partition(PartitionIndex(4))
    );
    assert!(
        !controller
            .image()
            .topic("t")
            .unwrap()
            .has_partition(PartitionIndex(5))
    );
    assert!(
        !controller
            .image()
            .topic("t")
            .unwrap()
            .has_partition(PartitionIndex(-1))
    );
}
