//! The families of metrics: their names, what they say, and where their values come from. Names and units are an interface: they
//! change with a release note only.

use super::text::Kind;
use super::{PartitionRow, ShardSnapshot, StoreCounts, TopicRow};

/// A family with one value for each `T`.
pub(super) struct Metric<T> {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub value: fn(&T) -> i64,
}

pub(super) const fn counter<T>(name: &'static str, help: &'static str, value: fn(&T) -> i64) -> Metric<T> {
    Metric {
        name,
        kind: Kind::Counter,
        help,
        value,
    }
}

pub(super) const fn gauge<T>(name: &'static str, help: &'static str, value: fn(&T) -> i64) -> Metric<T> {
    Metric {
        name,
        kind: Kind::Gauge,
        help,
        value,
    }
}

/// Name and help of what is said of the node as a whole.
pub(super) const NODE: [(&str, &str); 6] = [
    ("tautline_build_info", "The version that runs."),
    ("tautline_node_info", "This node and its cluster."),
    (
        "process_start_time_seconds",
        "When the process was started, in seconds since the epoch.",
    ),
    ("tautline_ready", "1 while the node takes requests of clients."),
    (
        "tautline_config_flush_messages",
        "flush.messages of topics that do not set it, as the node was started: 1 is durable before acknowledged.",
    ),
    (
        "tautline_shard_up",
        "1 if the shard answered this scrape within a second.",
    ),
];

/// Name and help of the histograms.
pub(super) const LATENCY: [(&str, &str); 3] = [
    (
        "tautline_request_latency_seconds",
        "From a request's last byte received to its response handed to the system. A fetch waits as its client says.",
    ),
    (
        "tautline_storage_write_latency_seconds",
        "From the submission of a log write to its completion.",
    ),
    (
        "tautline_request_stage_seconds",
        "What requests spent in a stage of their way, of those that spent time there.",
    ),
];

/// Of each shard.
pub(super) const SHARD: &[Metric<ShardSnapshot>] = &[
    gauge("tautline_connections", "Open connections of clients.", |s| {
        s.connections_open as i64
    }),
    counter(
        "tautline_connections_opened_total",
        "Connections accepted.",
        |s| s.connections_opened as i64,
    ),
    counter(
        "tautline_connections_closed_total",
        "Connections ended, by either side.",
        |s| s.connections_closed as i64,
    ),
    counter(
        "tautline_connections_failed_total",
        "Connections closed for what the client sent.",
        |s| s.connections_failed as i64,
    ),
    counter(
        "tautline_connections_refused_total",
        "Connections turned away because of max.connections.",
        |s| s.connections_refused as i64,
    ),
    counter(
        "tautline_log_lines_suppressed_total",
        "Log lines about connections left out because there were too many.",
        |s| s.log_lines_suppressed as i64,
    ),
    gauge(
        "tautline_requests_in_flight",
        "Requests begun and not answered.",
        |s| s.in_flight,
    ),
    counter(
        "tautline_request_bytes_total",
        "Bytes of requests received.",
        |s| s.bytes_in as i64,
    ),
    counter("tautline_response_bytes_total", "Bytes of responses sent.", |s| {
        s.bytes_out as i64
    }),
    gauge("tautline_fetch_sessions", "Fetch sessions kept (KIP-227).", |s| {
        s.fetch_sessions as i64
    }),
    gauge(
        "tautline_fetch_session_partitions",
        "Partitions of the fetch sessions kept.",
        |s| s.fetch_session_partitions as i64,
    ),
    counter(
        "tautline_fetch_session_evictions_total",
        "Fetch sessions that made place for others.",
        |s| s.fetch_session_evictions as i64,
    ),
    counter(
        "tautline_group_rebalances_total",
        "Rebalances of classic groups that clients of the shard led to their end.",
        |s| s.rebalances as i64,
    ),
    counter(
        "tautline_offsets_committed_total",
        "Offsets of partitions that clients of the shard committed.",
        |s| s.offsets_committed as i64,
    ),
    gauge(
        "tautline_transactions_ongoing",
        "Transactions that are open, of the shard's coordinators.",
        |s| s.transactions_ongoing as i64,
    ),
    counter(
        "tautline_transaction_commits_total",
        "Commits whose markers the shard's coordinators began to write.",
        |s| s.transaction_commits as i64,
    ),
    counter(
        "tautline_transaction_aborts_total",
        "Aborts whose markers the shard's coordinators began to write.",
        |s| s.transaction_aborts as i64,
    ),
    counter(
        "tautline_transaction_markers_total",
        "Partitions in which the end of a transaction was written for the shard's coordinators.",
        |s| s.transaction_markers as i64,
    ),
    gauge(
        "tautline_memory_used_bytes",
        "Bytes of the shard's share of --memory that buffers hold, free lists included.",
        |s| s.memory_used as i64,
    ),
    gauge(
        "tautline_memory_limit_bytes",
        "The shard's share of --memory.",
        |s| s.memory_limit as i64,
    ),
    gauge(
        "tautline_memory_requests_bytes",
        "Bytes of it that hold requests too long for a receive buffer.",
        |s| s.request_memory_used as i64,
    ),
    gauge(
        "tautline_ring_operations_in_flight",
        "Operations that the kernel has in hand for the shard.",
        |s| s.ring_in_flight as i64,
    ),
    gauge(
        "tautline_partitions",
        "Partitions the shard owns and serves.",
        |s| sum(s, |topic| topic.online),
    ),
    gauge(
        "tautline_partitions_offline",
        "Partitions the shard owns whose log could not be opened.",
        |s| sum(s, |topic| topic.offline),
    ),
    gauge(
        "tautline_partitions_read_only",
        "Partitions that take no writes: a failed disk, or damage.",
        |s| sum(s, |topic| topic.read_only),
    ),
];

/// Of each shard's store.
pub(super) const STORE: &[Metric<StoreCounts>] = &[
    counter(
        "tautline_storage_batches_appended_total",
        "Batches appended to logs.",
        |s| s.appends as i64,
    ),
    counter(
        "tautline_storage_bytes_appended_total",
        "Bytes of those batches.",
        |s| s.append_bytes as i64,
    ),
    counter(
        "tautline_storage_duplicates_total",
        "Batches sent again and not stored again.",
        |s| s.duplicates as i64,
    ),
    counter(
        "tautline_storage_relaxed_acks_total",
        "Batches acknowledged before they were durable, as their topics are set to.",
        |s| s.unsynced_acks as i64,
    ),
    counter("tautline_storage_writes_total", "Writes to log files.", |s| {
        s.writes as i64
    }),
    counter(
        "tautline_storage_durable_writes_total",
        "Writes that were durable on completion.",
        |s| s.durable_writes as i64,
    ),
    counter(
        "tautline_storage_write_bytes_total",
        "Bytes written, padding included.",
        |s| s.write_bytes as i64,
    ),
    counter("tautline_storage_syncs_total", "Calls of fdatasync.", |s| {
        s.syncs as i64
    }),
    counter(
        "tautline_storage_write_errors_total",
        "Writes and syncs that failed.",
        |s| s.write_errors as i64,
    ),
    counter("tautline_storage_segment_rolls_total", "Segments begun.", |s| {
        s.rolls as i64
    }),
    counter(
        "tautline_storage_segment_pool_waits_total",
        "Segment files that were not ready when they were needed.",
        |s| s.pool_waits as i64,
    ),
    counter(
        "tautline_storage_tail_reads_total",
        "Reads answered from memory.",
        |s| s.tail_reads as i64,
    ),
    counter(
        "tautline_storage_cold_reads_total",
        "Reads that went to a file.",
        |s| s.cold_reads as i64,
    ),
    counter(
        "tautline_storage_cold_read_bytes_total",
        "Bytes read from files.",
        |s| s.cold_read_bytes as i64,
    ),
    counter(
        "tautline_storage_damaged_batches_total",
        "Damaged batches met.",
        |s| s.damage as i64,
    ),
    gauge(
        "tautline_storage_tail_cache_bytes",
        "Bytes of recent batches kept in memory.",
        |s| s.cache_bytes as i64,
    ),
    counter(
        "tautline_storage_checkpoints_total",
        "Checkpoints written.",
        |s| s.checkpoints as i64,
    ),
    counter(
        "tautline_storage_segments_deleted_total",
        "Segments deleted by retention.",
        |s| s.segments_deleted as i64,
    ),
    gauge("tautline_storage_logs", "Open logs.", |s| s.logs as i64),
];

/// Of each topic.
pub(super) const TOPIC: &[Metric<TopicRow>] = &[
    gauge("tautline_topic_partitions", "Partitions.", |t| {
        (t.online + t.offline) as i64
    }),
    gauge(
        "tautline_topic_partitions_offline",
        "Partitions that can't be served.",
        |t| t.offline as i64,
    ),
    counter(
        "tautline_topic_batches_in_total",
        "Batches appended since the start.",
        |t| t.traffic[0] as i64,
    ),
    counter(
        "tautline_topic_records_in_total",
        "Records appended since the start.",
        |t| t.traffic[1] as i64,
    ),
    counter(
        "tautline_topic_bytes_in_total",
        "Bytes appended since the start.",
        |t| t.traffic[2] as i64,
    ),
    counter("tautline_topic_fetches_total", "Reads since the start.", |t| {
        t.traffic[3] as i64
    }),
    counter(
        "tautline_topic_bytes_out_total",
        "Bytes read since the start.",
        |t| t.traffic[4] as i64,
    ),
    gauge(
        "tautline_topic_size_bytes",
        "Bytes of batches in the logs.",
        |t| t.size_bytes as i64,
    ),
    gauge(
        "tautline_topic_damaged_ranges",
        "Ranges of the logs that can't be read.",
        |t| t.damaged as i64,
    ),
    gauge(
        "tautline_topic_flush_messages",
        "flush.messages in force: 1 is durable before acknowledged.",
        |t| t.flush_messages,
    ),
    gauge(
        "tautline_topic_records_not_durable",
        "Records acknowledged that are not on stable storage yet; 0 for durable topics.",
        |t| t.not_durable as i64,
    ),
];

/// Of each partition, where they are asked for.
pub(super) const PARTITION: &[Metric<PartitionRow>] = &[
    gauge(
        "tautline_partition_start_offset",
        "First offset of the log.",
        |p| p.start.0,
    ),
    gauge(
        "tautline_partition_high_watermark",
        "Exclusive bound of what consumers see.",
        |p| p.high_watermark.0,
    ),
    gauge(
        "tautline_partition_durable_offset",
        "Exclusive bound of what is on stable storage.",
        |p| p.durable_end.0,
    ),
    gauge(
        "tautline_partition_end_offset",
        "Offset of the next record.",
        |p| p.end.0,
    ),
    gauge(
        "tautline_partition_size_bytes",
        "Bytes of batches in the log.",
        |p| p.size_bytes as i64,
    ),
];

fn sum(snapshot: &ShardSnapshot, of: fn(&TopicRow) -> u64) -> i64 {
    snapshot.topics.iter().map(of).sum::<u64>() as i64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_say_what_they_are() {
        let mut all: Vec<(&str, Kind, &str)> = Vec::new();
        all.extend(SHARD.iter().map(|m| (m.name, m.kind, m.help)));
        all.extend(STORE.iter().map(|m| (m.name, m.kind, m.help)));
        all.extend(
            super::super::cleaner::CLEANER
                .iter()
                .map(|m| (m.name, m.kind, m.help)),
        );
        all.extend(TOPIC.iter().map(|m| (m.name, m.kind, m.help)));
        all.extend(PARTITION.iter().map(|m| (m.name, m.kind, m.help)));
        for (name, kind, help) in &all {
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(name.starts_with("tautline_") && help.ends_with('.'), "{name}");
        }
        let names: BTreeSet<&str> = all.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names.len(), all.len());
    }
}
