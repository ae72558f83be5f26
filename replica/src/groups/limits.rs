//! Every bound of a group coordinator, and what happens when it is reached.

/// Groups of one coordinator. A request that would make another one is COORDINATOR_NOT_AVAILABLE until some have expired.
pub const GROUPS_MAX: usize = 200_000;

/// Ids that were given out in one group and not used yet (KIP-394). The oldest makes way for another.
pub const PENDING_MEMBERS_MAX: usize = 20_000;

/// Bytes of a classic group's members: ids, metadata for every protocol, assignments. A member that would make it larger is
/// GROUP_MAX_SIZE_REACHED; assignments that would are UNKNOWN_SERVER_ERROR and another rebalance, as Kafka has it where a group
/// does not fit a batch.
pub const GROUP_BYTES_MAX: usize = 16 << 20;

/// Bytes that a member counts for besides its strings and data.
pub const MEMBER_OVERHEAD_BYTES: usize = 64;

/// Bytes of the records of one commit, which are appended together. A larger commit is INVALID_COMMIT_OFFSET_SIZE.
pub const COMMIT_BYTES_MAX: usize = 8 << 20;

/// Memory of a group besides its members, as it is counted against [`CoordinatorMemory`](crate::memory::CoordinatorMemory). What
/// there is none for is COORDINATOR_NOT_AVAILABLE until others have left or expired: a group, a member, more metadata of one, an id
/// that is given out, the first offset of a partition in a group and a longer metadata of it, all assignments of a generation.
/// Who is there and asks for no more goes on.
pub const GROUP_MEMORY_BYTES: usize = 1 << 10;

/// ... of a member besides its strings and data, ...
pub const MEMBER_MEMORY_BYTES: usize = 768;

/// ... of an id that was given out and not used yet, ...
pub const PENDING_MEMORY_BYTES: usize = 384;

/// ... of a partition that a member owns and is to own, ...
pub const PARTITION_MEMORY_BYTES: usize = 96;

/// ... and of a topic's name in a list.
pub const NAME_MEMORY_BYTES: usize = 64;

/// Names that the members of a classic group subscribe to and that are remembered. With more it is not known which they are.
pub const SUBSCRIBED_MAX: usize = 100_000;

/// Bytes that an offset counts for besides its metadata.
pub const OFFSET_OVERHEAD_BYTES: usize = 200;

/// Tombstones of one batch, where nothing asks for them to be written together, ...
pub const TOMBSTONES_PER_BATCH_MAX: usize = 1_000;

/// ... and their bytes.
pub const TOMBSTONE_BYTES_PER_BATCH_MAX: usize = 1 << 20;

/// Offsets that one tick looks at for their age; the next tick goes on at once.
pub const EXPIRY_OFFSETS_PER_TICK: usize = 2_000;

/// Groups that one tick looks at for their age.
pub const EXPIRY_GROUPS_PER_TICK: usize = 200;

/// How long a member may wait in its first JoinGroup (Kafka's constant): its client can't heartbeat yet.
pub const NEW_MEMBER_JOIN_TIMEOUT_MS: i32 = 300_000;

/// Members and owned partitions of a consumer group below which every change is assigned at once.
pub const ASSIGNED_AT_ONCE_MAX: usize = 2_000;

/// Members and partitions of a larger group that make for a millisecond between two assignments, so that thousands who come
/// together do not have all assigned for each: 550 ms for 1,000 members and 10,000 partitions, which take some to assign.
pub const ASSIGNED_PER_PAUSE_MS: usize = 20;

/// The largest batch that a coordinator of groups gives to its host, with room for the ids that records repeat.
pub const BATCH_BYTES_MAX: usize = 24 << 20;

const _: () = assert!(GROUP_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(COMMIT_BYTES_MAX < BATCH_BYTES_MAX);
