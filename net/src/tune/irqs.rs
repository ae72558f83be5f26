//! Interrupts of devices: which cores they are handled on.

use std::collections::{BTreeMap, BTreeSet};

use tautline_core::cpu;

use super::finding::Finding;
use super::flags::IrqFlag;
use super::masks;
use super::network::interfaces;
use super::plan::Plan;
use super::tree::Tree;
use crate::config::show_cores;

const WHY_AWAY: &str =
    "an interrupt takes a shard's core away in the middle of a request, for microseconds each time";
const WHY_ONTO: &str =
    "a packet that arrives on the core which owns the connection's shard needs no other core to be woken";

pub(super) fn look(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    let network = of_network(tree);
    // By what is and what should be, since there are hundreds on a large machine.
    let mut groups: BTreeMap<(String, String, bool), Vec<(u32, String)>> = BTreeMap::new();
    let mut queue = 0;
    for (irq, name) in numbered(tree) {
        let Some(is) = tree.text(&format!("/proc/irq/{irq}/smp_affinity_list")) else {
            continue;
        };
        let cores = cpu::parse_list(&is);
        let on_shards = cores.iter().any(|core| plan.shards.contains(core));
        let of_network = network.contains(&irq);
        let should = if of_network && plan.irqs == IrqFlag::Onto {
            queue += 1;
            plan.shards[(queue - 1) % plan.shards.len()].to_string()
        } else if plan.others.is_empty() || !on_shards || is_queue_of_core(&name, &cores) {
            is.clone()
        } else {
            show_cores(&plan.others)
        };
        groups
            .entry((is, should, of_network))
            .or_default()
            .push((irq, name));
    }
    for ((is, should, of_network), irqs) in groups {
        let kind = if of_network { "network" } else { "other" };
        let why = match plan.irqs {
            IrqFlag::Onto if of_network => WHY_ONTO,
            _ => WHY_AWAY,
        };
        let (first, more) = (&irqs[0], irqs.len() - 1);
        let subject = match more {
            0 => format!("{kind}: {} ({})", first.0, first.1),
            _ => format!("{kind}: {} ({}) and {more} more", first.0, first.1),
        };
        let mut finding = Finding::new(
            "irq.affinity",
            subject,
            format!("cores {is}"),
            format!("cores {should}"),
            why,
        );
        for (irq, _) in &irqs {
            finding = finding.write(
                format!("/proc/irq/{irq}/smp_affinity_list"),
                is.clone(),
                should.clone(),
            );
        }
        found.push(finding);
    }
    default_mask(tree, plan, found);
    balancer(tree, found);
}

/// The interrupts that have numbers, with their names.
fn numbered(tree: &Tree) -> Vec<(u32, String)> {
    let text = tree.text("/proc/interrupts").unwrap_or_default();
    let row = |line: &str| {
        let (number, rest) = line.trim().split_once(':')?;
        let name = rest.split_whitespace().next_back()?.to_owned();
        Some((number.parse().ok()?, name))
    };
    text.lines().filter_map(row).collect()
}

/// Those of network devices. A virtual one's belong to the device above it.
fn of_network(tree: &Tree) -> BTreeSet<u32> {
    let of_one = |name: String| {
        let device = format!("/sys/class/net/{name}/device");
        let mut irqs = tree.names(&format!("{device}/msi_irqs"));
        irqs.extend(tree.names(&format!("{device}/../msi_irqs")));
        irqs
    };
    let all = interfaces(tree).into_iter().flat_map(of_one);
    all.filter_map(|irq| irq.parse().ok()).collect()
}

/// A storage queue that belongs to one core answers where it was asked: its place is there.
fn is_queue_of_core(name: &str, cores: &[usize]) -> bool {
    let of_storage = ["nvme", "-req", "megasas", "mpt3sas", "ahci"];
    cores.len() == 1 && of_storage.iter().any(|word| name.contains(word))
}

/// Where interrupts of devices that come later go.
fn default_mask(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    let path = "/proc/irq/default_smp_affinity";
    let Some(is) = tree.text(path).filter(|_| !plan.others.is_empty()) else {
        return;
    };
    let now = masks::parse(&is);
    let should = masks::show(&plan.others, &is);
    let good = !plan.shards.iter().any(|core| now.contains(core));
    let finding = Finding::new(
        "irq.default",
        "devices to come",
        is.clone(),
        should.clone(),
        WHY_AWAY,
    )
    .good_if(good);
    found.push(finding.write(path, is, should));
}

/// A daemon that would undo all of this.
fn balancer(tree: &Tree, found: &mut Vec<Finding>) {
    let is_number = |name: &String| name.bytes().all(|byte| byte.is_ascii_digit());
    let mut processes = tree.names("/proc").into_iter().filter(is_number);
    let runs = processes.any(|process| {
        let name = tree.text(&format!("/proc/{process}/comm"));
        name.is_some_and(|name| name == "irqbalance")
    });
    let finding = Finding::new(
        "irq.balancer",
        "irqbalance",
        if runs { "runs" } else { "does not run" },
        "does not run",
        "it moves interrupts every few seconds, and so undoes what is set here",
    );
    found.push(finding.by_hand(
        "systemctl disable --now irqbalance (or keep it off the shards' cores with IRQBALANCE_BANNED_CPULIST)",
        "systemctl enable --now irqbalance",
    ));
}
