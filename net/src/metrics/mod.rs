//! What a shard counts, and how that becomes text for Prometheus.
//!
//! Counting is a `Cell` add on the shard's own thread. Reading is a task of the shard ([`snapshot`]) that copies the numbers into
//! a plain struct and gives way to others in between; histograms are not copied but exchanged for empty ones ([`Latencies`]). All
//! else ([`totals`], [`text`]) happens on the admin thread.

mod cleaner;
mod families;
mod latency;
mod snapshot;
mod text;
mod topics;
mod totals;

use std::cell::{Cell, RefCell};

use rustc_hash::FxHashMap;
use tautline_core::stage::{Flight, Recorder, Stamps};

pub use latency::{ApiGroup, Latencies};
pub use snapshot::{ShardSnapshot, StoreCounts, snapshot};
pub use text::{CONTENT_TYPE, Exposition, Family, Kind};
pub use topics::{PartitionRow, TopicRow, Traffic};
pub use totals::{NodeFacts, Totals};

use crate::wire::{APIS, ApiKey};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(Cell<u64>);

impl Counter {
    /// Adds to it.
    pub fn add(&self, count: u64) {
        self.0.set(self.0.get().wrapping_add(count));
    }

    /// What it has come to.
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Level(Cell<i64>);

impl Level {
    /// Moves it.
    pub fn add(&self, change: i64) {
        self.0.set(self.0.get().wrapping_add(change));
    }

    /// Where it is.
    pub fn get(&self) -> i64 {
        self.0.get()
    }
}

/// Why the broker closed a connection, other than for what the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Swept {
    /// Nothing happened for `connections.max.idle.ms`.
    Idle,
    /// A frame was begun and not ended.
    HalfFrame,
    /// The client did not read its response.
    Unread,
    /// The client had closed its side while requests waited.
    Left,
}

impl Swept {
    /// All, by number.
    pub const ALL: [Swept; 4] = [Swept::Idle, Swept::HalfFrame, Swept::Unread, Swept::Left];

    /// As a label.
    pub const fn name(self) -> &'static str {
        match self {
            Swept::Idle => "idle",
            Swept::HalfFrame => "half_frame",
            Swept::Unread => "unread_response",
            Swept::Left => "left",
        }
    }
}

/// Numbers of API keys that have a counter; Kafka's highest is below.
const API_KEYS: usize = 128;

const _: () = {
    let mut at = 0;
    while at < APIS.len() {
        assert!((APIS[at].key.key() as usize) < API_KEYS);
        at += 1;
    }
};

/// The counters of one shard.
pub struct ShardMetrics {
    /// Connections accepted.
    pub connections_opened: Counter,
    /// Connections ended, for whatever reason.
    pub connections_closed: Counter,
    /// Connections closed for what the client sent.
    pub connections_failed: Counter,
    /// Connections turned away: `max.connections`.
    pub connections_refused: Counter,
    /// Connections closed by the sweeper, by [`Swept`].
    pub connections_swept: [Counter; Swept::ALL.len()],
    /// Bytes of request frames.
    pub bytes_in: Counter,
    /// Bytes of responses.
    pub bytes_out: Counter,
    /// Requests begun and not yet answered.
    pub in_flight: Level,
    /// Rebalances of classic groups that clients of this shard led to their end.
    pub rebalances: Counter,
    /// Offsets of partitions that clients of this shard committed.
    pub offsets_committed: Counter,
    /// Log lines left out because there were too many.
    pub log_lines_suppressed: Counter,
    requests: [Counter; API_KEYS],
    errors: RefCell<FxHashMap<(ApiKey, i16), u64>>,
    latency: RefCell<Latencies>,
    flights: RefCell<Recorder>,
}

impl Default for ShardMetrics {
    fn default() -> ShardMetrics {
        ShardMetrics {
            connections_opened: Counter::default(),
            connections_closed: Counter::default(),
            connections_failed: Counter::default(),
            connections_refused: Counter::default(),
            connections_swept: Default::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            in_flight: Level::default(),
            rebalances: Counter::default(),
            offsets_committed: Counter::default(),
            log_lines_suppressed: Counter::default(),
            requests: std::array::from_fn(|_| Counter::default()),
            errors: RefCell::default(),
            latency: RefCell::default(),
            flights: RefCell::default(),
        }
    }
}

impl ShardMetrics {
    /// Counts a request.
    pub fn request(&self, api: ApiKey) {
        self.requests[api.key() as usize].add(1);
    }

    /// Counts error codes that were answered, each with how often; at most as many as there are error codes.
    pub fn errors(&self, api: ApiKey, codes: &[(i16, u32)]) {
        if codes.is_empty() {
            return;
        }
        let mut errors = self.errors.borrow_mut();
        for &(code, count) in codes {
            *errors.entry((api, code)).or_default() += u64::from(count);
        }
    }

    /// Records how long a request took, as a whole and in its stages, and keeps what `flight` says of it if it was slow.
    pub fn answered(&self, group: ApiGroup, stamps: &Stamps, flight: impl FnOnce() -> Flight) {
        self.latency.borrow_mut().record(group, stamps);
        self.flights.borrow_mut().record(stamps.own_ns(), flight);
    }

    /// Gives the slowest requests since the last time, for an empty recorder.
    pub fn take_flights(&self, empty: Recorder) -> Recorder {
        self.flights.replace(empty)
    }
}
