//! Fetch (1), versions 4-18: record batches from an offset, waiting for them if need be. KIP-74 (limits), KIP-227 (sessions),
//! KIP-320 (epochs), KIP-516 (topic ids).
//!
//! The records go from the log's memory (or file) to the socket as they are: only what stands between them is encoded here.

use std::sync::Arc;

use tautline_core::buffer::Slice;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_core::stage::{Stage, Stamps};
use tautline_core::time::{monotonic_ns, now_ms};
use tautline_replica::metadata::TopicImage;
use uuid::Uuid;

use crate::broker::{Broker, FetchLimits, Found, Wanted};
use crate::connection::{Answer, Call, Part, Reply};
use crate::fetch_session::{FetchContext, FetchPosition, FetchedTopic, Slot};
use crate::wire::{
    AbortedTransaction, FetchRequest, FetchResponseEncoder, FetchResponseHead, PartitionData, Records,
    Segment, WireError, Writer,
};

/// A partition to answer for, and how the client names its topic.
struct Asked {
    name: String,
    id: Uuid,
    /// Its place in the fetch session.
    slot: Option<Slot>,
    wanted: Wanted,
}

/// Reads, or waits and reads.
pub async fn handle(call: Call) -> Result<Answer, WireError> {
    let mut stamps = call.stamps;
    let request: FetchRequest<'_> = call.decode()?;
    let broker = &call.broker;
    let now_ns = monotonic_ns();
    stamps.lap(Stage::Parse, now_ns);
    let limits = FetchLimits {
        max_bytes: (request.max_bytes.max(0) as usize).min(broker.settings().fetch_bytes_max),
        min_bytes: request.min_bytes.max(0) as usize,
        committed_only: request.isolation_level == 1,
        deadline_ns: now_ns + request.max_wait_ms.max(0) as u64 * 1_000_000,
    };
    let context = broker
        .fetch_sessions
        .borrow_mut()
        .begin(call.version, &request, now_ms());
    let first = |asked: &[Asked]| {
        asked
            .first()
            .map(|first| (first.wanted.topic, first.wanted.index))
    };
    match context {
        FetchContext::Refused(error) => Ok(call.answer_with(stamps, refuse(&call, error), None)),
        FetchContext::Full(full) => {
            let asked = asked_by(broker, &request);
            let (answers, payloads) = answer(&call, &asked, limits, &mut stamps).await;
            let session_id =
                broker
                    .fetch_sessions
                    .borrow_mut()
                    .create(full, &request, answers.iter(), now_ms());
            let head = FetchResponseHead {
                session_id,
                ..Default::default()
            };
            let reply = encode(&call, head, asked.iter().zip(&answers).collect(), payloads);
            Ok(call.answer_with(stamps, reply, first(&asked)))
        }
        FetchContext::Incremental(turn) => {
            let asked = {
                let sessions = broker.fetch_sessions.borrow();
                sessions
                    .partitions(&turn)
                    .map(|partition| {
                        let (name, id) = match partition.topic {
                            FetchedTopic::Name(name) => (name, Uuid::nil()),
                            FetchedTopic::Id(id) => ("", id.0),
                        };
                        let found = broker.find_topic(name, TopicId(id));
                        let wanted = want(
                            found.as_ref(),
                            TopicId(id),
                            partition.partition,
                            partition.position,
                        );
                        Asked {
                            name: name.to_owned(),
                            id,
                            slot: Some(partition.slot),
                            wanted,
                        }
                    })
                    .collect::<Vec<_>>()
            };
            let (answers, payloads) = answer(&call, &asked, limits, &mut stamps).await;
            let mut sessions = broker.fetch_sessions.borrow_mut();
            let mut finishing = match sessions.finish(&turn) {
                Ok(finishing) => finishing,
                Err(error) => return Ok(call.answer_with(stamps, refuse(&call, error), first(&asked))),
            };
            let told = asked
                .iter()
                .zip(&answers)
                .filter(|(asked, answer)| asked.slot.is_some_and(|slot| finishing.include(slot, answer)));
            let head = FetchResponseHead {
                session_id: turn.session_id,
                ..Default::default()
            };
            let reply = encode(&call, head, told.collect(), payloads);
            Ok(call.answer_with(stamps, reply, first(&asked)))
        }
    }
}

/// The partitions that the request lists, in its order.
fn asked_by(broker: &Broker, request: &FetchRequest<'_>) -> Vec<Asked> {
    let mut asked = Vec::new();
    for topic in request.topics.iter() {
        let id = TopicId(topic.topic_id);
        let found = broker.find_topic(&topic.topic, id);
        for partition in topic.partitions.iter() {
            let index = PartitionIndex(partition.partition);
            let wanted = want(found.as_ref(), id, index, FetchPosition::from(&partition));
            asked.push(Asked {
                name: topic.topic.to_string(),
                id: topic.topic_id,
                slot: None,
                wanted,
            });
        }
    }
    asked
}

fn want(found: Option<&Arc<TopicImage>>, id: TopicId, index: PartitionIndex, from: FetchPosition) -> Wanted {
    let refused = match found {
        Some(topic) if topic.has_partition(index) => None,
        None if id != TopicId::ZERO => Some(ErrorCode::UnknownTopicId),
        _ => Some(ErrorCode::UnknownTopicOrPartition),
    };
    Wanted {
        topic: found.map_or(id, |topic| topic.id),
        index,
        offset: from.fetch_offset,
        max_bytes: from.bytes_max.max(0) as usize,
        known_epoch: from.current_leader_epoch.0,
        refused,
    }
}

async fn answer(
    call: &Call,
    asked: &[Asked],
    limits: FetchLimits,
    stamps: &mut Stamps,
) -> (Vec<PartitionData<'static>>, Vec<Part>) {
    let wanted: Vec<Wanted> = asked.iter().map(|asked| asked.wanted).collect();
    let found = call.broker.fetch(&call.connection, &wanted, limits, stamps).await;
    let mut payloads = Vec::new();
    let answers = wanted.iter().zip(found).map(|(wanted, mut found)| {
        payloads.append(&mut found.parts);
        partition_data(wanted.index, found, limits.committed_only)
    });
    (answers.collect(), payloads)
}

fn partition_data(index: PartitionIndex, found: Found, committed_only: bool) -> PartitionData<'static> {
    let aborted = found.aborted.into_iter().map(|aborted| AbortedTransaction {
        producer_id: aborted.producer.0,
        first_offset: aborted.first_offset.0,
    });
    PartitionData {
        partition_index: index.0,
        error_code: found.error.code(),
        high_watermark: found.high_watermark.0,
        last_stable_offset: found.last_stable.0,
        log_start_offset: found.log_start.0,
        aborted_transactions: committed_only.then(|| aborted.collect()),
        records: Some(Records::Spliced {
            size_bytes: found.size_bytes,
        }),
        ..Default::default()
    }
}

fn refuse(call: &Call, error: ErrorCode) -> Reply {
    encode(
        call,
        FetchResponseHead {
            error_code: error.code(),
            ..Default::default()
        },
        Vec::new(),
        Vec::new(),
    )
}

/// Encodes the answers; neighbours of one topic stand under one heading.
fn encode(
    call: &Call,
    head: FetchResponseHead,
    told: Vec<(&Asked, &PartitionData<'static>)>,
    payloads: Vec<Part>,
) -> Reply {
    let mut writer = Writer::new();
    let topics: Vec<_> = told
        .chunk_by(|(a, _), (b, _)| a.id == b.id && a.name == b.name)
        .collect();
    let mut response = FetchResponseEncoder::begin(
        &mut writer,
        call.version,
        call.correlation_id(),
        head,
        topics.len(),
    );
    for partitions in topics {
        response.topic(&partitions[0].0.name, partitions[0].0.id, partitions.len());
        partitions
            .iter()
            .for_each(|(_, answer)| response.partition(answer));
    }
    response.finish(&[]);
    call.count_errors(&writer);
    Reply::Send(interleave(writer, payloads))
}

/// Puts the payloads between the written bytes.
fn interleave(writer: Writer, payloads: Vec<Part>) -> Vec<Part> {
    let segments: Vec<Segment> = writer.segments().collect();
    let written = Slice::from_vec(writer.into_parts().0);
    let mut parts = Vec::with_capacity(segments.len() + payloads.len());
    let mut payloads = payloads.into_iter();
    for segment in segments {
        match segment {
            Segment::Written(range) => parts.push(Part::Memory(written.slice(range))),
            Segment::Payload { mut size_bytes } => {
                while size_bytes > 0 {
                    let part = payloads
                        .next()
                        .expect("the payloads add up to what was announced");
                    size_bytes -= part.len();
                    parts.push(part);
                }
            }
        }
    }
    parts
}
