//! Every bound of the hosts, and what happens when it is reached.

use std::time::Duration;

/// Requests that wait for one coordinator. More are answered COORDINATOR_NOT_AVAILABLE. A connection has one at a time, so that
/// all members of the largest group can come at once.
pub const INBOX_MAX: usize = 32 << 10;

/// Requests that a coordinator takes in a row; then it looks at the time and at the metadata, however many more have come.
pub const INPUTS_PER_ROUND: usize = 64;

/// One part of so many of a shard's memory is what its coordinators may hold together. What they have no room for is
/// COORDINATOR_NOT_AVAILABLE: see [`tautline_replica::memory`].
pub const MEMORY_SHARE: usize = 4;

/// Partitions that a shard replays at a time; the others wait their turn, and their clients get COORDINATOR_LOAD_IN_PROGRESS.
pub const REPLAYS_MAX: usize = 4;

/// Bytes read at a time by a replay.
pub const REPLAY_BYTES: usize = 1 << 20;

/// How long an append waits for memory before it is tried again, ...
pub const MEMORY_PAUSE: Duration = Duration::from_millis(10);

/// ... and how often, before the coordinator is given up.
pub const MEMORY_TRIES: usize = 200;

/// How long an append waits before it is tried again while the disk is full. It goes on for as long as that takes, but ...
pub const DISK_PAUSE: Duration = Duration::from_millis(200);

/// ... those who wait for an answer are then told COORDINATOR_NOT_AVAILABLE. Less than the sessions of members are long
/// (`group.min.session.timeout.ms`), and than clients wait for an answer.
pub const DISK_WAIT_MAX: Duration = Duration::from_secs(5);

/// The first pause before a coordinator that was given up is replayed; it doubles with each failure, ...
pub const RESTART_PAUSE_MIN: Duration = Duration::from_millis(50);

/// ... up to this, ...
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);

/// ... and begins anew after one that has served for so long.
pub const SERVED_LONG: Duration = Duration::from_secs(60);

/// The longest that a host sleeps while its coordinator has a deadline or its log is being written.
pub const SLEEP_MAX: Duration = Duration::from_secs(10);

/// The largest batch of an internal topic: a group's members and their metadata are one record.
pub const BATCH_BYTES_MAX: usize = 32 << 20;

/// Transactions of one shard whose markers are written at a time; the others wait, and their clients are told
/// CONCURRENT_TRANSACTIONS.
pub const ENDING_MAX: usize = 256;

/// Markers of one transaction that are written on one shard at a time.
pub const MARKERS_AT_A_TIME: usize = 64;

/// The first pause before markers that could not be written are tried again; it doubles with each failure, ...
pub const MARKERS_PAUSE_MIN: Duration = Duration::from_millis(5);

/// ... up to this.
pub const MARKERS_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Epochs that transaction coordinators may take in one start of a node; later ones share the last.
pub const COORDINATOR_EPOCHS_PER_START: i32 = 1 << 13;

const _: () = assert!(RESTART_PAUSE_MIN.as_nanos() < RESTART_PAUSE_MAX.as_nanos());
const _: () = assert!(RESTART_PAUSE_MAX.as_nanos() < SERVED_LONG.as_nanos());
const _: () = assert!(DISK_PAUSE.as_nanos() < DISK_WAIT_MAX.as_nanos());
/// What a batch takes besides its records' keys and values.
const BATCH_OVERHEAD_BYTES: usize = 1 << 20;

const _: () =
    assert!(tautline_replica::groups::limits::BATCH_BYTES_MAX + BATCH_OVERHEAD_BYTES <= BATCH_BYTES_MAX);
const _: () = assert!(BATCH_BYTES_MAX as u64 <= tautline_store::limits::UNWRITTEN_BYTES_MAX);
