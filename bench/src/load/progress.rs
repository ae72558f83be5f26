//! The line a second on standard error while a load runs.

use crate::clock::SECOND_NS;
use crate::report::series::Seen;
use crate::report::table::micros;

/// Prints what the last interval showed.
pub fn line(elapsed_ns: u64, interval_ns: u64, phase: &str, name: &str, seen: &Seen) {
    let per_second = |count: u64| count as f64 * SECOND_NS as f64 / interval_ns.max(1) as f64;
    let at = |quantile| {
        if seen.latency.is_empty() {
            0
        } else {
            seen.latency.value_at_quantile(quantile)
        }
    };
    eprintln!(
        "[{:6.1} s] {phase:<9} {name:<8} {:>9.0} msg/s {:>8.1} MB/s   p50 {} us  p99 {} us  p99.9 {} us  max {} us",
        elapsed_ns as f64 / SECOND_NS as f64,
        per_second(seen.records),
        per_second(seen.bytes) / 1e6,
        micros(at(0.5)),
        micros(at(0.99)),
        micros(at(0.999)),
        micros(seen.latency.max()),
    );
}
