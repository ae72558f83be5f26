//! `sweep`: raises the rate until the tail breaks, and finds the knee, of one target or several in turn.

pub mod result;
pub mod search;

use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use serde::Serialize;

use crate::clock::nanos;
use crate::compare::{Contest, ContestArgs};
use crate::load::outcome::Outcome;
use crate::load::run::Kind;
use crate::load::slice::AllSeries;
use crate::load::summary::CLIENT_BUSY_WARNING;
use crate::options::seconds;
use crate::report::figures::duration;
use crate::report::files;
use crate::report::machine::Machine;
use crate::report::percentiles::Percentiles;
use crate::report::recorder::INTERVAL_NS;
use crate::report::table::micros;
use crate::stop::Stop;
use result::{Step, Swept};
use search::Search;

/// Part of what is asked for that must be acknowledged in time.
const ACHIEVED_MIN: f64 = 0.97;

/// Flags of `sweep`.
#[derive(Args, Debug, Clone, Serialize)]
pub struct SweepArgs {
    #[command(flatten)]
    contest: ContestArgs,
    /// The first rate, in messages a second
    #[arg(long, default_value_t = 1000.0, value_name = "MSG/S")]
    from: f64,
    /// No rate above this
    #[arg(long, default_value_t = 5e6, value_name = "MSG/S")]
    to: f64,
    /// How much a rate is above the one before, until the tail breaks
    #[arg(long, default_value_t = 1.5, value_name = "TIMES")]
    factor: f64,
    /// The tail breaks when p99.9 is above this [default: ten times the lowest p99.9 of the target's own steps]
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    limit: Option<Duration>,
}

/// Times its lowest p99.9 that a target's p99.9 may reach without --limit.
const TAIL_TIMES: u64 = 10;

/// One target's search.
struct Sweeping {
    search: Search,
    swept: Swept,
    lowest_ns: u64,
}

/// Runs it.
pub fn run(args: &SweepArgs, stop: &Stop) -> anyhow::Result<()> {
    ensure!(
        args.contest.load.rate.is_none() && args.contest.load.in_flight.is_none(),
        "a sweep chooses the rate itself: use --from, --to and --factor"
    );
    ensure!(
        args.factor > 1.0 && args.from > 0.0 && args.to >= args.from,
        "--factor is above 1, and --from above 0 and at most --to"
    );
    let machine = Machine::with_data_in(&args.contest.data_dir);
    println!("{machine}");
    let mut contest_args = args.contest.clone();
    contest_args.load.rate = Some(args.from);
    let mut contest = Contest::begin(&contest_args, stop)?;
    println!(
        "{}\n",
        contest.contestants[0].setup(&contest_args, &contest.cpus, 1)?
    );
    let begin = |_| Sweeping {
        search: Search::new(args.from, args.factor, args.to),
        swept: Swept::default(),
        lowest_ns: u64::MAX,
    };
    let mut sweeping: Vec<Sweeping> = (0..contest.contestants.len()).map(begin).collect();
    let mut last: Vec<Option<AllSeries>> = sweeping.iter().map(|_| None).collect();
    while sweeping.iter().any(|one| one.search.next().is_some()) {
        for (at, one) in sweeping.iter_mut().enumerate() {
            let Some(rate) = one.search.next() else { continue };
            let mut load = contest_args.load.clone();
            load.rate = Some(rate);
            let series = contest.turn(at, &contest_args, &load, stop)?;
            let outcome = contest.contestants[at].take_outcome();
            let step = one.step(args, rate, &series, &outcome);
            print_step(&contest.contestants[at].spec.name, &step);
            one.search.tried(step.broken_by.is_none());
            one.swept.steps.push(step);
            last[at] = Some(series);
        }
    }

    println!();
    let (kind, seconds) = (contest_args.kind, contest_args.load.duration.as_secs_f64());
    let mut targets = Vec::new();
    for ((contestant, one), last) in contest.contestants.iter().zip(sweeping).zip(last) {
        let mut swept = one.swept;
        swept.knee_rate = one.search.knee();
        let broken = swept.steps.iter().filter(|step| step.broken_by.is_some());
        let lowest = broken.filter(|step| Some(step.rate) > swept.knee_rate);
        let lowest = lowest.min_by(|one, other| one.rate.total_cmp(&other.rate));
        swept.broken_by = lowest.and_then(|step| step.broken_by.clone());
        print_knee(&contestant.spec.name, &swept);
        let mut result = contestant.result(&last.into_iter().collect::<Vec<_>>(), seconds, kind);
        // The series of the last step alone would say nothing.
        result.results.clear();
        result.sweep = Some(swept);
        targets.push(result);
    }
    let mut comparison = contest.comparison("sweep", &contest_args, machine, 1, targets)?;
    comparison.setup.sweeps = true;
    for difference in &comparison.differences {
        println!("{difference}");
    }
    match &args.contest.out {
        Some(out) => files::write_json(out, "sweep", &comparison),
        None => Ok(()),
    }
}

impl Sweeping {
    /// Judges a measurement.
    fn step(&mut self, args: &SweepArgs, rate: f64, series: &AllSeries, outcome: &Outcome) -> Step {
        let shown = if args.contest.kind == Kind::E2e {
            &series.e2e
        } else {
            &series.produce
        };
        let latency = Percentiles::of(&shown.total);
        let achieved = achieved(series, args.contest.load.duration);
        let limit_ns = match args.limit {
            Some(limit) => limit.as_nanos() as u64,
            None => self.lowest_ns.saturating_mul(TAIL_TIMES),
        };
        let busy = outcome.client_busy.unwrap_or(0.0);
        let broken_by = if !outcome.is_clean() {
            Some("errors, or requests that were never answered".into())
        } else if achieved < rate * ACHIEVED_MIN {
            Some(format!(
                "only {achieved:.0} of {rate:.0} msg/s were acknowledged in time"
            ))
        } else if latency.p99_9_ns > limit_ns {
            let [tail, limit] = [latency.p99_9_ns, limit_ns].map(|ns| duration(ns as f64));
            Some(format!("p99.9 was {tail}, above {limit}"))
        } else {
            None
        };
        let broken_by = broken_by.map(|reason: String| match busy > CLIENT_BUSY_WARNING {
            true => format!(
                "{reason}; the harness itself was busy for {:.0} % of the time",
                busy * 100.0
            ),
            false => reason,
        });
        if broken_by.is_none() {
            self.lowest_ns = self.lowest_ns.min(latency.p99_9_ns);
        }
        Step {
            rate,
            achieved,
            latency,
            broken_by,
            client_busy: outcome.client_busy,
        }
    }
}

/// Messages a second acknowledged within the time in which they were meant to be sent.
fn achieved(series: &AllSeries, asked: Duration) -> f64 {
    // An interval that begins within that time and ends a little after it is most of it.
    let in_time = |at_ns: u64| at_ns + INTERVAL_NS / 2 < nanos(asked);
    let intervals = series.produce.intervals.iter();
    let (records, ns) = intervals
        .filter(|interval| in_time(interval.at_ns))
        .fold((0, 0), |(records, ns), interval| {
            (records + interval.records, ns + interval.len_ns)
        });
    records as f64 * 1e9 / ns.max(nanos(asked)) as f64
}

fn print_step(name: &str, step: &Step) {
    println!(
        "{name:<16} {:>9.0} msg/s asked {:>9.0} done   p50 {} us  p99 {} us  p99.9 {} us{}",
        step.rate,
        step.achieved,
        micros(step.latency.p50_ns),
        micros(step.latency.p99_ns),
        micros(step.latency.p99_9_ns),
        step.broken_by
            .as_ref()
            .map(|reason| format!("   BROKEN: {reason}"))
            .unwrap_or_default()
    );
}

fn print_knee(name: &str, swept: &Swept) {
    match (swept.knee_rate, &swept.broken_by) {
        (Some(knee), Some(reason)) => println!("{name}: the tail holds up to {knee:.0} msg/s, then {reason}"),
        (Some(knee), None) => println!("{name}: the tail holds at {knee:.0} msg/s, the highest rate tried"),
        (None, reason) => println!(
            "{name}: the tail did not hold at the lowest rate: {}",
            reason.as_deref().unwrap_or("nothing was measured")
        ),
    }
}
