//! The table printed at start: which core does what.

use tautline_core::cpu;
use tautline_core::ring::Ring;
use tautline_core::shard::RuntimeOptions;

use crate::node::Advertised;

/// A row of the table printed at start.
#[derive(Clone, Copy)]
pub(super) struct ShardRow {
    pub partitions: usize,
}

/// Prints a row a shard; with lanes, under which id and at which address clients know it.
pub(super) fn print(runtime: &RuntimeOptions, advertised: &[Advertised], rows: &[ShardRow]) {
    let lanes: Vec<String> = advertised
        .iter()
        .filter(|broker| broker.id.lane().is_some())
        .map(|broker| format!("{} {}", broker.id.0, broker.address))
        .collect();
    let width = lanes.iter().map(String::len).max().unwrap_or(0);
    let lane = |shard: usize| match lanes.get(shard) {
        Some(lane) => format!("  {lane:<width$}"),
        None => String::new(),
    };
    let header = if lanes.is_empty() {
        String::new()
    } else {
        format!("  {:<width$}", "lane")
    };
    println!(
        "{:>5} {:>5} {:>9} {:>12} {:>11}{header}  ring",
        "shard", "core", "NUMA node", "SMT siblings", "partitions"
    );
    for (shard, (core, row)) in runtime.pins().into_iter().zip(rows).enumerate() {
        let topology = cpu::topology(core);
        let siblings: Vec<String> = topology.smt_siblings.iter().map(usize::to_string).collect();
        println!(
            "{shard:>5} {core:>5} {:>9} {:>12} {:>11}{}  {}",
            topology.numa_node.map_or("-".to_owned(), |node| node.to_string()),
            if siblings.is_empty() {
                "-".to_owned()
            } else {
                siblings.join(",")
            },
            if runtime.control_core == Some(core) {
                "control".to_owned()
            } else {
                row.partitions.to_string()
            },
            lane(shard),
            Ring::features().join(" "),
        );
    }
}
