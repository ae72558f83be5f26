//! Every bound of the store in one place, and how they relate.
//!
//! Each says what happens when it is reached.

use std::time::Duration;

use tautline_core::buffer::BLOCK_SIZE;

/// [`BLOCK_SIZE`] as a file position.
pub const BLOCK_BYTES: u64 = BLOCK_SIZE as u64;

/// The header in front of a segment's batches: one block. The first batch lies right behind it.
pub const SEGMENT_HEADER_BYTES: u64 = BLOCK_BYTES;

/// Sizes of pre-written segment files. A log begins with the smallest, and its next file is of the smallest class that is
/// larger than all it holds: what is written ahead is a few times the data at most. A batch that fits none gets a file of its
/// own size.
pub const SEGMENT_CLASSES: [u64; 5] = [256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20];

/// Ready files the pool keeps of each class, once a log has asked for one. When none is ready the writer waits for one.
pub const POOL_READY: [usize; SEGMENT_CLASSES.len()] = [16, 4, 3, 3, 3];

/// Largest segment file: positions are 32 bits in the index. A batch that would need more is refused as too large.
pub const SEGMENT_BYTES_MAX: u64 = 2 << 30;

/// Bytes that a file keeps free behind its data for the last write's footer.
pub const SEGMENT_SLACK_BYTES: u64 = BLOCK_BYTES;

/// What a segment file holds besides batches.
pub const SEGMENT_OVERHEAD_BYTES: u64 = SEGMENT_HEADER_BYTES + SEGMENT_SLACK_BYTES;

/// Bytes of zeros the pool writes in one step: a durable write that meets one on its way to the disk is held up no longer.
pub const POOL_STEP_BYTES: usize = 64 << 10;

/// Pause between two steps of the pool: 64 MiB/s at most.
pub const POOL_STEP_PAUSE: Duration = Duration::from_millis(1);

/// How long a relaxed log rests after a write, so that its writes cost a busy core little: what is acknowledged from memory
/// is written that much later at most, ...
pub const RELAXED_WRITE_PAUSE: Duration = Duration::from_millis(1);

/// ... unless that much waits to be written.
pub const RELAXED_WRITE_BYTES: u64 = 256 << 10;

/// Data bytes of one write of a log. More than that waits for the next write.
pub const WRITE_BYTES_MAX: u64 = 1 << 20;

/// Bytes a log may hold that are not yet in its file. Beyond that appends are refused as [`Backlog`] until writes catch up; a
/// batch is never refused while there are none.
///
/// [`Backlog`]: crate::AppendError::Backlog
pub const UNWRITTEN_BYTES_MAX: u64 = 32 << 20;

/// Writes of all logs of a store in flight at once. Beyond that they wait their turn.
pub const WRITES_IN_FLIGHT_MAX: usize = 64;

/// Size of a log's first append chunk.
pub const CHUNK_BYTES_MIN: usize = 16 << 10;

/// Size to which a log's chunks grow with its rate. A batch larger than that has a chunk of its own.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;

/// A chunk filled in less than that is followed by one of twice its size, ...
pub const CHUNK_FAST_MS: i64 = 500;

/// ... and one that took longer than that by one of half its size.
pub const CHUNK_SLOW_MS: i64 = 5_000;

/// Chunks of at least this size are got ready on a helper thread, so that fresh memory is not first touched on the core.
pub const CHUNK_AHEAD_BYTES: usize = 64 << 10;

/// Bytes one read takes from a file, unless its first batch alone is larger.
pub const COLD_READ_BYTES_MAX: usize = 1 << 20;

/// Bytes read at once to find producers as they were before a log's end was cut.
pub const CUT_BYTES_MAX: usize = 256 << 10;

/// Bytes whose checksums a cold read compares before others have their turn on the core.
pub const VERIFY_STEP_BYTES: usize = 64 << 10;

/// Bytes of index files kept in memory, a store. The least recently used leave.
pub const INDEX_CACHE_BYTES_MAX: usize = 16 << 20;

/// Descriptors of sealed segments kept open, a store. The least recently used are closed.
pub const DESCRIPTORS_MAX: usize = 512;

/// Producers remembered a log. When there are more the eighth used longest ago is forgotten, as if it had expired; those with
/// an open transaction stay.
pub const PRODUCERS_MAX: usize = 16 << 10;

/// Transactions open in one log. A record that would begin another one is refused, and may be sent again.
pub const TRANSACTIONS_OPEN_MAX: usize = PRODUCERS_MAX / 2;

/// Transactions of a log that have ended and whose markers are not below the high watermark, as far as they are told apart.
/// When there are more the oldest become stable together, later.
pub const TRANSACTIONS_ENDED_MAX: usize = 64 << 10;

/// Producers of a log whose transaction is about to begin. When there are more the eighth that has waited longest is forgotten,
/// and its records are refused.
pub const VERIFICATIONS_MAX: usize = PRODUCERS_MAX / 4;

/// Aborted transactions of one segment. The segment is closed when it has that many.
pub const ABORTED_PER_SEGMENT_MAX: usize = 64 << 10;

/// Bytes of sealed segments' lists of aborted transactions kept in memory, a store. The least recently used leave.
pub const ABORTED_CACHE_BYTES_MAX: usize = 8 << 20;

/// How often producers that have expired are looked for, if they don't expire sooner than that.
pub const PRODUCER_EXPIRY_INTERVAL_MS: i64 = 10 * 60 * 1000;

/// Bytes the cleaner of compacted logs reads or writes at once, in a step of its own unless a batch is larger: a producer's write that
/// meets one on its way to the disk is held up no longer. Durable writes have the right of way before each step.
pub const CLEANER_IO_BYTES: usize = 32 << 10;

/// The least memory for keys that a cleaning makes do with when the budget is spent; it fails if there is none.
pub const CLEANER_MAP_BYTES_MIN: usize = 1 << 20;

/// A log whose cleaning failed is left alone for that long: others get their turn.
pub const CLEANER_RETRY_MS: i64 = 60_000;

/// Bytes recovery reads at once.
pub const SCAN_WINDOW_BYTES: usize = 256 << 10;

/// Largest checkpoint file that is read. A larger one counts as damaged.
pub const CHECKPOINT_BYTES_MAX: u64 = 64 << 20;

/// A `flush.ms` beyond a year is never.
pub const FLUSH_MS_MAX: i64 = 365 * 24 * 60 * 60 * 1000;

/// Files that are removed from the trash in one step: freeing space costs the disk, too.
pub const TRASH_STEP_FILES: usize = 8;

/// A step ends with the file that makes it that many bytes.
pub const TRASH_STEP_BYTES: u64 = 64 << 20;

/// Pause between two steps.
pub const TRASH_PAUSE: Duration = Duration::from_millis(10);

/// How often the store looks after its logs.
pub const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes that a store's tail cache has from the first append on.
pub const TAIL_CACHE_BEGINS_BYTES: usize = 256 << 20;

/// Bytes by which it may grow a housekeeping interval, up to its budget. Memory that was never touched costs a load which fills it
/// at once half of its throughput, where the machine is a virtual one; chunks that are used again cost nothing.
pub const TAIL_CACHE_GROWTH_BYTES: usize = 16 << 20;

/// A log without appends for that long gives back its chunk and its writer.
pub const IDLE_AFTER_MS: i64 = 10_000;

/// After a failure to get a segment file (full disk) the next try comes no sooner.
pub const PREPARE_RETRY_MS: i64 = 500;

const _: () = assert!(SEGMENT_CLASSES[0] > SEGMENT_HEADER_BYTES + SEGMENT_SLACK_BYTES);
const _: () = assert!(SEGMENT_CLASSES[0] < SEGMENT_CLASSES[1] && SEGMENT_CLASSES[1] < SEGMENT_CLASSES[2]);
const _: () = assert!(SEGMENT_CLASSES[2] < SEGMENT_CLASSES[3] && SEGMENT_CLASSES[3] < SEGMENT_CLASSES[4]);
const _: () = assert!(SEGMENT_CLASSES[SEGMENT_CLASSES.len() - 1] <= SEGMENT_BYTES_MAX);
const _: () = assert!(SEGMENT_BYTES_MAX <= u32::MAX as u64);
const _: () = assert!(WRITE_BYTES_MAX.is_multiple_of(BLOCK_BYTES) && WRITE_BYTES_MAX < UNWRITTEN_BYTES_MAX);
const _: () = assert!(CHUNK_BYTES_MIN.is_multiple_of(BLOCK_SIZE) && CHUNK_BYTES_MIN <= CHUNK_BYTES_MAX);
const _: () = assert!(POOL_STEP_BYTES.is_multiple_of(BLOCK_SIZE));
const _: () = assert!(SCAN_WINDOW_BYTES.is_multiple_of(BLOCK_SIZE));
const _: () = assert!(
    TRANSACTIONS_OPEN_MAX < PRODUCERS_MAX,
    "some producer can always be forgotten"
);
const _: () = assert!(ABORTED_PER_SEGMENT_MAX * 32 < ABORTED_CACHE_BYTES_MAX);
