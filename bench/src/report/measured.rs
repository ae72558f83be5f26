//! One kind of latency of a run as reports carry it: percentiles, the whole curve, a line for each second, each repeat.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::percentiles::{Percentiles, Ratios, histogram};
use super::series::{LoggedInterval, Series};
use crate::clock::SECOND_NS;

const MINUTE_NS: u64 = 60 * SECOND_NS;

/// Points of a curve for each nine of its quantile.
const POINTS_PER_NINE: u32 = 20;
/// Nines after which a curve ends: 99.9999 %.
const NINES_MAX: u32 = 6;

/// A series of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    /// produce, e2e or send-lateness.
    pub name: String,
    /// Of all repeats together.
    pub latency: Percentiles,
    /// Messages counted, over the time measured.
    pub messages_per_second: f64,
    /// The bytes of their values, in 10^6.
    pub mb_per_second: f64,
    /// Against the floor's round trip with a durable write.
    pub ratio_to_durable: Option<Ratios>,
    /// Against the floor's bare round trip.
    pub ratio_to_round_trip: Option<Ratios>,
    /// The distribution of all repeats together.
    #[serde(default)]
    pub curve: Vec<Point>,
    /// Each repeat on its own.
    #[serde(default)]
    pub repeats: Vec<Repeat>,
    /// Second by second.
    #[serde(default)]
    pub timeline: Vec<Tick>,
    /// Minute by minute, whole minutes only.
    #[serde(default)]
    pub minutes: Vec<Minute>,
}

/// A point of a distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// How rare: 0 is the minimum, 1 is 90 %, 2 is 99 %, 3 is 99.9 %.
    pub nines: f64,
    /// The latency that this part of all samples doesn't exceed.
    pub ns: u64,
}

/// One repeat of the same load.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repeat {
    /// Its percentiles.
    pub latency: Percentiles,
    /// Its distribution.
    pub curve: Vec<Point>,
    /// Messages a second in it.
    pub messages_per_second: f64,
}

/// A second of a run, by when answers came in.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Tick {
    /// Which repeat it belongs to, from 0.
    pub repeat: u32,
    /// When it began in the time that was measured in that repeat, in seconds.
    pub at_s: f64,
    pub records: u64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p99_9_ns: u64,
    pub max_ns: u64,
}

/// A minute of a run, by when answers came in: what drifts shows between the first of them and the last.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Minute {
    /// Which repeat it belongs to, from 0.
    pub repeat: u32,
    /// Which minute of what was measured in that repeat, from 0.
    pub minute: u64,
    /// Messages counted.
    pub records: u64,
    /// Its percentiles.
    pub latency: Percentiles,
}

/// Percentiles, curve and timeline of all repeats, each of which measured for `seconds`.
pub fn measured(repeats: &[&Series], seconds: f64) -> Measured {
    let name = repeats.first().map_or("", |series| series.name);
    let mut all = Series::new(name);
    for (repeat, series) in repeats.iter().enumerate() {
        all.add_repeat(series, repeat as u32);
    }
    let total_seconds = seconds * repeats.len() as f64;
    let repeat = |series: &&Series| Repeat {
        latency: Percentiles::of(&series.total),
        curve: curve(&series.total),
        messages_per_second: series.records as f64 / seconds,
    };
    Measured {
        name: name.into(),
        latency: Percentiles::of(&all.total),
        messages_per_second: all.records as f64 / total_seconds,
        mb_per_second: all.bytes as f64 / 1e6 / total_seconds,
        ratio_to_durable: None,
        ratio_to_round_trip: None,
        curve: curve(&all.total),
        repeats: repeats.iter().map(repeat).collect(),
        timeline: timeline(&all.intervals),
        minutes: minutes(&all.intervals, seconds),
    }
}

/// The distribution, evenly over the nines, as far as there are samples.
fn curve(histogram: &Histogram<u64>) -> Vec<Point> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let end = (histogram.len() as f64).log10().min(f64::from(NINES_MAX));
    let steps = (end * f64::from(POINTS_PER_NINE)).floor() as u32;
    let nines = (0..=steps).map(|step| f64::from(step) / f64::from(POINTS_PER_NINE));
    let at = |nines: f64| Point {
        nines,
        ns: histogram.value_at_quantile(1.0 - 10f64.powf(-nines)),
    };
    nines.map(at).collect()
}

fn timeline(intervals: &[LoggedInterval]) -> Vec<Tick> {
    let intervals = intervals.iter().filter(|interval| !interval.counts.is_empty());
    let tick = |interval: &LoggedInterval| Tick {
        repeat: interval.repeat,
        at_s: interval.at_ns as f64 / SECOND_NS as f64,
        records: interval.records,
        p50_ns: at_quantile(&interval.counts, 0.5),
        p99_ns: at_quantile(&interval.counts, 0.99),
        p99_9_ns: at_quantile(&interval.counts, 0.999),
        max_ns: interval.counts.last().map_or(0, |&(value, _)| value),
    };
    intervals.map(tick).collect()
}

fn minutes(intervals: &[LoggedInterval], seconds: f64) -> Vec<Minute> {
    let mut sums: BTreeMap<(u32, u64), (Histogram<u64>, u64)> = BTreeMap::new();
    for interval in intervals {
        let minute = interval.at_ns / MINUTE_NS;
        // Answers that came in after the end don't make a minute.
        if (minute + 1) * MINUTE_NS > (seconds * SECOND_NS as f64) as u64 {
            continue;
        }
        let (latency, records) = sums
            .entry((interval.repeat, minute))
            .or_insert_with(|| (histogram(), 0));
        *records += interval.records;
        for &(value, count) in &interval.counts {
            latency.saturating_record_n(value, count);
        }
    }
    let minute = |((repeat, minute), (latency, records)): (_, (Histogram<u64>, u64))| Minute {
        repeat,
        minute,
        records,
        latency: Percentiles::of(&latency),
    };
    sums.into_iter().map(minute).collect()
}

/// The smallest value that at least this part of the samples doesn't exceed.
fn at_quantile(counts: &[(u64, u64)], quantile: f64) -> u64 {
    let total: u64 = counts.iter().map(|&(_, count)| count).sum();
    let wanted = (total as f64 * quantile).ceil() as u64;
    let mut passed = 0;
    for &(value, count) in counts {
        passed += count;
        if passed >= wanted {
            return value;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_end_where_samples_do() {
        let mut series = Series::new("test");
        for value in 1..=1000 {
            series.total.saturating_record(value);
        }
        series.records = 1000;
        let measured = measured(&[&series, &series], 1.0);
        assert_eq!(measured.latency.samples, 2000);
        assert_eq!(measured.messages_per_second, 1000.0);
        let curve = &measured.repeats[0].curve;
        assert_eq!(curve.last().map(|point| point.nines), Some(3.0));
        assert_eq!(curve[20], Point { nines: 1.0, ns: 900 });
    }

    /// Two and a half minutes, twice: two minutes each, every sample of them in its own.
    #[test]
    fn whole_minutes_are_told_apart() {
        let mut series = Series::new("test");
        for second in 0..150 {
            series.intervals.push(LoggedInterval {
                start_ns: second * SECOND_NS,
                len_ns: SECOND_NS,
                at_ns: second * SECOND_NS,
                counts: vec![(10, 999), (1000 * (1 + second / 60), 1)],
                records: 2000,
                repeat: 0,
            });
        }
        let minutes = measured(&[&series, &series], 150.0).minutes;
        let places: Vec<_> = minutes.iter().map(|m| (m.repeat, m.minute)).collect();
        assert_eq!(places, [(0, 0), (0, 1), (1, 0), (1, 1)]);
        for minute in minutes {
            let latency = minute.latency;
            assert_eq!((latency.samples, minute.records), (60_000, 120_000));
            assert_eq!((latency.p50_ns, latency.p99_ns), (10, 10));
            assert_eq!(latency.max_ns / 1000, 1 + minute.minute);
        }
    }

    #[test]
    fn quantiles_of_counts() {
        let counts = [(10, 98), (20, 1), (30, 1)];
        assert_eq!(at_quantile(&counts, 0.5), 10);
        assert_eq!(at_quantile(&counts, 0.99), 20);
        assert_eq!(at_quantile(&counts, 0.999), 30);
        assert_eq!(at_quantile(&[], 0.5), 0);
    }
}
