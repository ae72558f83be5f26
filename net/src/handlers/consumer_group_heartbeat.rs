//! ConsumerGroupHeartbeat (68), versions 0-1: a member of a consumer group joins, stays, leaves, and is told what to read. KIP-848,
//! KIP-1082 (ids made by clients).

use std::borrow::Cow;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_replica::controller::GROUP_VERSION;
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::ConsumerGroupHeartbeat;
use tautline_replica::groups::response::ConsumerHeartbeat;
use uuid::Uuid;

use super::grouped::{ask, told};
use crate::connection::{Call, Reply};
use crate::wire::{
    AssignedPartitions, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, HeartbeatAssignment,
    Str, WireError,
};

/// Notes what the member says, and tells it what has changed.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: ConsumerGroupHeartbeatRequest<'_> = call.decode()?;
    let group = request.group_id.to_string();
    let heartbeat = owned(&call, request);
    let told = if call.broker.image().feature_level(GROUP_VERSION.name) == 0 {
        Err(ErrorCode::UnsupportedVersion)
    } else {
        ask(&call, &group, GroupRequest::ConsumerGroupHeartbeat(heartbeat)).await
    };
    let told = match told {
        Ok(answer) => told!(ConsumerGroupHeartbeat, answer),
        Err(error) => ConsumerHeartbeat::refused(error, error.message()),
    };
    Ok(answer(&call, &told))
}

fn owned(call: &Call, request: ConsumerGroupHeartbeatRequest<'_>) -> ConsumerGroupHeartbeat {
    let owned = |text: Option<Str<'_>>| text.map(Cow::into_owned);
    let names = |names: Vec<Str<'_>>| names.into_iter().map(Cow::into_owned).collect();
    let partitions = |it: AssignedPartitions| {
        let partitions = it.partitions.into_iter().map(PartitionIndex).collect();
        (TopicId(it.topic_id), partitions)
    };
    ConsumerGroupHeartbeat {
        makes_own_id: call.version >= 1,
        fresh_member_id: TopicId(Uuid::new_v4()).to_string(),
        client_id: call.client_id(),
        client_host: call.client_host(),
        group_id: request.group_id.into_owned(),
        member_id: request.member_id.into_owned(),
        member_epoch: request.member_epoch,
        instance_id: owned(request.instance_id),
        rack_id: owned(request.rack_id),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        subscribed_topic_names: request.subscribed_topic_names.map(names),
        subscribed_topic_regex: owned(request.subscribed_topic_regex),
        server_assignor: owned(request.server_assignor),
        topic_partitions: request
            .topic_partitions
            .map(|topics| topics.into_iter().map(partitions).collect()),
    }
}

fn answer(call: &Call, told: &ConsumerHeartbeat) -> Reply {
    let assigned = |(topic, partitions): &(TopicId, Vec<PartitionIndex>)| AssignedPartitions {
        topic_id: topic.0,
        partitions: partitions.iter().map(|partition| partition.0).collect(),
    };
    let assignment = told.assignment.as_ref().map(|topics| HeartbeatAssignment {
        topic_partitions: topics.iter().map(assigned).collect(),
    });
    call.reply(&ConsumerGroupHeartbeatResponse {
        error_code: told.error.code(),
        error_message: told.error_message.as_deref().map(Into::into),
        member_id: told.member_id.as_deref().map(Into::into),
        member_epoch: told.member_epoch,
        heartbeat_interval_ms: told.heartbeat_interval_ms,
        assignment,
        ..Default::default()
    })
}
