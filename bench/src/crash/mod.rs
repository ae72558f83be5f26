//! `tautline-bench crash`: writers at full load, `kill -9` of the broker at random moments, restart, read everything.
//!
//! Writers live through the kills: an idempotent one sends again what it had under way, the others go on with what
//! comes next. At the end of each round everything is read back and checked against what was acknowledged. The seed
//! decides when to kill and whether also while the broker starts; what exactly is under way then is up to the machine.

pub mod process;
mod round;
pub mod starts;

use std::net::TcpListener;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use crate::client::admin::Admin;
use crate::clock::{SECOND_NS, now_ns, wall_ms};
use crate::options::{name_and_value, seconds};
use crate::random::Random;
use crate::stop::Stop;
use process::{BrokerProcess, Launch};
use round::{Field, Round};
use starts::Starts;

/// A topic is done with, and deleted, once this much was written to it.
const TOPIC_BYTES_MAX: u64 = 1 << 30;

/// Flags of `crash`.
#[derive(Args, Debug, Clone)]
pub struct CrashArgs {
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
    /// Rounds of load, kill, restart and check
    #[arg(long, default_value_t = 200)]
    rounds: u32,
    /// Seed of the moments [default: from the clock]
    #[arg(long)]
    seed: Option<u64>,
    /// The broker's data; journals and its output go beside it, into DIR.crash
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
    /// Where the broker listens [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Partitions of a topic
    #[arg(long, default_value_t = 4)]
    partitions: i32,
    /// A configuration of the topics, as flush.messages=1; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
    topic_config: Vec<(String, String)>,
    /// Writers, every other one an idempotent producer
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 512)]
    size: usize,
    /// Records of a batch
    #[arg(long, default_value_t = 8)]
    batch_records: usize,
    /// Rounds until a new topic is begun and the old one deleted
    #[arg(long, default_value_t = 10)]
    rounds_per_topic: u32,
    /// Latest moment of a kill after the load begins
    #[arg(long, value_parser = seconds, default_value = "1500ms", value_name = "SECONDS")]
    kill_within: Duration,
    /// How long the broker may take until it is ready
    #[arg(long, value_parser = seconds, default_value = "60", value_name = "SECONDS")]
    ready_within: Duration,
}

/// Runs the rounds; false on the first violation, with everything left in place.
pub fn run(args: &CrashArgs, stop: &Stop) -> anyhow::Result<bool> {
    ensure!(
        args.connections > 0 && args.batch_records > 0 && args.partitions > 0,
        "counts are at least 1"
    );
    let seed = args.seed.unwrap_or(wall_ms() as u64);
    println!("seed {seed}");
    let beside = PathBuf::from(format!("{}.crash", args.data_dir.display()));
    std::fs::create_dir_all(&beside).with_context(|| format!("create {}", beside.display()))?;
    let listen = match &args.listen {
        Some(listen) => listen.clone(),
        None => free_address()?,
    };
    let launch = Launch {
        program: args.broker.clone(),
        args: args.broker_arg.clone(),
        cores: args.broker_cores.clone(),
        env: args.env.clone(),
        data_dir: args.data_dir.clone(),
        listen,
        admin: free_address()?,
        log: beside.join("broker.log"),
        ready_within: args.ready_within,
    };
    let starts = Starts {
        launch,
        random: Random(seed),
        count: 0,
    };
    let mut field = Field { args, starts, beside };
    let began = now_ns();
    let (mut broker, _, _) = field.starts.start()?;
    let mut topic: Option<Round> = None;
    for number in 1..=args.rounds {
        if stop.is_set() {
            println!("stopped before round {number}");
            break;
        }
        let used_up = |round: &Round| round.rounds >= args.rounds_per_topic || round.bytes > TOPIC_BYTES_MAX;
        if topic.as_ref().is_some_and(used_up)
            && let Some(old) = topic.take()
        {
            old.remove(&field)?;
        }
        let round = match &mut topic {
            Some(round) => round,
            None => topic.insert(Round::begin(&field, number)?),
        };
        let played = round.play(number, &mut field, broker, stop);
        let (next, summary) = played.with_context(|| format!("round {number} of seed {seed}"))?;
        broker = next;
        println!("round {number:>4}/{}: {summary}", args.rounds);
        if summary.found.violations.count > 0 {
            for violation in &summary.found.violations.kept {
                println!("VIOLATION {violation}");
            }
            println!(
                "seed {seed}, round {number}: {} violations; the broker's data is in {}, journals and its output in {}",
                summary.found.violations.count,
                args.data_dir.display(),
                field.beside.display()
            );
            broker.kill()?;
            return Ok(false);
        }
    }
    finish(broker, &field)?;
    println!(
        "no violation in {:.0} s, {} starts of the broker, seed {seed}",
        (now_ns() - began) as f64 / SECOND_NS as f64,
        field.starts.count
    );
    Ok(true)
}

/// The last broker is asked to end, not killed: it must do so cleanly.
fn finish(broker: BrokerProcess, field: &Field<'_>) -> anyhow::Result<()> {
    Admin::connect(&field.starts.launch.listen)?;
    broker.terminate()
}

/// Ports below those that the kernel gives to outgoing connections: a killed broker must find its own free again.
const PORTS: Range<u16> = 15_000..31_000;

/// A free port of 127.0.0.1, another one each time.
pub fn free_address() -> anyhow::Result<String> {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
        let seed = wall_ms() as u64 ^ u64::from(std::process::id()) << 32;
        AtomicU64::new(Random(seed).below(PORTS.len() as u64))
    });
    let addresses = PORTS.map(|_| {
        let nth = NEXT.fetch_add(1, Ordering::Relaxed) % PORTS.len() as u64;
        format!("127.0.0.1:{}", u64::from(PORTS.start) + nth)
    });
    let mut free = addresses.filter(|address| TcpListener::bind(address).is_ok());
    free.next().context("find a free port")
}
