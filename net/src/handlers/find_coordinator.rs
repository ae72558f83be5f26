//! FindCoordinator (10), versions 0-6: who coordinates a group or a transactional id. KIP-699 (many keys at a time).
//!
//! It is the broker that leads the key's partition of the coordinator's internal topic, which is created when it is first looked
//! for. There are no share groups here (KIP-932).

use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_replica::metadata::TopicImage;

use crate::connection::{Call, Reply};
use crate::coordinator::{InternalTopic, partition_of};
use crate::wire::{
    FindCoordinatorRequest, FindCoordinatorResponse, FoundCoordinator, Str, WireError, coordinator_type,
};

/// First version with many keys.
const KEYS_VERSION: i16 = 4;

/// Tells where the coordinators are.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: FindCoordinatorRequest<'_> = call.decode()?;
    let found = find(&call, request.key_type).await;
    if call.version >= KEYS_VERSION {
        let coordinators = request.coordinator_keys.into_iter();
        return Ok(call.reply(&FindCoordinatorResponse {
            coordinators: coordinators.map(|key| answer(&call, key, &found)).collect(),
            ..Default::default()
        }));
    }
    let FoundCoordinator {
        node_id,
        host,
        port,
        error_code,
        error_message,
        ..
    } = answer(&call, request.key, &found);
    Ok(call.reply(&FindCoordinatorResponse {
        error_code,
        error_message,
        node_id,
        host,
        port,
        ..Default::default()
    }))
}

async fn find(call: &Call, key_type: i8) -> Result<Arc<TopicImage>, ErrorCode> {
    let topic = match key_type {
        coordinator_type::GROUP => InternalTopic::ConsumerOffsets,
        coordinator_type::TRANSACTION => InternalTopic::TransactionState,
        _ => return Err(ErrorCode::InvalidRequest),
    };
    call.broker.ensure_internal_topic(topic).await?;
    let image = call.broker.image();
    // It can have been deleted in this very moment.
    image
        .topic(topic.name())
        .cloned()
        .ok_or(ErrorCode::CoordinatorNotAvailable)
}

fn answer<'a>(
    call: &'a Call,
    key: Str<'a>,
    found: &Result<Arc<TopicImage>, ErrorCode>,
) -> FoundCoordinator<'a> {
    match found {
        Ok(topic) => {
            let partition = partition_of(&key, topic.partition_count);
            let broker = call.broker.node.broker_of(call.broker.owner(topic.id, partition));
            FoundCoordinator {
                key,
                node_id: broker.id.0,
                host: broker.address.host.as_str().into(),
                port: broker.address.port.into(),
                // What Kafka says where there is no error.
                error_message: Some(if call.version < KEYS_VERSION { "NONE" } else { "" }.into()),
                ..Default::default()
            }
        }
        Err(error) => FoundCoordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: error.code(),
            error_message: Some(error.message().into()),
            ..Default::default()
        },
    }
}
