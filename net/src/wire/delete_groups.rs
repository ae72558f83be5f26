//! DeleteGroups (42), versions 0-2: forgets groups without members, and their offsets. KIP-229.

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to delete groups.
    pub struct DeleteGroupsRequest<'a> for DeleteGroups {
        /// The groups.
        groups_names: Vec<Str<'a>>, 0..;
    }

    /// What became of the groups.
    pub struct DeleteGroupsResponse<'a> for DeleteGroups {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by group.
        results: Vec<DeletableGroupResult<'a>>, 0..;
    }

    /// The result of one group.
    pub struct DeletableGroupResult<'a> {
        /// Its id.
        group_id: Str<'a>, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
    }
}
