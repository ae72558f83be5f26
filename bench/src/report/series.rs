//! What recorders have handed over, by interval and in all: one kind of latency of a run.

use hdrhistogram::Histogram;

use super::percentiles::histogram;
use super::recorder::{INTERVALS_MIN, Interval, Recorder, Source, recorder};

/// One kind of latency over a whole run: its total, and its intervals for the log.
pub struct Series {
    /// Its name, the tag in the HdrHistogram log.
    pub name: &'static str,
    /// All of it.
    pub total: Histogram<u64>,
    /// Records counted.
    pub records: u64,
    /// Bytes counted.
    pub bytes: u64,
    /// The intervals of the log.
    pub intervals: Vec<LoggedInterval>,
    sources: Vec<Source>,
    boxes: usize,
    /// Since when it is measured, and the time measured before that, without the pauses between.
    from_ns: u64,
    before_ns: u64,
    after_ns: u64,
}

/// An interval kept for the log, by value and count.
#[derive(Clone)]
pub struct LoggedInterval {
    /// When it began, on the monotonic clock.
    pub start_ns: u64,
    /// How long it was.
    pub len_ns: u64,
    /// When it began in the time that was measured, pauses left out.
    pub at_ns: u64,
    /// Values, ascending, and their counts.
    pub counts: Vec<(u64, u64)>,
    /// Records counted.
    pub records: u64,
    /// Which repeat of the run it belongs to, from 0.
    pub repeat: u32,
}

/// What an interval showed, for the progress line.
pub struct Seen {
    /// Latencies of all sources.
    pub latency: Histogram<u64>,
    /// Records.
    pub records: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Series {
    /// An empty series.
    pub fn new(name: &'static str) -> Series {
        Series {
            name,
            total: histogram(),
            records: 0,
            bytes: 0,
            intervals: Vec::new(),
            sources: Vec::new(),
            boxes: INTERVALS_MIN,
            from_ns: 0,
            before_ns: 0,
            after_ns: 0,
        }
    }

    /// A series that need not be collected for `seconds`.
    pub fn holding(name: &'static str, seconds: u64) -> Series {
        Series {
            boxes: INTERVALS_MIN + seconds as usize,
            ..Series::new(name)
        }
    }

    /// A recorder that feeds this series, for a run that begins at `start_ns`.
    pub fn recorder(&mut self, start_ns: u64) -> Recorder {
        let (recorder, source) = recorder(start_ns, self.boxes);
        self.sources.push(source);
        recorder
    }

    /// Begins a stretch that is measured from `from_ns` for `duration_ns`.
    pub fn begin(&mut self, from_ns: u64, duration_ns: u64) {
        self.from_ns = from_ns;
        self.before_ns = self.after_ns;
        self.after_ns += duration_ns;
    }

    /// Drops the sources of threads that have ended; collect first.
    pub fn forget_sources(&mut self) {
        self.sources.clear();
    }

    /// Takes what the recorders have handed over.
    pub fn collect(&mut self) -> Seen {
        let mut seen = Seen {
            latency: histogram(),
            records: 0,
            bytes: 0,
        };
        let mut sources = std::mem::take(&mut self.sources);
        for source in &mut sources {
            source.each(|interval| {
                add(&mut seen.latency, &interval.latency);
                seen.records += interval.records;
                seen.bytes += interval.bytes;
                if interval.measured {
                    self.keep(interval);
                }
            });
        }
        self.sources = sources;
        seen
    }

    fn keep(&mut self, interval: &Interval) {
        add(&mut self.total, &interval.latency);
        self.records += interval.records;
        self.bytes += interval.bytes;
        let counts = interval.latency.iter_recorded();
        let counts: Vec<_> = counts
            .map(|value| (value.value_iterated_to(), value.count_at_value()))
            .collect();
        // Recorders of one run share the grid of intervals; those of the first measured one begin when they like.
        let same = |known: &&mut LoggedInterval| known.start_ns + known.len_ns == interval.ended_ns;
        match self.intervals.iter_mut().rev().find(same) {
            Some(known) => {
                known.counts = merged(&known.counts, &counts);
                known.records += interval.records;
            }
            None => self.intervals.push(LoggedInterval {
                start_ns: interval.began_ns,
                len_ns: interval.ended_ns.saturating_sub(interval.began_ns),
                at_ns: self.before_ns + interval.began_ns.saturating_sub(self.from_ns),
                counts,
                records: interval.records,
                repeat: 0,
            }),
        }
    }

    /// Adds another run of the same load, as its `repeat`th.
    pub fn add_repeat(&mut self, other: &Series, repeat: u32) {
        add(&mut self.total, &other.total);
        self.records += other.records;
        self.bytes += other.bytes;
        self.intervals.extend(
            other
                .intervals
                .iter()
                .cloned()
                .map(|interval| LoggedInterval { repeat, ..interval }),
        );
    }
}

/// Two ascending lists of values and counts as one.
fn merged(one: &[(u64, u64)], other: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut all: Vec<_> = one.iter().chain(other).copied().collect();
    all.sort_unstable();
    all.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 += later.1;
        }
        same
    });
    all
}

fn add(sum: &mut Histogram<u64>, part: &Histogram<u64>) {
    sum.add(part).expect("all histograms have the same bounds");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ns;
    use crate::report::recorder::INTERVAL_NS;

    #[test]
    fn nothing_recorded_is_lost_over_the_flips() {
        let mut series = Series::new("test");
        let mut now = now_ns();
        let mut recorder = series.recorder(now);
        for warm in 0..3000u64 {
            now += INTERVAL_NS / 1000;
            recorder.record(warm, now, 1, 1, false);
        }
        for latency in 1..=10_000u64 {
            now += INTERVAL_NS / 1000;
            recorder.record(latency, now, 2, 3, true);
            if latency % 2500 == 0 {
                series.collect();
            }
        }
        recorder.finish();
        series.collect();
        assert_eq!(
            (series.total.len(), series.records, series.bytes),
            (10_000, 20_000, 30_000)
        );
        let logged: u64 = series
            .intervals
            .iter()
            .flat_map(|interval| &interval.counts)
            .map(|(_, count)| count)
            .sum();
        assert_eq!(logged, 10_000);
    }

    /// Nothing is collected before the end, and each second is still told from the next, over two recorders.
    #[test]
    fn a_series_that_holds_a_run_keeps_its_intervals_apart() {
        let mut series = Series::holding("test", 5);
        let start = 7 * INTERVAL_NS;
        for step in [10, 1000] {
            let mut recorder = series.recorder(start);
            for millis in 0..4000 {
                let now = start + millis * 1_000_000;
                recorder.record(step + millis / 1000, now, 1, 1, millis >= 1000);
            }
            recorder.finish();
        }
        series.collect();
        let starts: Vec<_> = series
            .intervals
            .iter()
            .map(|i| i.start_ns / INTERVAL_NS - 7)
            .collect();
        assert_eq!(starts, [1, 2, 3]);
        for (at, interval) in series.intervals.iter().enumerate() {
            let second = at as u64 + 1;
            assert_eq!(interval.counts.len(), 2);
            assert_eq!(interval.counts[0], (10 + second, 1000));
            assert_eq!(interval.records, 2000);
        }
    }
}
