//! The tables on standard output.

use super::measured::{Minute, Repeat};
use super::percentiles::{COLUMNS, Percentiles, Ratios};

const NAME_WIDTH: usize = 40;

/// The heading of a table of latencies in microseconds.
pub fn heading(title: &str) -> String {
    let mut line = format!("{title:<NAME_WIDTH$}");
    for (name, _) in COLUMNS {
        line += &format!("{name:>10}");
    }
    line + &format!("{:>11}{:>11}", "max", "samples")
}

/// One line of it.
pub fn row(name: &str, percentiles: &Percentiles) -> String {
    let mut line = format!("{name:<NAME_WIDTH$}");
    for (at, value) in percentiles.in_columns().into_iter().enumerate() {
        let width = if at < COLUMNS.len() { 10 } else { 11 };
        line += &format!("{:>width$}", micros(value));
    }
    line + &format!("{:>11}", percentiles.samples)
}

/// A line of ratios, under the latencies they belong to.
pub fn ratio_row(name: &str, ratios: &Ratios) -> String {
    let mut line = format!("{name:<NAME_WIDTH$}");
    for (at, value) in ratios.in_columns().into_iter().enumerate() {
        let width = if at < COLUMNS.len() { 10 } else { 11 };
        line += &format!("{:>width$}", format!("{value:.2}x"));
    }
    line
}

/// Two lines: the least and the greatest of several repeats, under what they belong to.
pub fn spread_rows(repeats: &[Repeat]) -> String {
    let row = |name: &str, pick: fn(u64, u64) -> u64| {
        let mut line = format!("{name:<NAME_WIDTH$}");
        for at in 0..=COLUMNS.len() {
            let values = repeats.iter().map(|repeat| repeat.latency.in_columns()[at]);
            let width = if at < COLUMNS.len() { 10 } else { 11 };
            line += &format!("{:>width$}", micros(values.reduce(pick).unwrap_or(0)));
        }
        line
    };
    row("  least of its repeats", u64::min) + "\n" + &row("  greatest of its repeats", u64::max)
}

/// A line for each minute, under what they belong to.
pub fn minute_rows(minutes: &[Minute]) -> String {
    let row = |minute: &Minute| row(&format!("  minute {}", minute.minute + 1), &minute.latency);
    minutes.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// Nanoseconds as microseconds, with as many digits as mean something.
pub fn micros(nanos: u64) -> String {
    let micros = nanos as f64 / 1e3;
    match micros {
        _ if micros < 10.0 => format!("{micros:.2}"),
        _ if micros < 1000.0 => format!("{micros:.1}"),
        _ => format!("{micros:.0}"),
    }
}
