//! Latency histograms and the percentiles a report quotes.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest latency that is told from longer ones, in nanoseconds: one minute.
pub const LATENCY_NS_MAX: u64 = 60_000_000_000;
/// Significant decimal digits of a latency.
const DIGITS: u8 = 3;

/// The percentiles of a table, with their headings.
pub const COLUMNS: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("p99.99", 0.9999),
];

/// An empty histogram of nanoseconds.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS)
        .expect("the bounds are constants that hdrhistogram accepts")
}

/// The quoted percentiles of one histogram, in nanoseconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Percentiles {
    pub samples: u64,
    pub mean_ns: f64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p99_9_ns: u64,
    pub p99_99_ns: u64,
    pub max_ns: u64,
}

impl Percentiles {
    /// Reads them off a histogram.
    pub fn of(histogram: &Histogram<u64>) -> Percentiles {
        let at = |quantile| {
            if histogram.is_empty() {
                0
            } else {
                histogram.value_at_quantile(quantile)
            }
        };
        Percentiles {
            samples: histogram.len(),
            mean_ns: histogram.mean(),
            p50_ns: at(0.5),
            p90_ns: at(0.9),
            p99_ns: at(0.99),
            p99_9_ns: at(0.999),
            p99_99_ns: at(0.9999),
            max_ns: histogram.max(),
        }
    }

    /// In the order of [`COLUMNS`], then the maximum.
    pub fn in_columns(&self) -> [u64; 6] {
        [
            self.p50_ns,
            self.p90_ns,
            self.p99_ns,
            self.p99_9_ns,
            self.p99_99_ns,
            self.max_ns,
        ]
    }

    /// Each percentile as a multiple of the floor's; None where the floor has no samples.
    pub fn ratio_to(&self, floor: &Percentiles) -> Option<Ratios> {
        if self.samples == 0 || floor.samples == 0 {
            return None;
        }
        let ratio = |ours: u64, theirs: u64| ours as f64 / theirs.max(1) as f64;
        Some(Ratios {
            p50: ratio(self.p50_ns, floor.p50_ns),
            p90: ratio(self.p90_ns, floor.p90_ns),
            p99: ratio(self.p99_ns, floor.p99_ns),
            p99_9: ratio(self.p99_9_ns, floor.p99_9_ns),
            p99_99: ratio(self.p99_99_ns, floor.p99_99_ns),
            max: ratio(self.max_ns, floor.max_ns),
        })
    }
}

/// Percentiles as multiples of others.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Ratios {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub p99_99: f64,
    pub max: f64,
}

impl Ratios {
    /// In the order of [`COLUMNS`], then the maximum.
    pub fn in_columns(&self) -> [f64; 6] {
        [self.p50, self.p90, self.p99, self.p99_9, self.p99_99, self.max]
    }
}
