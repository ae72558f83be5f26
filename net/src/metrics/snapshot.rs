//! One shard's numbers at one time, taken on the shard and read on the admin thread.

use std::collections::BTreeMap;
use std::rc::Rc;

use tautline_core::buffer::Pool;
use tautline_core::ids::PartitionIndex;
use tautline_core::ring::Ring;
use tautline_core::stall::StallCounts;
use tautline_core::task::yield_if_needed;
use tautline_replica::groups::GroupCoordinator;
use tautline_replica::metadata::TopicImage;

use super::{Latencies, PartitionRow, Swept, TopicRow};
use crate::broker::{Broker, Partition};
use crate::wire::{APIS, ApiKey};

/// What a store has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are those of tautline_store::Metrics")]
pub struct StoreCounts {
    pub appends: u64,
    pub append_bytes: u64,
    pub duplicates: u64,
    pub unsynced_acks: u64,
    pub writes: u64,
    pub durable_writes: u64,
    pub write_bytes: u64,
    pub syncs: u64,
    pub write_errors: u64,
    pub rolls: u64,
    pub pool_waits: u64,
    pub tail_reads: u64,
    pub cold_reads: u64,
    pub cold_read_bytes: u64,
    pub damage: u64,
    pub cache_bytes: u64,
    pub checkpoints: u64,
    pub segments_deleted: u64,
    pub cleaner_runs: u64,
    pub cleaner_errors: u64,
    pub cleaner_read_bytes: u64,
    pub cleaner_write_bytes: u64,
    pub cleaner_last_run_ms: u64,
    pub cleaner_last_took_ms: u64,
    pub cleaner_dirty_percent_max: u64,
    pub cleaner_uncleanable_logs: u64,
    pub logs: u64,
}

impl From<&tautline_store::Metrics> for StoreCounts {
    fn from(store: &tautline_store::Metrics) -> StoreCounts {
        StoreCounts {
            appends: store.appends.get(),
            append_bytes: store.append_bytes.get(),
            duplicates: store.duplicates.get(),
            unsynced_acks: store.unsynced_acks.get(),
            writes: store.writes.get(),
            durable_writes: store.durable_writes.get(),
            write_bytes: store.write_bytes.get(),
            syncs: store.syncs.get(),
            write_errors: store.write_errors.get(),
            rolls: store.rolls.get(),
            pool_waits: store.pool_waits.get(),
            tail_reads: store.tail_reads.get(),
            cold_reads: store.cold_reads.get(),
            cold_read_bytes: store.cold_read_bytes.get(),
            damage: store.damage.get(),
            cache_bytes: store.cache_bytes.get(),
            checkpoints: store.checkpoints.get(),
            segments_deleted: store.segments_deleted.get(),
            cleaner_runs: store.cleaner_runs.get(),
            cleaner_errors: store.cleaner_errors.get(),
            cleaner_read_bytes: store.cleaner_read_bytes.get(),
            cleaner_write_bytes: store.cleaner_write_bytes.get(),
            cleaner_last_run_ms: store.cleaner_last_run_ms.get(),
            cleaner_last_took_ms: store.cleaner_last_took_ms.get(),
            cleaner_dirty_percent_max: store.cleaner_dirty_percent_max.get(),
            cleaner_uncleanable_logs: store.cleaner_uncleanable_logs.get(),
            logs: store.logs.get(),
        }
    }
}

/// One shard's numbers. Counters are since the start, `latencies` since the last snapshot.
#[expect(
    missing_docs,
    reason = "they are those of ShardMetrics, and of what they are named after"
)]
pub struct ShardSnapshot {
    pub shard: u16,
    pub connections_open: u64,
    pub connections_opened: u64,
    pub connections_closed: u64,
    pub connections_failed: u64,
    pub connections_refused: u64,
    pub connections_swept: [u64; Swept::ALL.len()],
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub in_flight: i64,
    pub log_lines_suppressed: u64,
    pub requests: Vec<(ApiKey, u64)>,
    pub errors: Vec<(ApiKey, i16, u64)>,
    pub memory_used: u64,
    pub memory_limit: u64,
    pub request_memory_used: u64,
    pub ring_in_flight: u64,
    pub fetch_sessions: u64,
    pub fetch_session_partitions: u64,
    pub fetch_session_evictions: u64,
    /// Groups that this shard coordinates, by the name of their state.
    pub groups: BTreeMap<&'static str, u64>,
    pub rebalances: u64,
    pub offsets_committed: u64,
    pub transactions_ongoing: u64,
    pub transaction_commits: u64,
    pub transaction_aborts: u64,
    pub transaction_markers: u64,
    pub stalls: StallCounts,
    pub store: StoreCounts,
    pub topics: Vec<TopicRow>,
    pub latencies: Latencies,
}

/// Takes a shard's numbers, in the background: it gives way to other tasks after every few partitions. `latencies` comes empty
/// and goes back with what was counted since the last time.
pub async fn snapshot(broker: Rc<Broker>, mut latencies: Latencies, keep_partitions: bool) -> ShardSnapshot {
    let topics = topics(&broker, keep_partitions).await;
    let groups = groups(&broker).await;
    let (counted, store) = (&broker.metrics, broker.store.metrics());
    std::mem::swap(&mut *counted.latency.borrow_mut(), &mut latencies);
    std::mem::swap(&mut *store.write_latency.borrow_mut(), &mut latencies.write);
    let sessions = broker.fetch_sessions.borrow();
    let pool = Pool::current();
    ShardSnapshot {
        shard: broker.shard().0,
        connections_open: broker.connections.borrow().len() as u64,
        connections_opened: counted.connections_opened.get(),
        connections_closed: counted.connections_closed.get(),
        connections_failed: counted.connections_failed.get(),
        connections_refused: counted.connections_refused.get(),
        connections_swept: std::array::from_fn(|at| counted.connections_swept[at].get()),
        bytes_in: counted.bytes_in.get(),
        bytes_out: counted.bytes_out.get(),
        in_flight: counted.in_flight.get(),
        log_lines_suppressed: counted.log_lines_suppressed.get(),
        requests: APIS
            .iter()
            .map(|api| (api.key, counted.requests[api.key.key() as usize].get()))
            .filter(|(_, count)| *count > 0)
            .collect(),
        errors: counted
            .errors
            .borrow()
            .iter()
            .map(|(&(api, code), &count)| (api, code, count))
            .collect(),
        memory_used: pool.used_bytes() as u64,
        memory_limit: pool.limit_bytes() as u64,
        request_memory_used: broker.request_memory.used_bytes() as u64,
        ring_in_flight: Ring::current().in_flight() as u64,
        fetch_sessions: sessions.len() as u64,
        fetch_session_partitions: sessions.partition_count() as u64,
        fetch_session_evictions: sessions.evictions(),
        groups,
        rebalances: counted.rebalances.get(),
        offsets_committed: counted.offsets_committed.get(),
        transactions_ongoing: broker.transactions.ongoing() as u64,
        transaction_commits: broker.transactions.counts.commits.get(),
        transaction_aborts: broker.transactions.counts.aborts.get(),
        transaction_markers: broker.transactions.counts.markers.get(),
        stalls: StallCounts::here(),
        store: StoreCounts::from(store),
        topics,
        latencies,
    }
}

async fn groups(broker: &Rc<Broker>) -> BTreeMap<&'static str, u64> {
    let mut groups = BTreeMap::new();
    for host in broker.groups.all() {
        let count = |coordinator: &GroupCoordinator| {
            for state in coordinator.states() {
                *groups.entry(state).or_default() += 1;
            }
        };
        host.look(count);
        yield_if_needed().await;
    }
    groups
}

async fn topics(broker: &Rc<Broker>, keep_partitions: bool) -> Vec<TopicRow> {
    let image = broker.image();
    let mut rows = Vec::new();
    for topic in image.topics() {
        let settings = broker.topic_settings(topic);
        let mut row = TopicRow::new(
            topic.name.clone(),
            !settings.is_durable(),
            settings.flush_messages,
        );
        let here = |index: &PartitionIndex| broker.owner(topic.id, *index) == broker.shard();
        for index in topic.partitions().filter(here) {
            match broker.partitions.get(topic.id, index) {
                Some(partition) => add(&mut row, topic, &partition, keep_partitions),
                None => row.offline += 1,
            }
            yield_if_needed().await;
        }
        if row.online + row.offline > 0 {
            rows.push(row);
        }
    }
    rows
}

fn add(row: &mut TopicRow, topic: &TopicImage, partition: &Partition, keep: bool) {
    debug_assert_eq!(topic.id, partition.topic_id);
    let log = &partition.log;
    let now = PartitionRow {
        index: partition.index.0,
        start: log.start_offset(),
        high_watermark: log.high_watermark(),
        durable_end: log.durable_end(),
        end: log.end_offset(),
        size_bytes: log.size_bytes(),
    };
    row.add(&partition.traffic, log, now, keep);
}
