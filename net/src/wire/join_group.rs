//! JoinGroup (11), versions 0-9: a member of a classic group takes part in a rebalance. KIP-62 (rebalance timeout, 1), KIP-394
//! (4: the first answer is MEMBER_ID_REQUIRED), KIP-345 (static members, 5), KIP-559 (protocol type, 7), KIP-800 (reason, 8),
//! KIP-814 (skip the assignment, 9).

use super::schema::wire;
use super::{Blob, Str};

wire! {
    /// Asks to join a group.
    pub struct JoinGroupRequest<'a> for JoinGroup {
        /// The group.
        group_id: Str<'a>, 0..;
        /// After how long without a heartbeat the member is taken for dead.
        session_timeout_ms: i32, 0..;
        /// How long the coordinator waits for the member in a rebalance; in version 0 that is the session timeout.
        rebalance_timeout_ms: i32 = -1, 1..;
        /// The id the coordinator gave the member, or empty.
        member_id: Str<'a>, 0..;
        /// The name a static member keeps over restarts.
        group_instance_id: Option<Str<'a>>, 5.., null 5..;
        /// What the group is for: `consumer`, `connect`, ...
        protocol_type: Str<'a>, 0..;
        /// The assignors the member knows, best first.
        protocols: Vec<JoinGroupRequestProtocol<'a>>, 0..;
        /// Why the member joins.
        reason: Option<Str<'a>>, 8.., null 8..;
    }

    /// An assignor and what it has to know of the member.
    pub struct JoinGroupRequestProtocol<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// The member's subscription, as the clients encode it.
        metadata: Blob<'a>, 0..;
    }

    /// The group, when all have joined.
    pub struct JoinGroupResponse<'a> for JoinGroup {
        /// How long the client is throttled.
        throttle_time_ms: i32, 2..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// The group's generation, -1 with an error.
        generation_id: i32 = -1, 0..;
        /// What the group is for.
        protocol_type: Option<Str<'a>>, 7.., null 7..;
        /// The assignor all members know; null, or before version 7 empty, with an error.
        protocol_name: Option<Str<'a>>, 0.., null 7..;
        /// The member that assigns.
        leader: Str<'a>, 0..;
        /// Whether the leader keeps the assignment there is.
        skip_assignment: bool, 9..;
        /// The id of the member that asked.
        member_id: Str<'a>, 0..;
        /// All members, for the leader; empty for the others.
        members: Vec<JoinGroupResponseMember<'a>>, 0..;
    }

    /// A member, for the leader.
    pub struct JoinGroupResponseMember<'a> {
        /// Its id.
        member_id: Str<'a>, 0..;
        /// Its name if it is static.
        group_instance_id: Option<Str<'a>>, 5.., null 5..;
        /// What it said of itself for the chosen assignor.
        metadata: Blob<'a>, 0..;
    }
}
