//! ConsumerGroupDescribe (69), versions 0-1: consumer groups as administrators see them. KIP-848, KIP-1099 (type of a
//! member, 1).

use uuid::Uuid;

use super::Str;
use super::schema::wire;

wire! {
    /// Asks what groups are like.
    pub struct ConsumerGroupDescribeRequest<'a> for ConsumerGroupDescribe {
        /// The groups.
        group_ids: Vec<Str<'a>>, 0..;
        /// Whether to say what the client may do with them.
        include_authorized_operations: bool, 0..;
    }

    /// What the groups are like.
    pub struct ConsumerGroupDescribeResponse<'a> for ConsumerGroupDescribe {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by group.
        groups: Vec<DescribedConsumerGroup<'a>>, 0..;
    }

    /// A consumer group.
    pub struct DescribedConsumerGroup<'a> {
        /// The error code, or 0.
        error_code: i16, 0..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 0.., null 0..;
        /// Its id.
        group_id: Str<'a>, 0..;
        /// The name of its state, or empty.
        group_state: Str<'a>, 0..;
        /// Its epoch.
        group_epoch: i32, 0..;
        /// The epoch of its target assignment.
        assignment_epoch: i32, 0..;
        /// The assignor in use.
        assignor_name: Str<'a>, 0..;
        /// Its members.
        members: Vec<DescribedConsumerGroupMember<'a>>, 0..;
        /// What the client may do with it, a bit an operation; `i32::MIN` when not asked for.
        authorized_operations: i32 = i32::MIN, 0..;
    }

    /// A member of a consumer group.
    pub struct DescribedConsumerGroupMember<'a> {
        /// Its id.
        member_id: Str<'a>, 0..;
        /// Its name if it is static.
        instance_id: Option<Str<'a>>, 0.., null 0..;
        /// Where it is.
        rack_id: Option<Str<'a>>, 0.., null 0..;
        /// Its epoch.
        member_epoch: i32, 0..;
        /// The client id with which it joined.
        client_id: Str<'a>, 0..;
        /// The address from which it joined.
        client_host: Str<'a>, 0..;
        /// The topics it wants, by name.
        subscribed_topic_names: Vec<Str<'a>>, 0..;
        /// The topics it wants, by a regular expression.
        subscribed_topic_regex: Option<Str<'a>>, 0.., null 0..;
        /// What it owns.
        assignment: DescribedAssignment<'a>, 0..;
        /// What it is to own.
        target_assignment: DescribedAssignment<'a>, 0..;
        /// Its protocol: see [`member_type`].
        member_type: i8 = member_type::UNKNOWN, 1..;
    }

    /// Partitions of topics.
    pub struct DescribedAssignment<'a> {
        /// The partitions by topic.
        topic_partitions: Vec<DescribedPartitions<'a>>, 0..;
    }

    /// Partitions of one topic.
    pub struct DescribedPartitions<'a> {
        /// The topic's id.
        topic_id: Uuid, 0..;
        /// Its name.
        topic_name: Str<'a>, 0..;
        /// Indexes of its partitions.
        partitions: Vec<i32>, 0..;
    }
}

/// Values of [`DescribedConsumerGroupMember::member_type`].
pub mod member_type {
    /// Not said.
    pub const UNKNOWN: i8 = -1;
    /// The member speaks the classic protocol, while the group is being upgraded.
    pub const CLASSIC: i8 = 0;
    /// The member speaks the protocol of consumer groups.
    pub const CONSUMER: i8 = 1;
}
