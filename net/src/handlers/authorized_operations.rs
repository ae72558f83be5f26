//! What a client may do, as bits of Kafka's `AclOperation` (KIP-430): everything, since there are no access rules yet.

/// All that can be done with a topic: read, write, create, delete, alter, describe, and both for its configuration.
pub const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;
/// All that can be done with the cluster.
pub const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;
/// All that can be done with a group: read, delete, describe, and both for its configuration.
pub const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;
/// What the field says when it was not asked for.
pub const OPERATIONS_NOT_ASKED: i32 = i32::MIN;
