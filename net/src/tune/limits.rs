//! What the broker's process is allowed.

use super::finding::Finding;
use super::plan::Plan;
use super::tree::Tree;

/// Locked memory that a core's rings need, twice what the broker refuses to start below.
const MEMLOCK_BYTES_PER_CORE: u64 = 1 << 20;
/// Connections and segments each take a descriptor.
const OPEN_FILES: u64 = 100_000;

pub(super) fn look(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    let cores = (plan.shards.len() + usize::from(plan.control.is_some())) as u64;
    for (check, name, wanted, setting, why) in [
        (
            "limits.memlock",
            "Max locked memory",
            MEMLOCK_BYTES_PER_CORE * cores,
            "LimitMEMLOCK=infinity",
            "rings and registered buffers are locked in memory; the broker does not start without",
        ),
        (
            "limits.open-files",
            "Max open files",
            OPEN_FILES,
            "LimitNOFILE=1048576",
            "each connection and each segment is one; three quarters of them are for connections",
        ),
    ] {
        let Some(is) = hard_limit(&tree.text("/proc/self/limits").unwrap_or_default(), name) else {
            found.push(Finding::unknown(check, "this shell", why));
            continue;
        };
        let shown = |limit: Option<u64>| limit.map_or("unlimited".to_owned(), |limit| limit.to_string());
        let finding = Finding::new(check, "this shell", shown(is), format!("{wanted} at least"), why);
        found.push(finding.good_if(is.is_none_or(|is| is >= wanted)).by_hand(
            format!("{setting} in the service's unit, or /etc/security/limits.conf"),
            "take the line out",
        ));
    }
    quota(tree, found);
    io_uring(tree, found);
}

/// The hard limit, `None` inside if there is none.
fn hard_limit(limits: &str, name: &str) -> Option<Option<u64>> {
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    }
}

/// A bandwidth limit of the control group stops all threads when it is used up.
fn quota(tree: &Tree, found: &mut Vec<Finding>) {
    let groups = tree.text("/proc/self/cgroup").unwrap_or_default();
    // Version 2 has one line, `0::/path`.
    let group = groups
        .lines()
        .find_map(|line| line.strip_prefix("0::"))
        .unwrap_or("/");
    let path = format!("/sys/fs/cgroup{}/cpu.max", group.trim_end_matches('/'));
    let Some(is) = tree.text(&path) else { return };
    let finding = Finding::new(
        "limits.cpu-quota",
        format!("control group {group}"),
        is.clone(),
        "max",
        "when the time is used up every thread stands still until the next period, up to 100 ms; bind cores (cpuset) instead",
    );
    found.push(finding.good_if(is.starts_with("max")).by_hand(
        format!("echo max > {path}, or CPUQuota= in the service's unit, or the container's limit"),
        format!("echo '{is}' > {path}"),
    ));
}

fn io_uring(tree: &Tree, found: &mut Vec<Finding>) {
    let path = "/proc/sys/kernel/io_uring_disabled";
    let Some(is) = tree.text(path) else { return };
    let finding = Finding::new(
        "limits.io-uring",
        "kernel.io_uring_disabled",
        is.clone(),
        "0",
        "the broker does all its I/O through io_uring, and does not start without",
    );
    found.push(finding.write(path, is, "0"));
}
