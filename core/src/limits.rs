//! Every bound that more than one crate must agree on, in one place, with how they relate.
//!
//! Each says what happens when it is reached.

use std::time::Duration;

use crate::batch::BATCH_HEADER_BYTES;

/// Longest legal topic name, in bytes (Kafka's). A longer one is INVALID_TOPIC_EXCEPTION.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Partitions one request may create, and one topic may have (Kafka's bound for a request). More is POLICY_VIOLATION.
pub const PARTITIONS_PER_REQUEST_MAX: usize = 10_000;

/// Batches one Produce request may carry: as many as fit Kafka's default `max.request.size`. A request with more closes the
/// connection.
pub const BATCHES_PER_REQUEST_MAX: usize = 20_000;

/// Partitions of the whole cluster. More is POLICY_VIOLATION.
pub const PARTITIONS_MAX: usize = 200_000;

/// Topics one CreateTopics or DeleteTopics request may name. More is INVALID_REQUEST.
pub const TOPICS_PER_REQUEST_MAX: usize = 10_000;

/// Producer ids a shard takes from the controller at a time (Kafka's block size).
pub const PRODUCER_ID_BLOCK_SIZE: i64 = 1_000;

/// Largest request frame by default, `socket.request.max.bytes`. A longer one closes the connection.
pub const REQUEST_BYTES_DEFAULT: usize = 100 << 20;

/// Largest record batch by default, `message.max.bytes`: 1 MiB and the overhead of a batch. A larger one is MESSAGE_TOO_LARGE.
pub const MESSAGE_BYTES_DEFAULT: usize = (1 << 20) + 12;

/// Most shards of one process. More cores than that are refused at start.
pub const SHARDS_MAX: usize = 1_024;

/// Length of a config's value, in bytes. A longer one is INVALID_CONFIG.
pub const CONFIG_VALUE_BYTES_MAX: usize = 32_767;

/// Groups that may have configurations of their own. More is POLICY_VIOLATION.
pub const GROUPS_CONFIGURED_MAX: usize = 10_000;

/// Length of the name of a group that is configured, in bytes. A longer one is INVALID_REQUEST.
pub const GROUP_CONFIGURED_NAME_BYTES_MAX: usize = 1_024;

/// Batches whose sequence numbers a partition remembers for each producer: Kafka's clients keep at most five in flight.
pub const PRODUCER_BATCHES_REMEMBERED: usize = 5;

const _: () = assert!(MESSAGE_BYTES_DEFAULT > BATCH_HEADER_BYTES);
const _: () = assert!(
    REQUEST_BYTES_DEFAULT > MESSAGE_BYTES_DEFAULT,
    "a request holds a batch at least"
);
const _: () = assert!(PARTITIONS_MAX >= PARTITIONS_PER_REQUEST_MAX);
const _: () = assert!(SHARDS_MAX <= u16::MAX as usize, "a ShardId holds every shard");

// --- the shard runtime ---

/// Submission entries of a core's ring; more operations than this in one turn are submitted in two calls.
pub const RING_ENTRIES: u32 = 1024;
/// Completion entries of a core's ring; beyond it the kernel keeps completions in its own list (NODROP).
pub const RING_COMPLETIONS: u32 = 16 * 1024;
/// Helper threads of a ring in the kernel: bounded (files), unbounded (sockets).
pub const IO_WORKERS_MAX: [u32; 2] = [4, 4];
/// Receive buffers on offer to the kernel, a core.
pub const RECEIVE_BUFFERS: u16 = 256;
/// Bytes of one receive buffer.
pub const RECEIVE_BUFFER_BYTES: usize = 16 * 1024;
/// Bytes that one send copies to the kernel before others have their turn on the core.
pub const SEND_STEP_BYTES: usize = 128 * 1024;
/// The same while durable writes are made.
pub const SEND_STEP_BESIDE_WRITES_BYTES: usize = 16 * 1024;
/// Bytes of a file that one operation reads: a write that meets it on its way to the disk is held up no longer.
pub const READ_STEP_BYTES: usize = 128 * 1024;
/// The same while durable writes are made. A disk takes about as long for that much as for a small durable write.
pub const READ_STEP_BESIDE_WRITES_BYTES: usize = 32 * 1024;
/// So long after a durable write others still take small steps for the sake of the next one.
pub const DURABLE_WRITES_LULL: Duration = Duration::from_millis(10);
/// Others don't wait for durable writes that take longer than that.
pub const DURABLE_WRITE_PATIENCE: Duration = Duration::from_millis(1);
/// Messages that wait in the mailbox from one core to another before senders wait.
pub const MAILBOX_MESSAGES: usize = 4096;
/// Threads for calls that block, a process.
pub const BLOCKING_THREADS: usize = 4;
/// Threads for work that has time, a process.
pub const PATIENT_THREADS: usize = 2;
/// Jobs queued for the blocking threads before submitters wait.
pub const BLOCKING_JOBS: usize = 4096;
/// Parts of one vectored write or send (`UIO_MAXIOV`).
pub const IO_PARTS_MAX: usize = 1024;

const _: () = assert!(RING_COMPLETIONS >= 2 * RING_ENTRIES);
const _: () = assert!(RECEIVE_BUFFER_BYTES.is_multiple_of(4096));
/// Connections that wait to be accepted, an address and core; the kernel refuses or ignores more.
pub const LISTEN_BACKLOG: i32 = 4096;
/// Bytes one sendfile(2) call moves before the helper thread looks at its queue again.
pub const SENDFILE_BYTES_MAX: usize = 1 << 20;
/// How long sendfile(2) may wait on a helper thread for a client that does not read.
pub const SENDFILE_STALL: std::time::Duration = std::time::Duration::from_millis(100);
