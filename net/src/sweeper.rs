//! Closes connections on which nothing moves. One background task a shard.
//!
//! | the connection waits for | and is closed after |
//! |---|---|
//! | the next request | `connections.max.idle.ms` |
//! | the rest of a request, no byte of it comes | [`STALL_MAX`]; [`STALL_MAX_PRESSED`] while memory is short |
//! | the client to read its response, and it reads no byte | the same |
//! | requests of a client that has closed its side | [`LEAVE_MAX`] |
//!
//! A connection that waits for the broker is left alone; when its client is gone, what waits on it for more records ends.

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tautline_core::buffer::Pool;
use tautline_core::task::{Queue, spawn, yield_now};
use tautline_core::time::{monotonic_ns, sleep};

use crate::broker::Broker;
use crate::connection::{Activity, ConnectionState};
use crate::metrics::Swept;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Connections looked at before other tasks have their turn.
const BATCH: usize = 256;
/// How long a client may send or read nothing in the middle of a request or a response.
const STALL_MAX: Duration = Duration::from_secs(30);
/// The same, while requests wait for memory or less than [`PRESSED_16THS`] of the shard's is free.
const STALL_MAX_PRESSED: Duration = Duration::from_secs(2);
/// A little more than the eighth that reads leave to appends, so that those who pin what was read are noticed.
const PRESSED_16THS: usize = 3;
/// How long answers are still worked on for a client that has closed its side.
const LEAVE_MAX: Duration = Duration::from_secs(5);

const _: () = assert!(STALL_MAX_PRESSED.as_nanos() >= INTERVAL.as_nanos());

/// Starts it on this shard.
pub fn start(broker: &Rc<Broker>) {
    let broker = Rc::downgrade(broker);
    spawn(Queue::Background, async move {
        let mut was_short = false;
        loop {
            sleep(INTERVAL).await;
            let Some(broker) = broker.upgrade() else { return };
            let short = &broker.node.shards_short_of_memory;
            let is_short = broker.request_memory.is_short() || memory_is_short();
            match (std::mem::replace(&mut was_short, is_short), is_short) {
                (false, true) => drop(short.fetch_add(1, Ordering::Relaxed)),
                (true, false) => drop(short.fetch_sub(1, Ordering::Relaxed)),
                _ => {}
            }
            sweep(&broker).await;
            let suppressed = broker.log_limit.take_suppressed();
            if suppressed > 0 {
                broker.metrics.log_lines_suppressed.add(suppressed);
                tracing::warn!("{suppressed} more log lines about connections within a second were left out");
            }
        }
    });
}

/// The times after which connections are closed, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Patience {
    idle: Option<u64>,
    stall: u64,
}

async fn sweep(broker: &Rc<Broker>) {
    let idle = broker
        .settings()
        .connection_idle_ms_max
        .map(|ms| ms.saturating_mul(1_000_000));
    let stall = if broker.node.shards_short_of_memory.load(Ordering::Relaxed) > 0 {
        STALL_MAX_PRESSED
    } else {
        STALL_MAX
    };
    let patience = Patience {
        idle,
        stall: stall.as_nanos() as u64,
    };
    let mut from = 0;
    loop {
        let batch: Vec<Rc<ConnectionState>> = {
            let connections = broker.connections.borrow();
            let end = connections.capacity().min(from + BATCH);
            let batch = (from..end)
                .filter_map(|slot| connections.get(slot).cloned())
                .collect();
            if from >= end {
                return;
            }
            from = end;
            batch
        };
        let now_ns = monotonic_ns();
        for connection in &batch {
            if let Some(reason) = judge(connection, now_ns, patience) {
                broker.metrics.connections_swept[reason as usize].add(1);
                tracing::debug!(client = %connection.peer, "connection closed: {}", reason.name());
                connection.close();
            }
        }
        yield_now().await;
    }
}

fn judge(connection: &ConnectionState, now_ns: u64, patience: Patience) -> Option<Swept> {
    let quiet_ns = now_ns.saturating_sub(connection.last_progress_ns());
    match connection.activity() {
        Activity::Busy => {
            if quiet_ns >= INTERVAL.as_nanos() as u64 {
                connection.look_for_end();
            }
            None
        }
        Activity::Idle => patience
            .idle
            .is_some_and(|idle| quiet_ns >= idle)
            .then_some(Swept::Idle),
        Activity::Leaving => (quiet_ns >= LEAVE_MAX.as_nanos() as u64).then_some(Swept::Left),
        waits @ (Activity::Receiving | Activity::Sending) => {
            // Only those that seem to be stuck are looked up in the kernel.
            let looks = quiet_ns >= INTERVAL.as_nanos() as u64;
            let stuck = looks && now_ns.saturating_sub(connection.last_byte_ns(now_ns)) >= patience.stall;
            let reason = if waits == Activity::Sending {
                Swept::Unread
            } else {
                Swept::HalfFrame
            };
            stuck.then_some(reason)
        }
    }
}

fn memory_is_short() -> bool {
    let pool = Pool::current();
    let is_short = || pool.used_bytes() > pool.limit_bytes() / 16 * (16 - PRESSED_16THS);
    if !is_short() {
        return false;
    }
    // What is on the free lists is not used by anybody.
    pool.trim();
    is_short()
}
