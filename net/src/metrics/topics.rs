//! What is counted by partition, and told by topic.

use std::sync::Arc;

use tautline_core::ids::Offset;

use super::Counter;

/// What has gone into and out of one partition since it was opened.
#[derive(Debug, Default)]
pub struct Traffic {
    batches_in: Counter,
    records_in: Counter,
    bytes_in: Counter,
    fetches: Counter,
    bytes_out: Counter,
}

impl Traffic {
    /// Counts a batch that was appended.
    pub fn appended(&self, records: u64, bytes: u64) {
        self.batches_in.add(1);
        self.records_in.add(records);
        self.bytes_in.add(bytes);
    }

    /// Counts a read that gave `bytes`.
    pub fn fetched(&self, bytes: u64) {
        self.fetches.add(1);
        self.bytes_out.add(bytes);
    }

    fn counts(&self) -> [u64; 5] {
        [
            &self.batches_in,
            &self.records_in,
            &self.bytes_in,
            &self.fetches,
            &self.bytes_out,
        ]
        .map(Counter::get)
    }
}

/// One partition, where partitions were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRow {
    /// Its number.
    pub index: i32,
    /// First offset.
    pub start: Offset,
    /// Exclusive bound of what consumers see.
    pub high_watermark: Offset,
    /// Exclusive bound of what is on stable storage.
    pub durable_end: Offset,
    /// Offset of the next record.
    pub end: Offset,
    /// Bytes of its batches.
    pub size_bytes: u64,
}

/// One shard's share of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRow {
    /// Its name.
    pub name: Arc<str>,
    /// Whether `flush.messages` and `flush.ms` let it acknowledge before data is durable.
    pub relaxed: bool,
    /// Its effective `flush.messages`.
    pub flush_messages: i64,
    /// Partitions that take and give data.
    pub online: u64,
    /// Partitions whose log could not be opened.
    pub offline: u64,
    /// Partitions that take no writes (a failed or full disk, damage).
    pub read_only: u64,
    /// Damaged ranges known.
    pub damaged: u64,
    /// Batches, records and bytes appended, reads, bytes read.
    pub traffic: [u64; 5],
    /// Records that consumers see and that are not on stable storage yet.
    pub not_durable: u64,
    /// Bytes of its batches.
    pub size_bytes: u64,
    /// Its partitions here, if they were asked for.
    pub partitions: Vec<PartitionRow>,
}

impl TopicRow {
    /// A topic without partitions.
    pub fn new(name: Arc<str>, relaxed: bool, flush_messages: i64) -> TopicRow {
        TopicRow {
            name,
            relaxed,
            flush_messages,
            online: 0,
            offline: 0,
            read_only: 0,
            damaged: 0,
            traffic: [0; 5],
            not_durable: 0,
            size_bytes: 0,
            partitions: Vec::new(),
        }
    }

    /// Adds a partition that is open.
    pub fn add(&mut self, traffic: &Traffic, log: &tautline_store::Log, row: PartitionRow, keep: bool) {
        self.online += 1;
        self.read_only += u64::from(log.failure().is_some());
        self.damaged += log.damage().len() as u64;
        self.traffic = std::array::from_fn(|at| self.traffic[at] + traffic.counts()[at]);
        self.not_durable += (row.high_watermark.0 - row.durable_end.0).max(0) as u64;
        self.size_bytes += row.size_bytes;
        if keep {
            self.partitions.push(row);
        }
    }

    /// Adds another shard's share of the same topic.
    pub fn merge(&mut self, other: TopicRow) {
        self.online += other.online;
        self.offline += other.offline;
        self.read_only += other.read_only;
        self.damaged += other.damaged;
        self.traffic = std::array::from_fn(|at| self.traffic[at] + other.traffic[at]);
        self.not_durable += other.not_durable;
        self.size_bytes += other.size_bytes;
        self.partitions.extend(other.partitions);
    }
}
