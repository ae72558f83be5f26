//! Offsets of consumer groups: members commit and fetch by their epochs (KIP-848), and the offsets stay when the members change
//! their protocol.

use tautline_core::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

use super::migration::{join_group, sync_group};
use super::*;
use crate::coordinator::TransactionalProducer;
use crate::groups::request::{
    CommitPartition, CommitTopic, OffsetCommit, OffsetFetch, TopicPartitions, TxnOffsetCommit,
};

fn topics(offset: i64) -> Vec<CommitTopic> {
    vec![CommitTopic {
        name: "t".to_owned(),
        id: TopicId::ZERO,
        partitions: vec![CommitPartition {
            partition: PartitionIndex(0),
            offset: Offset(offset),
            leader_epoch: LeaderEpoch::NONE,
            metadata: None,
        }],
    }]
}

impl Fixture {
    fn commit_by(&mut self, member: &str, epoch: i32, knows_member_epochs: bool, offset: i64) -> ErrorCode {
        let request = OffsetCommit {
            group_id: GROUP.to_owned(),
            generation_id_or_member_epoch: epoch,
            member_id: member.to_owned(),
            group_instance_id: None,
            knows_member_epochs,
            retention_time_ms: None,
            topics: topics(offset),
        };
        match self.answer(GroupRequest::OffsetCommit(request)) {
            GroupResponse::OffsetCommit(committed) => committed.topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    }

    fn commit_in_transaction(&mut self, member: &str, epoch: i32) -> ErrorCode {
        let producer = TransactionalProducer {
            id: ProducerId(1),
            epoch: ProducerEpoch(0),
        };
        let request = TxnOffsetCommit {
            group_id: GROUP.to_owned(),
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            generation_id_or_member_epoch: epoch,
            member_id: member.to_owned(),
            group_instance_id: None,
            topics: topics(99),
        };
        let length = self.log.len();
        let answer = self.answer(GroupRequest::TxnOffsetCommit(request));
        // The fixture's log knows no transactions: this one is aborted.
        self.log.truncate(length);
        self.coordinator
            .transaction_ended(self.now_ms + self.ahead_ms, producer, false);
        match answer {
            GroupResponse::TxnOffsetCommit(committed) => committed.topics[0].partitions[0].1,
            other => panic!("{other:?}"),
        }
    }

    fn fetch_by(&mut self, member: Option<&str>, epoch: i32) -> Result<i64, ErrorCode> {
        let request = OffsetFetch {
            group_id: GROUP.to_owned(),
            member_id: member.map(str::to_owned),
            member_epoch: epoch,
            topics: Some(vec![TopicPartitions {
                name: "t".to_owned(),
                id: TopicId::ZERO,
                partitions: vec![PartitionIndex(0)],
            }]),
            require_stable: false,
        };
        match self.answer(GroupRequest::OffsetFetch(request)) {
            GroupResponse::OffsetFetch(fetched) if fetched.error == ErrorCode::None => {
                Ok(fetched.topics[0].partitions[0].offset.0)
            }
            GroupResponse::OffsetFetch(fetched) => Err(fetched.error),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn members_commit_and_fetch_by_their_epochs() {
    let mut fixture = Fixture::new();
    fixture.create_topic("t", 1);
    assert_eq!(fixture.commit_by("a", 1, true, 1), ErrorCode::GroupIdNotFound);
    assert_eq!(fixture.commit_by("a", 1, false, 1), ErrorCode::IllegalGeneration);
    fixture.heartbeat(joining("a", &["t"]));
    fixture.heartbeat(joining("b", &["t"]));
    fixture.heartbeat(quiet("a", 1));
    for (member, epoch, error) in [
        ("a", 2, ErrorCode::None),
        ("a", 1, ErrorCode::StaleMemberEpoch),
        ("a", 3, ErrorCode::StaleMemberEpoch),
        ("a", -1, ErrorCode::StaleMemberEpoch),
        ("x", 2, ErrorCode::UnknownMemberId),
        ("", -1, ErrorCode::UnknownMemberId),
    ] {
        assert_eq!(
            fixture.commit_by(member, epoch, true, 7),
            error,
            "{member} {epoch}"
        );
        let fetched = fixture.fetch_by(Some(member), epoch);
        assert_eq!(
            fetched.err().unwrap_or(ErrorCode::None),
            error,
            "{member} {epoch}"
        );
    }
    assert_eq!(fixture.commit_by("a", 2, false, 8), ErrorCode::UnsupportedVersion);
    assert_eq!(fixture.fetch_by(None, -1), Ok(7), "anybody may look");
    // TxnOffsetCommit has no word for a stale epoch, and need not name a member.
    assert_eq!(fixture.commit_in_transaction("a", 2), ErrorCode::None);
    assert_eq!(
        fixture.commit_in_transaction("a", 1),
        ErrorCode::IllegalGeneration
    );
    assert_eq!(fixture.commit_in_transaction("x", 2), ErrorCode::UnknownMemberId);
    assert_eq!(fixture.commit_in_transaction("", -1), ErrorCode::None);
    fixture.restart();
    assert_eq!(fixture.fetch_by(Some("a"), 2), Ok(7));
    // Without members the group is anybody's again.
    fixture.heartbeat(quiet("a", -1));
    fixture.heartbeat(quiet("b", -1));
    assert_eq!(fixture.commit_by("", -1, false, 9), ErrorCode::None);
    assert_eq!(fixture.fetch_by(None, -1), Ok(9));
}

#[test]
fn offsets_stay_when_the_group_changes_its_protocol() {
    let mut fixture = Fixture::new();
    fixture.create_topic("t", 2);
    let id = fixture.join(join_group("", &["t"], &[])).member_id.to_string();
    fixture.ask(GroupRequest::JoinGroup(join_group(&id, &["t"], &[])));
    fixture.advance(3_000);
    fixture.sync(sync_group(&id, 1, &[]));
    assert_eq!(fixture.commit_by(&id, 1, false, 5), ErrorCode::None);
    fixture.heartbeat(joining("b", &["t"]));
    assert!(!fixture.is_classic());
    // A classic member is of its generation, in any version, until it has joined again.
    assert_eq!(fixture.commit_by(&id, 1, false, 6), ErrorCode::None);
    assert_eq!(fixture.commit_by(&id, 2, true, 7), ErrorCode::IllegalGeneration);
    assert_eq!(fixture.fetch_by(Some("b"), 2), Ok(6));
    fixture.restart();
    assert_eq!(fixture.fetch_by(Some("b"), 2), Ok(6));
    fixture.heartbeat(quiet("b", -1));
    assert!(fixture.is_classic());
    assert_eq!(fixture.fetch_by(None, -1), Ok(6));
    fixture.restart();
    assert_eq!(fixture.fetch_by(None, -1), Ok(6));
}
