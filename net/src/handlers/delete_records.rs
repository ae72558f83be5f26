//! DeleteRecords (21), versions 0-2: moves the start of logs. KIP-107.
//!
//! Offset -1 stands for the high watermark. An answer is sent when the new start is durable: records that were deleted do not
//! come back after a crash.

use std::rc::Rc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{Offset, PartitionIndex, TopicId};
use tautline_replica::metadata::is_internal;
use tautline_store::DeleteRecordsError;

use super::owners::{Asked, on_owners};
use crate::broker::Partition;
use crate::connection::{Call, Reply};
use crate::wire::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
    DeleteRecordsTopicResult, WireError,
};

/// "Up to the high watermark."
const HIGH_WATERMARK: i64 = -1;
/// The low watermark in an error.
const NO_LOW_WATERMARK: i64 = -1;

/// Deletes on each partition's owner.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DeleteRecordsRequest<'_> = call.decode()?;
    let asked = request.topics.iter().map(|topic| Asked {
        topic: call.broker.find_topic(&topic.name, TopicId::ZERO),
        partitions: topic
            .partitions
            .iter()
            .map(|it| (PartitionIndex(it.partition_index), it.offset))
            .collect(),
    });
    let answers = on_owners(&call.broker, asked.collect(), delete).await;
    let topics = request
        .topics
        .iter()
        .zip(answers)
        .map(|(topic, answers)| answer(topic, answers));
    Ok(call.reply(&DeleteRecordsResponse {
        throttle_time_ms: 0,
        topics: topics.collect(),
    }))
}

/// Gives the log's start.
async fn delete(partition: Rc<Partition>, offset: i64) -> Result<Offset, ErrorCode> {
    if is_internal(&partition.topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let log = &partition.log;
    // As in Kafka: what is only compacted is not deleted from its start.
    if !log.config().delete {
        return Err(ErrorCode::PolicyViolation);
    }
    let upto = if offset == HIGH_WATERMARK {
        log.high_watermark()
    } else {
        Offset(offset)
    };
    log.delete_records(upto).await.map_err(|error| match error {
        DeleteRecordsError::OutOfRange(error) => error.error_code(),
        DeleteRecordsError::Log(error) => error.error_code(),
    })
}

fn answer<'a>(
    topic: &DeleteRecordsTopic<'a>,
    answers: Vec<Result<Offset, ErrorCode>>,
) -> DeleteRecordsTopicResult<'a> {
    let partitions =
        topic
            .partitions
            .iter()
            .zip(answers)
            .map(|(asked, answer)| DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: answer.map_or(NO_LOW_WATERMARK, |start| start.0),
                error_code: answer.err().unwrap_or(ErrorCode::None).code(),
            });
    DeleteRecordsTopicResult {
        name: topic.name.clone(),
        partitions: partitions.collect(),
    }
}
