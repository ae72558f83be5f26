//! Latencies of a shard, and how they get to the admin thread: exchanged, not copied.
//!
//! A histogram takes 215 KiB. Copying it on the shard's thread at every scrape would show in the tail that it measures, so the
//! admin thread brings empty ones, the shard swaps them in, and the totals are kept on the admin thread.

use std::fmt::Display;

use tautline_core::histogram::Latency;
use tautline_core::stage::{Stage, StageTimes, Stamps};

use super::text::Family;
use crate::wire::ApiKey;

/// Upper bounds of the buckets of latencies, in microseconds: close together where a durable acknowledgement is.
const BUCKETS_US: [u64; 28] = [
    10, 15, 20, 30, 40, 50, 60, 80, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000,
    100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
];

/// Requests whose latencies are comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiGroup {
    /// Produce: the path of an acknowledgement.
    Produce,
    /// Fetch: waits for data as long as the client says.
    Fetch,
    /// Heartbeats, and commits and fetches of offsets: the path of a consumer.
    Group,
    /// JoinGroup and SyncGroup, which wait for other members.
    Rebalance,
    /// All others.
    Other,
}

impl ApiGroup {
    /// All.
    pub const ALL: [ApiGroup; 5] = [
        ApiGroup::Produce,
        ApiGroup::Fetch,
        ApiGroup::Group,
        ApiGroup::Rebalance,
        ApiGroup::Other,
    ];

    /// The group of a request, by its key on the wire, which may be unknown.
    pub const fn of(key: i16) -> ApiGroup {
        const PRODUCE: i16 = ApiKey::Produce.key();
        const FETCH: i16 = ApiKey::Fetch.key();
        const OFFSET_COMMIT: i16 = ApiKey::OffsetCommit.key();
        const OFFSET_FETCH: i16 = ApiKey::OffsetFetch.key();
        const HEARTBEAT: i16 = ApiKey::Heartbeat.key();
        const CONSUMER_HEARTBEAT: i16 = ApiKey::ConsumerGroupHeartbeat.key();
        const JOIN: i16 = ApiKey::JoinGroup.key();
        const SYNC: i16 = ApiKey::SyncGroup.key();
        match key {
            PRODUCE => ApiGroup::Produce,
            FETCH => ApiGroup::Fetch,
            OFFSET_COMMIT | OFFSET_FETCH | HEARTBEAT | CONSUMER_HEARTBEAT => ApiGroup::Group,
            JOIN | SYNC => ApiGroup::Rebalance,
            _ => ApiGroup::Other,
        }
    }

    /// As a label.
    pub const fn name(self) -> &'static str {
        match self {
            ApiGroup::Produce => "produce",
            ApiGroup::Fetch => "fetch",
            ApiGroup::Group => "group",
            ApiGroup::Rebalance => "rebalance",
            ApiGroup::Other => "other",
        }
    }
}

/// The histograms of a shard, of some interval or of all time.
pub struct Latencies {
    requests: [Latency; ApiGroup::ALL.len()],
    stages: StageTimes,
    /// The store's writes.
    pub write: Latency,
}

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies {
            requests: Default::default(),
            stages: StageTimes::new(ApiGroup::ALL.len()),
            write: Latency::default(),
        }
    }
}

impl Latencies {
    /// Counts a request: from its last byte received to the last of its response handed to the system, and by stage.
    pub fn record(&mut self, group: ApiGroup, stamps: &Stamps) {
        let latency_ns = stamps.total_ns() - stamps.spent_ns(Stage::Receive);
        self.requests[group as usize].record(latency_ns);
        self.stages.record(group as usize, stamps);
    }

    /// What a group of requests spent in a stage.
    pub fn stage(&self, group: ApiGroup, stage: Stage) -> &Latency {
        self.stages.of(group as usize, stage)
    }

    /// Those of a group of requests.
    pub fn requests(&self, group: ApiGroup) -> &Latency {
        &self.requests[group as usize]
    }

    /// Adds what another one counted, and empties it.
    pub fn drain(&mut self, other: &mut Latencies) {
        for (mine, theirs) in self.requests.iter_mut().zip(&mut other.requests) {
            mine.merge(theirs);
            theirs.clear();
        }
        self.stages.drain(&mut other.stages);
        self.write.merge(&other.write);
        other.write.clear();
    }
}

/// Writes the buckets, sum and count of a histogram, in seconds.
pub(super) fn histogram(family: &mut Family<'_>, latency: &Latency, labels: &[(&str, &dyn Display)]) {
    let (mut below, mut sum_ns) = (0, 0.0);
    let mut recorded = latency.histogram().iter_recorded().peekable();
    for bound_us in BUCKETS_US {
        while let Some(value) = recorded.next_if(|value| value.value_iterated_to() <= bound_us * 1_000) {
            below += value.count_at_value();
            sum_ns += value.value_iterated_to() as f64 * value.count_at_value() as f64;
        }
        bucket(family, labels, &(bound_us as f64 / 1e6), below);
    }
    for value in recorded {
        sum_ns += value.value_iterated_to() as f64 * value.count_at_value() as f64;
    }
    bucket(family, labels, &"+Inf", latency.count());
    family.suffixed("_sum", labels, sum_ns / 1e9);
    family.suffixed("_count", labels, latency.count());
}

fn bucket(family: &mut Family<'_>, labels: &[(&str, &dyn Display)], bound: &dyn Display, count: u64) {
    let mut all = labels.to_vec();
    all.push(("le", bound));
    family.suffixed("_bucket", &all, count);
}

#[cfg(test)]
mod tests {
    use super::super::text::{Exposition, Kind};
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let mut latency = Latency::new();
        for ns in [9_000, 42_000, 42_000, 700_000, 59_000_000_000] {
            latency.record(ns);
        }
        let mut text = Exposition::default();
        histogram(
            &mut text.family("h", Kind::Histogram, "H."),
            &latency,
            &[("shard", &0)],
        );
        let text = text.finish();
        let counts: Vec<u64> = text
            .lines()
            .filter(|line| line.starts_with("h_bucket"))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(counts.is_sorted(), "{text}");
        assert!(
            text.contains("h_bucket{shard=\"0\",le=\"0.00001\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("h_bucket{shard=\"0\",le=\"0.00005\"} 3\n"),
            "{text}"
        );
        assert!(
            text.contains("h_bucket{shard=\"0\",le=\"+Inf\"} 5\nh_sum{shard=\"0\"} 59."),
            "{text}"
        );
        assert!(text.ends_with("h_count{shard=\"0\"} 5\n"), "{text}");
    }
}
