//! DeleteTopics (20), versions 1-6: by name, from version 6 also by id. KIP-4, KIP-516 (ids), KIP-599 (messages).
//!
//! Each topic is decided on by itself; the answer comes when no shard serves the deleted ones any more.

use tautline_core::error::ErrorCode;
use tautline_core::ids::TopicId;
use tautline_replica::Refusal;
use tautline_replica::controller::{DeletedTopic, TopicRef};

use crate::connection::{Call, Reply};
use crate::wire::{DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse, WireError};

/// First version whose clients know TOPIC_DELETION_DISABLED (KIP-322).
const DELETION_DISABLED_VERSION: i16 = 3;

/// Deletes the topics.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DeleteTopicsRequest<'_> = call.decode()?;
    let wanted = topics_of(&request, call.version);
    let results = match call.broker.delete_topics(wanted.clone()).await {
        Ok(results) => results,
        Err(refusal) => wanted.iter().map(|_| Err(refusal.clone())).collect(),
    };
    let responses = wanted
        .into_iter()
        .zip(results)
        .map(|(topic, result)| answer(call.version, topic, result));
    Ok(call.reply(&DeleteTopicsResponse {
        throttle_time_ms: 0,
        responses: responses.collect(),
    }))
}

fn topics_of(request: &DeleteTopicsRequest<'_>, version: i16) -> Vec<TopicRef> {
    if version < 6 {
        let by_name = |name: &_| TopicRef {
            name: Some(String::from(name)),
            id: TopicId::ZERO,
        };
        return request.topic_names.iter().map(|name| by_name(&**name)).collect();
    }
    let topics = request.topics.iter();
    topics
        .map(|topic| TopicRef {
            name: topic.name.as_deref().map(String::from),
            id: TopicId(topic.topic_id),
        })
        .collect()
}

fn answer(
    version: i16,
    topic: TopicRef,
    result: Result<DeletedTopic, Refusal>,
) -> DeletableTopicResult<'static> {
    match result {
        Ok(deleted) => DeletableTopicResult {
            name: Some(deleted.name.into()),
            topic_id: deleted.id.0,
            ..Default::default()
        },
        Err(Refusal { code, message }) => {
            let old = code == ErrorCode::TopicDeletionDisabled && version < DELETION_DISABLED_VERSION;
            let code = if old { ErrorCode::InvalidRequest } else { code };
            DeletableTopicResult {
                name: topic.name.map(Into::into),
                topic_id: topic.id.0,
                error_code: code.code(),
                error_message: Some(message.into()),
            }
        }
    }
}
