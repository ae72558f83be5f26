//! Latencies from a load thread to the reporting thread without a lock, an allocation or a copy on the load's side.
//!
//! A recorder owns one interval at a time. When the interval's time is over it swaps the full one for an empty one
//! over two single-producer rings; if no empty one has come back yet it goes on with the one it has. A series can hold
//! enough of them for a whole run, so that nothing need be collected, and no core disturbed, before its end.

use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};

use super::percentiles::{LATENCY_NS_MAX, histogram};
use crate::clock::SECOND_NS;

/// Boxes in circulation for each recorder: one filled, one read, one ready.
pub const INTERVALS_MIN: usize = 3;
/// Length of an interval.
pub const INTERVAL_NS: u64 = SECOND_NS;

/// What happened within an interval, all of it warm-up or all of it measured.
#[derive(Debug)]
pub struct Interval {
    /// Latencies.
    pub latency: Histogram<u64>,
    /// Records counted.
    pub records: u64,
    /// Bytes counted.
    pub bytes: u64,
    /// Whether it is measured.
    pub measured: bool,
    /// When it began, on the monotonic clock.
    pub began_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
}

impl Interval {
    fn new() -> Interval {
        Interval {
            latency: histogram(),
            records: 0,
            bytes: 0,
            measured: false,
            began_ns: 0,
            ended_ns: 0,
        }
    }

    fn clear(&mut self) {
        self.latency.reset();
        (self.records, self.bytes, self.measured) = (0, 0, false);
    }
}

/// The load thread's end.
pub struct Recorder {
    current: Box<Interval>,
    full: Producer<Box<Interval>>,
    empty: Consumer<Box<Interval>>,
    flip_at_ns: u64,
}

/// The reporting thread's end.
pub struct Source {
    full: Consumer<Box<Interval>>,
    empty: Producer<Box<Interval>>,
}

impl Source {
    /// Shows each interval that has been handed over, and gives it back empty.
    pub fn each(&mut self, mut visit: impl FnMut(&Interval)) {
        while let Ok(mut interval) = self.full.pop() {
            visit(&interval);
            interval.clear();
            // A recorder that has ended takes none back; its box is dropped here.
            let _ = self.empty.push(interval);
        }
    }
}

/// Both ends; intervals end at `start_ns` plus multiples of [`INTERVAL_NS`].
pub fn recorder(start_ns: u64, intervals: usize) -> (Recorder, Source) {
    let (full_in, full_out) = RingBuffer::new(intervals);
    let (mut empty_in, empty_out) = RingBuffer::new(intervals);
    for _ in 1..intervals {
        empty_in
            .push(Box::new(Interval::new()))
            .expect("the ring holds every interval");
    }
    let mut current = Box::new(Interval::new());
    current.began_ns = start_ns;
    let recorder = Recorder {
        current,
        full: full_in,
        empty: empty_out,
        flip_at_ns: start_ns + INTERVAL_NS,
    };
    (
        recorder,
        Source {
            full: full_out,
            empty: empty_in,
        },
    )
}

impl Recorder {
    /// One latency, with the records and bytes it stands for, seen at `now_ns`; warm-up unless `measured`.
    #[inline]
    pub fn record(&mut self, latency_ns: u64, now_ns: u64, records: u64, bytes: u64, measured: bool) {
        if now_ns >= self.flip_at_ns {
            let ended_ns = self.flip_at_ns;
            self.flip_at_ns += INTERVAL_NS * (1 + (now_ns - self.flip_at_ns) / INTERVAL_NS);
            self.flip(ended_ns);
        }
        if measured != self.current.measured && !self.switch(measured, now_ns) {
            return;
        }
        self.current
            .latency
            .saturating_record(latency_ns.clamp(1, LATENCY_NS_MAX));
        self.current.records += records;
        self.current.bytes += bytes;
    }

    fn flip(&mut self, ended_ns: u64) {
        if let Ok(empty) = self.empty.pop() {
            let measured = self.current.measured;
            let mut full = std::mem::replace(&mut self.current, empty);
            full.ended_ns = ended_ns;
            self.current.measured = measured;
            self.current.began_ns = ended_ns;
            self.full.push(full).expect("the ring holds every interval");
        }
    }

    /// From warm-up to measuring. What is answered late and still belongs to the warm-up is left out.
    fn switch(&mut self, measured: bool, now_ns: u64) -> bool {
        if !measured {
            return false;
        }
        self.flip(now_ns);
        if !self.current.measured && !self.current.latency.is_empty() {
            // No empty interval has come back: give up the warm-up rather than mix it in.
            self.current.clear();
        }
        self.current.measured = true;
        true
    }

    /// Hands over the last interval.
    pub fn finish(mut self) {
        self.current.ended_ns = self.flip_at_ns;
        self.full
            .push(self.current)
            .expect("the ring holds every interval");
    }
}
