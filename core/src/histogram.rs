//! Latencies as an HDR histogram in nanoseconds: 3 significant digits from 1 ns to 60 s, or 2 where there are many of them.
//!
//! One belongs to one core; what several recorded is merged by whoever reads. Recording allocates nothing. A histogram takes
//! about 215 KiB, a compact one 30, so there is one for a stage of a core, never one for a partition.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency told apart; longer ones count as this.
pub const LATENCY_NS_MAX: u64 = 60_000_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
const SIGNIFICANT_DIGITS_COMPACT: u8 = 2;

/// The percentiles a report shows.
pub const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// A histogram of latencies in nanoseconds.
#[derive(Clone, Debug)]
pub struct Latency {
    inner: Histogram<u64>,
}

impl Latency {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::with_digits(SIGNIFICANT_DIGITS)
    }

    /// An empty one that keeps 2 digits and takes a seventh of the memory.
    #[must_use]
    pub fn compact() -> Self {
        Self::with_digits(SIGNIFICANT_DIGITS_COMPACT)
    }

    fn with_digits(digits: u8) -> Self {
        let inner = Histogram::new_with_bounds(1, LATENCY_NS_MAX, digits)
            .expect("the bounds are constants that the crate accepts");
        Self { inner }
    }

    /// Counts one latency; 0 counts as 1 ns and what exceeds [`LATENCY_NS_MAX`] as that.
    #[inline]
    pub fn record(&mut self, latency_ns: u64) {
        self.inner.saturating_record(latency_ns.max(1));
    }

    /// Counts one latency given as a duration.
    #[inline]
    pub fn record_duration(&mut self, latency: Duration) {
        self.record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds what another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.inner.add(&other.inner).expect("both have the same bounds");
    }

    /// Forgets everything and keeps the memory.
    pub fn clear(&mut self) {
        self.inner.reset();
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.inner.len()
    }

    /// The latency that `percentile` percent of the counted ones do not exceed, in nanoseconds; 0 if nothing was counted.
    #[must_use]
    pub fn percentile(&self, percentile: f64) -> u64 {
        self.inner.value_at_percentile(percentile)
    }

    /// Each of [`PERCENTILES`] with its latency in nanoseconds.
    #[must_use]
    pub fn percentiles(&self) -> [(f64, u64); PERCENTILES.len()] {
        PERCENTILES.map(|percentile| (percentile, self.percentile(percentile)))
    }

    /// Largest, in nanoseconds; 0 if nothing was counted.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.inner.max()
    }

    /// Mean, in nanoseconds; 0 if nothing was counted.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.inner.mean()
    }

    /// The histogram itself, for writing it to a log.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.inner
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamps_instead_of_failing() {
        let mut latency = Latency::new();
        latency.record(0);
        latency.record(u64::MAX);
        latency.record_duration(Duration::MAX);
        assert_eq!(latency.count(), 3);
        assert!(latency.max() >= LATENCY_NS_MAX);
        assert_eq!(latency.percentile(0.0), 1);
    }

    #[test]
    fn merging_equals_recording_in_one() {
        let (mut all, mut even, mut odd) = (Latency::new(), Latency::new(), Latency::new());
        for value in 1..10_000u64 {
            all.record(value * 1_000);
            (if value % 2 == 0 { &mut even } else { &mut odd }).record(value * 1_000);
        }
        even.merge(&odd);
        assert_eq!(even.percentiles(), all.percentiles());
        assert_eq!(even.count(), all.count());
        even.clear();
        assert_eq!((even.count(), even.max()), (0, 0));
    }

    #[test]
    fn keeps_three_digits() {
        let mut latency = Latency::new();
        latency.record(123_456_789);
        let read = latency.percentile(50.0) as f64;
        assert!((read / 123_456_789.0 - 1.0).abs() < 0.001);
    }
}
