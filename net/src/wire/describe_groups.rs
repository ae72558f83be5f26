//! DescribeGroups (15), versions 0-6: classic groups as administrators see them. KIP-430 (authorized operations, 3),
//! KIP-345 (static members, 4), KIP-1043 (6: GROUP_ID_NOT_FOUND with a message).

use super::schema::wire;
use super::{Blob, Str};

wire! {
    /// Asks what groups are like.
    pub struct DescribeGroupsRequest<'a> for DescribeGroups {
        /// The groups.
        groups: Vec<Str<'a>>, 0..;
        /// Whether to say what the client may do with them.
        include_authorized_operations: bool, 3..;
    }

    /// What the groups are like.
    pub struct DescribeGroupsResponse<'a> for DescribeGroups {
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
        /// Results by group.
        groups: Vec<DescribedGroup<'a>>, 0..;
    }

    /// A classic group.
    pub struct DescribedGroup<'a> {
        /// The error code, or 0.
        error_code: i16, 0..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 6.., null 6..;
        /// Its id.
        group_id: Str<'a>, 0..;
        /// The name of its state, or empty.
        group_state: Str<'a>, 0..;
        /// What it is for, or empty.
        protocol_type: Str<'a>, 0..;
        /// The assignor it has chosen, when it is stable; else empty.
        protocol_data: Str<'a>, 0..;
        /// Its members.
        members: Vec<DescribedGroupMember<'a>>, 0..;
        /// What the client may do with it, a bit an operation; `i32::MIN` when not asked for.
        authorized_operations: i32 = i32::MIN, 3..;
    }

    /// A member of a classic group.
    pub struct DescribedGroupMember<'a> {
        /// Its id.
        member_id: Str<'a>, 0..;
        /// Its name if it is static.
        group_instance_id: Option<Str<'a>>, 4.., null 4..;
        /// The client id with which it joined.
        client_id: Str<'a>, 0..;
        /// The address from which it joined.
        client_host: Str<'a>, 0..;
        /// What it said of itself for the chosen assignor, when the group is stable.
        member_metadata: Blob<'a>, 0..;
        /// Its part of the assignment, when the group is stable.
        member_assignment: Blob<'a>, 0..;
    }
}
