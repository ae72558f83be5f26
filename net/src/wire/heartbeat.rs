//! Heartbeat (12), versions 0-4: a member of a classic group is alive, and learns of rebalances. KIP-345 (static members, 3).

use super::Str;
use super::schema::wire;

wire! {
    /// Says that a member is alive.
    pub struct HeartbeatRequest<'a> for Heartbeat {
        /// The group.
        group_id: Str<'a>, 0..;
        /// The generation the member is in.
        generation_id: i32, 0..;
        /// The member.
        member_id: Str<'a>, 0..;
        /// Its name if it is static.
        group_instance_id: Option<Str<'a>>, 3.., null 3..;
    }

    /// Whether the member is to rejoin.
    pub struct HeartbeatResponse for Heartbeat {
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
        /// The error code, or 0.
        error_code: i16, 0..;
    }
}
