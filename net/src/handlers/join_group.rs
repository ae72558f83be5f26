//! JoinGroup (11), versions 0-9: a member takes part in a rebalance of a classic group, and waits for it. KIP-62, KIP-394 (member ids
//! before joining), KIP-345 (static members), KIP-814 (assignments that stay).
//!
//! The answer comes when the others have joined too. Until then the request holds nothing but its place on the connection.

use std::borrow::Cow;

use bytes::Bytes;
use tautline_core::error::ErrorCode;
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::JoinGroup;
use tautline_replica::groups::response::Joined;
use tautline_replica::records::STR_BYTES_MAX;
use uuid::Uuid;

use super::grouped::{told, wait_for};
use crate::connection::{Call, Reply};
use crate::wire::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember, WireError};

/// First version that says how long a rebalance may take.
const REBALANCE_TIMEOUT_VERSION: i16 = 1;
/// First version whose clients can be told to come back with a member id (KIP-394).
const MEMBER_ID_REQUIRED_VERSION: i16 = 4;
/// First version whose leaders can be told that there is nothing to assign (KIP-814).
const SKIP_ASSIGNMENT_VERSION: i16 = 9;

/// Bytes of the client's or instance's name that an id begins with; of a longer name only the beginning.
const MEMBER_ID_PREFIX_BYTES_MAX: usize = 4_096;

const _: () = assert!(MEMBER_ID_PREFIX_BYTES_MAX + 1 + uuid::fmt::Hyphenated::LENGTH <= STR_BYTES_MAX);

/// Has the client join.
pub async fn handle(mut call: Call) -> Result<Reply, WireError> {
    let request = owned(&call)?;
    let member_id = request.member_id.clone();
    if request.group_id.is_empty() {
        return Ok(answer(
            &call,
            &Joined::refused(ErrorCode::InvalidGroupId, member_id),
        ));
    }
    let group = request.group_id.clone();
    let Some(joined) = wait_for(&mut call, &group, GroupRequest::JoinGroup(request)).await else {
        return Ok(Reply::Nothing);
    };
    let joined = match joined {
        Ok(joined) => told!(JoinGroup, joined),
        Err(error) => Joined::refused(error, member_id),
    };
    // A leader that has something to assign is told once in a generation.
    let leads = joined.error == ErrorCode::None && joined.leader == joined.member_id;
    call.broker
        .metrics
        .rebalances
        .add(u64::from(leads && !joined.skip_assignment));
    Ok(answer(&call, &joined))
}

/// An id that nobody has: who it is for, and a UUID.
fn fresh_member_id(name: &str) -> String {
    let mut length = name.len().min(MEMBER_ID_PREFIX_BYTES_MAX);
    while !name.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}-{}", &name[..length], Uuid::new_v4())
}

fn owned(call: &Call) -> Result<JoinGroup, WireError> {
    let request: JoinGroupRequest<'_> = call.decode()?;
    let client_id = call.client_id();
    let prefix = request.group_instance_id.as_deref().unwrap_or(&client_id);
    let protocols = request
        .protocols
        .iter()
        .map(|it| (it.name.to_string(), Bytes::copy_from_slice(&it.metadata)));
    Ok(JoinGroup {
        fresh_member_id: fresh_member_id(prefix),
        protocols: protocols.collect(),
        group_id: request.group_id.into_owned(),
        member_id: request.member_id.into_owned(),
        group_instance_id: request.group_instance_id.map(Cow::into_owned),
        client_host: call.client_host(),
        client_id,
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: if call.version < REBALANCE_TIMEOUT_VERSION {
            request.session_timeout_ms
        } else {
            request.rebalance_timeout_ms
        },
        protocol_type: request.protocol_type.into_owned(),
        requires_known_member_id: call.version >= MEMBER_ID_REQUIRED_VERSION,
        supports_skipping_assignment: call.version >= SKIP_ASSIGNMENT_VERSION,
        reason: request.reason.map(Cow::into_owned),
    })
}

fn answer(call: &Call, joined: &Joined) -> Reply {
    let members = joined.members.iter().map(|member| JoinGroupResponseMember {
        member_id: (&*member.member_id).into(),
        group_instance_id: member.group_instance_id.as_deref().map(Into::into),
        metadata: (&*member.metadata).into(),
    });
    call.reply(&JoinGroupResponse {
        error_code: joined.error.code(),
        generation_id: joined.generation_id,
        protocol_type: joined.protocol_type.as_deref().map(Into::into),
        protocol_name: joined.protocol_name.as_deref().map(Into::into),
        leader: (&*joined.leader).into(),
        skip_assignment: joined.skip_assignment,
        member_id: (&*joined.member_id).into(),
        members: members.collect(),
        ..Default::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_ours_fits_in_a_record() {
        assert!(fresh_member_id("app").starts_with("app-"));
        let longest = fresh_member_id(&"\u{20ac}".repeat(STR_BYTES_MAX / 3));
        assert!(longest.len() <= STR_BYTES_MAX);
        assert!(longest.starts_with("\u{20ac}\u{20ac}"));
    }
}
