//! Every bound of replication, in one place, with how they relate. Each says what happens when it is reached.

/// Length of a tick on the monotonic clock. A host ticks no more often; a tick that comes late is not made up for, since
/// a follower's promise to its leader counts ticks and must not end early.
pub const TICK_NS: u64 = 25_000_000;

/// Ticks between two heartbeats of a leader that is awake.
pub const HEARTBEAT_TICKS: usize = 3;

/// Ticks without a word from the leader after which a follower may stand for election; it draws from here to twice as many.
pub const ELECTION_TICKS: usize = 12;

/// How long a leader may serve reads after a quorum has heard from it. A follower promises at least `ELECTION_TICKS - 1` whole
/// ticks of its own clock; a tenth is left for clocks that run at different speeds.
pub const LEASE_NS: u64 = (ELECTION_TICKS as u64 - 1) * TICK_NS * 9 / 10;

/// A replica that has not been heard of for so long is not in sync, however much it has.
pub const IN_SYNC_SILENCE_NS: u64 = 4 * ELECTION_TICKS as u64 * TICK_NS;

/// Ticks without work after which a leader whose followers have everything sends its group to sleep.
pub const IDLE_TICKS: usize = 2 * ELECTION_TICKS;

/// Ticks without a request for the rest of a copy after which its source gives it up and probes the follower anew.
pub const COPY_SILENCE_TICKS: usize = 4 * ELECTION_TICKS;

/// Ticks after which a request for a part of a copy is sent again.
pub const COPY_RETRY_TICKS: usize = 8;

/// Entries that are appended and not committed. Beyond it a proposal is refused with a retriable error.
pub const UNCOMMITTED_ENTRIES_MAX: u64 = 1_024;

/// Descriptors that a replica keeps for followers that lag. One that lags further gets a copy of the log.
pub const ENTRIES_KEPT_MAX: usize = 2_048;

/// Descriptors that a replica keeps although everybody has them, so that a new leader finds where its followers are.
pub const ENTRIES_KEPT_MIN: usize = 64;

/// Entries in one message to a follower; the rest follows in the next.
pub const ENTRIES_PER_APPEND_MAX: usize = 256;

/// Bytes of batches that go with one message; a single larger batch goes alone.
pub const APPEND_BYTES_MAX: u64 = 1 << 20;

/// Messages to a follower that are not answered; then the leader waits.
pub const APPENDS_IN_FLIGHT_MAX: usize = 64;

/// Replicas of a partition, learners included. More are refused when a frame names them.
pub const REPLICAS_MAX: usize = 64;

/// Messages in one frame. A longer list is split by the sender and refused by the receiver.
pub const MESSAGES_PER_FRAME_MAX: usize = 16_384;

/// Bytes of a frame without the batches beside it. A longer one is refused before anything of it is read.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bytes of all batches beside a frame. A frame that announces more is refused.
pub const ATTACHED_BYTES_MAX: u64 = 128 << 20;

/// Reads that wait for a quorum's word in one group; more are refused with a retriable error.
pub const READS_WAITING_MAX: usize = 4_096;

const _: () = assert!(
    ELECTION_TICKS >= 3 * HEARTBEAT_TICKS,
    "one lost heartbeat is no election"
);
const _: () = assert!(
    LEASE_NS < ELECTION_TICKS as u64 * TICK_NS,
    "a lease ends before its promise"
);
const _: () = assert!(
    LEASE_NS > 2 * HEARTBEAT_TICKS as u64 * TICK_NS,
    "a lease outlives a lost heartbeat"
);
const _: () = assert!(
    ENTRIES_KEPT_MAX as u64 > UNCOMMITTED_ENTRIES_MAX,
    "what is not committed is kept"
);
const _: () = assert!(ENTRIES_KEPT_MAX > ENTRIES_KEPT_MIN);
const _: () = assert!(APPEND_BYTES_MAX < ATTACHED_BYTES_MAX);
const _: () = assert!(COPY_SILENCE_TICKS > COPY_RETRY_TICKS);
