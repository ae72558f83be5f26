//! Reading for a fetch: partitions on their owners, in order, within the limits; and again when there was too little.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::select;
use tautline_core::error::ErrorCode;
use tautline_core::ids::ShardId;
use tautline_core::stage::{Stage, Stamps};
use tautline_core::task::yield_if_needed;
use tautline_core::time::{monotonic_ns, timeout, turn_ns};
use tautline_store::{Part, ReadError, ReadFrom};

use super::Broker;
use super::wanted::{FetchLimits, Findings, Found, Wanted};
use crate::connection::ConnectionState;

impl Broker {
    /// Reads all that is wanted, in order; when that is too little, waits on all owners at once and reads again when the first
    /// of them has more. An error in any partition is answered at once, and so are a fetch of nothing and
    /// a client that has closed its side.
    ///
    /// What this shard has in memory is read without asking for any.
    pub async fn fetch(
        self: &Rc<Self>,
        client: &ConnectionState,
        wanted: &[Wanted],
        limits: FetchLimits,
        stamps: &mut Stamps,
        findings: &mut Findings,
    ) {
        loop {
            read_all(self, wanted, limits, stamps, findings).await;
            let bytes = findings.size_bytes();
            let failed = findings
                .partitions
                .iter()
                .any(|found| found.error != ErrorCode::None);
            let now_ns = monotonic_ns();
            stamps.lap(Stage::Read, now_ns);
            let left_ns = limits.deadline_ns.saturating_sub(now_ns);
            let hopeless = wanted.is_empty() || self.stopping.get() || client.is_leaving();
            if bytes >= limits.min_bytes || failed || left_ns == 0 || hopeless {
                return;
            }
            let Findings {
                partitions,
                parts,
                watch,
            } = findings;
            // What there is already is read again; nobody's memory is held for the wait.
            parts.clear();
            let moved = pin!(self.any_moved(wanted, partitions, limits.committed_only, watch));
            let left = pin!(client.left());
            // When the time is up the next round answers with what there is.
            let _ = timeout(Duration::from_nanos(left_ns), select(moved, left)).await;
            stamps.lap(Stage::Wait, monotonic_ns());
        }
    }
}

/// What may still be read.
#[derive(Clone, Copy)]
struct Budget {
    bytes: usize,
    /// A first batch is read even if it alone is larger.
    min_one: bool,
    committed_only: bool,
}

impl Budget {
    fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
        self.min_one &= bytes == 0;
    }
}

/// Reads from one owner after the other, in the order in which they have their first partition.
async fn read_all(
    broker: &Rc<Broker>,
    wanted: &[Wanted],
    limits: FetchLimits,
    stamps: &mut Stamps,
    findings: &mut Findings,
) {
    findings.begin(wanted);
    let mut budget = Budget {
        bytes: limits.max_bytes,
        min_one: true,
        committed_only: limits.committed_only,
    };
    for (place, want) in wanted.iter().enumerate() {
        let Ok(owner) = want.owner else { continue };
        if findings.partitions[place].is_answer {
            continue;
        }
        let bytes = if owner == broker.shard() {
            read_here(broker, wanted, budget, findings).await
        } else {
            // In a box: who reads only here shall not carry room for it.
            Box::pin(read_there(broker, owner, wanted, budget, stamps, findings)).await
        };
        budget.spend(bytes);
    }
}

/// Has another shard read its partitions; gives how many bytes it found.
async fn read_there(
    broker: &Rc<Broker>,
    owner: ShardId,
    wanted: &[Wanted],
    budget: Budget,
    stamps: &mut Stamps,
    findings: &mut Findings,
) -> usize {
    let is_there = |&place: &usize| wanted[place].owner == Ok(owner);
    let places: Vec<usize> = (0..wanted.len()).filter(is_there).collect();
    let specs: Vec<Wanted> = places.iter().map(|&place| wanted[place]).collect();
    let read = broker.on_shard(owner, move |broker| async move {
        let arrived_ns = monotonic_ns();
        let mut findings = Findings::default();
        findings.begin(&specs);
        let bytes = read_here(&broker, &specs, budget, &mut findings).await;
        let found = (findings.partitions, findings.parts);
        (found, bytes, arrived_ns, monotonic_ns())
    });
    let (found, bytes, arrived_ns, left_ns) = read.await;
    stamps.lap(Stage::Hop, arrived_ns);
    stamps.lap(Stage::Read, left_ns);
    stamps.lap(Stage::Hop, turn_ns());
    findings.add(&places, found);
    bytes
}

/// Reads those partitions that this shard owns; gives how many bytes it found.
async fn read_here(
    broker: &Rc<Broker>,
    wanted: &[Wanted],
    mut budget: Budget,
    findings: &mut Findings,
) -> usize {
    budget.bytes = budget.bytes.min(broker.request_memory.response_bytes_max());
    let here = broker.shard();
    let mut bytes = 0;
    for (place, want) in wanted.iter().enumerate() {
        if want.owner != Ok(here) {
            continue;
        }
        let found = read_one(broker, want, budget, &mut findings.parts).await;
        budget.spend(found.size_bytes);
        bytes += found.size_bytes;
        findings.partitions[place] = found;
        // What is in memory is read without ever waiting, and a request may name very many.
        yield_if_needed().await;
    }
    bytes
}

async fn read_one(broker: &Rc<Broker>, want: &Wanted, budget: Budget, parts: &mut Vec<Part>) -> Found {
    let partition = match broker.find_partition(want.topic, want.index) {
        Ok(partition) => partition,
        Err(error) => return Found::error(error),
    };
    if let Err(error) = partition.check_epoch(want.known_epoch) {
        return Found::error(error);
    }
    let (log, before) = (&partition.log, parts.len());
    let mut found = Found {
        error: ErrorCode::None,
        high_watermark: log.high_watermark(),
        last_stable: log.last_stable_offset(),
        log_start: log.start_offset(),
        parts: before..before,
        size_bytes: 0,
        aborted: Vec::new(),
        is_answer: true,
    };
    let max_bytes = want.max_bytes.min(budget.bytes);
    if max_bytes == 0 && !budget.min_one {
        return found;
    }
    let from = ReadFrom {
        offset: want.offset,
        max_bytes,
        min_one_batch: budget.min_one,
        bound: partition.visible_end(budget.committed_only),
    };
    let read = if budget.committed_only {
        log.read_committed_into(from, parts).await
    } else {
        log.read_into(from, parts)
            .await
            .map(|extent| (extent, Vec::new()))
    };
    match read {
        Ok((extent, aborted)) => {
            found.aborted = aborted;
            found.size_bytes = extent.size_bytes;
            found.parts = before..parts.len();
            partition.traffic.fetched(extent.size_bytes as u64);
        }
        // As if there were nothing yet: it is tried again when the client's wait is over.
        Err(ReadError::OutOfMemory) => {}
        Err(error) => found.error = error.error_code(),
    }
    found
}
