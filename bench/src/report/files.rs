//! `--out DIR`: the HdrHistogram log (one line an interval, tagged by series) and the report as JSON.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::Serialize;

use super::percentiles::histogram;
use super::series::Series;
use crate::clock::now_ns;

/// Writes `NAME.hlog` and `NAME.json` into `dir`, creating it.
pub fn write(dir: &Path, name: &str, series: &[&Series], report: &impl Serialize) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let log = dir.join(format!("{name}.hlog"));
    write_log(&log, series).with_context(|| format!("write {}", log.display()))?;
    println!("wrote {}", log.display());
    write_json(dir, name, report)
}

/// Writes `NAME.json` into `dir`, creating it.
pub fn write_json(dir: &Path, name: &str, report: &impl Serialize) -> anyhow::Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    let path = dir.join(format!("{name}.json"));
    let mut file = BufWriter::new(File::create(&path).with_context(|| format!("create {}", path.display()))?);
    serde_json::to_writer_pretty(&mut file, report)?;
    writeln!(file)?;
    file.flush()?;
    println!("wrote {}", path.display());
    Ok(())
}

fn write_log(path: &Path, series: &[&Series]) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut serializer = V2DeflateSerializer::new();
    // Intervals are stamped by the monotonic clock; the base time turns them into wall-clock time.
    let base = SystemTime::now() - Duration::from_nanos(now_ns());
    let failed = |error| anyhow!("{error:?}");
    let mut log = IntervalLogWriterBuilder::new()
        .with_base_time(base)
        .add_comment("latencies in nanoseconds")
        .begin_log_with(&mut file, &mut serializer)
        .map_err(|error| anyhow!("{error:?}"))?;
    let mut intervals: Vec<_> = series
        .iter()
        .flat_map(|series| {
            series
                .intervals
                .iter()
                .map(move |interval| (series.name, interval))
        })
        .collect();
    intervals.sort_by_key(|(_, interval)| interval.start_ns);
    for (name, interval) in intervals {
        let mut latency = histogram();
        for &(value, count) in &interval.counts {
            latency.saturating_record_n(value, count);
        }
        let (start, len) = (
            Duration::from_nanos(interval.start_ns),
            Duration::from_nanos(interval.len_ns),
        );
        log.write_histogram(&latency, start, len, Tag::new(name))
            .map_err(failed)?;
    }
    file.flush()?;
    Ok(())
}
