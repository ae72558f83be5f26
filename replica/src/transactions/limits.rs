//! The bounds of a transaction coordinator, and how they relate.
//!
//! Each says what happens when it is reached.

use tautline_core::limits::MESSAGE_BYTES_DEFAULT;

use crate::records::STR_BYTES_MAX;

/// Longest transactional id, in bytes: what the key of its record can hold. A longer one is INVALID_REQUEST.
pub const TRANSACTIONAL_ID_BYTES_MAX: usize = STR_BYTES_MAX;

/// Transactional ids of one coordinator. A new one beyond is COORDINATOR_NOT_AVAILABLE until others have expired.
pub const TRANSACTIONAL_IDS_MAX: usize = 200_000;

/// Memory of a transactional id besides its bytes and partitions. A new one that there is no
/// [memory](crate::memory::CoordinatorMemory) for is COORDINATOR_NOT_AVAILABLE until others have expired, and so are more
/// partitions of a transaction.
pub const TRANSACTION_MEMORY_BYTES: usize = 1 << 10;

/// Memory that partitions of transactions take for each byte in a record.
pub const MEMORY_PER_RECORD_BYTE: usize = 8;

/// Bytes that the partitions of a transaction take in its record. More is TRANSACTION_ABORTABLE: the producer may go on with
/// a smaller transaction.
pub const PARTITIONS_BYTES_MAX: usize =
    MESSAGE_BYTES_DEFAULT - TRANSACTIONAL_ID_BYTES_MAX - RECORD_OVERHEAD_BYTES;

/// Requests that wait for transactions to be complete. More are CONCURRENT_TRANSACTIONS at once.
pub const WAITING_MAX: usize = 10_000;

/// Transactions that one call aborts because they ran out of time, and ids that it expires; the others are due at once.
pub const TIMERS_PER_TICK: usize = 1_000;

/// Bytes of records that are put together to one batch where one call writes many.
pub const BATCH_BYTES: usize = 256 << 10;

/// What batch, record and the fixed fields of a value take at most.
const RECORD_OVERHEAD_BYTES: usize = 1 << 10;

const _: () = assert!(
    BATCH_BYTES + RECORD_OVERHEAD_BYTES < MESSAGE_BYTES_DEFAULT,
    "a batch of small records can be appended"
);
