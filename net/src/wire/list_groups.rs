//! ListGroups (16), versions 0-5: the groups this broker coordinates. KIP-518 (states, 4), KIP-848 (types, 5).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for the groups.
    pub struct ListGroupsRequest<'a> for ListGroups {
        /// Names of states to be listed; empty for all.
        states_filter: Vec<Str<'a>>, 4..;
        /// Names of types to be listed; empty for all.
        types_filter: Vec<Str<'a>>, 5..;
    }

    /// The groups.
    pub struct ListGroupsResponse<'a> for ListGroups {
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// The groups.
        groups: Vec<ListedGroup<'a>>, 0..;
    }

    /// A group.
    pub struct ListedGroup<'a> {
        /// Its id.
        group_id: Str<'a>, 0..;
        /// What it is for.
        protocol_type: Str<'a>, 0..;
        /// The name of its state.
        group_state: Str<'a>, 4..;
        /// The name of its type: `classic`, `consumer`.
        group_type: Str<'a>, 5..;
    }
}
