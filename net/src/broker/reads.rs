//! Reading for a fetch: partitions on their owners, in order, within the limits; and waiting until there is enough.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{select, select_all};
use tautline_core::error::ErrorCode;
use tautline_core::ids::{Offset, PartitionIndex, ShardId, TopicId};
use tautline_core::stage::{Stage, Stamps};
use tautline_core::task::yield_if_needed;
use tautline_core::time::{monotonic_ns, timeout, turn_ns};
use tautline_store::{AbortedTransaction, CommittedRead, ReadError, ReadFrom};

use super::{Broker, Registration, Watcher};
use crate::connection::{ConnectionState, Part};

/// What one partition is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The topic's id.
    pub topic: TopicId,
    /// The partition.
    pub index: PartitionIndex,
    /// Where to begin.
    pub offset: Offset,
    /// How much at most, but for a first batch.
    pub max_bytes: usize,
    /// The leader epoch that the client knows, or -1.
    pub known_epoch: i32,
    /// Found out on the connection's shard: it can't be read.
    pub refused: Option<ErrorCode>,
}

/// What it gave.
pub struct Found {
    /// Why it gave nothing.
    pub error: ErrorCode,
    /// The high watermark when it was read.
    pub high_watermark: Offset,
    /// The last stable offset when it was read.
    pub last_stable: Offset,
    /// Where the log starts.
    pub log_start: Offset,
    /// Whole batches.
    pub parts: Vec<Part>,
    /// Their size.
    pub size_bytes: usize,
    /// Aborted transactions that overlap them, for those who see nothing undecided.
    pub aborted: Vec<AbortedTransaction>,
}

impl Found {
    fn error(error: ErrorCode) -> Found {
        let none = Offset(-1);
        Found {
            error,
            high_watermark: none,
            last_stable: none,
            log_start: none,
            parts: Vec::new(),
            size_bytes: 0,
            aborted: Vec::new(),
        }
    }
}

/// The limits of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// How much at most, but for a first batch (KIP-74).
    pub max_bytes: usize,
    /// How much is worth an answer before the deadline.
    pub min_bytes: usize,
    /// Read up to the last stable offset, not the high watermark.
    pub committed_only: bool,
    /// When to answer with what there is, on the monotonic clock.
    pub deadline_ns: u64,
}

impl Broker {
    /// Reads all that is wanted, in order; when that is too little, waits on all owners at once and reads again when the first
    /// of them has more. An error in any partition is answered at once, and so are a fetch of nothing and
    /// a client that has closed its side.
    pub async fn fetch(
        self: &Rc<Self>,
        client: &ConnectionState,
        wanted: &[Wanted],
        limits: FetchLimits,
        stamps: &mut Stamps,
    ) -> Vec<Found> {
        loop {
            let found = read_all(self, wanted, limits, stamps).await;
            let bytes: usize = found.iter().map(|found| found.size_bytes).sum();
            let failed = found.iter().any(|found| found.error != ErrorCode::None);
            let now_ns = monotonic_ns();
            stamps.lap(Stage::Read, now_ns);
            let left_ns = limits.deadline_ns.saturating_sub(now_ns);
            let hopeless = wanted.is_empty() || self.stopping.get() || client.is_leaving();
            if bytes >= limits.min_bytes || failed || left_ns == 0 || hopeless {
                return found;
            }
            let moved = pin!(wait_for_any(self, wanted, &found, limits));
            let left = pin!(client.left());
            // When the time is up the next round answers with what there is.
            let _ = timeout(Duration::from_nanos(left_ns), select(moved, left)).await;
            stamps.lap(Stage::Wait, monotonic_ns());
        }
    }
}

async fn read_all(
    broker: &Rc<Broker>,
    wanted: &[Wanted],
    limits: FetchLimits,
    stamps: &mut Stamps,
) -> Vec<Found> {
    let mut found: Vec<Option<Found>> = wanted.iter().map(|w| w.refused.map(Found::error)).collect();
    let mut left = limits.max_bytes;
    let mut min_one = true;
    for (shard, places) in by_owner(broker, wanted) {
        let specs: Vec<Wanted> = places.iter().map(|&place| wanted[place]).collect();
        let is_here = shard == broker.shard();
        let read = broker.on_shard(shard, move |broker| async move {
            let arrived_ns = if is_here { 0 } else { monotonic_ns() };
            let read = read_here(&broker, &specs, left, min_one, limits.committed_only).await;
            (read, arrived_ns, if is_here { 0 } else { monotonic_ns() })
        });
        let (read, arrived_ns, left_ns) = read.await;
        if !is_here {
            stamps.lap(Stage::Hop, arrived_ns);
            stamps.lap(Stage::Read, left_ns);
            stamps.lap(Stage::Hop, turn_ns());
        }
        for (place, result) in places.into_iter().zip(read) {
            left = left.saturating_sub(result.size_bytes);
            min_one &= result.size_bytes == 0;
            found[place] = Some(result);
        }
    }
    found
        .into_iter()
        .map(|found| found.expect("each partition has an owner or an error"))
        .collect()
}

/// The places in `wanted` of each shard's partitions, this shard's first.
fn by_owner(broker: &Broker, wanted: &[Wanted]) -> Vec<(ShardId, Vec<usize>)> {
    let mut groups: Vec<(ShardId, Vec<usize>)> = Vec::new();
    for (place, want) in wanted
        .iter()
        .enumerate()
        .filter(|(_, want)| want.refused.is_none())
    {
        let owner = broker.owner(want.topic, want.index);
        match groups.iter_mut().find(|(shard, _)| *shard == owner) {
            Some((_, places)) => places.push(place),
            None => groups.push((owner, vec![place])),
        }
    }
    groups
}

async fn read_here(
    broker: &Rc<Broker>,
    wanted: &[Wanted],
    mut left: usize,
    mut min_one: bool,
    committed_only: bool,
) -> Vec<Found> {
    left = left.min(broker.request_memory.response_bytes_max());
    let mut all = Vec::with_capacity(wanted.len());
    for want in wanted {
        let found = read_one(broker, want, left, min_one, committed_only).await;
        left = left.saturating_sub(found.size_bytes);
        min_one &= found.size_bytes == 0;
        all.push(found);
        // What is in memory is read without ever waiting, and a request may name very many.
        yield_if_needed().await;
    }
    all
}

async fn read_one(
    broker: &Rc<Broker>,
    want: &Wanted,
    left: usize,
    min_one: bool,
    committed_only: bool,
) -> Found {
    let partition = match broker.partitions.find(want.topic, want.index) {
        Ok(partition) => partition,
        Err(error) => return Found::error(error),
    };
    if let Err(error) = partition.check_epoch(want.known_epoch) {
        return Found::error(error);
    }
    let log = &partition.log;
    let mut found = Found {
        error: ErrorCode::None,
        high_watermark: log.high_watermark(),
        last_stable: log.last_stable_offset(),
        log_start: log.start_offset(),
        parts: Vec::new(),
        size_bytes: 0,
        aborted: Vec::new(),
    };
    let max_bytes = want.max_bytes.min(left);
    if max_bytes == 0 && !min_one {
        return found;
    }
    let from = ReadFrom {
        offset: want.offset,
        max_bytes,
        min_one_batch: min_one,
        bound: partition.visible_end(committed_only),
    };
    let read = if committed_only {
        log.read_committed(from).await
    } else {
        let aborted = Vec::new();
        log.read(from).await.map(|read| CommittedRead { read, aborted })
    };
    match read {
        Ok(CommittedRead { read, aborted }) => {
            found.aborted = aborted;
            found.size_bytes = read.size_bytes;
            partition.traffic.fetched(read.size_bytes as u64);
            found.parts = read.parts.into_iter().map(Part::from).collect();
        }
        // As if there were nothing yet: it is tried again when the client's wait is over.
        Err(ReadError::OutOfMemory) => {}
        Err(error) => found.error = error.error_code(),
    }
    found
}

/// Completes when one of the partitions has more than was found.
async fn wait_for_any(broker: &Rc<Broker>, wanted: &[Wanted], found: &[Found], limits: FetchLimits) {
    let waits = by_owner(broker, wanted).into_iter().map(|(shard, places)| {
        let seen: Vec<(TopicId, PartitionIndex, Offset)> = places
            .into_iter()
            .map(|place| {
                let bound = if limits.committed_only {
                    found[place].last_stable
                } else {
                    found[place].high_watermark
                };
                (wanted[place].topic, wanted[place].index, bound)
            })
            .collect();
        let committed_only = limits.committed_only;
        broker.watch_on(shard, move |broker, watcher| {
            watch_here(broker, watcher, &seen, committed_only)
        })
    });
    let waits: Vec<_> = waits.collect();
    if waits.is_empty() {
        return std::future::pending().await;
    }
    select_all(waits).await;
}

/// Registers the watcher with partitions of this shard, and fires it at once if one has moved already.
fn watch_here(
    broker: &Rc<Broker>,
    watcher: &Rc<Watcher>,
    seen: &[(TopicId, PartitionIndex, Offset)],
    committed_only: bool,
) -> Vec<Registration> {
    let mut registrations = Vec::with_capacity(seen.len());
    for &(topic, index, bound) in seen {
        let Some(partition) = broker.partitions.get(topic, index) else {
            watcher.fire();
            continue;
        };
        registrations.push(partition.watchers(committed_only).add(watcher));
        if partition.visible_end(committed_only) > bound {
            watcher.fire();
        }
    }
    registrations
}
