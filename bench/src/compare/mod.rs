//! `compare`: the same load on several brokers in turn, interleaved, in one run, on the same cores and the same disk.
//!
//! All targets run from the beginning, but only one at a time: the others' processes are stopped, so that each keeps what
//! it has warmed up and none disturbs another. Between turns the file system is synced, so that what one leaves in the
//! page cache is not written back in the time of the next.

pub mod contestant;
pub mod peer;
pub mod print;
pub mod process;
pub mod result;
pub mod spec;
pub mod stages;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;

use crate::affinity::Cores;
use crate::limits::floor::{Floor, Pair};
use crate::load::run::{Kind, client_cores};
use crate::load::slice::AllSeries;
use crate::options::{LoadArgs, TopicArgs, seconds};
use crate::report::files;
use crate::report::machine::Machine;
use crate::stop::Stop;
use contestant::Contestant;
use result::{Comparison, TargetResult};
use spec::Spec;

/// How long the floor is measured before each turn.
const FLOOR_SLICE: Duration = Duration::from_millis(600);

/// Flags of `compare` and `sweep`.
#[derive(Args, Debug, Clone, Serialize)]
pub struct ContestArgs {
    /// A broker: HOST:PORT, or a script that starts it (scripts/peers/README.md). Settings follow after commas: pid=PID and
    /// admin=HOST:PORT of a running broker, capitals for the script's environment, all else for the topic. Repeatable
    /// [default: tautline, kafka, and kafka with flush.messages=1]
    #[arg(long = "target", value_name = "NAME=WHERE[,SETTING=VALUE...]")]
    pub targets: Vec<Spec>,
    #[command(flatten)]
    pub topic: TopicArgs,
    #[command(flatten)]
    pub load: LoadArgs,
    /// What is measured
    #[arg(long, value_enum, default_value_t = Kind::E2e)]
    pub kind: Kind,
    /// Cores of the brokers that scripts start [default: the allowed cores that aren't in --cores]
    #[arg(long, value_name = "CORES")]
    pub broker_cores: Option<Cores>,
    /// Where the brokers that scripts start have their data, each in a directory of its own, removed at the end
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub data_dir: PathBuf,
    /// Seconds of load, one message at a time, on each target before the first measurement, for what warms up slowly
    #[arg(long, value_parser = seconds, default_value = "10", value_name = "SECONDS")]
    pub settle: Duration,
    /// Measure the machine's floor between the turns: a loopback round trip with a durable 4 KiB overwrite in --data-dir
    #[arg(long)]
    pub floor: bool,
    /// Write the results as JSON here; `tautline-bench report DIR` draws them
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Flags of `compare`.
#[derive(Args, Debug, Clone, Serialize)]
pub struct CompareArgs {
    #[command(flatten)]
    contest: ContestArgs,
    /// Rounds; in each one every target has a turn
    #[arg(long, default_value_t = 3, value_name = "TIMES")]
    repeat: u32,
}

/// Who runs where.
pub struct Cpus {
    /// The harness.
    pub client: Cores,
    /// The brokers.
    pub broker: Cores,
}

/// The targets, all started, and what they have in common.
pub struct Contest {
    /// The targets.
    pub contestants: Vec<Contestant>,
    /// Who runs where.
    pub cpus: Cpus,
    floor: Option<Floor>,
    /// Removed at the end; after the contestants, which are dropped first.
    data: DataDir,
}

/// Runs it; false when a broker answered with errors or not at all.
pub fn run(args: &CompareArgs, stop: &Stop) -> anyhow::Result<bool> {
    let contest_args = &args.contest;
    let machine = Machine::with_data_in(&contest_args.data_dir);
    println!("{machine}");
    let mut contest = Contest::begin(contest_args, stop)?;
    let seconds = contest_args.load.duration.as_secs_f64();
    let rounds = args.repeat.max(1);
    println!(
        "{}\n",
        contest.contestants[0].setup(contest_args, &contest.cpus, rounds)?
    );
    let mut measured: Vec<Vec<AllSeries>> = contest.contestants.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for place in 0..contest.contestants.len() {
            // Each round begins with another one.
            let at = (place + round as usize) % contest.contestants.len();
            let series = contest.turn(at, contest_args, &contest_args.load, stop)?;
            print::turn(round, &contest.contestants[at].spec.name, &series);
            measured[at].push(series);
        }
    }
    let kind = contest_args.kind;
    let targets = contest.contestants.iter().zip(&measured);
    let targets: Vec<TargetResult> = targets
        .map(|(contestant, rounds)| contestant.result(rounds, seconds, kind))
        .collect();
    let comparison = contest.comparison("compare", contest_args, machine, rounds, targets)?;
    print::comparison(&comparison);
    if let Some(out) = &contest_args.out {
        files::write_json(out, "compare", &comparison)?;
    }
    Ok(comparison.targets.iter().all(|target| target.outcome.is_clean()))
}

impl Contest {
    /// Starts every target and lets each settle.
    pub fn begin(args: &ContestArgs, stop: &Stop) -> anyhow::Result<Contest> {
        let specs = if args.targets.is_empty() {
            spec::defaults()
        } else {
            args.targets.clone()
        };
        for (at, spec) in specs.iter().enumerate() {
            let twice = specs[..at].iter().any(|other| other.name == spec.name);
            ensure!(!twice, "two targets are called {}", spec.name);
        }
        let client = client_cores(args.load.cores.as_ref())?;
        let broker = match &args.broker_cores {
            Some(cores) => cores.clone(),
            None => others(&client)?,
        };
        broker.check()?;
        let cpus = Cpus { client, broker };
        let data = DataDir::create(&args.data_dir)?;
        let mut contestants = Vec::new();
        for spec in &specs {
            contestants.push(Contestant::enter(spec, args, &cpus, &data.path)?);
            ensure!(!stop.is_set(), "stopped by a signal");
        }
        let mut floor = None;
        if args.floor {
            let pair = Pair {
                ours: cpus.client.0[0],
                peer: cpus.broker.0[0],
            };
            floor = Some(Floor::prepare(&data.path, pair, args.load.size)?);
        }
        let mut contest = Contest {
            contestants,
            cpus,
            floor,
            data,
        };
        for at in 0..contest.contestants.len() {
            eprintln!(
                "settling {}: {:?}",
                contest.contestants[at].spec.name, args.settle
            );
            contest.contestants[at].settle(args, &contest.cpus, stop)?;
            contest.between_turns(stop)?;
        }
        Ok(contest)
    }

    /// Measures one target.
    pub fn turn(
        &mut self,
        at: usize,
        args: &ContestArgs,
        load: &LoadArgs,
        stop: &Stop,
    ) -> anyhow::Result<AllSeries> {
        // While every target is stopped.
        if let Some(floor) = &mut self.floor {
            floor.slice(FLOOR_SLICE)?;
        }
        let series = self.contestants[at].turn(args.kind, load, &self.cpus, stop)?;
        self.between_turns(stop)?;
        Ok(series)
    }

    fn between_turns(&self, stop: &Stop) -> anyhow::Result<()> {
        ensure!(
            !stop.is_set(),
            "stopped by a signal before the end: nothing to report"
        );
        let directory = File::open(&self.data.path)?;
        rustix::fs::syncfs(&directory).context("sync the data directory's file system")
    }

    /// Everything that was found.
    pub fn comparison(
        &self,
        command: &str,
        args: &ContestArgs,
        machine: Machine,
        repeats: u32,
        targets: Vec<TargetResult>,
    ) -> anyhow::Result<Comparison> {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Ok(Comparison {
            command: command.into(),
            command_line: std::env::args().collect(),
            at_unix_s: since.map_or(0, |since| since.as_secs()),
            machine,
            setup: self.contestants[0].setup(args, &self.cpus, repeats)?,
            broker_cores: self.cpus.broker.to_string(),
            method: method(args),
            differences: result::differences(&targets),
            floor: self.floor.as_ref().map(Floor::report),
            targets,
        })
    }
}

fn method(args: &ContestArgs) -> Vec<String> {
    vec![
        "One client drives all targets, with the same requests, acks and linger.".into(),
        format!(
            "Targets take turns, each round beginning with another one. All run from the beginning, and had {:.0} s of load, \
             one message at a time, before the first measurement; while it is not its turn, a target's process is stopped.",
            args.settle.as_secs_f64()
        ),
        "The file system is synced between turns, so no target pays for what another left in the page cache. A target that \
         acknowledges from memory does not pay for writing it back either."
            .into(),
    ]
}

/// The allowed cores that aren't the client's; all if there are no others.
fn others(client: &Cores) -> anyhow::Result<Cores> {
    let mut allowed = Cores::allowed()?;
    if allowed.0.iter().any(|core| !client.0.contains(core)) {
        allowed.0.retain(|core| !client.0.contains(core));
    } else {
        eprintln!("note: brokers share the cores of the harness: there are no others");
    }
    Ok(allowed)
}

/// A directory for the data of all targets, removed when it is dropped.
struct DataDir {
    path: PathBuf,
}

impl DataDir {
    fn create(root: &Path) -> anyhow::Result<DataDir> {
        let path = root.join(format!("tautline-compare-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(DataDir { path })
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!("could not remove {}: {error}", self.path.display());
        }
    }
}
