//! `verify produce`: writers at full load until the time is over or a signal comes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use super::journal::Journal;
use super::record::VALUE_BYTES_MIN;
use super::writer::{Assignment, Counts, IN_FLIGHT_MAX, Writer};
use crate::client::template::RequestShape;
use crate::clock::{SECOND_NS, nanos, now_ns, wall_ms};
use crate::load::target::{self, Target};
use crate::options::{TargetArgs, acks, seconds};
use crate::stop::Stop;

const REQUEST_TIMEOUT_MS: i32 = 10_000;
const LOOK_UP_EVERY: Duration = Duration::from_millis(10);

/// Flags of `verify produce`.
#[derive(Args, Debug, Clone)]
pub struct ProduceArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Writers, each with a connection of its own; partitions are shared out among them
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Idempotent producers, which retry until they are acknowledged
    #[arg(long)]
    idempotent: bool,
    /// Acknowledgements to wait for: 1 or all
    #[arg(long, default_value = "all", value_parser = acks)]
    acks: i16,
    /// Bytes of a record's value
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Records of a batch
    #[arg(long, default_value_t = 8)]
    batch_records: usize,
    /// Batches under way for each writer, 5 at most
    #[arg(long, default_value_t = IN_FLIGHT_MAX)]
    in_flight: usize,
    /// Directory of the journals of acknowledged records
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Seconds to write [default: until a signal]
    #[arg(long, value_parser = seconds, value_name = "SECONDS")]
    duration: Option<Duration>,
}

/// How a group of writers works.
#[derive(Clone)]
pub struct Crew {
    /// Id of the first writer; the others follow.
    pub first_id: u64,
    /// How many.
    pub writers: usize,
    /// Whether a writer is idempotent, by its number.
    pub idempotent: fn(usize) -> bool,
    /// Their requests.
    pub shape: RequestShape,
    /// Where to ask for leaders.
    pub bootstrap: String,
    /// Batches under way for each.
    pub in_flight: usize,
    /// Directory of their journals.
    pub out: PathBuf,
}

/// Writers at work.
pub struct Working {
    /// What they have counted.
    pub counts: Arc<Counts>,
    threads: Vec<JoinHandle<anyhow::Result<()>>>,
    stop: Stop,
}

impl Crew {
    /// Requests for a topic.
    pub fn shape(target: &Target, acks: i16, value_bytes: usize, records: usize) -> RequestShape {
        RequestShape {
            version: target.produce_version,
            topic: target.topic.name.clone(),
            topic_id: target.topic.id,
            acks,
            timeout_ms: REQUEST_TIMEOUT_MS,
            value_bytes,
            key: b"verify".to_vec(),
            records,
        }
    }

    /// Starts the writers on a topic of `partitions` partitions. A writer that fails stops them all.
    pub fn start(&self, partitions: usize, stop: &Stop) -> anyhow::Result<Working> {
        std::fs::create_dir_all(&self.out).with_context(|| format!("create {}", self.out.display()))?;
        let counts = Arc::new(Counts::default());
        let mut threads = Vec::with_capacity(self.writers);
        for number in 0..self.writers {
            let id = self.first_id + number as u64;
            let shared_out = (0..partitions).filter(|partition| {
                // With more writers than partitions several write to the same one.
                partition % self.writers == number % partitions.min(self.writers)
            });
            let assignment = Assignment {
                id,
                partitions: shared_out.map(|partition| partition as i32).collect(),
                idempotent: (self.idempotent)(number),
                shape: self.shape.clone(),
                bootstrap: self.bootstrap.clone(),
                in_flight: self.in_flight,
            };
            let (journal, counts, stop) = (Journal::create(&self.out, id)?, counts.clone(), stop.clone());
            threads.push(std::thread::spawn(move || {
                Writer::new(assignment, journal, &counts)
                    .run(&stop)
                    .inspect_err(|_| stop.set())
            }));
        }
        Ok(Working {
            counts,
            threads,
            stop: stop.clone(),
        })
    }
}

impl Working {
    /// Whether every writer has ended, as after a failure.
    pub fn ended(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Tells the writers to stop and waits until everything is acknowledged; the first failure of one is returned.
    pub fn finish(self) -> anyhow::Result<()> {
        self.stop.set();
        let mut result = Ok(());
        for thread in self.threads {
            let ended = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(ended);
        }
        result
    }
}

/// Writes, shows progress, and prints the counts.
pub fn run(args: &ProduceArgs, stop: &Stop) -> anyhow::Result<()> {
    ensure!(
        args.size >= VALUE_BYTES_MIN,
        "--size is at least {VALUE_BYTES_MIN}"
    );
    ensure!(
        args.connections > 0 && args.batch_records > 0,
        "--connections and --batch-records are at least 1"
    );
    ensure!(
        (1..=IN_FLIGHT_MAX).contains(&args.in_flight),
        "--in-flight is 1 to {IN_FLIGHT_MAX}"
    );
    ensure!(
        args.acks != 0,
        "with acks=0 nothing is acknowledged, so nothing can be verified"
    );
    let target = target::prepare(&args.target)?;
    println!("topic {}: {}", target.topic.name, target.durability.statement);
    let crew = Crew {
        first_id: (wall_ms() as u64) << 16,
        writers: args.connections,
        idempotent: if args.idempotent { |_| true } else { |_| false },
        shape: Crew::shape(&target, args.acks, args.size, args.batch_records),
        bootstrap: args.target.bootstrap.clone(),
        in_flight: args.in_flight,
        out: args.out.clone(),
    };
    let began = now_ns();
    let end = args.duration.map_or(u64::MAX, |duration| began + nanos(duration));
    let working = crew.start(target.topic.leaders.len(), stop)?;
    let mut show_at = began + SECOND_NS;
    while now_ns() < end && !stop.is_set() {
        std::thread::sleep(LOOK_UP_EVERY);
        if now_ns() >= show_at {
            eprintln!(
                "[{:6.1} s] {}",
                (now_ns() - began) as f64 / SECOND_NS as f64,
                working.counts
            );
            show_at += SECOND_NS;
        }
    }
    let counts = working.counts.clone();
    working.finish()?;
    println!("{counts}");
    Ok(())
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        write!(
            f,
            "{} records acknowledged, {} sent again, {} of unknown outcome, {} connections lost",
            count(&self.acknowledged),
            count(&self.retried),
            count(&self.unknown),
            count(&self.disconnects)
        )
    }
}
