//! What the broker is going to use of the machine.

use std::path::PathBuf;

use anyhow::{Context, anyhow};
use tautline_core::cpu;
use tautline_core::shard::PollMode;

use super::flags::{IrqFlag, TuneFlags};
use super::tree::Tree;
use crate::config::{Machine, StartFlags, StartOptions};

/// Memory does not matter here, so that none is too little.
const MEMORY_BYTES: u64 = 1 << 50;

/// See the module.
pub(super) struct Plan {
    /// Cores with a shard.
    pub shards: Vec<usize>,
    /// The core kept for everything else.
    pub control: Option<usize>,
    /// Cores without a shard, the control core among them.
    pub others: Vec<usize>,
    pub poll: PollMode,
    pub data_dir: PathBuf,
    pub irqs: IrqFlag,
    pub offline_siblings: bool,
}

impl Plan {
    /// From the flags and the broker's file, on the cores that are online.
    pub fn new(flags: &TuneFlags, tree: &Tree) -> anyhow::Result<Plan> {
        let file = "/sys/devices/system/cpu/online";
        let online = tree
            .text(file)
            .ok_or_else(|| anyhow!("{} can't be read: is /sys mounted?", tree.path(file).display()))?;
        let online = cpu::parse_list(&online);
        let topology = |&core: &usize| cpu::topology_below(&tree.path("/"), core);
        let machine = Machine {
            cores: online.iter().map(topology).collect(),
            memory_bytes: MEMORY_BYTES,
        };
        let start = StartFlags {
            cores: flags.cores.clone(),
            control_core: flags.control_core,
            poll: flags.poll,
            data_dir: flags.data_dir.clone(),
            config: flags.config.clone(),
            ..StartFlags::default()
        };
        let options = StartOptions::load(start, &machine).context("the broker could not start like this")?;
        let shards = options.cores.clone();
        let others: Vec<usize> = online.into_iter().filter(|core| !shards.contains(core)).collect();
        let irqs = match flags.irqs {
            Some(IrqFlag::Away) if others.is_empty() => {
                return Err(anyhow!(
                    "--irqs away: every core runs a shard, leave one out with --cores all-but:0"
                ));
            }
            Some(choice) => choice,
            None if others.is_empty() => IrqFlag::Onto,
            None => IrqFlag::Away,
        };
        Ok(Plan {
            shards,
            control: options.control_core,
            others,
            poll: options.poll,
            data_dir: std::path::absolute(&options.data_dir).context("--data-dir")?,
            irqs,
            offline_siblings: flags.offline_siblings,
        })
    }
}
