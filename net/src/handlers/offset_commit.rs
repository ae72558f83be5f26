//! OffsetCommit (8), versions 2-10: how far a group has come. KIP-211 (retention), KIP-320 (leader epochs), KIP-345 (static
//! members), KIP-848 (consumer groups, topic ids).

use std::borrow::Cow;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex};
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::{CommitPartition, OffsetCommit};

use super::checked_commit::CheckedCommit;
use super::grouped::{ask, told};
use crate::connection::{Call, Reply};
use crate::wire::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic, WireError,
};

/// First version whose clients know the errors of consumer groups (KIP-848).
const MEMBER_EPOCHS_VERSION: i16 = 9;

/// Keeps the offsets.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: OffsetCommitRequest<'_> = call.decode()?;
    let mut commit = CheckedCommit::default();
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(partition);
        commit.add(&call, &topic.name, topic.topic_id, partitions);
    }
    let topics = std::mem::take(&mut commit.topics);
    let answers = if topics.is_empty() {
        commit.answers(Err(ErrorCode::UnknownServerError))
    } else {
        let asked = OffsetCommit {
            group_id: request.group_id.to_string(),
            generation_id_or_member_epoch: request.generation_id_or_member_epoch,
            member_id: request.member_id.to_string(),
            group_instance_id: request.group_instance_id.clone().map(Cow::into_owned),
            knows_member_epochs: call.version >= MEMBER_EPOCHS_VERSION,
            retention_time_ms: Some(request.retention_time_ms).filter(|time| *time >= 0),
            topics,
        };
        let told = ask(&call, &request.group_id, GroupRequest::OffsetCommit(asked)).await;
        let committed = told.map(|answer| told!(OffsetCommit, answer));
        commit.answers(committed.as_ref().map_err(|refusal| *refusal))
    };
    let kept = answers
        .iter()
        .flatten()
        .filter(|error| **error == ErrorCode::None);
    call.broker.metrics.offsets_committed.add(kept.count() as u64);
    let topics = request.topics.iter().zip(answers);
    let topics = topics.map(|(topic, answers)| answer(topic, &answers));
    Ok(call.reply(&OffsetCommitResponse {
        topics: topics.collect(),
        ..Default::default()
    }))
}

fn partition(asked: &OffsetCommitRequestPartition<'_>) -> CommitPartition {
    CommitPartition {
        partition: PartitionIndex(asked.partition_index),
        offset: Offset(asked.committed_offset),
        leader_epoch: LeaderEpoch(asked.committed_leader_epoch),
        metadata: asked.committed_metadata.as_deref().map(str::to_owned),
    }
}

fn answer<'a>(topic: &OffsetCommitRequestTopic<'a>, answers: &[ErrorCode]) -> OffsetCommitResponseTopic<'a> {
    let partitions = topic.partitions.iter().zip(answers);
    let partitions = partitions.map(|(asked, error)| OffsetCommitResponsePartition {
        partition_index: asked.partition_index,
        error_code: error.code(),
    });
    OffsetCommitResponseTopic {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partitions: partitions.collect(),
    }
}
