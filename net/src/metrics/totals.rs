//! The node's metrics as text: what all shards told, put together on the admin thread.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use tautline_core::error::ErrorCode;
use tautline_core::stage::Stage;
use tautline_core::task::QUEUES;

use super::cleaner::CLEANER;
use super::families::{LATENCY, NODE, PARTITION, SHARD, STORE, TOPIC};
use super::latency::histogram;
use super::text::{Exposition, Kind};
use super::{ApiGroup, Latencies, ShardSnapshot, Swept, TopicRow};

/// What does not change while the node runs.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// The core of each shard.
    pub cores: Vec<usize>,
    /// The node's id.
    pub node_id: i32,
    /// The cluster's id.
    pub cluster_id: String,
    /// `flush.messages` of topics that do not set it, as the node was started.
    pub flush_messages: i64,
    /// When it was started, in seconds since the epoch.
    pub started_s: f64,
}

/// Latencies of all time, by shard.
#[derive(Default)]
pub struct Totals {
    latencies: BTreeMap<u16, Latencies>,
}

impl Totals {
    /// Adds what a shard counted since its last snapshot.
    pub fn absorb(&mut self, snapshot: &mut ShardSnapshot) {
        let total = self.latencies.entry(snapshot.shard).or_default();
        total.drain(&mut snapshot.latencies);
    }

    /// The text of a scrape. A shard that is missing in `shards` did not answer in time.
    pub fn render(&self, facts: &NodeFacts, ready: bool, mut shards: Vec<ShardSnapshot>) -> String {
        shards.sort_by_key(|snapshot| snapshot.shard);
        let mut text = Exposition::default();
        node(&mut text, facts, ready, &shards);
        for metric in SHARD {
            let mut family = text.family(metric.name, metric.kind, metric.help);
            for snapshot in &shards {
                family.sample(&[("shard", &snapshot.shard)], (metric.value)(snapshot));
            }
        }
        for metric in STORE.iter().chain(CLEANER) {
            let mut family = text.family(metric.name, metric.kind, metric.help);
            for snapshot in &shards {
                family.sample(&[("shard", &snapshot.shard)], (metric.value)(&snapshot.store));
            }
        }
        by_label(&mut text, &shards);
        self.latencies(&mut text);
        topics(&mut text, &mut shards);
        text.finish()
    }

    fn latencies(&self, text: &mut Exposition) {
        let [requests, writes, stages] = LATENCY;
        let mut family = text.family(requests.0, Kind::Histogram, requests.1);
        for (shard, latencies) in &self.latencies {
            for group in ApiGroup::ALL {
                let labels: [(&str, &dyn std::fmt::Display); 2] =
                    [("shard", shard), ("request", &group.name())];
                histogram(&mut family, latencies.requests(group), &labels);
            }
        }
        let mut family = text.family(writes.0, Kind::Histogram, writes.1);
        for (shard, latencies) in &self.latencies {
            histogram(&mut family, &latencies.write, &[("shard", shard)]);
        }
        let mut family = text.family(stages.0, Kind::Histogram, stages.1);
        for (shard, latencies) in &self.latencies {
            for (group, stage) in ApiGroup::ALL.iter().flat_map(|g| Stage::ALL.map(|s| (g, s))) {
                let times = latencies.stage(*group, stage);
                if times.count() > 0 {
                    let labels: [(&str, &dyn std::fmt::Display); 3] = [
                        ("shard", shard),
                        ("request", &group.name()),
                        ("stage", &stage.name()),
                    ];
                    histogram(&mut family, times, &labels);
                }
            }
        }
    }
}

fn node(text: &mut Exposition, facts: &NodeFacts, ready: bool, shards: &[ShardSnapshot]) {
    let [build, node, start, is_ready, flush, up] = NODE;
    text.family(build.0, Kind::Gauge, build.1)
        .sample(&[("version", &env!("CARGO_PKG_VERSION"))], 1);
    let labels: [(&str, &dyn std::fmt::Display); 2] =
        [("node_id", &facts.node_id), ("cluster_id", &facts.cluster_id)];
    text.family(node.0, Kind::Gauge, node.1).sample(&labels, 1);
    text.family(start.0, Kind::Gauge, start.1)
        .sample(&[], facts.started_s);
    text.family(is_ready.0, Kind::Gauge, is_ready.1)
        .sample(&[], u8::from(ready));
    text.family(flush.0, Kind::Gauge, flush.1)
        .sample(&[], facts.flush_messages);
    let mut family = text.family(up.0, Kind::Gauge, up.1);
    for (shard, core) in facts.cores.iter().enumerate() {
        let up = shards.iter().any(|snapshot| usize::from(snapshot.shard) == shard);
        family.sample(&[("shard", &shard), ("core", core)], u8::from(up));
    }
}

/// Families with a label of their own beside the shard's.
fn by_label(text: &mut Exposition, shards: &[ShardSnapshot]) {
    let mut family = text.family("tautline_requests_total", Kind::Counter, "Requests received.");
    for snapshot in shards {
        for (api, count) in &snapshot.requests {
            family.sample(&[("shard", &snapshot.shard), ("request", &api.name())], count);
        }
    }
    let help = "Error codes answered, one for each partition or resource that has one.";
    let mut family = text.family("tautline_request_errors_total", Kind::Counter, help);
    for snapshot in shards {
        for (api, code, count) in &snapshot.errors {
            let error =
                ErrorCode::from_code(*code).map_or_else(|| code.to_string(), |error| format!("{error:?}"));
            let (shard, api) = (&snapshot.shard, api.name());
            family.sample(&[("shard", shard), ("request", &api), ("error", &error)], count);
        }
    }
    let help = "Groups that the shard coordinates, by their state.";
    let mut family = text.family("tautline_groups", Kind::Gauge, help);
    for snapshot in shards {
        for (state, count) in &snapshot.groups {
            family.sample(&[("shard", &snapshot.shard), ("state", state)], count);
        }
    }
    stalls(text, shards);
    let help = "Connections closed because nothing moved on them.";
    let mut family = text.family("tautline_connections_swept_total", Kind::Counter, help);
    for snapshot in shards {
        for (reason, count) in Swept::ALL.iter().zip(snapshot.connections_swept) {
            family.sample(&[("shard", &snapshot.shard), ("reason", &reason.name())], count);
        }
    }
}

/// Who held a core beyond its quota.
fn stalls(text: &mut Exposition, shards: &[ShardSnapshot]) {
    type Value = fn((u64, u64)) -> f64;
    let families: [(&str, &str, Value); 2] = [
        (
            "tautline_stalls_total",
            "Times that tasks of a queue held the core beyond its quota; away: others had the core, or a call blocked.",
            |(count, _)| count as f64,
        ),
        (
            "tautline_stall_seconds_total",
            "How long all others waited for the core in those times.",
            |(_, ns)| ns as f64 / 1e9,
        ),
    ];
    for (name, help, value) in families {
        let mut family = text.family(name, Kind::Counter, help);
        for snapshot in shards {
            let queues = QUEUES
                .iter()
                .map(|(_, name, ..)| *name)
                .zip(snapshot.stalls.by_queue);
            for (queue, stalls) in queues.chain([("away", snapshot.stalls.away)]) {
                family.sample(&[("shard", &snapshot.shard), ("queue", &queue)], value(stalls));
            }
        }
    }
}

fn topics(text: &mut Exposition, shards: &mut [ShardSnapshot]) {
    let mut by_name: BTreeMap<Arc<str>, TopicRow> = BTreeMap::new();
    for row in shards
        .iter_mut()
        .flat_map(|snapshot| std::mem::take(&mut snapshot.topics))
    {
        match by_name.entry(row.name.clone()) {
            Entry::Occupied(mut sum) => sum.get_mut().merge(row),
            Entry::Vacant(place) => drop(place.insert(row)),
        }
    }
    let help = "Topics with partitions on this node.";
    text.family("tautline_topics", Kind::Gauge, help)
        .sample(&[], by_name.len());
    let relaxed = by_name.values().filter(|topic| topic.relaxed).count();
    let help = "Topics that acknowledge before data is durable (flush.messages above 1).";
    text.family("tautline_topics_relaxed", Kind::Gauge, help)
        .sample(&[], relaxed);
    for metric in TOPIC {
        let mut family = text.family(metric.name, metric.kind, metric.help);
        for topic in by_name.values() {
            family.sample(&[("topic", &topic.name)], (metric.value)(topic));
        }
    }
    for topic in by_name.values_mut() {
        topic.partitions.sort_by_key(|partition| partition.index);
    }
    if by_name.values().all(|topic| topic.partitions.is_empty()) {
        return;
    }
    for metric in PARTITION {
        let mut family = text.family(metric.name, metric.kind, metric.help);
        for topic in by_name.values() {
            for partition in &topic.partitions {
                let labels: [(&str, &dyn std::fmt::Display); 2] =
                    [("topic", &topic.name), ("partition", &partition.index)];
                family.sample(&labels, (metric.value)(partition));
            }
        }
    }
}
