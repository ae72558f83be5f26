//! Fetch (1), versions 4-18: record batches from an offset, waiting for them if need be. KIP-74 (limits), KIP-227 (sessions),
//! KIP-320 (epochs), KIP-516 (topic ids).
//!
//! The records go from the log's memory (or file) to the socket as they are: only what stands between them is encoded here. A
//! fetch that finds what it wants in this shard's memory allocates nothing: what it is taken apart into is used again by the next
//! ([`Scratch`]).

mod encode;
mod scratch;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_core::stage::{Stage, Stamps};
use tautline_core::time::{monotonic_ns, now_ms};
use uuid::Uuid;

use self::encode::{encode, refuse};
use self::scratch::Scratch;
use crate::broker::{Broker, FetchLimits, Found};
use crate::connection::{Answer, Call, Reply};
use crate::fetch_session::{FetchContext, FetchPosition, FetchedTopic, IncrementalFetch};
use crate::wire::{AbortedTransaction, FetchRequest, FetchResponseHead, PartitionData, Records, WireError};

/// Reads, or waits and reads.
pub async fn handle(call: Call) -> Answer {
    let mut scratch = Scratch::take();
    let mut stamps = call.stamps;
    let reply = fetch(&call, &mut stamps, &mut scratch)
        .await
        .unwrap_or_else(|error| {
            let version = call.version;
            Reply::Close(format!("bad Fetch request, version {version}: {error}"))
        });
    let first = scratch.wanted.first().map(|first| (first.topic, first.index));
    scratch.give_back();
    call.answer_with(stamps, reply, first)
}

async fn fetch(call: &Call, stamps: &mut Stamps, scratch: &mut Scratch) -> Result<Reply, WireError> {
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
    let told = match context {
        FetchContext::Refused(error) => Err(error),
        FetchContext::Full(full) => {
            ask_for_all(broker, &request, scratch);
            read(call, limits, stamps, scratch).await;
            scratch.told.extend(0..scratch.answers.len());
            let mut sessions = broker.fetch_sessions.borrow_mut();
            Ok(sessions.create(full, &request, &scratch.answers, now_ms()))
        }
        FetchContext::Incremental(turn) => {
            ask_for_session(broker, &turn, scratch);
            read(call, limits, stamps, scratch).await;
            tell_what_changed(broker, &turn, scratch)
        }
    };
    Ok(match told {
        Ok(session_id) => {
            let head = FetchResponseHead {
                session_id,
                ..Default::default()
            };
            encode(call, head, scratch)
        }
        Err(error) => refuse(call, error, scratch),
    })
}

/// The partitions that the request lists, in its order.
fn ask_for_all(broker: &Broker, request: &FetchRequest<'_>, scratch: &mut Scratch) {
    for topic in request.topics.iter() {
        for partition in topic.partitions.iter() {
            let index = PartitionIndex(partition.partition);
            let named = (&*topic.topic, topic.topic_id);
            scratch.ask(broker, named, index, FetchPosition::from(&partition), None);
        }
    }
}

/// The partitions of a session, those last that had records last.
fn ask_for_session(broker: &Broker, turn: &IncrementalFetch, scratch: &mut Scratch) {
    let sessions = broker.fetch_sessions.borrow();
    for partition in sessions.partitions(turn) {
        let named = match partition.topic {
            FetchedTopic::Name(name) => (name, Uuid::nil()),
            FetchedTopic::Id(TopicId(id)) => ("", id),
        };
        let slot = Some(partition.slot);
        scratch.ask(broker, named, partition.partition, partition.position, slot);
    }
}

/// Notes which partitions the response tells of; gives the session's id.
fn tell_what_changed(
    broker: &Broker,
    turn: &IncrementalFetch,
    scratch: &mut Scratch,
) -> Result<i32, ErrorCode> {
    let mut sessions = broker.fetch_sessions.borrow_mut();
    let mut finishing = sessions.finish(turn)?;
    for (place, (asked, answer)) in scratch.asked.iter().zip(&scratch.answers).enumerate() {
        if asked.slot.is_some_and(|slot| finishing.include(slot, answer)) {
            scratch.told.push(place);
        }
    }
    Ok(turn.session_id)
}

/// Reads what is asked for, and makes the answers.
async fn read(call: &Call, limits: FetchLimits, stamps: &mut Stamps, scratch: &mut Scratch) {
    let Scratch {
        wanted,
        findings,
        answers,
        ..
    } = scratch;
    let (broker, client) = (&call.broker, &call.connection);
    broker.fetch(client, wanted, limits, stamps, findings).await;
    let found = wanted.iter().zip(&mut findings.partitions);
    answers.extend(found.map(|(wanted, found)| partition_data(wanted.index, found, limits.committed_only)));
}

fn partition_data(index: PartitionIndex, found: &mut Found, committed_only: bool) -> PartitionData<'static> {
    let aborted = std::mem::take(&mut found.aborted).into_iter();
    let aborted = aborted.map(|aborted| AbortedTransaction {
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
