//! The flags of `tautline tune`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use crate::config::{CoreExpression, PollFlag};

/// The flags of `tautline tune`.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["check", "apply"]))]
#[command(
    after_help = "Exit status: 0 all is as it should be, 1 an error, 2 wrong flags, 3 something should be changed \
                        (with --apply: by hand), 4 something could not be set."
)]
pub struct TuneFlags {
    /// Report what is, what should be, why, and how to undo the change; change nothing
    #[arg(long)]
    pub check: bool,

    /// Set what can be set while the machine runs, after writing a script that undoes it; needs root
    #[arg(long)]
    pub apply: bool,

    /// Report as JSON
    #[arg(long)]
    pub json: bool,

    /// Cores the broker runs a shard on, as for `tautline start` [default: all]
    #[arg(long, value_name = "LIST", value_parser = CoreExpression::parse)]
    pub cores: Option<CoreExpression>,

    /// The core kept for everything else, as for `tautline start` [default: none]
    #[arg(long, value_name = "N")]
    pub control_core: Option<usize>,

    /// What a core does when it has nothing to do, as for `tautline start` [default: adaptive]
    #[arg(long, value_enum)]
    pub poll: Option<PollFlag>,

    /// Directory that holds all data, as for `tautline start` [default: ./tautline-data]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// The file that the broker is started with; flags win over it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Where the network's interrupts go: away from shard cores, or onto them, each queue to one [default: away, if there are
    /// other cores]
    #[arg(long, value_enum)]
    pub irqs: Option<IrqFlag>,

    /// Take the other hardware threads of shard cores offline
    #[arg(long)]
    pub offline_siblings: bool,

    /// The script that undoes what --apply sets; it must not be there yet
    #[arg(long, value_name = "FILE", default_value = "./tautline-tune-undo.sh")]
    pub undo_script: PathBuf,

    /// Look below this directory, which holds a copy of a machine's /sys and /proc
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

/// Where the network's interrupts go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IrqFlag {
    /// To the cores without a shard.
    Away,
    /// To the shards' cores, a queue to each.
    Onto,
}
