//! Heartbeat (12), versions 0-4: a member of a classic group lives, and is told of rebalances. KIP-345 (static members).

use std::borrow::Cow;

use tautline_core::error::ErrorCode;
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::Heartbeat;

use super::grouped::{ask, told};
use crate::connection::{Call, Reply};
use crate::wire::{HeartbeatRequest, HeartbeatResponse, WireError};

/// Notes that the member lives.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: HeartbeatRequest<'_> = call.decode()?;
    let heartbeat = Heartbeat {
        group_id: request.group_id.to_string(),
        generation_id: request.generation_id,
        member_id: request.member_id.into_owned(),
        group_instance_id: request.group_instance_id.map(Cow::into_owned),
    };
    let error = if request.group_id.is_empty() {
        ErrorCode::InvalidGroupId
    } else {
        match ask(&call, &request.group_id, GroupRequest::Heartbeat(heartbeat)).await {
            Ok(answer) => told!(Heartbeat, answer),
            // As Kafka: time begins for the members when the coordinator has loaded.
            Err(ErrorCode::CoordinatorLoadInProgress) => ErrorCode::None,
            Err(error) => error,
        }
    };
    Ok(call.reply(&HeartbeatResponse {
        error_code: error.code(),
        ..Default::default()
    }))
}
