//! OffsetCommit, OffsetFetch and OffsetDelete.

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};

use super::lab::{Lab, committing, fetching};
use crate::groups::request::{GroupRequest, OffsetCommit, OffsetDelete, OffsetFetch, TopicPartitions};
use crate::groups::response::{Committed, GroupResponse};

fn commit(lab: &mut Lab, request: OffsetCommit) -> Committed {
    match lab.now(GroupRequest::OffsetCommit(request)) {
        GroupResponse::OffsetCommit(committed) => committed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_may_commit() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 1);
    let id = joined[0].member_id.to_string();
    use ErrorCode::{GroupIdNotFound, IllegalGeneration, None, UnknownMemberId};
    for (group, member_id, generation, error) in [
        ("g", id.as_str(), 1, None),
        ("g", &id, 0, IllegalGeneration),
        ("g", &id, -1, IllegalGeneration),
        ("g", "x", 1, UnknownMemberId),
        ("g", "", -1, UnknownMemberId),
        ("new", "", -1, None),
        ("new", "", 3, UnknownMemberId),
        ("other", "x", 3, GroupIdNotFound),
    ] {
        assert_eq!(
            lab.commit_as(group, member_id, generation, 5),
            error,
            "{group} {member_id} {generation}"
        );
    }
    let old_client = OffsetCommit {
        knows_member_epochs: false,
        ..committing("other", "x", 3, "t", 5)
    };
    assert_eq!(
        commit(&mut lab, old_client).topics[0].partitions[0].1,
        IllegalGeneration
    );
    let fenced = OffsetCommit {
        group_instance_id: Some("i".to_owned()),
        ..committing("g", &id, 1, "t", 5)
    };
    assert_eq!(
        commit(&mut lab, fenced).topics[0].partitions[0].1,
        UnknownMemberId
    );
}

#[test]
fn what_is_committed_is_fetched_also_after_a_crash() {
    let mut lab = Lab::new();
    let topic_id = lab.image.topic("t").unwrap().id;
    let mut request = committing("g", "", -1, "t", 5);
    request.topics[0].id = topic_id;
    request.topics.extend(committing("g", "", -1, "u", 6).topics);
    commit(&mut lab, request);
    for _ in 0..2 {
        let all = lab.fetch(OffsetFetch {
            topics: None,
            ..fetching("g", "t")
        });
        let told: Vec<_> = all
            .topics
            .iter()
            .map(|topic| (&*topic.name, topic.id, topic.partitions[0].offset.0))
            .collect();
        assert_eq!(told, [("t", topic_id, 5), ("u", TopicId::ZERO, 6)]);
        let partition = &all.topics[0].partitions[0];
        assert_eq!((partition.leader_epoch.0, &*partition.metadata), (1, "m"));
        assert_eq!(lab.offset("g", "v"), -1);
        assert_eq!(lab.offset("nobody", "t"), -1);
        lab.restart();
    }
}

#[test]
fn metadata_that_is_too_long_is_refused_for_its_partition_alone() {
    let mut lab = Lab::new();
    let mut request = committing("g", "", -1, "t", 5);
    let partitions = &mut request.topics[0].partitions;
    partitions.push(partitions[0].clone());
    partitions[0].metadata = Some("m".repeat(4_097));
    partitions[1].partition = PartitionIndex(1);
    // Kafka counts characters.
    partitions[1].metadata = Some("é".repeat(4_096));
    let committed = commit(&mut lab, request);
    let errors: Vec<_> = committed.topics[0]
        .partitions
        .iter()
        .map(|(_, error)| *error)
        .collect();
    assert_eq!(errors, [ErrorCode::OffsetMetadataTooLarge, ErrorCode::None]);
    let mut alone = committing("h", "", -1, "t", 5);
    alone.topics[0].partitions[0].metadata = Some("m".repeat(4_097));
    commit(&mut lab, alone);
    assert_eq!(
        lab.describe("h").state,
        "Dead",
        "a commit of nothing makes no group"
    );
}

#[test]
fn a_commit_that_no_batch_could_hold_is_refused() {
    let mut lab = Lab::new();
    let group = "g".repeat(30_000);
    let mut request = committing(&group, "", -1, "t", 5);
    let partition = request.topics[0].partitions[0].clone();
    request.topics[0].partitions = vec![partition; 1_000];
    let committed = commit(&mut lab, request);
    let partitions = &committed.topics[0].partitions;
    assert!(
        partitions
            .iter()
            .all(|(_, error)| *error == ErrorCode::InvalidCommitOffsetSize)
    );
    assert!(lab.log.is_empty());
}

fn delete(lab: &mut Lab, group: &str, topics: &[&str]) -> (ErrorCode, Vec<ErrorCode>) {
    let request = OffsetDelete {
        group_id: group.to_owned(),
        topics: topics
            .iter()
            .map(|name| TopicPartitions {
                name: (*name).to_owned(),
                id: TopicId::ZERO,
                partitions: vec![PartitionIndex(0)],
            })
            .collect(),
    };
    match lab.now(GroupRequest::OffsetDelete(request)) {
        GroupResponse::OffsetDelete(deleted) => {
            let topics = deleted.topics.into_iter();
            (
                deleted.error,
                topics.map(|(_, partitions)| partitions[0].1).collect(),
            )
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn kip_496_offsets_of_topics_that_a_group_subscribes_to_are_kept() {
    let mut lab = Lab::new();
    let joined = lab.stable("g", 1);
    let id = joined[0].member_id.to_string();
    for topic in ["t", "u"] {
        commit(&mut lab, committing("g", &id, 1, topic, 5));
    }
    use ErrorCode::{GroupIdNotFound, GroupSubscribedToTopic, NonEmptyGroup, None};
    assert_eq!(
        delete(&mut lab, "g", &["t", "u", "v"]),
        (None, vec![GroupSubscribedToTopic, None, None])
    );
    for _ in 0..2 {
        assert_eq!((lab.offset("g", "t"), lab.offset("g", "u")), (5, -1));
        lab.restart();
    }
    lab.leave("g", &[(&id, Option::None)]);
    assert_eq!(delete(&mut lab, "g", &["t"]), (None, vec![None]));
    assert_eq!(lab.offset("g", "t"), -1);
    assert_eq!(delete(&mut lab, "nobody", &["t"]), (GroupIdNotFound, vec![]));
    let mut request = lab.joining("connect");
    request.protocol_type = "connect".to_owned();
    lab.stable_of("connect", &[request]);
    assert_eq!(delete(&mut lab, "connect", &["t"]), (NonEmptyGroup, vec![]));
}

#[test]
fn a_topic_that_is_deleted_takes_its_offsets_along() {
    let mut lab = Lab::new();
    let id = lab.image.topic("t").unwrap().id;
    let mut request = committing("g", "", -1, "t", 5);
    request.topics[0].id = id;
    commit(&mut lab, request.clone());
    commit(&mut lab, committing("g", "", -1, "u", 6));
    lab.image_changed();
    assert_eq!(lab.offset("g", "t"), 5);
    lab.delete_topic("t");
    lab.image_changed();
    for _ in 0..2 {
        assert_eq!((lab.offset("g", "t"), lab.offset("g", "u")), (-1, 6));
        lab.restart();
    }
    // One of the same name is another one, also where it was made while nobody looked.
    lab.create_topic("t");
    commit(&mut lab, request);
    lab.restart();
    assert_eq!(lab.offset("g", "t"), -1);
    let logged = lab.log.len();
    lab.image_changed();
    lab.restart();
    assert_eq!(lab.log.len(), logged, "what is gone is deleted once");
}
