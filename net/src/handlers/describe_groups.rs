//! DescribeGroups (15), versions 0-6: classic groups as administrators see them. KIP-345 (static members), KIP-430 (authorized
//! operations), KIP-1043 (GROUP_ID_NOT_FOUND).

use tautline_core::error::ErrorCode;
use tautline_replica::groups::GroupRequest;
use tautline_replica::groups::request::DescribeGroups;
use tautline_replica::groups::response;

use super::authorized_operations::{GROUP_OPERATIONS, OPERATIONS_NOT_ASKED};
use super::grouped::{ask_all, told};
use crate::connection::{Call, Reply};
use crate::wire::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember, WireError,
};

/// First version that says that there is no such group; before it the group is told as dead.
const NOT_FOUND_VERSION: i16 = 6;

/// Describes the groups.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: DescribeGroupsRequest<'_> = call.decode()?;
    let operations = if request.include_authorized_operations {
        GROUP_OPERATIONS
    } else {
        OPERATIONS_NOT_ASKED
    };
    let groups = request.groups.iter().map(|group| group.to_string());
    let describe = |group_ids| GroupRequest::DescribeGroups(DescribeGroups { group_ids });
    let mut described = Vec::new();
    for (groups, answer) in ask_all(&call, groups, describe).await {
        match answer {
            Ok(answer) => described.extend(told!(DescribeGroups, answer)),
            Err(error) => {
                let refused = |group: &String| response::DescribedGroup::refused(group, error);
                described.extend(groups.iter().map(refused));
            }
        }
    }
    let groups = described.iter().map(|it| group(call.version, it, operations));
    Ok(call.reply(&DescribeGroupsResponse {
        groups: groups.collect(),
        ..Default::default()
    }))
}

fn group(version: i16, described: &response::DescribedGroup, operations: i32) -> DescribedGroup<'_> {
    let dead = described.error == ErrorCode::GroupIdNotFound && version < NOT_FOUND_VERSION;
    let (error, state) = if dead {
        (ErrorCode::None, "Dead")
    } else {
        (described.error, described.state)
    };
    DescribedGroup {
        error_code: error.code(),
        error_message: described.error_message.as_deref().map(Into::into),
        group_id: described.group_id.as_str().into(),
        group_state: state.into(),
        protocol_type: (&*described.protocol_type).into(),
        protocol_data: (&*described.protocol).into(),
        members: described.members.iter().map(member).collect(),
        authorized_operations: if error == ErrorCode::None {
            operations
        } else {
            OPERATIONS_NOT_ASKED
        },
    }
}

fn member(described: &response::DescribedMember) -> DescribedGroupMember<'_> {
    DescribedGroupMember {
        member_id: (&*described.member_id).into(),
        group_instance_id: described.group_instance_id.as_deref().map(Into::into),
        client_id: (&*described.client_id).into(),
        client_host: (&*described.client_host).into(),
        member_metadata: (&*described.metadata).into(),
        member_assignment: (&*described.assignment).into(),
    }
}
