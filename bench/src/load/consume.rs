//! `consume`: reads a topic as fast as the broker gives it, from the beginning or the end, once or over and over.

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tautline_core::error::ErrorCode;

use super::job::leaders;
use super::outcome::ANSWER_TIMEOUT;
use super::reader;
use super::{progress, target};
use crate::affinity::{Cores, pin};
use crate::client::admin::{Admin, EARLIEST, LATEST};
use crate::client::batch::Batches;
use crate::client::connection::{Connection, Poll};
use crate::client::fetch::{self, FetchRequest, Position};
use crate::clock::{SECOND_NS, nanos, now_ns};
use crate::errors;
use crate::options::seconds;
use crate::report::files;
use crate::report::machine::Machine;
use crate::report::percentiles::Percentiles;
use crate::report::series::Series;
use crate::report::table;
use crate::stop::Stop;

/// Flags of `consume`.
#[derive(Args, Debug, Clone, Serialize)]
pub struct ConsumeArgs {
    /// Kafka addresses of the broker, comma-separated
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "HOST:PORT,...")]
    bootstrap: String,
    /// The topic to read
    #[arg(long, default_value = "tautline-bench")]
    topic: String,
    /// Where to begin
    #[arg(long, value_enum, default_value_t = From::Earliest)]
    from: From,
    /// Begin again at the first offset still there when the end of the pass before is reached, or when retention has
    /// overtaken the reader, until the duration is over
    #[arg(long)]
    repeat: bool,
    /// Check the CRC of every batch
    #[arg(long)]
    check_crc: bool,
    /// Seconds to read at most; without --repeat a reader from the beginning ends at the end
    #[arg(long, value_parser = seconds, default_value = "10", value_name = "SECONDS")]
    duration: Duration,
    /// Cores of the readers' threads [default: the last allowed core]
    #[arg(long)]
    cores: Option<Cores>,
    /// Write the report as JSON and the latencies as an HdrHistogram log here
    #[arg(long, value_name = "DIR")]
    out: Option<std::path::PathBuf>,
}

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// The first offset still there.
    Earliest,
    /// The high watermark: only what is written from now on.
    Latest,
}

#[derive(Serialize)]
struct Report<'a> {
    command: &'static str,
    machine: Machine,
    flags: &'a ConsumeArgs,
    seconds: f64,
    messages: u64,
    messages_per_second: f64,
    mb_per_second: f64,
    passes: Passes,
    /// Of a Fetch request, from send to the whole answer.
    fetch_latency: Percentiles,
}

/// How often readers got through.
#[derive(Clone, Copy, Default, Serialize)]
struct Passes {
    /// From the first offset to what was the end then.
    ended: u64,
    /// Not so far: what was to be read next had been deleted.
    overtaken: u64,
}

/// Reads and prints.
pub fn run(args: &ConsumeArgs, stop: &Stop) -> anyhow::Result<()> {
    let cores = match &args.cores {
        Some(cores) => cores.check().map(|()| cores.clone())?,
        None => Cores(vec![
            *Cores::allowed()?
                .0
                .last()
                .context("this process may use no core")?,
        ]),
    };
    let target = target::existing(&args.bootstrap, &args.topic)?;
    let mut series = Series::new("fetch");
    let began = now_ns();
    let deadline = began + nanos(args.duration);
    let passes = std::thread::scope(|scope| {
        let mut readers = Vec::new();
        for (index, (address, partitions)) in leaders(&target.topic).into_iter().enumerate() {
            let recorder = series.recorder(began);
            let request = reader::request(&target.topic.name, target.topic.id, target.fetch_version);
            let reader = Reader {
                args,
                address,
                partitions,
                request,
                deadline,
                stop,
            };
            let core = cores.of(index);
            readers.push(scope.spawn(move || {
                pin(core)
                    .and_then(|()| reader.run(recorder))
                    .inspect_err(|_| stop.set())
            }));
        }
        let mut last = now_ns();
        while !readers.iter().all(|reader| reader.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            let now = now_ns();
            if now - last >= SECOND_NS {
                progress::line(now - began, now - last, "reading", "fetch", &series.collect());
                last = now;
            }
        }
        readers.into_iter().try_fold(Passes::default(), |sum, reader| {
            let joined = reader.join();
            let passes = joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            anyhow::Ok(Passes {
                ended: sum.ended + passes.ended,
                overtaken: sum.overtaken + passes.overtaken,
            })
        })
    })?;
    series.collect();

    let seconds = (now_ns() - began) as f64 / SECOND_NS as f64;
    let report = Report {
        command: "consume",
        machine: Machine::here(),
        flags: args,
        seconds,
        messages: series.records,
        messages_per_second: series.records as f64 / seconds,
        mb_per_second: series.bytes as f64 / 1e6 / seconds,
        passes,
        fetch_latency: Percentiles::of(&series.total),
    };
    println!("{}", table::heading("latency of a Fetch, us"));
    println!(
        "{}",
        table::row(&format!("consume {}", args.topic), &report.fetch_latency)
    );
    println!(
        "\n{} messages in {seconds:.1} s: {:.0} msg/s, {:.1} MB/s (whole batches)",
        report.messages, report.messages_per_second, report.mb_per_second
    );
    if args.repeat {
        println!(
            "{} times to the end, {} times overtaken by retention",
            passes.ended, passes.overtaken
        );
    }
    match &args.out {
        Some(out) => files::write(out, "consume", &[&series], &report),
        None => Ok(()),
    }
}

struct Reader<'a> {
    args: &'a ConsumeArgs,
    address: String,
    partitions: Vec<i32>,
    request: FetchRequest,
    deadline: u64,
    stop: &'a Stop,
}

impl Reader<'_> {
    fn run(mut self, mut recorder: crate::report::recorder::Recorder) -> anyhow::Result<Passes> {
        let mut admin = Admin::connect(&self.address)?;
        let mut connection = Connection::open(&self.address, Poll::Block)?;
        connection.receiver.set_timeout(Some(ANSWER_TIMEOUT))?;
        let mut pass = self.pass(&mut admin)?;
        let mut passes = Passes::default();
        let mut correlation = 0;
        while now_ns() < self.deadline && !self.stop.is_set() {
            correlation += 1;
            let before = now_ns();
            let body = connection.call(self.request.encode(correlation, &pass.positions))?;
            let now = now_ns();
            let mut counted = Ok((0, 0));
            let mut is_overtaken = false;
            let error = fetch::parse(body, self.request.version, |fetched| {
                if self.args.repeat && fetched.error_code == ErrorCode::OffsetOutOfRange.code() {
                    is_overtaken = true;
                    return;
                }
                let part = advance(fetched, &mut pass.positions, self.args.check_crc);
                counted = match (&counted, part) {
                    (Ok((records, bytes)), Ok((more, more_bytes))) => {
                        Ok((records + more, bytes + more_bytes))
                    }
                    (_, Err(error)) => Err(error),
                    (Err(_), Ok(_)) => return,
                };
            })?;
            errors::check(error, "Fetch")?;
            let (records, bytes) = counted?;
            recorder.record(now - before, now, records, bytes, true);
            let is_at_end = self.args.from == From::Earliest && pass.is_at_end();
            if is_at_end && !self.args.repeat {
                break;
            }
            if is_at_end || is_overtaken {
                passes.ended += u64::from(!is_overtaken);
                passes.overtaken += u64::from(is_overtaken);
                pass = self.pass(&mut admin)?;
            }
        }
        recorder.finish();
        Ok(passes)
    }

    /// A new one, over what the partitions hold now.
    fn pass(&self, admin: &mut Admin) -> anyhow::Result<Pass> {
        let from = if self.args.from == From::Earliest {
            EARLIEST
        } else {
            LATEST
        };
        let mut offsets = |which| admin.list_offsets(&self.args.topic, &self.partitions, which);
        let position = |(partition, offset)| Position { partition, offset };
        Ok(Pass {
            positions: offsets(from)?.into_iter().map(position).collect(),
            ends: offsets(LATEST)?,
        })
    }
}

/// One way of a reader through its partitions.
struct Pass {
    positions: Vec<Position>,
    /// Of each partition, when the pass began.
    ends: Vec<(i32, i64)>,
}

impl Pass {
    fn is_at_end(&self) -> bool {
        self.positions.iter().all(|position| {
            let mut ends = self.ends.iter();
            ends.any(|&(partition, end)| partition == position.partition && position.offset >= end)
        })
    }
}

/// Moves a partition's position past what was fetched; records and bytes passed.
fn advance(
    fetched: fetch::Fetched<'_>,
    positions: &mut [Position],
    check_crc: bool,
) -> anyhow::Result<(u64, u64)> {
    errors::check(fetched.error_code, &format!("partition {}", fetched.partition))?;
    let position = positions
        .iter_mut()
        .find(|position| position.partition == fetched.partition)
        .context("the broker answers for a partition that wasn't asked for")?;
    let (mut records, mut bytes) = (0, 0);
    for batch in Batches(fetched.records) {
        let batch = batch?;
        anyhow::ensure!(
            !check_crc || batch.crc_matches(),
            "partition {}: the batch at offset {} has a wrong CRC",
            fetched.partition,
            batch.base_offset
        );
        if batch.next_offset() > position.offset {
            records += batch.record_count.max(0) as u64;
            bytes += batch.size_bytes() as u64;
            position.offset = batch.next_offset();
        }
    }
    Ok((records, bytes))
}
