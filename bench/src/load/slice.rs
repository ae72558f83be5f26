//! One uninterrupted stretch of load: connects, starts every thread, shows progress, and waits for all of them.

use std::sync::atomic::Ordering;
use std::thread::ScopedJoinHandle;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::closed::Closed;
use super::job::{Job, Pace, Window, leaders};
use super::outcome::Outcome;
use super::progress;
use super::reader::Reader;
use super::target::Target;
use super::worker::{Recorders, Shared, Worker};
use crate::affinity::{Cores, pin};
use crate::client::connection::Poll;
use crate::clock::{nanos, now_ns, sleep_until};
use crate::report::recorder::INTERVAL_NS;
use crate::report::series::Series;
use crate::stop::Stop;

/// Time for threads to start before the first send.
const START_AFTER: Duration = Duration::from_millis(100);
/// How often the reporting thread looks whether all others have ended.
const LOOK_UP_NS: u64 = 20_000_000;
/// How long consumers may take to receive what was acknowledged after the last acknowledgement.
const DRAIN: Duration = Duration::from_secs(10);
/// Blocking closed-loop connections that get a thread each; more share one a core.
const CLOSED_THREADS_MAX: usize = 64;

/// The series of a run.
pub struct AllSeries {
    /// Latency of acknowledgements.
    pub produce: Series,
    /// Latency from intended send to receipt.
    pub e2e: Series,
    /// How late open-loop senders were.
    pub lateness: Series,
}

impl AllSeries {
    /// Empty ones, that need not be collected for `seconds`.
    pub fn holding(seconds: u64) -> AllSeries {
        AllSeries {
            produce: Series::holding("produce", seconds),
            e2e: Series::holding("e2e", seconds),
            lateness: Series::holding("send-lateness", seconds),
        }
    }

    /// All of them.
    pub fn each(&self) -> [&Series; 3] {
        [&self.produce, &self.e2e, &self.lateness]
    }

    fn each_mut(&mut self) -> [&mut Series; 3] {
        [&mut self.produce, &mut self.e2e, &mut self.lateness]
    }
}

/// Where consumers run, for `e2e`.
#[derive(Clone, Copy)]
pub struct Readers<'a> {
    /// The topic's leaders.
    pub target: &'a Target,
    /// Connections; None for one a leader.
    pub connections: Option<usize>,
    /// Their threads' cores.
    pub cores: &'a Cores,
}

/// What came of a slice.
#[derive(Default)]
pub struct SliceOutcome {
    /// Of the producers.
    pub outcome: Outcome,
    /// Messages the consumers received.
    pub received: u64,
}

/// What is shown meanwhile.
#[derive(Clone, Copy, PartialEq)]
pub enum Show {
    /// A line a second.
    Lines,
    /// Nothing: the reporting thread stays off the cores. The series must hold the whole slice.
    Nothing,
}

/// Runs the load for `warmup` and then `duration`.
pub fn run(
    job: &Job,
    readers: Option<Readers<'_>>,
    (warmup, duration): (Duration, Duration),
    series: &mut AllSeries,
    show: Show,
    stop: &Stop,
) -> anyhow::Result<SliceOutcome> {
    let connected = Connected::open(job, readers)?;
    let start_ns = now_ns() + nanos(START_AFTER);
    let from_ns = start_ns + nanos(warmup);
    let window = Window {
        start_ns,
        from_ns,
        end_ns: from_ns + nanos(duration),
    };
    for series in series.each_mut() {
        series.begin(from_ns, nanos(duration));
    }
    let reading = readers.is_some();
    let shared = Shared::default();
    let result = std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (core, worker) in connected.workers {
            let recorders = Recorders {
                produce: series.produce.recorder(start_ns),
                e2e: series.e2e.recorder(start_ns),
                lateness: series.lateness.recorder(start_ns),
            };
            shared
                .producing
                .fetch_add(usize::from(worker.produces()), Ordering::Relaxed);
            let (window, shared) = (&window, &shared);
            threads.push(scope.spawn(move || {
                let run = || pin(core).and_then(|()| worker.run(window, recorders, shared, stop));
                run().inspect_err(|_| stop.set())
            }));
        }
        for (core, closed) in connected.closed {
            let recorder = series.produce.recorder(start_ns);
            shared.producing.fetch_add(1, Ordering::Relaxed);
            let (window, shared) = (&window, &shared);
            threads.push(scope.spawn(move || {
                let outcome = pin(core).and_then(|()| closed.run(window, recorder, stop));
                if let Ok(outcome) = &outcome {
                    shared
                        .acknowledged
                        .fetch_add(outcome.acknowledged, Ordering::Relaxed);
                }
                shared.producing.fetch_sub(1, Ordering::Release);
                outcome.inspect_err(|_| stop.set())
            }));
        }
        let ended = || shared.producing.load(Ordering::Acquire) == 0 || stop.is_set();
        match show {
            Show::Lines => watch(series, &window, reading, ended),
            Show::Nothing => wait(&window, ended),
        }
        if reading {
            drain(&shared, stop);
        }
        shared.stop_reading.set();
        let outcomes = threads.into_iter().map(join);
        let outcome = outcomes.reduce(|sum, next| {
            let mut sum = sum?;
            sum.add(&next?);
            Ok(sum)
        });
        Ok(SliceOutcome {
            outcome: outcome.context("a load without threads")??,
            received: shared.received.load(Ordering::Relaxed),
        })
    });
    for series in series.each_mut() {
        series.collect();
        series.forget_sources();
    }
    result
}

/// All connections of a slice, by thread, each with its core.
struct Connected<'a> {
    workers: Vec<(usize, Worker<'a>)>,
    closed: Vec<(usize, Closed<'a>)>,
}

impl<'a> Connected<'a> {
    fn open(job: &'a Job, readers: Option<Readers<'_>>) -> anyhow::Result<Connected<'a>> {
        let mut readers = open_readers(job, readers)?;
        let mut closed = Vec::new();
        let mut lanes: Vec<_> = job.lanes.iter().collect();
        if let Pace::Closed { in_flight } = job.pace
            && job.poll == Poll::Block
            && lanes.len() <= CLOSED_THREADS_MAX
        {
            for lane in lanes.drain(..) {
                closed.push((lane.core, Closed::open(job, lane, in_flight)?));
            }
        }
        let mut cores: Vec<usize> = lanes.iter().map(|lane| lane.core).collect();
        cores.extend(readers.iter().map(|(core, _)| core));
        cores.sort_unstable();
        cores.dedup();
        let mut workers = Vec::new();
        for core in cores {
            let lanes: Vec<_> = lanes.iter().copied().filter(|lane| lane.core == core).collect();
            let of_core = readers.extract_if(.., |(of, _)| *of == core);
            let of_core = of_core.map(|(_, reader)| reader).collect();
            workers.push((core, Worker::open(job, &lanes, of_core)?));
        }
        Ok(Connected { workers, closed })
    }
}

fn open_readers(job: &Job, readers: Option<Readers<'_>>) -> anyhow::Result<Vec<(usize, Reader)>> {
    let Some(readers) = readers else {
        return Ok(Vec::new());
    };
    let leaders = leaders(&readers.target.topic);
    let wanted = readers.connections.unwrap_or(leaders.len());
    ensure!(
        (leaders.len()..=readers.target.topic.leaders.len()).contains(&wanted),
        "--consumers is at least one a broker ({}), and at most one a partition ({})",
        leaders.len(),
        readers.target.topic.leaders.len()
    );
    let mut opened = Vec::with_capacity(wanted);
    for (at, (address, partitions)) in leaders.iter().enumerate() {
        // The first leaders take one more each where it doesn't come out even.
        let share = wanted / leaders.len() + usize::from(at < wanted % leaders.len());
        for part in 0..share.min(partitions.len()) {
            let own: Vec<i32> = partitions.iter().copied().skip(part).step_by(share).collect();
            let reader = Reader::at_end(job, readers.target.fetch_version, address, &own)
                .with_context(|| format!("start a consumer at {address}"))?;
            opened.push((readers.cores.of(opened.len()), reader));
        }
    }
    Ok(opened)
}

/// Collects and prints an interval a second until the load has ended.
fn watch(series: &mut AllSeries, window: &Window, reading: bool, ended: impl Fn() -> bool) {
    let mut last = window.start_ns;
    loop {
        // A recorder hands an interval over with its first sample after the interval's end.
        let next = last + INTERVAL_NS + LOOK_UP_NS;
        while now_ns() < next && !ended() {
            sleep_until(next.min(now_ns() + LOOK_UP_NS));
        }
        let now = now_ns();
        let produce = series.produce.collect();
        let e2e = series.e2e.collect();
        series.lateness.collect();
        if ended() {
            return;
        }
        let now = now - LOOK_UP_NS;
        let phase = if now <= window.from_ns + INTERVAL_NS / 2 {
            "warm-up"
        } else {
            "measuring"
        };
        let (elapsed, interval) = (now.saturating_sub(window.start_ns), now.saturating_sub(last));
        progress::line(elapsed, interval, phase, "produce", &produce);
        if reading {
            progress::line(elapsed, interval, phase, "e2e", &e2e);
        }
        last = now;
    }
}

/// Sleeps until the load has ended, with few looks at the clock before its time.
fn wait(window: &Window, ended: impl Fn() -> bool) {
    while !ended() {
        let now = now_ns();
        let long = if now < window.end_ns {
            10 * LOOK_UP_NS
        } else {
            LOOK_UP_NS
        };
        sleep_until(now + long);
    }
}

/// Gives consumers time to receive what was acknowledged.
fn drain(shared: &Shared, stop: &Stop) {
    let acknowledged = shared.acknowledged.load(Ordering::Relaxed);
    let deadline = now_ns() + nanos(DRAIN);
    while shared.received.load(Ordering::Relaxed) < acknowledged && now_ns() < deadline && !stop.is_set() {
        sleep_until(now_ns() + LOOK_UP_NS);
    }
}

fn join<T>(thread: ScopedJoinHandle<'_, anyhow::Result<T>>) -> anyhow::Result<T> {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
