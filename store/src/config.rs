//! What a log and a store can be told. Names and meanings of a log's settings are Kafka's.

use std::path::PathBuf;
use std::sync::Arc;

use tautline_core::batch::TimestampType;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_core::limits::MESSAGE_BYTES_DEFAULT;

use crate::fault::FaultPlan;
use crate::segment::SegmentId;

/// Which log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogIdentity {
    /// Name of the topic: a legal one, since it names a directory.
    pub topic: String,
    /// Id of the topic: a log of another topic of the same name is not this one.
    pub topic_id: TopicId,
    /// Number of the partition.
    pub partition: PartitionIndex,
}

impl std::fmt::Display for LogIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// Settings of a log, by Kafka's names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is closed before it grows beyond.
    pub segment_bytes: u64,
    /// `segment.ms`: an older segment is closed at the next append.
    pub segment_ms: i64,
    /// `retention.bytes`: oldest segments go while the rest is still larger; -1 keeps all.
    pub retention_bytes: i64,
    /// `retention.ms`: segments whose newest record is older go; -1 keeps all.
    pub retention_ms: i64,
    /// `flush.messages`: 1 makes every acknowledged batch durable first. More acknowledges from memory.
    pub flush_messages: u64,
    /// `flush.ms`: acknowledge from memory, and make durable within that time; `None` for no bound.
    pub flush_ms: Option<i64>,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u64,
    /// `max.message.bytes`: larger batches are refused.
    pub max_message_bytes: usize,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `file.delete.delay.ms`: how long deleted files wait in the trash.
    pub file_delete_delay_ms: i64,
    /// Old segments may be deleted (`cleanup.policy` contains `delete`).
    pub delete: bool,
    /// Only the last record of each key is kept (`cleanup.policy` contains `compact`).
    pub compact: bool,
    /// `delete.retention.ms`: how long a record that deletes its key, and the end of a transaction, stay once they were cleaned.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: segments with a younger record are not cleaned.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: older segments are cleaned whatever the dirty ratio; `i64::MAX` for no bound.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`, in millionths: the log is cleaned when more of it is dirty.
    pub min_cleanable_dirty_millionths: u32,
    /// Other nodes have a say in what it holds: what is above the high watermark may be cut off again ([`Log::truncate`]), so
    /// checkpoints describe nothing of it; and what is above [`Log::settle`] is neither deleted nor cleaned.
    ///
    /// [`Log::truncate`]: crate::Log::truncate
    /// [`Log::settle`]: crate::Log::settle
    pub replicated: bool,
}

impl Default for LogConfig {
    fn default() -> LogConfig {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            retention_bytes: -1,
            retention_ms: 7 * DAY_MS,
            flush_messages: 1,
            flush_ms: None,
            index_interval_bytes: 4096,
            max_message_bytes: MESSAGE_BYTES_DEFAULT,
            timestamp_type: TimestampType::CreateTime,
            file_delete_delay_ms: 60_000,
            delete: true,
            compact: false,
            delete_retention_ms: DAY_MS,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_millionths: 500_000,
            replicated: false,
        }
    }
}

impl LogConfig {
    /// How old a segment may get: what is appended to can't be cleaned.
    pub(crate) fn roll_ms(&self) -> i64 {
        if self.compact {
            self.segment_ms.min(self.max_compaction_lag_ms)
        } else {
            self.segment_ms
        }
    }

    /// Whether batches are acknowledged before they are durable.
    pub fn is_relaxed(&self) -> bool {
        self.flush_messages > 1 || self.flush_ms.is_some()
    }
}

/// How cold data leaves the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColdRead {
    /// O_DIRECT reads through the ring into pool buffers, checksums verified.
    #[default]
    Ring,
    /// Ranges of buffered descriptors, for sendfile off the core's thread. Checksums are left to the client.
    Sendfile,
}

/// How compacted logs are cleaned (`log.cleaner.*`). Times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CleanerOptions {
    /// `log.cleaner.enable`.
    pub enabled: bool,
    /// `log.cleaner.threads`: logs being cleaned at once, in the whole process.
    pub logs_at_a_time: usize,
    /// `log.cleaner.dedupe.buffer.size`: memory for keys of all logs being cleaned, out of the shard's budget.
    pub dedupe_buffer_bytes: usize,
    /// `log.cleaner.backoff.ms`: rest when there is nothing to clean.
    pub backoff_ms: i64,
    /// `log.cleaner.io.max.bytes.per.second`, of the whole process; `u64::MAX` for no bound.
    pub io_bytes_per_second_max: u64,
}

impl Default for CleanerOptions {
    fn default() -> CleanerOptions {
        CleanerOptions {
            enabled: true,
            logs_at_a_time: 1,
            dedupe_buffer_bytes: 128 << 20,
            backoff_ms: 15_000,
            io_bytes_per_second_max: u64::MAX,
        }
    }
}

/// How a store works.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Bytes of append chunks kept to be read from memory, all logs together.
    pub tail_cache_bytes: usize,
    /// How cold data leaves the disk.
    pub cold_read: ColdRead,
    /// `producer.id.expiration.ms`, to begin with: [`Store::set_producer_id_expiration_ms`](crate::Store) changes it.
    pub producer_id_expiration_ms: i64,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: i64,
    /// How often a log with new data has its checkpoint written, which bounds what recovery reads.
    pub checkpoint_interval_ms: i64,
    /// How compacted logs are cleaned.
    pub cleaner: CleanerOptions,
    /// Faults to inject into the file layer, for tests. `None` costs nothing.
    pub faults: Option<Arc<FaultPlan>>,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            tail_cache_bytes: 64 << 20,
            cold_read: ColdRead::Ring,
            producer_id_expiration_ms: 24 * 60 * 60 * 1000,
            retention_check_interval_ms: 5 * 60 * 1000,
            checkpoint_interval_ms: 60_000,
            cleaner: CleanerOptions::default(),
            faults: None,
        }
    }
}

/// Where a log's files lie and how they are named.
#[derive(Clone, Debug)]
pub(crate) struct LogDir {
    pub path: PathBuf,
}

impl LogDir {
    /// The file of a segment that is or was appended to.
    pub fn segment(&self, sequence: u64) -> PathBuf {
        self.file(SegmentId::appended(sequence))
    }

    pub fn file(&self, id: SegmentId) -> PathBuf {
        self.named(id, "log")
    }

    pub fn index(&self, id: SegmentId) -> PathBuf {
        self.named(id, "index")
    }

    /// The aborted transactions of a sealed segment; none has no file.
    pub fn aborted(&self, id: SegmentId) -> PathBuf {
        self.named(id, "aborted")
    }

    /// A cleaned file that is not finished.
    pub fn unfinished(&self, id: SegmentId) -> PathBuf {
        self.named(id, "cleaning")
    }

    fn named(&self, id: SegmentId, kind: &str) -> PathBuf {
        let SegmentId { sequence, generation } = id;
        self.path.join(match generation {
            0 => format!("{sequence:010}.{kind}"),
            _ => format!("{sequence:010}-{generation}.{kind}"),
        })
    }
}
