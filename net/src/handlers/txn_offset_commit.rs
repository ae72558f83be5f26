//! TxnOffsetCommit (28), versions 0-5: how far a group has come, once the transaction commits. KIP-98, KIP-447 (fencing by the
//! group), KIP-890.

use std::borrow::Cow;
use std::rc::Rc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use tautline_replica::coordinator::TransactionalProducer;
use tautline_replica::groups::request::{CommitPartition, TxnOffsetCommit};
use tautline_replica::groups::response::Committed;
use tautline_replica::groups::{GroupCoordinator, GroupRequest};
use tautline_store::{TransactionVersion, Verification};
use uuid::Uuid;

use super::checked_commit::CheckedCommit;
use super::grouped::told;
use crate::broker::Broker;
use crate::connection::{Call, Reply};
use crate::coordinator::{Adding, Hosted, TransactionClaim, partition_of};
use crate::wire::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic, WireError,
};

/// First version of clients whose transactions have an epoch each, which did not send AddOffsetsToTxn before.
const FIRST_OF_TRANSACTION_V2: i16 = 5;
/// First version of clients that know TRANSACTION_ABORTABLE.
const FIRST_WITH_ABORTABLE: i16 = 4;
/// A coordinator's batches have no sequence.
const NO_SEQUENCE: i32 = -1;

/// Keeps the offsets until the transaction ends.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: TxnOffsetCommitRequest<'_> = call.decode()?;
    let mut commit = CheckedCommit::default();
    for topic in &request.topics {
        let partitions = topic.partitions.iter().map(partition);
        commit.add(&call, &topic.name, Uuid::nil(), partitions);
    }
    let topics = std::mem::take(&mut commit.topics);
    let answers = if topics.is_empty() || request.group_id.is_empty() {
        commit.answers(Err(ErrorCode::InvalidGroupId))
    } else {
        let asked = TxnOffsetCommit {
            group_id: request.group_id.to_string(),
            producer_id: ProducerId(request.producer_id),
            producer_epoch: ProducerEpoch(request.producer_epoch),
            generation_id_or_member_epoch: request.generation_id,
            member_id: request.member_id.to_string(),
            group_instance_id: request.group_instance_id.clone().map(Cow::into_owned),
            topics,
        };
        let committed = commit_in_transaction(&call, &request.transactional_id, asked).await;
        commit.answers(committed.as_ref().map_err(|refusal| *refusal))
    };
    let topics = request.topics.iter().zip(answers);
    let topics = topics.map(|(topic, answers)| answer(topic, &answers));
    Ok(call.reply(&TxnOffsetCommitResponse {
        topics: topics.collect(),
        ..Default::default()
    }))
}

/// Asks the transaction's coordinator whether the group's partition belongs to the transaction, and then the group's.
async fn commit_in_transaction(
    call: &Call,
    transactional_id: &str,
    commit: TxnOffsetCommit,
) -> Result<Committed, ErrorCode> {
    let image = call.broker.image();
    let topic = image
        .topic(GroupCoordinator::TOPIC.name())
        .ok_or(ErrorCode::NotCoordinator)?;
    let partition = partition_of(&commit.group_id, topic.partition_count);
    let producer = TransactionalProducer {
        id: commit.producer_id,
        epoch: commit.producer_epoch,
    };
    let version = if call.version >= FIRST_OF_TRANSACTION_V2 {
        TransactionVersion::V2
    } else {
        TransactionVersion::V1
    };
    let adding = Adding {
        transactional_id: transactional_id.into(),
        partition: (topic.name.clone(), partition),
        version,
        knows_abortable: call.version >= FIRST_WITH_ABORTABLE,
    };
    let owner = call.broker.owner(topic.id, partition);
    let topic_id = topic.id;
    let claimed = call.broker.on_shard(owner, move |broker| {
        claim(broker, topic_id, partition, adding, producer)
    });
    let claim = claimed.await.map_err(unverified)?;
    let asked = GroupRequest::TxnOffsetCommit(commit);
    let asked = call
        .broker
        .ask_claiming::<GroupCoordinator>(partition, asked, Some(claim));
    asked.await.map(|answer| told!(TxnOffsetCommit, answer))
}

/// On the owner of the group's partition: a guard is taken before the transaction's coordinator is asked, so that nothing is
/// written if the transaction ends meanwhile.
async fn claim(
    broker: Rc<Broker>,
    topic: TopicId,
    partition: PartitionIndex,
    adding: Adding,
    producer: TransactionalProducer,
) -> Result<TransactionClaim, ErrorCode> {
    let version = adding.version;
    let log = broker.find_partition(topic, partition)?.log.clone();
    let take = || {
        log.verification(producer.id, producer.epoch, NO_SEQUENCE, version)
            .map_err(|error| error.error_code())
    };
    let mut verification = take()?;
    if verification != Verification::NotNeeded {
        broker
            .add_to_transaction(adding, producer.id, producer.epoch)
            .await?;
    }
    if version == TransactionVersion::V2 {
        // The producer's last transaction may have ended here just before the coordinator let the next one begin; and what ends
        // this one fences its epoch.
        verification = take()?;
    }
    Ok(TransactionClaim {
        producer,
        verification,
        version,
    })
}

/// What clients of this request try again.
fn unverified(code: ErrorCode) -> ErrorCode {
    match code {
        ErrorCode::ConcurrentTransactions
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::NotCoordinator => ErrorCode::CoordinatorLoadInProgress,
        // As many transactions are open as may be.
        ErrorCode::NotEnoughReplicas => ErrorCode::CoordinatorNotAvailable,
        ErrorCode::NotLeaderOrFollower | ErrorCode::KafkaStorageError => ErrorCode::NotCoordinator,
        code => code,
    }
}

fn partition(asked: &TxnOffsetCommitRequestPartition<'_>) -> CommitPartition {
    CommitPartition {
        partition: PartitionIndex(asked.partition_index),
        offset: Offset(asked.committed_offset),
        leader_epoch: LeaderEpoch(asked.committed_leader_epoch),
        metadata: asked.committed_metadata.as_deref().map(str::to_owned),
    }
}

fn answer<'a>(
    topic: &TxnOffsetCommitRequestTopic<'a>,
    answers: &[ErrorCode],
) -> TxnOffsetCommitResponseTopic<'a> {
    let partitions = topic.partitions.iter().zip(answers);
    let partitions = partitions.map(|(asked, error)| TxnOffsetCommitResponsePartition {
        partition_index: asked.partition_index,
        error_code: error.code(),
    });
    TxnOffsetCommitResponseTopic {
        name: topic.name.clone(),
        partitions: partitions.collect(),
    }
}
