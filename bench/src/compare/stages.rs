//! Where a broker says that requests spent their time: its stage histograms, read from /metrics before and after.
//!
//! Any metric whose name contains `stage_seconds` and which has a label `stage` counts: cumulative buckets (`le`), as
//! Prometheus has histograms, added up over all other labels but `request`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// How long the admin address may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest /metrics that is read.
const METRICS_BYTES_MAX: u64 = 16 << 20;

/// One stage over a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Stage {
    /// As the broker names it; `request: stage` where it tells requests apart.
    pub name: String,
    pub count: u64,
    pub mean_ns: f64,
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub p99_9_ns: u64,
}

/// A reading of all stages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// In the order in which the broker tells them.
    stages: Vec<(String, Buckets)>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Buckets {
    /// Cumulative counts by upper bound in nanoseconds.
    upto: BTreeMap<u64, f64>,
    sum_s: f64,
    count: f64,
}

/// Reads them; empty where the broker has none.
pub fn read(admin: &str) -> anyhow::Result<Reading> {
    let get = || -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(
            format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n").as_bytes(),
        )?;
        let mut text = String::new();
        stream.take(METRICS_BYTES_MAX).read_to_string(&mut text)?;
        Ok(text)
    };
    let text = get().with_context(|| format!("read /metrics of {admin}"))?;
    Ok(parse(&text))
}

fn parse(text: &str) -> Reading {
    let mut reading = Reading::default();
    for line in text.lines() {
        // The first blank after the labels separates the value.
        let Some((metric, value)) = line.rsplit_once(' ') else {
            continue;
        };
        let Some((name, labels)) = metric.strip_suffix('}').and_then(|metric| metric.split_once('{')) else {
            continue;
        };
        let Ok(value) = value.parse::<f64>() else { continue };
        if !name.contains("stage_seconds") {
            continue;
        }
        let label = |wanted: &str| {
            labels.split(',').find_map(|label| {
                let (name, value) = label.split_once('=')?;
                (name.trim() == wanted).then(|| value.trim_matches('"').to_string())
            })
        };
        let Some(stage) = label("stage") else { continue };
        let stage = match label("request") {
            Some(request) => format!("{request}: {stage}"),
            None => stage,
        };
        let buckets = reading.of(&stage);
        if name.ends_with("_sum") {
            buckets.sum_s += value;
        } else if name.ends_with("_count") {
            buckets.count += value;
        } else if let Some(le) = label("le") {
            let bound_ns = le.parse::<f64>().map_or(u64::MAX, |bound| (bound * 1e9) as u64);
            *buckets.upto.entry(bound_ns).or_default() += value;
        }
    }
    reading
}

impl Reading {
    fn of(&mut self, stage: &str) -> &mut Buckets {
        let at = self.stages.iter().position(|(name, _)| name == stage);
        let at = at.unwrap_or_else(|| {
            self.stages.push((stage.into(), Buckets::default()));
            self.stages.len() - 1
        });
        &mut self.stages[at].1
    }

    /// What came since `before`.
    pub fn since(&self, before: &Reading) -> Reading {
        let mut since = self.clone();
        for (name, earlier) in &before.stages {
            let buckets = since.of(name);
            buckets.sum_s -= earlier.sum_s;
            buckets.count -= earlier.count;
            for (bound, count) in &mut buckets.upto {
                *count -= earlier.upto.get(bound).copied().unwrap_or(0.0);
            }
        }
        since
    }

    /// Adds another.
    pub fn add(&mut self, other: &Reading) {
        for (name, buckets) in &other.stages {
            let sum = self.of(name);
            sum.sum_s += buckets.sum_s;
            sum.count += buckets.count;
            for (&bound, count) in &buckets.upto {
                *sum.upto.entry(bound).or_default() += count;
            }
        }
    }

    /// The stages that something passed through.
    pub fn stages(&self) -> Vec<Stage> {
        let passed = self.stages.iter().filter(|(_, buckets)| buckets.count >= 1.0);
        let stage = |(name, buckets): &(String, Buckets)| Stage {
            name: name.clone(),
            count: buckets.count as u64,
            mean_ns: buckets.sum_s / buckets.count * 1e9,
            p50_ns: buckets.at(0.5),
            p99_ns: buckets.at(0.99),
            p99_9_ns: buckets.at(0.999),
        };
        passed.map(stage).collect()
    }
}

impl Buckets {
    /// A quantile, as if samples lay evenly in their bucket; for what is beyond all bounds, the last of them.
    fn at(&self, quantile: f64) -> u64 {
        let wanted = self.count * quantile;
        let (mut lower, mut below) = (0, 0.0);
        for (&bound, &count) in self.upto.iter().filter(|(bound, _)| **bound != u64::MAX) {
            if count >= wanted && count > below {
                let part = (wanted - below) / (count - below);
                return lower + (part * (bound - lower) as f64) as u64;
            }
            (lower, below) = (bound, count);
        }
        lower
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cumulative_buckets_of_all_cores() {
        let at = |count: u32| {
            format!(
                "# HELP x y\n\
                 tautline_stage_seconds_bucket{{core=\"0\",stage=\"durable\",le=\"0.00005\"}} {count}\n\
                 tautline_stage_seconds_bucket{{core=\"1\",stage=\"durable\",le=\"0.00005\"}} {count}\n\
                 tautline_stage_seconds_bucket{{core=\"0\",stage=\"durable\",le=\"0.001\"}} {}\n\
                 tautline_stage_seconds_bucket{{core=\"0\",stage=\"durable\",le=\"+Inf\"}} {}\n\
                 tautline_stage_seconds_bucket{{core=\"1\",stage=\"durable\",le=\"0.001\"}} {count}\n\
                 tautline_stage_seconds_sum{{core=\"0\",stage=\"durable\"}} 0.01\n\
                 tautline_stage_seconds_count{{core=\"0\",stage=\"durable\"}} {}\n\
                 other{{stage=\"x\"}} 5\nplain 7\n",
                count + 10,
                count + 10,
                2 * count + 10
            )
        };
        let (before, after) = (parse(&at(0)), parse(&at(50)));
        let stages = after.since(&before).stages();
        assert_eq!(stages.len(), 1);
        assert_eq!((stages[0].name.as_str(), stages[0].count), ("durable", 100));
        assert_eq!((stages[0].p50_ns, stages[0].p99_ns), (25_000, 49_500));
        let all = after.stages();
        // 100 of 110 below 50 us, all below 1 ms.
        assert_eq!((all[0].p50_ns, all[0].p99_ns), (27_500, 895_500));
        assert_eq!(parse("").stages().len(), 0);
    }
}
