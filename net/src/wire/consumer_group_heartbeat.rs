//! ConsumerGroupHeartbeat (68), versions 0-1: a member of a consumer group joins, stays, says what it owns and learns what
//! to own. KIP-848, KIP-1082 (1: the client makes the member's id; a regular expression of topics).

use uuid::Uuid;

use super::Str;
use super::schema::wire;

wire! {
    /// Says that a member is alive, and what has changed since it said so last.
    pub struct ConsumerGroupHeartbeatRequest<'a> for ConsumerGroupHeartbeat {
        /// The group.
        group_id: Str<'a>, 0..;
        /// The member; may be empty when a member of version 0 joins.
        member_id: Str<'a>, 0..;
        /// Its epoch, or one of the [`member_epoch`] constants.
        member_epoch: i32, 0..;
        /// Its name if it is static; null when unchanged.
        instance_id: Option<Str<'a>>, 0.., null 0..;
        /// Where it is; null when unchanged.
        rack_id: Option<Str<'a>>, 0.., null 0..;
        /// How long it may take to give up partitions; -1 when unchanged.
        rebalance_timeout_ms: i32 = -1, 0..;
        /// The topics it wants, by name; null when unchanged.
        subscribed_topic_names: Option<Vec<Str<'a>>>, 0.., null 0..;
        /// The topics it wants, by a regular expression (RE2); null when unchanged.
        subscribed_topic_regex: Option<Str<'a>>, 1.., null 1..;
        /// The assignor it wants; null when unchanged.
        server_assignor: Option<Str<'a>>, 0.., null 0..;
        /// The partitions it owns; null when unchanged.
        topic_partitions: Option<Vec<AssignedPartitions>>, 0.., null 0..;
    }

    /// Partitions of one topic.
    pub struct AssignedPartitions {
        /// The topic's id.
        topic_id: Uuid, 0..;
        /// Indexes of its partitions.
        partitions: Vec<i32>, 0..;
    }

    /// What the member is to do.
    pub struct ConsumerGroupHeartbeatResponse<'a> for ConsumerGroupHeartbeat {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 0.., null 0..;
        /// The member.
        member_id: Option<Str<'a>>, 0.., null 0..;
        /// Its epoch from now on.
        member_epoch: i32, 0..;
        /// When to send the next heartbeat.
        heartbeat_interval_ms: i32, 0..;
        /// What it is to own; null when unchanged.
        assignment: Option<HeartbeatAssignment>, 0.., null 0..;
    }

    /// What a member is to own.
    pub struct HeartbeatAssignment {
        /// The partitions it may use at once.
        topic_partitions: Vec<AssignedPartitions>, 0..;
    }
}

/// Values of [`ConsumerGroupHeartbeatRequest::member_epoch`] that are not epochs.
pub mod member_epoch {
    /// The member joins.
    pub const JOIN: i32 = 0;
    /// The member leaves.
    pub const LEAVE: i32 = -1;
    /// A static member leaves, to come back within the session timeout.
    pub const LEAVE_FOR_A_WHILE: i32 = -2;
}
