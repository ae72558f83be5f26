//! The shards' cores: what shares them, how deep they sleep, how fast they run.

use std::collections::BTreeMap;

use tautline_core::cpu;
use tautline_core::shard::PollMode;

use super::finding::Finding;
use super::masks;
use super::plan::Plan;
use super::tree::Tree;
use crate::config::show_cores;

const CPU: &str = "/sys/devices/system/cpu";
/// A core may take so long to wake up: less than a durable write, and a client's packet waits for it.
const WAKE_US_MAX: i64 = 10;

pub(super) fn look(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    spare_core(plan, found);
    siblings(tree, plan, found);
    governor(tree, plan, found);
    preference(tree, plan, found);
    sleep_states(tree, plan, found);
    isolation(tree, plan, found);
}

fn subject(cores: &[usize]) -> String {
    format!("cores {}", show_cores(cores))
}

fn spare_core(plan: &Plan, found: &mut Vec<Finding>) {
    let finding = Finding::new(
        "cores.spare",
        "this machine",
        if plan.others.is_empty() {
            "every core runs a shard".to_owned()
        } else {
            format!("cores {} run no shard", show_cores(&plan.others))
        },
        "a core is left for everything else",
        "interrupts, other processes and the broker's own helper threads run somewhere: on a shard's core they hold up its \
         acknowledgements",
    );
    found.push(
        finding
            .good_if(!plan.others.is_empty())
            .by_hand(
                "tautline start --cores all-but:0 --control-core 0",
                "leave the flags out",
            )
            .only_to_consider(),
    );
}

/// Two hardware threads of one physical core slow each other down.
fn siblings(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    let why = "two hardware threads share one core's execution units and caches: what runs on one slows the other down";
    let siblings = |core: usize| cpu::topology_below(&tree.path("/"), core).smt_siblings;
    let (mut together, mut idle) = (Vec::new(), Vec::new());
    for &core in &plan.shards {
        for other in siblings(core) {
            if plan.shards.contains(&other) {
                together.push(core);
            } else if plan.others.contains(&other) && plan.control != Some(other) {
                idle.push(other);
            }
        }
    }
    together.dedup();
    let finding = Finding::new(
        "smt.shards",
        subject(&plan.shards),
        if together.is_empty() {
            "each shard has a physical core".to_owned()
        } else {
            format!("shards on cores {} share physical cores", show_cores(&together))
        },
        "each shard has a physical core",
        why,
    );
    found.push(finding.by_hand("tautline start --cores ...,no-smt", "leave no-smt out of --cores"));
    if idle.is_empty() {
        return;
    }
    idle.sort_unstable();
    idle.dedup();
    let mut finding = Finding::new(
        "smt.siblings",
        subject(&idle),
        "online, and siblings of shards' cores",
        "offline, or nothing runs there",
        why,
    );
    if plan.offline_siblings {
        for core in &idle {
            finding = finding.write(format!("{CPU}/cpu{core}/online"), "1", "0");
        }
    } else {
        let list = show_cores(&idle);
        finding = finding
            .by_hand(
                format!("tautline tune --apply --offline-siblings, or keep processes away from cores {list} (isolcpus, cpusets)"),
                format!("echo 1 > {CPU}/cpuN/online, for N of {list}"),
            )
            .only_to_consider();
    }
    found.push(finding);
}

/// A file of each core that should say one thing: a finding for each value it has.
fn per_core(
    tree: &Tree,
    cores: &[usize],
    path: impl Fn(usize) -> String,
    make: impl Fn(String, &str) -> Finding,
) -> Vec<Finding> {
    let mut by_value: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &core in cores {
        if let Some(value) = tree.text(&path(core)) {
            by_value.entry(value).or_default().push(core);
        }
    }
    let findings = by_value.into_iter().map(|(is, cores)| {
        let finding = make(subject(&cores), &is);
        let should = finding.should.clone();
        cores.iter().fold(finding, |finding, &core| {
            finding.write(path(core), is.clone(), should.clone())
        })
    });
    findings.collect()
}

fn governor(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    let why = "a core that clocks down while little happens takes tens of microseconds to clock up again";
    let path = |core| format!("{CPU}/cpu{core}/cpufreq/scaling_governor");
    let make = |subject, is: &str| Finding::new("power.governor", subject, is, "performance", why);
    let findings = per_core(tree, &plan.shards, path, make);
    if findings.is_empty() {
        found.push(Finding::unknown("power.governor", subject(&plan.shards), why));
    }
    found.extend(findings);
}

fn preference(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    let why = "the processor itself chooses its clock, leaning towards what it is told here";
    let path = |core| format!("{CPU}/cpu{core}/cpufreq/energy_performance_preference");
    let make = |subject, is: &str| Finding::new("power.preference", subject, is, "performance", why);
    found.extend(per_core(tree, &plan.shards, path, make));
}

/// Each state that takes too long to leave is switched off, on shards that sleep.
fn sleep_states(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    let why = "a core that sleeps deeply takes that long to wake up, and a request waits for it";
    let mut by_state: BTreeMap<(String, i64, bool), Vec<(usize, String)>> = BTreeMap::new();
    for &core in &plan.shards {
        let base = format!("{CPU}/cpu{core}/cpuidle");
        for state in tree.names(&base) {
            let path = format!("{base}/{state}");
            let (Some(name), Some(wake_us), Some(disabled)) = (
                tree.text(&format!("{path}/name")),
                tree.number(&format!("{path}/latency")),
                tree.text(&format!("{path}/disable")),
            ) else {
                continue;
            };
            let disabled = disabled != "0";
            by_state
                .entry((name, wake_us, disabled))
                .or_default()
                .push((core, format!("{path}/disable")));
        }
    }
    if by_state.is_empty() {
        found.push(Finding::unknown("power.sleep-states", subject(&plan.shards), why));
    }
    for ((name, wake_us, disabled), files) in by_state {
        let cores: Vec<usize> = files.iter().map(|(core, _)| *core).collect();
        let good = wake_us <= WAKE_US_MAX || disabled || plan.poll == PollMode::Busy;
        let state = if disabled { "off" } else { "on" };
        let mut finding = Finding::new(
            "power.sleep-states",
            subject(&cores),
            format!("{name} ({wake_us} us to wake up) is {state}"),
            format!("{name} is off"),
            why,
        )
        .good_if(good);
        for (_, file) in files {
            finding = finding.write(file, "0", "1");
        }
        found.push(finding);
    }
}

/// Hints at boot that keep the scheduler, the timer and RCU off the shards' cores.
fn isolation(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    // Without a core that is left there is nothing to isolate from.
    if plan.others.is_empty() {
        return;
    }
    let list = show_cores(&plan.shards);
    let undo = "take it out of the kernel's command line, and boot";
    let command_line = tree.text("/proc/cmdline").unwrap_or_default();
    let rcu = command_line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("rcu_nocbs="))
        .unwrap_or_default();
    let told = |file: &str| {
        tree.text(&format!("{CPU}/{file}"))
            .filter(|cores| cores != "(null)")
    };
    for (check, now, word, why) in [
        (
            "isolation.isolcpus",
            told("isolated").unwrap_or_default(),
            "isolcpus=managed_irq,domain,",
            "other processes are not scheduled on isolated cores; the broker pins itself there",
        ),
        (
            "isolation.nohz-full",
            told("nohz_full").unwrap_or_default(),
            "nohz_full=",
            "a core with one busy thread takes no timer ticks, each of which costs it some microseconds (--poll busy)",
        ),
        (
            "isolation.rcu-nocbs",
            rcu.to_owned(),
            "rcu_nocbs=",
            "the kernel's deferred frees run elsewhere, not in the middle of a request",
        ),
    ] {
        let isolated = cpu::parse_list(&now);
        let good = plan.shards.iter().all(|core| isolated.contains(core));
        let is = if now.is_empty() { "none".to_owned() } else { now };
        let finding = Finding::new(check, subject(&plan.shards), is, list.clone(), why).good_if(good);
        found.push(
            finding
                .by_hand(format!("boot with {word}{list}"), undo)
                .only_to_consider(),
        );
    }
    workqueues(tree, plan, found);
}

/// The kernel's own work that is bound to no core.
fn workqueues(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    let why = "the kernel writes back pages and ends I/O in such threads: on a shard's core they hold up its requests";
    for (subject, path) in [
        ("unbound work", "/sys/devices/virtual/workqueue/cpumask"),
        ("writeback", "/sys/bus/workqueue/devices/writeback/cpumask"),
    ] {
        let Some(is) = tree.text(path) else {
            found.push(Finding::unknown("kernel.workqueues", subject, why));
            continue;
        };
        let now = masks::parse(&is);
        let should = masks::show(&plan.others, &is);
        let good = !plan.shards.iter().any(|core| now.contains(core));
        let finding =
            Finding::new("kernel.workqueues", subject, is.clone(), should.clone(), why).good_if(good);
        found.push(finding.write(path, is, should));
    }
}
