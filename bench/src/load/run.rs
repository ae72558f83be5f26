//! `produce` and `e2e`: slices of load, the floor between them, and the report.

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::job::Job;
use super::outcome::Outcome;
use super::setup::Setup;
use super::slice::{self, AllSeries, Readers, Show};
use super::summary::{Report, print_heading, print_results, results};
use super::target;
use crate::affinity::Cores;
use crate::client::template::Template;
use crate::limits::floor::{Floor, Pair};
use crate::options::{LoadArgs, ReportArgs, TargetArgs};
use crate::report::files;
use crate::report::machine::Machine;
use crate::stop::Stop;

/// Warm-up of the slices after the first.
const SLICE_WARMUP_MAX: Duration = Duration::from_millis(500);

/// Connections that a report lists.
const CONNECTIONS_LISTED_MAX: usize = 32;

/// Flags of `produce` and `e2e`.
#[derive(Args, Debug, Clone, Serialize)]
pub struct RunArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub load: LoadArgs,
    #[command(flatten)]
    report: ReportArgs,
    /// Do all of it this often, and state the spread
    #[arg(long, default_value_t = 1, value_name = "TIMES")]
    repeat: u32,
    /// Cores of the consumers' threads, for e2e [default: --cores]
    #[arg(long, value_name = "CORES")]
    consumer_cores: Option<Cores>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Latency of acknowledgements.
    Produce,
    /// That, and latency from intended send to receipt.
    E2e,
}

/// Runs it; false when the broker answered with errors or not at all.
pub fn run(kind: Kind, args: &RunArgs, stop: &Stop) -> anyhow::Result<bool> {
    let cores = client_cores(args.load.cores.as_ref())?;
    let consumer_cores = args.consumer_cores.clone().unwrap_or_else(|| cores.clone());
    consumer_cores.check()?;
    let target = target::prepare(&args.target)?;
    let job = Job::plan(&args.load, &target, &cores)?;
    let mut floor = None;
    if args.report.floor {
        let pair = floor_cores(&cores, args.report.floor_core)?;
        let request_bytes = Template::new(&job.shape).frame().len();
        floor = Some((pair, Floor::prepare(&args.report.data_dir, pair, request_bytes)?));
    }
    let setup = Setup::of(kind, &job, &args.load, &cores, &target, args.repeat.max(1));
    let machine = Machine::with_data_in(&args.report.data_dir);
    print_heading(&machine, &args.target.bootstrap, &target, &setup);

    let readers = (kind == Kind::E2e).then_some(Readers {
        target: &target,
        connections: args.load.consumers,
        cores: &consumer_cores,
    });
    let (mut outcome, mut received) = (Outcome::default(), 0);
    let slices = if floor.is_some() {
        args.report.slices.max(1)
    } else {
        1
    };
    let duration = args.load.duration / slices;
    let mut repeats = Vec::new();
    for repeat in 0..setup.repeats {
        let mut series = AllSeries::holding(0);
        for slice in 0..slices {
            floor_slice(&mut floor, duration, args.report.pause_pid)?;
            let warmup = if repeat + slice == 0 {
                args.load.warmup
            } else {
                args.load.warmup.min(SLICE_WARMUP_MAX)
            };
            let slice = slice::run(&job, readers, (warmup, duration), &mut series, Show::Lines, stop)?;
            outcome.add(&slice.outcome);
            received += slice.received;
            ensure!(
                !stop.is_set(),
                "stopped by a signal before the end: nothing to report"
            );
        }
        repeats.push(series);
    }
    floor_slice(&mut floor, duration, args.report.pause_pid)?;

    let floor = floor.map(|(_, floor)| floor.report());
    let measured_seconds = (duration * slices).as_secs_f64();
    let report = Report {
        command: kind,
        command_line: std::env::args().collect(),
        machine,
        flags: args,
        setup,
        durability: &target.durability,
        connections: job.lanes.iter().take(CONNECTIONS_LISTED_MAX).collect(),
        results: results(&repeats, measured_seconds, floor.as_ref()),
        floor,
        outcome,
        received: (kind == Kind::E2e).then_some(received),
    };
    print_results(&report);
    if let Some(out) = &args.report.out {
        let name = if kind == Kind::E2e { "e2e" } else { "produce" };
        let all = repeats.iter().flat_map(AllSeries::each);
        files::write(out, name, &all.collect::<Vec<_>>(), &report)?;
    }
    Ok(report.outcome.is_clean())
}

/// The cores asked for, checked, or the last allowed one.
pub fn client_cores(asked: Option<&Cores>) -> anyhow::Result<Cores> {
    match asked {
        Some(cores) => cores.check().map(|()| cores.clone()),
        None => Ok(Cores(
            Cores::allowed()?.0.into_iter().next_back().into_iter().collect(),
        )),
    }
}

/// The client's first core, and the core where the broker is supposed to be.
fn floor_cores(client: &Cores, asked: Option<usize>) -> anyhow::Result<Pair> {
    let allowed = Cores::allowed()?;
    let other = allowed.0.iter().copied().find(|core| !client.0.contains(core));
    let peer = asked.or(other).unwrap_or(client.0[0]);
    Cores(vec![peer]).check()?;
    Ok(Pair {
        ours: client.0[0],
        peer,
    })
}

fn floor_slice(
    floor: &mut Option<(Pair, Floor)>,
    duration: Duration,
    pause: Option<i32>,
) -> anyhow::Result<()> {
    let Some((_, floor)) = floor else { return Ok(()) };
    eprintln!("floor: {:.1} s", duration.as_secs_f64());
    let Some(pid) = pause else {
        return floor.slice(duration);
    };
    let pid = Pid::from_raw(pid).context("--pause-pid is a process id")?;
    kill_process(pid, Signal::STOP).with_context(|| format!("stop process {}", pid.as_raw_pid()))?;
    let measured = floor.slice(duration);
    kill_process(pid, Signal::CONT).with_context(|| format!("continue process {}", pid.as_raw_pid()))?;
    measured
}
