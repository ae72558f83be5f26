//! SyncGroup (14), versions 0-5: the leader of a classic group hands in the assignment, and each member gets its part. KIP-345
//! (static members, 3), KIP-559 (protocol type and name, 5).

use super::schema::wire;
use super::{Blob, Str};

wire! {
    /// Asks for the member's part of the assignment.
    pub struct SyncGroupRequest<'a> for SyncGroup {
        /// The group.
        group_id: Str<'a>, 0..;
        /// The generation the member joined.
        generation_id: i32, 0..;
        /// The member.
        member_id: Str<'a>, 0..;
        /// Its name if it is static.
        group_instance_id: Option<Str<'a>>, 3.., null 3..;
        /// What it takes the group to be for.
        protocol_type: Option<Str<'a>>, 5.., null 5..;
        /// The assignor it takes the group to have chosen.
        protocol_name: Option<Str<'a>>, 5.., null 5..;
        /// The whole assignment, from the leader; empty from the others.
        assignments: Vec<SyncGroupRequestAssignment<'a>>, 0..;
    }

    /// The part of one member.
    pub struct SyncGroupRequestAssignment<'a> {
        /// The member.
        member_id: Str<'a>, 0..;
        /// Its partitions, as the clients encode them.
        assignment: Blob<'a>, 0..;
    }

    /// The member's part.
    pub struct SyncGroupResponse<'a> for SyncGroup {
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// What the group is for.
        protocol_type: Option<Str<'a>>, 5.., null 5..;
        /// The assignor the group has chosen.
        protocol_name: Option<Str<'a>>, 5.., null 5..;
        /// The member's partitions, as the leader encoded them.
        assignment: Blob<'a>, 0..;
    }
}
