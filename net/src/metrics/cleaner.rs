//! What is told of the cleaner of compacted logs, of each shard. Kafka has the same under `LogCleaner` and `LogCleanerManager`.

use super::StoreCounts;
use super::families::{Metric, counter, gauge};

/// Of each shard's store.
pub(super) const CLEANER: &[Metric<StoreCounts>] = &[
    counter(
        "tautline_cleaner_runs_total",
        "Cleanings of compacted logs that came to their end.",
        |s| s.cleaner_runs as i64,
    ),
    counter(
        "tautline_cleaner_errors_total",
        "Cleanings of compacted logs that failed.",
        |s| s.cleaner_errors as i64,
    ),
    counter(
        "tautline_cleaner_read_bytes_total",
        "Bytes read to clean logs.",
        |s| s.cleaner_read_bytes as i64,
    ),
    counter(
        "tautline_cleaner_write_bytes_total",
        "Bytes written to clean logs.",
        |s| s.cleaner_write_bytes as i64,
    ),
    gauge(
        "tautline_cleaner_last_run_timestamp_milliseconds",
        "When the last cleaning that came to its end began, in milliseconds since the epoch.",
        |s| s.cleaner_last_run_ms as i64,
    ),
    gauge(
        "tautline_cleaner_last_run_milliseconds",
        "How long it took.",
        |s| s.cleaner_last_took_ms as i64,
    ),
    gauge(
        "tautline_cleaner_dirty_percent_max",
        "Which part of the dirtiest compacted log is dirty (max-dirty-percent).",
        |s| s.cleaner_dirty_percent_max as i64,
    ),
    gauge(
        "tautline_cleaner_uncleanable_partitions",
        "Compacted logs that can't be cleaned: damage, or a batch that can't be taken apart (uncleanable-partitions-count).",
        |s| s.cleaner_uncleanable_logs as i64,
    ),
];
