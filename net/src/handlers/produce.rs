//! Produce (0), versions 3-13: appends record batches. KIP-98 (idempotence, transactions), KIP-467 (messages), KIP-516 (topic
//! ids), KIP-890 (transactions of version 2, from 12 on).
//!
//! Batches are checked and appended before [`handle`] returns, so those of one connection are appended in the order in which
//! they came; the future only waits until they are as durable as asked, and gets on without being polled. acks=0 gets no answer,
//! but an error closes the connection, as in Kafka, since that is the only way to tell.
//!
//! A request whose partitions this shard owns, and whose records are of no transaction, allocates nothing: what it is taken apart
//! into is used again by the next ([`Scratch`]).

mod check;
mod scratch;
mod transaction;

use std::sync::Arc;

use futures_util::FutureExt;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_core::limits::BATCHES_PER_REQUEST_MAX;
use tautline_core::stage::{Acknowledged, Stage};
use tautline_core::time::{monotonic_ns, turn_ns};
use tautline_replica::metadata::{TopicImage, is_internal};
use tautline_store::Verification;

use self::check::{Checked, Refusal, check};
use self::scratch::{Asked, Scratch, Started};
use self::transaction::start_in_transaction;
use crate::broker::Produced;
use crate::connection::{Answer, Call, Reply};
use crate::handlers::name::Name;
use crate::wire::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponseEncoder, Records, WireError,
};

type Outcome = Result<Produced, Refusal>;

/// Appends the request's batches, and answers when they are acknowledged.
pub fn handle(mut call: Call) -> impl Future<Output = Answer> + use<> {
    let mut scratch = Scratch::take();
    let begun = begin(&mut call, &mut scratch);
    async move {
        let answer = match begun {
            Err(error) => call.answer(Reply::Close(format!("bad Produce request: {error}")), None),
            Ok(0) => unanswered(&call, &mut scratch).await,
            Ok(_) => answer(&mut call, &mut scratch).await,
        };
        scratch.give_back();
        answer
    }
}

/// Checks and appends all batches; gives the acks that are asked for.
fn begin(call: &mut Call, scratch: &mut Scratch) -> Result<i16, WireError> {
    let mut stamps = call.stamps;
    let request: ProduceRequest<'_> = call.decode()?;
    let mut hops = false;
    for topic in request.topic_data.iter() {
        let id = TopicId(topic.topic_id);
        let found = call.broker.find_topic(&topic.name, id);
        let before = scratch.partitions.len();
        if scratch.topics.len() + before + topic.partition_data.len() > BATCHES_PER_REQUEST_MAX {
            // A batch that is missing takes a few bytes of the frame, and its answer a hundred times as much.
            return Err(WireError::TooManyBatches {
                max: BATCHES_PER_REQUEST_MAX,
            });
        }
        for data in topic.partition_data.iter() {
            let judged = judge(call, request.acks, found.as_ref(), id, &data);
            if scratch.partitions.is_empty() {
                // The one moment that is looked up in between: of several batches, the others are in the next stage.
                stamps.lap(Stage::Parse, monotonic_ns());
            }
            let (id, started) = match judged {
                Ok(judged) => (judged.topic.id, start(call, &request, judged)),
                Err(refusal) => (id, Started::Refused(refusal)),
            };
            hops |= matches!(started, Started::Elsewhere(_));
            scratch.partitions.push((data.index, id, started));
        }
        let partitions = scratch.partitions.len() - before;
        let name = Name::new(found, &topic.name);
        scratch.topics.push(Asked { name, id, partitions });
    }
    let acks = request.acks;
    stamps.lap(if hops { Stage::Hop } else { Stage::Append }, monotonic_ns());
    call.stamps = stamps;
    Ok(acks)
}

/// A batch that may be appended.
struct Judged<'r> {
    topic: &'r Arc<TopicImage>,
    index: PartitionIndex,
    bytes: &'r [u8],
    checked: Checked,
}

/// Looks whether a batch may be appended.
fn judge<'r>(
    call: &Call,
    acks: i16,
    topic: Option<&'r Arc<TopicImage>>,
    id: TopicId,
    data: &'r PartitionProduceData<'_>,
) -> Result<Judged<'r>, Refusal> {
    if !matches!(acks, -1..=1) {
        return Err(ErrorCode::InvalidRequiredAcks.into());
    }
    let index = PartitionIndex(data.index);
    let topic = match topic {
        Some(topic) if topic.has_partition(index) => topic,
        None if id != TopicId::ZERO => return Err(ErrorCode::UnknownTopicId.into()),
        _ => return Err(ErrorCode::UnknownTopicOrPartition.into()),
    };
    if is_internal(&topic.name) {
        let message = format!("Cannot append to internal topic {}", topic.name);
        return Err(Refusal::new(ErrorCode::InvalidTopicException, message));
    }
    let bytes = data.records.as_ref().map_or(&[][..], Records::bytes);
    Ok(Judged {
        topic,
        index,
        bytes,
        checked: check(bytes, call.version, &call.broker.topic_settings(topic))?,
    })
}

/// Appends a batch that was judged.
fn start(call: &Call, request: &ProduceRequest<'_>, judged: Judged<'_>) -> Started {
    let Judged {
        topic,
        index,
        bytes,
        checked: Checked {
            max_timestamp_ms,
            is_transactional,
        },
    } = judged;
    if is_transactional {
        let started = start_in_transaction(call, request, topic, index, bytes, max_timestamp_ms);
        return Started::Elsewhere(started);
    }
    let (batch, acks, topic_id) = (call.slice_of(bytes), request.acks, topic.id);
    let owner = call.broker.owner(topic_id, index);
    if owner == call.broker.shard() {
        return match call.broker.find_partition(topic_id, index) {
            Ok(partition) => {
                let appending = partition.append(batch, max_timestamp_ms, acks, Verification::NotNeeded);
                Started::Here(partition, appending)
            }
            Err(error) => Started::Refused(error.into()),
        };
    }
    let acknowledged = call.broker.on_shard(owner, move |broker| {
        let arrived_ns = monotonic_ns();
        let found = broker.find_partition(topic_id, index);
        let appending = found.map(|partition| {
            let appending = partition.append(batch, max_timestamp_ms, acks, Verification::NotNeeded);
            (partition, appending)
        });
        let appended_ns = monotonic_ns();
        async move {
            let (partition, appending) = appending?;
            let mut produced = partition.acknowledged(appending).await?;
            (produced.way.arrived_ns, produced.way.appended_ns) = (arrived_ns, appended_ns);
            Ok(produced)
        }
    });
    let outcome = acknowledged.map(|result: Result<Produced, ErrorCode>| result.map_err(Refusal::from));
    Started::Elsewhere(outcome.boxed_local())
}

impl Started {
    /// Completes when the batch is acknowledged, or was refused.
    async fn outcome(self) -> Outcome {
        match self {
            Started::Refused(refusal) => Err(refusal),
            Started::Here(partition, appending) => Ok(partition.acknowledged(appending).await?),
            Started::Elsewhere(outcome) => outcome.await,
        }
    }
}

async fn unanswered(call: &Call, scratch: &mut Scratch) -> Answer {
    let mut partitions = scratch.partitions.drain(..);
    for topic in &scratch.topics {
        for (index, _, started) in partitions.by_ref().take(topic.partitions) {
            if let Err(refusal) = started.outcome().await {
                let name = topic.name.as_str();
                let reason = format!("acks=0 produce to {name}-{index} failed: {}", refusal.code);
                return call.answer(Reply::Close(reason), None);
            }
        }
    }
    call.answer(Reply::Nothing, None)
}

/// Answers when the last batch is acknowledged.
async fn answer(call: &mut Call, scratch: &mut Scratch) -> Answer {
    let Scratch {
        topics,
        partitions,
        writer,
    } = scratch;
    let mut last: Option<(TopicId, PartitionIndex, Acknowledged)> = None;
    let mut response =
        ProduceResponseEncoder::begin(writer, call.version, call.correlation_id(), topics.len());
    let mut partitions = partitions.drain(..);
    for topic in &*topics {
        response.topic(topic.name.as_str(), topic.id.0, topic.partitions);
        // Each gets on by itself, so that they can be awaited one after the other.
        for (index, id, started) in partitions.by_ref().take(topic.partitions) {
            let outcome = started.outcome().await;
            if let Ok(Produced { way, .. }) = &outcome
                && last.is_none_or(|(.., before)| way.committed_ns > before.committed_ns)
            {
                last = Some((id, PartitionIndex(index), *way));
            }
            response.partition(&result(index, outcome));
        }
    }
    response.finish(0, &[]);
    call.count_errors(writer);
    if let Some((.., way)) = &last {
        call.stamps.follow(way, turn_ns());
    }
    let response = call.broker.request_memory.response(writer.bytes());
    call.answer(Reply::SendOne(response), last.map(|(id, index, _)| (id, index)))
}

/// What is wrong with a record of a batch for a compacted topic, in Kafka's words.
fn keyless(index: u32) -> BatchIndexAndErrorMessage<'static> {
    BatchIndexAndErrorMessage {
        batch_index: index as i32,
        batch_index_error_message: Some("Compacted topic cannot accept message without key".into()),
    }
}

fn result(index: i32, outcome: Outcome) -> PartitionProduceResponse<'static> {
    match outcome {
        Ok(produced) => PartitionProduceResponse {
            index,
            base_offset: produced.base_offset.0,
            log_append_time_ms: produced.log_append_time_ms,
            log_start_offset: produced.log_start_offset.0,
            ..Default::default()
        },
        Err(refusal) => PartitionProduceResponse {
            index,
            error_code: refusal.code.code(),
            base_offset: -1,
            record_errors: refusal.record.map(keyless).into_iter().collect(),
            error_message: refusal.message.map(Into::into),
            ..Default::default()
        },
    }
}
