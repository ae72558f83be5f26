//! ListOffsets (2), versions 1-11: offsets of times, of both ends, and of the highest timestamp. KIP-79, KIP-207, KIP-320
//! (fencing), KIP-405 and KIP-1005 (tiers), KIP-734 (highest timestamp).

use std::rc::Rc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, TopicId};
use tautline_store::FoundOffset;

use super::owners::{Asked, on_owners};
use crate::broker::Partition;
use crate::connection::{Call, Reply};
use crate::wire::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopic, ListOffsetsTopicResponse, WireError, timestamp,
};

/// `isolation_level` of those who see nothing undecided.
const READ_COMMITTED: i8 = 1;

/// An answer where nothing was found.
const NOTHING: Found = Found {
    timestamp_ms: -1,
    offset: Offset(-1),
    epoch: None,
};

/// What was found in a log.
#[derive(Clone, Copy)]
struct Found {
    timestamp_ms: i64,
    offset: Offset,
    epoch: Option<LeaderEpoch>,
}

impl From<FoundOffset> for Found {
    fn from(found: FoundOffset) -> Found {
        Found {
            timestamp_ms: found.timestamp_ms,
            offset: found.offset,
            epoch: Some(found.leader_epoch),
        }
    }
}

/// Looks each partition up on its owner.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: ListOffsetsRequest<'_> = call.decode()?;
    let (version, committed_only) = (call.version, request.isolation_level == READ_COMMITTED);
    let asked = request.topics.iter().map(|topic| Asked {
        topic: call.broker.find_topic(&topic.name, TopicId::ZERO),
        partitions: topic
            .partitions
            .iter()
            .map(|it| (PartitionIndex(it.partition_index), it.clone()))
            .collect(),
    });
    let look_up = move |partition, asked| look_up(partition, asked, version, committed_only);
    let answers = on_owners(&call.broker, asked.collect(), look_up).await;
    let topics = request
        .topics
        .iter()
        .zip(answers)
        .map(|(topic, answers)| answer(topic, answers));
    Ok(call.reply(&ListOffsetsResponse {
        throttle_time_ms: 0,
        topics: topics.collect(),
    }))
}

async fn look_up(
    partition: Rc<Partition>,
    asked: ListOffsetsPartition,
    version: i16,
    committed_only: bool,
) -> Result<Found, ErrorCode> {
    if version < version_of(asked.timestamp) {
        return Err(ErrorCode::UnsupportedVersion);
    }
    partition.check_epoch(asked.current_leader_epoch)?;
    let log = &partition.log;
    let end = partition.visible_end(committed_only);
    let found = match asked.timestamp {
        timestamp::LATEST => {
            return Ok(Found {
                timestamp_ms: -1,
                offset: end,
                epoch: Some(partition.epoch()),
            });
        }
        // Nothing is in remote storage: what is local is all there is.
        timestamp::EARLIEST | timestamp::EARLIEST_LOCAL | timestamp::EARLIEST_PENDING_UPLOAD => {
            let start = log.start_offset();
            return Ok(Found {
                timestamp_ms: -1,
                offset: start,
                epoch: log.epoch_of(start),
            });
        }
        timestamp::LATEST_TIERED => return Ok(NOTHING),
        timestamp::MAX => log.max_timestamp_offset().await,
        time if time >= 0 => log.offset_for_timestamp(time).await,
        _ => return Err(ErrorCode::InvalidRequest),
    };
    let found = found.map_err(|error| error.error_code())?;
    Ok(found
        .map(Found::from)
        .filter(|found| found.offset < end)
        .unwrap_or(NOTHING))
}

/// First version that knows a special timestamp.
const fn version_of(time: i64) -> i16 {
    match time {
        timestamp::MAX => 7,
        timestamp::EARLIEST_LOCAL => 8,
        timestamp::LATEST_TIERED => 9,
        timestamp::EARLIEST_PENDING_UPLOAD => 11,
        _ => 1,
    }
}

fn answer<'a>(
    topic: &ListOffsetsTopic<'a>,
    answers: Vec<Result<Found, ErrorCode>>,
) -> ListOffsetsTopicResponse<'a> {
    let partitions = topic.partitions.iter().zip(answers).map(|(asked, answer)| {
        let found = answer.unwrap_or(NOTHING);
        ListOffsetsPartitionResponse {
            partition_index: asked.partition_index,
            error_code: answer.err().unwrap_or(ErrorCode::None).code(),
            timestamp: found.timestamp_ms,
            offset: found.offset.0,
            leader_epoch: found.epoch.map_or(-1, |epoch| epoch.0),
        }
    });
    ListOffsetsTopicResponse {
        name: topic.name.clone(),
        partitions: partitions.collect(),
    }
}
