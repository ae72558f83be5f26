//! `tautline-bench limits`: what this machine can do at best, measured with plain system calls from pinned threads.
//!
//! The floor of one durable request is one sample: a round trip between two blocking pinned threads, the peer making
//! a 4 KiB overwrite of written extents durable (O_DIRECT, O_DSYNC) before it answers.

pub mod disk;
pub mod echo;
pub mod floor;
pub mod hop;
pub mod sequential;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use crate::affinity::Cores;
use crate::client::connection::Poll;
use crate::report::files;
use crate::report::machine::Machine;
use crate::report::percentiles::Percentiles;
use crate::report::series::Series;
use crate::report::table;
use disk::{DirectFile, Extents};
use echo::EchoPeer;
use hdrhistogram::Histogram;

/// Flags of `limits`.
#[derive(Args, Debug)]
pub struct LimitsArgs {
    /// Where the durable writes go: the directory (and so the disk) the broker would use
    #[arg(long, value_name = "DIR", default_value = ".")]
    data_dir: PathBuf,
    /// The measuring thread's core and its peer's, as A,B [default: the last and the first allowed core]
    #[arg(long, value_name = "A,B")]
    cores: Option<Cores>,
    /// Bytes of the request of a round trip
    #[arg(long, default_value_t = 1024)]
    size: usize,
    /// Bytes of one sequential write
    #[arg(long, default_value_t = 64 << 10)]
    block: usize,
    /// Seconds for each line of the table
    #[arg(long, value_parser = crate::options::seconds, default_value = "3", value_name = "SECONDS")]
    duration: Duration,
    /// Write limits.json (and the latencies as an HdrHistogram log) here
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct LimitsReport {
    machine: Machine,
    data_dir: PathBuf,
    request_bytes: usize,
    latencies: Vec<Line>,
    sequential: Vec<sequential::Throughput>,
}

#[derive(Serialize)]
struct Line {
    name: String,
    #[serde(flatten)]
    percentiles: Percentiles,
}

/// Measures and prints.
pub fn run(args: &LimitsArgs) -> anyhow::Result<()> {
    let cores = floor::pair(args.cores.as_ref())?;
    disk::check_block(args.block)?;
    let machine = Machine::here();
    println!("{machine}");
    println!(
        "threads on cores {},{}; data in {}\n",
        cores.ours,
        cores.peer,
        args.data_dir.display()
    );
    println!("{}", table::heading("latency, us"));

    let mut latencies = Vec::new();
    let mut series = Series::new("limits");
    let mut line = |name: String, histogram: Histogram<u64>| {
        let percentiles = Percentiles::of(&histogram);
        println!("{}", table::row(&name, &percentiles));
        series
            .total
            .add(&histogram)
            .expect("all histograms have the same bounds");
        latencies.push(Line { name, percentiles });
    };
    let size = args.size;
    for (how, poll) in [("blocking", Poll::Block), ("spinning", Poll::Busy)] {
        let mut peer = EchoPeer::start(cores, size, poll, None)?;
        line(
            format!("loopback round trip, {size} B, {how}"),
            peer.measure(args.duration)?,
        );
    }
    let disk = |extents| DirectFile::create(&args.data_dir, extents, disk::BLOCK_BYTES);
    let mut file = disk(Extents::Allocated)?;
    line(
        "durable 4 KiB write, unwritten extents".into(),
        file.measure(cores.ours, args.duration)?,
    );
    let mut file = disk(Extents::Written)?;
    line(
        "durable 4 KiB overwrite".into(),
        file.measure(cores.ours, args.duration)?,
    );
    let mut peer = EchoPeer::start(cores, size, Poll::Block, Some(file))?;
    line(
        "round trip + durable 4 KiB overwrite".into(),
        peer.measure(args.duration)?,
    );
    line(
        "cross-core round trip, spinning".into(),
        hop::spinning(cores, args.duration)?,
    );
    line(
        "cross-core round trip, parked".into(),
        hop::parked(cores, args.duration)?,
    );
    drop(peer);

    println!();
    let mut sequential = Vec::new();
    for extents in [Extents::Fresh, Extents::Written] {
        let throughput = sequential::measure(&args.data_dir, extents, args.block, cores.ours, args.duration)?;
        println!("{throughput}");
        sequential.push(throughput);
    }
    if let Some(out) = &args.out {
        let report = LimitsReport {
            machine,
            data_dir: args.data_dir.clone(),
            request_bytes: size,
            latencies,
            sequential,
        };
        files::write(out, "limits", &[&series], &report)?;
    }
    Ok(())
}
