//! SyncGroup (14), versions 0-5: the leader of a classic group hands in the assignment, the others wait for theirs. KIP-345 (static
//! members), KIP-559 (protocol type and name).

use std::borrow::Cow;

use bytes::Bytes;
use tautline_core::error::ErrorCode;
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::SyncGroup;
use tautline_replica::groups::response::Synced;

use super::grouped::{told, wait_for};
use crate::connection::{Call, Reply};
use crate::wire::{SyncGroupRequest, SyncGroupResponse, WireError};

/// First version that must say which protocol the client takes the group to have (KIP-559).
const PROTOCOL_VERSION: i16 = 5;

/// Gives the member its assignment.
pub async fn handle(mut call: Call) -> Result<Reply, WireError> {
    let request = owned(&call)?;
    let names_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.version >= PROTOCOL_VERSION && !names_protocol {
        let error = ErrorCode::InconsistentGroupProtocol;
        return Ok(answer(&call, &Synced::refused(error)));
    }
    if request.group_id.is_empty() {
        return Ok(answer(&call, &Synced::refused(ErrorCode::InvalidGroupId)));
    }
    let group = request.group_id.clone();
    let Some(synced) = wait_for(&mut call, &group, GroupRequest::SyncGroup(request)).await else {
        return Ok(Reply::Nothing);
    };
    let synced = match synced {
        Ok(synced) => told!(SyncGroup, synced),
        Err(error) => Synced::refused(error),
    };
    Ok(answer(&call, &synced))
}

fn owned(call: &Call) -> Result<SyncGroup, WireError> {
    let request: SyncGroupRequest<'_> = call.decode()?;
    let assignments = request
        .assignments
        .iter()
        .map(|it| (it.member_id.to_string(), Bytes::copy_from_slice(&it.assignment)));
    Ok(SyncGroup {
        assignments: assignments.collect(),
        group_id: request.group_id.into_owned(),
        generation_id: request.generation_id,
        member_id: request.member_id.into_owned(),
        group_instance_id: request.group_instance_id.map(Cow::into_owned),
        protocol_type: request.protocol_type.map(Cow::into_owned),
        protocol_name: request.protocol_name.map(Cow::into_owned),
    })
}

fn answer(call: &Call, synced: &Synced) -> Reply {
    call.reply(&SyncGroupResponse {
        error_code: synced.error.code(),
        protocol_type: synced.protocol_type.as_deref().map(Into::into),
        protocol_name: synced.protocol_name.as_deref().map(Into::into),
        assignment: (&*synced.assignment).into(),
        ..Default::default()
    })
}
