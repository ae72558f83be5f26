//! What a heartbeat must be like by itself, before any group is looked at.

use tautline_core::error::ErrorCode;

use super::assign;
use super::assignor::Assignor;
use super::group::{JOIN_EPOCH, LEAVE_EPOCH, LEAVE_STATIC_EPOCH};
use crate::Refusal;
use crate::groups::config::GroupConfig;
use crate::groups::request::ConsumerGroupHeartbeat;

/// Longest group id, member id or instance id, in bytes: keys of records can't hold longer ones. A longer one is
/// INVALID_REQUEST.
const ID_BYTES_MAX: usize = 4_096;

/// Checks a heartbeat.
///
/// # Errors
/// INVALID_REQUEST, INVALID_GROUP_ID, UNSUPPORTED_ASSIGNOR.
pub(super) fn check(request: &ConsumerGroupHeartbeat, config: &GroupConfig) -> Result<(), Refusal> {
    let invalid = |why: &str| Err(Refusal::new(ErrorCode::InvalidRequest, why));
    let is_empty = |text: &Option<String>| text.as_ref().is_some_and(String::is_empty);
    if request.group_id.is_empty() {
        return Err(Refusal::new(ErrorCode::InvalidGroupId, "GroupId can't be empty."));
    }
    if is_empty(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if is_empty(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    let ids = [&request.group_id, &request.member_id];
    if ids
        .into_iter()
        .chain(&request.instance_id)
        .any(|id| id.len() > ID_BYTES_MAX)
    {
        return invalid("GroupId, MemberId or InstanceId is too long.");
    }
    match request.member_epoch {
        JOIN_EPOCH if request.makes_own_id && request.member_id.is_empty() => {
            return invalid("MemberId can't be empty.");
        }
        JOIN_EPOCH => {
            if request.rebalance_timeout_ms == -1 {
                return invalid("RebalanceTimeoutMs must be provided in first request.");
            }
            if request
                .topic_partitions
                .as_ref()
                .is_none_or(|owned| !owned.is_empty())
            {
                return invalid("TopicPartitions must be empty when (re-)joining.");
            }
            if request.subscribed_topic_names.is_none() && request.subscribed_topic_regex.is_none() {
                return invalid(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
                );
            }
        }
        LEAVE_STATIC_EPOCH if request.instance_id.is_none() => return invalid("InstanceId can't be null."),
        epoch if epoch < LEAVE_STATIC_EPOCH => return invalid("MemberEpoch is invalid."),
        epoch => {
            debug_assert!(epoch > 0 || epoch == LEAVE_EPOCH || epoch == LEAVE_STATIC_EPOCH);
            if request.member_id.is_empty() {
                return invalid("MemberId can't be empty.");
            }
        }
    }
    if let Some(assignor) = &request.server_assignor
        && !assign::offered(config).any(|offered| offered.name() == assignor)
    {
        let offered: Vec<&str> = assign::offered(config).map(Assignor::name).collect();
        return Err(Refusal::new(
            ErrorCode::UnsupportedAssignor,
            format!(
                "ServerAssignor {assignor} is not supported. Supported assignors: {}.",
                offered.join(", ")
            ),
        ));
    }
    Ok(())
}
