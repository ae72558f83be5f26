//! The command line of `tautline`. A flag that is not given leaves its place to the file, and then to its default.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

use tautline_core::shard::PollMode;

use super::HostPort;
use super::assignment::{self, Assignment};
use super::cores::CoreExpression;
use super::size;
use crate::trace::TraceFlags;
use crate::tune::TuneFlags;

/// A message broker that speaks Kafka's protocol: a durable acknowledgement at the speed of the hardware.
#[derive(Debug, Parser)]
#[command(name = "tautline", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What `tautline` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a broker.
    Start(StartFlags),
    /// Show the slowest requests of a running broker since the last look, and the stage that made them slow.
    Trace(TraceFlags),
    /// Look at what this machine does to latency, and set it right.
    Tune(TuneFlags),
}

/// The flags of `tautline start`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct StartFlags {
    /// Cores to run a shard on: 0-3,6 or numa:0 or all-but:0 or no-smt (one thread of each physical core), also several of
    /// them with commas; they must be in the process's affinity set [default: all of that set]
    #[arg(long, value_name = "LIST", value_parser = CoreExpression::parse)]
    pub cores: Option<CoreExpression>,

    /// A core for all that is not to disturb the shards: the controller, the metrics, and the threads for files and
    /// compaction; it runs no shard [default: none, they run where there is room]
    #[arg(long, value_name = "N")]
    pub control_core: Option<usize>,

    /// What a core does when it has nothing to do: never sleep, spin and then sleep, or sleep at once [default: adaptive]
    #[arg(long, value_enum)]
    pub poll: Option<PollFlag>,

    /// Microseconds a core spins before it sleeps, with --poll adaptive [default: 200]
    #[arg(long, value_name = "N")]
    pub spin_us: Option<u64>,

    /// Memory the broker may use for buffers and caches, like 4GiB or 512MB [default: half of the machine's]
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub memory: Option<u64>,

    /// Directory that holds all data; it is made if it is missing [default: ./tautline-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Address to listen on for Kafka clients [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<HostPort>,

    /// Address that clients are told to connect to, where it is not the one listened on [default: that of --listen]
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise_address: Option<HostPort>,

    /// What clients see: one broker, or one for each core, with the ports after that of --listen, so that they send requests
    /// to the core that owns the partition [default: node]
    #[arg(long, value_enum)]
    pub advertise: Option<AdvertiseFlag>,

    /// Address of the HTTP server for /metrics, /healthz and /readyz [default: 127.0.0.1:9644]
    #[arg(long, value_name = "HOST:PORT")]
    pub admin: Option<HostPort>,

    /// TOML file with these flags' names as keys, and a table 'set' of broker configurations; flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// How data that has left memory is read: O_DIRECT through the ring, or sendfile from the page cache [default: direct]
    #[arg(long, value_enum)]
    pub cold_read: Option<ColdReadFlag>,

    /// Milliseconds a shutdown may take before it is cut off, and the next start recovers: what was acknowledged is on disk either
    /// way [default: 4500]
    #[arg(long, value_name = "N")]
    pub shutdown_ms: Option<u64>,

    /// Broker configuration under Kafka's name, like num.partitions=3; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment::parse)]
    pub set: Vec<Assignment>,
}

/// What clients are told of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdvertiseFlag {
    /// One broker, whose connections are spread over the cores.
    Node,
    /// A broker for each core, which leads what the core owns.
    Lanes,
}

/// What an idle core does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PollFlag {
    /// Never sleep: the lowest latency, a whole core each.
    Busy,
    /// Spin for --spin-us, then sleep until something comes.
    Adaptive,
    /// Sleep at once: the least power.
    Park,
}

impl From<PollFlag> for PollMode {
    fn from(flag: PollFlag) -> Self {
        match flag {
            PollFlag::Busy => Self::Busy,
            PollFlag::Adaptive => Self::Adaptive,
            PollFlag::Park => Self::Park,
        }
    }
}

/// How data that has left memory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColdReadFlag {
    /// O_DIRECT through the core's ring, checksums verified.
    Direct,
    /// sendfile(2) from a buffered descriptor, off the core's thread.
    Sendfile,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_explained() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        let start = command.find_subcommand_mut("start").unwrap();
        for argument in start.get_arguments() {
            assert!(argument.get_help().is_some(), "{argument}");
        }
        let help = start.render_long_help().to_string();
        for flag in [
            "--cores",
            "--poll",
            "--spin-us",
            "--memory",
            "--data-dir",
            "--listen",
            "--advertise-address",
            "--advertise",
            "--control-core",
            "--admin",
            "--config",
            "--cold-read",
            "--shutdown-ms",
            "--set",
        ] {
            assert!(help.contains(flag), "{flag}");
        }
    }

    fn start(arguments: &[&str]) -> Result<StartFlags, String> {
        let all = ["tautline", "start"].iter().chain(arguments);
        match Cli::try_parse_from(all)
            .map_err(|error| error.to_string())?
            .command
        {
            Command::Start(flags) => Ok(flags),
            other => panic!("another command: {other:?}"),
        }
    }

    #[test]
    fn flags_parse() {
        assert_eq!(start(&[]), Ok(StartFlags::default()));
        let flags = start(&[
            "--cores",
            "0-1",
            "--poll",
            "busy",
            "--memory",
            "1GiB",
            "--cold-read",
            "sendfile",
            "--listen",
            "[::]:1",
            "--set",
            "num.partitions=3",
            "--set",
            "log.retention.hours=1",
        ])
        .unwrap();
        assert_eq!(flags.cores, Some(CoreExpression::parse("0-1").unwrap()));
        assert_eq!(flags.poll, Some(PollFlag::Busy));
        assert_eq!(flags.memory, Some(1 << 30));
        assert_eq!(flags.cold_read, Some(ColdReadFlag::Sendfile));
        assert_eq!(flags.listen.unwrap().host, "::");
        assert_eq!(flags.set.len(), 2);
    }

    #[test]
    fn wrong_flags_are_refused() {
        for arguments in [
            &["--cores", "x"][..],
            &["--poll", "sometimes"],
            &["--memory", "lots"],
            &["--listen", "9092"],
            &["--set", "no.such=1"],
            &["--spin-us", "-1"],
            &["--frobnicate"],
        ] {
            assert!(start(arguments).is_err(), "{arguments:?}");
        }
    }
}
