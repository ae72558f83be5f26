//! LeaveGroup (13), versions 0-5: members of a classic group go, by themselves or at an administrator's word. KIP-345 (many
//! members, by static name, 3), KIP-800 (reason, 5).

use super::Str;
use super::schema::wire;

wire! {
    /// Takes members out of a group.
    pub struct LeaveGroupRequest<'a> for LeaveGroup {
        /// The group.
        group_id: Str<'a>, 0..;
        /// The member, in versions before 3.
        member_id: Str<'a>, 0..=2;
        /// The members.
        members: Vec<MemberIdentity<'a>>, 3..;
    }

    /// A member that leaves.
    pub struct MemberIdentity<'a> {
        /// Its id; empty when it is given by its name.
        member_id: Str<'a>, 3..;
        /// Its name if it is static.
        group_instance_id: Option<Str<'a>>, 3.., null 3..;
        /// Why it leaves.
        reason: Option<Str<'a>>, 5.., null 5..;
    }

    /// What became of the members.
    pub struct LeaveGroupResponse<'a> for LeaveGroup {
        /// How long the client is throttled.
        throttle_time_ms: i32, 1..;
        /// The error code, or 0; in versions before 3 that of the only member.
        error_code: i16, 0..;
        /// Results by member.
        members: Vec<MemberResponse<'a>>, 3..;
    }

    /// The result of one member.
    pub struct MemberResponse<'a> {
        /// Its id as it was given.
        member_id: Str<'a>, 3..;
        /// Its name as it was given.
        group_instance_id: Option<Str<'a>>, 3.., null 3..;
        /// The error code, or 0.
        error_code: i16, 3..;
    }
}
