//! `tautline-bench history`: clients of every kind on a broker that is killed and started again, and a checker of all they saw.
//!
//! The seed decides what each client does and when the broker is killed; how that falls together is up to the machine. Clients
//! ([`play`]) record what they asked and were answered as a history ([`event`]), which a pure checker ([`check`]) holds against what
//! Kafka promises.

mod check;
mod event;
mod play;
mod round;
mod trace;
mod view;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use crate::clock::{SECOND_NS, now_ns, wall_ms};
use crate::crash::free_address;
use crate::crash::process::Launch;
use crate::crash::starts::Starts;
use crate::options::{name_and_value, seconds};
use crate::random::Random;
use crate::stop::Stop;
use check::{Anomaly, Violation};
use event::{History, Value};

/// Violations of one kind that are printed with a trace.
const TRACED_MAX: usize = 2;
/// So that transactions that are left open end within a round, and their coordinators are read again soon after a kill.
const BROKER_SETTINGS: [&str; 2] = [
    "transaction.abort.timed.out.transaction.cleanup.interval.ms=200",
    "transaction.state.log.num.partitions=4",
];

/// Flags of `history`.
#[derive(Args, Debug, Clone)]
pub struct HistoryArgs {
    /// The broker's program; started as `PROGRAM start --data-dir DIR --listen HOST:PORT --admin HOST:PORT` with --broker-arg appended
    #[arg(long, value_name = "PATH")]
    broker: PathBuf,
    /// Appended to the broker's command line; repeatable
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    broker_arg: Vec<String>,
    /// Set in the broker's environment, as TAUTLINE_FAULT=lose-unsynced; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    env: Vec<(String, String)>,
    /// A --cores value for the broker; given several times, each start takes the next one
    #[arg(long, value_name = "CORES")]
    broker_cores: Vec<String>,
    /// The broker's data; its output goes beside it, into DIR.history
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Rounds of load, kills, full reads and check, each on a topic of its own
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// Seed of the schedules [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// How long the clients of a round work, on average
    #[arg(long, value_parser = seconds, default_value = "2", value_name = "SECONDS")]
    load: Duration,
    /// Kills of a round at most
    #[arg(long, default_value_t = 3)]
    kills: u32,
    /// Partitions of a topic
    #[arg(long, default_value_t = 3)]
    partitions: i32,
    /// Producers without idempotence
    #[arg(long, default_value_t = 1)]
    plain: usize,
    /// Idempotent producers
    #[arg(long, default_value_t = 2)]
    idempotent: usize,
    /// Transactional producers; every three share two transactional ids
    #[arg(long, default_value_t = 6)]
    transactional: usize,
    /// Consumers
    #[arg(long, default_value_t = 5)]
    consumers: usize,
    /// How long the broker may take until it is ready
    #[arg(long, value_parser = seconds, default_value = "60", value_name = "SECONDS")]
    ready_within: Duration,
}

/// Runs the rounds; false on the first violation.
pub fn run(args: &HistoryArgs, stop: &Stop) -> anyhow::Result<bool> {
    ensure!(
        args.partitions > 0 && args.transactional > 0,
        "partitions and transactional producers are at least 1"
    );
    let seed = args.seed.unwrap_or(wall_ms() as u64);
    println!("seed {seed}");
    let beside = PathBuf::from(format!("{}.history", args.data_dir.display()));
    std::fs::create_dir_all(&beside).with_context(|| format!("create {}", beside.display()))?;
    let settings = BROKER_SETTINGS
        .iter()
        .flat_map(|setting| ["--set".to_string(), setting.to_string()]);
    let mut starts = Starts {
        launch: Launch {
            program: args.broker.clone(),
            args: settings.chain(args.broker_arg.iter().cloned()).collect(),
            cores: args.broker_cores.clone(),
            env: args.env.clone(),
            data_dir: args.data_dir.clone(),
            listen: free_address()?,
            admin: free_address()?,
            log: beside.join("broker.log"),
            ready_within: args.ready_within,
        },
        random: Random(seed),
        count: 0,
    };
    let began_ns = now_ns();
    let (mut broker, _, _) = starts.start()?;
    let (mut rounds, mut events) = (0, 0);
    for number in 1..=args.rounds {
        if stop.is_set() {
            println!("stopped before round {number}");
            break;
        }
        let played = round::play(number, args, &mut starts, broker, stop);
        let (next, played) = played.with_context(|| format!("round {number} of seed {seed}"))?;
        broker = next;
        println!("round {number:>4}/{}: {played}", args.rounds);
        if !played.violations.is_empty() {
            show(&played.history, &played.violations);
            println!(
                "seed {seed}, round {number}: {} violations; the broker's output is in {}",
                played.violations.len(),
                beside.display()
            );
            broker.kill()?;
            return Ok(false);
        }
        (rounds, events) = (number, events + played.history.events.len());
    }
    broker.terminate()?;
    println!(
        "no anomaly in {rounds} rounds, {events} events, {} starts of the broker, {:.0} s, seed {seed}",
        starts.count,
        (now_ns() - began_ns) as f64 / SECOND_NS as f64
    );
    Ok(true)
}

fn show(history: &History, violations: &[Violation]) {
    let mut kinds: BTreeMap<Anomaly, Vec<&Violation>> = BTreeMap::new();
    for violation in violations {
        kinds.entry(violation.anomaly).or_default().push(violation);
    }
    for (anomaly, violations) in kinds {
        println!("{}: {} times", anomaly.name(), violations.len());
        for violation in violations.iter().take(TRACED_MAX) {
            println!("VIOLATION {violation}");
            for line in trace::trace(history, violation) {
                println!("  {line}");
            }
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} of writer {:x}", self.sequence, self.writer)
    }
}
