//! /trace: the slowest requests of all shards since somebody looked last, with what they spent in each stage, as JSON.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tautline_core::stage::{Flight, Recorder, Stage};
use tautline_core::time::{monotonic_ns, now_ms};

use crate::broker::Broker;
use crate::wire::ApiKey;

/// What one look shows. The names are an interface, like those of metrics.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Look {
    /// How long ago somebody looked last, or the node was started, in seconds.
    pub seconds: f64,
    /// Requests that were answered since.
    pub requests: u64,
    /// Shards that did not answer in time; theirs are in the next look.
    pub silent: Vec<usize>,
    /// The slowest of those requests, slowest first; some of each shard.
    pub slowest: Vec<Slow>,
}

/// A slow request. Times are in microseconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Slow {
    /// The shard of its connection.
    pub shard: u16,
    /// When it was answered, in milliseconds since the epoch.
    pub answered_ms: i64,
    /// Its API's name, or number where it has none.
    pub request: String,
    /// Where its client is.
    pub client: Option<String>,
    /// What its client numbered it with.
    pub correlation_id: i32,
    /// Its length.
    pub bytes: u32,
    /// The topic that it was for, or first for, if it is about one.
    pub topic: Option<String>,
    /// The partition, likewise.
    pub partition: Option<i32>,
    /// From its first byte to the last of its response.
    pub total_us: f64,
    /// The same without what its client wanted it to wait.
    pub own_us: f64,
    /// The stage that took most of that.
    pub slowest_stage: String,
    /// What it spent in each stage, of those where it spent time.
    pub stages_us: BTreeMap<String, f64>,
}

/// What a shard gives: its recorder, and what its numbers mean.
pub(super) struct Recorded {
    shard: u16,
    recorder: Recorder,
    topics: Vec<Option<Arc<str>>>,
    /// The same moment on both clocks.
    now: (u64, i64),
}

/// Takes what a shard has recorded, on the shard.
pub(super) fn take(broker: &Broker, empty: Recorder) -> Recorded {
    let recorder = broker.metrics.take_flights(empty);
    let image = broker.image();
    let topic = |flight: &Flight| {
        image
            .topic_by_id(flight.partition?.0)
            .map(|topic| topic.name.clone())
    };
    Recorded {
        shard: broker.shard().0,
        topics: recorder.flights().iter().map(topic).collect(),
        recorder,
        now: (monotonic_ns(), now_ms()),
    }
}

impl Look {
    /// What all shards have recorded since `since`.
    pub(super) fn new(since: Instant, silent: Vec<usize>, recorded: &[Recorded]) -> Look {
        let mut slowest: Vec<Slow> = recorded.iter().flat_map(slow).collect();
        slowest.sort_by(|a, b| b.own_us.total_cmp(&a.own_us));
        Look {
            seconds: since.elapsed().as_secs_f64(),
            requests: recorded.iter().map(|shard| shard.recorder.seen()).sum(),
            silent,
            slowest,
        }
    }
}

fn slow(recorded: &Recorded) -> impl Iterator<Item = Slow> + '_ {
    let flights = recorded.recorder.flights().iter().zip(&recorded.topics);
    flights.map(|(flight, topic)| {
        let stamps = &flight.stamps;
        let (now_ns, now_ms) = recorded.now;
        let ago_ms = now_ns.saturating_sub(stamps.last_ns()) / 1_000_000;
        let spent = Stage::ALL.map(|stage| (stage.name().to_owned(), us(stamps.spent_ns(stage))));
        Slow {
            shard: recorded.shard,
            answered_ms: now_ms - ago_ms as i64,
            request: ApiKey::from_key(flight.api)
                .map_or_else(|| flight.api.to_string(), |api| api.name().to_owned()),
            client: flight.client.map(|client| client.to_string()),
            correlation_id: flight.correlation_id,
            bytes: flight.bytes,
            topic: topic.as_deref().map(str::to_owned),
            partition: flight.partition.map(|(_, index)| index.0),
            total_us: us(stamps.total_ns()),
            own_us: us(stamps.own_ns()),
            slowest_stage: stamps.slowest().name().to_owned(),
            stages_us: spent.into_iter().filter(|(_, spent)| *spent > 0.0).collect(),
        }
    })
}

fn us(ns: u64) -> f64 {
    ns as f64 / 1e3
}
