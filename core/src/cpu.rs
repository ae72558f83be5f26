//! Which cores there are, which we may use, and how they sit on the machine.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where a core sits, as `/sys/devices/system` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreTopology {
    /// The kernel's number of the core.
    pub core: usize,
    /// Its NUMA node, if the kernel tells.
    pub numa_node: Option<usize>,
    /// The other hardware threads of the same physical core.
    pub smt_siblings: Vec<usize>,
}

/// The cores this process may run on, ascending.
///
/// # Errors
/// What `sched_getaffinity(2)` says.
pub fn allowed_cores() -> std::io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|&core| set.is_set(core)).collect())
}

/// Pins the calling thread to one core.
///
/// # Errors
/// EINVAL when the core is offline or outside the process's set.
pub fn pin_thread(core: usize) -> std::io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Where helper threads are kept, if anywhere.
static HELPER_CORE: OnceLock<usize> = OnceLock::new();

/// Keeps helper threads that start from now on to one core. The first call of a process counts.
pub(crate) fn keep_helpers_on(core: usize) {
    let _ = HELPER_CORE.set(core);
}

/// The core that helper threads are kept on, if there is one.
pub(crate) fn helper_core() -> Option<usize> {
    HELPER_CORE.get().copied()
}

/// A helper thread inherits the pin of the thread that started it; this lifts it.
pub(crate) fn leave_shard_core() {
    let mut set = CpuSet::new();
    if let Some(core) = helper_core() {
        set.set(core);
        // It was possible for the shard that is pinned there.
        let _ = sched_setaffinity(None, &set);
        return;
    }
    let online = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .max(online_cores());
    (0..online.min(CpuSet::MAX_CPU)).for_each(|core| set.set(core));
    // Without the right to widen the set the helper shares the shard's core, which is slower but correct.
    let _ = sched_setaffinity(None, &set);
}

fn online_cores() -> usize {
    fs::read_to_string("/sys/devices/system/cpu/online")
        .ok()
        .and_then(|text| text.trim().rsplit([',', '-']).next()?.parse::<usize>().ok())
        .map_or(1, |last| last + 1)
}

/// Looks a core up in sysfs; what is not told there is None or empty.
pub fn topology(core: usize) -> CoreTopology {
    topology_below(Path::new("/"), core)
}

/// The same for a machine whose `/sys` lies below a directory.
pub fn topology_below(root: &Path, core: usize) -> CoreTopology {
    let base = root.join(format!("sys/devices/system/cpu/cpu{core}"));
    let siblings = fs::read_to_string(base.join("topology/thread_siblings_list")).unwrap_or_default();
    let smt_siblings = parse_list(siblings.trim())
        .into_iter()
        .filter(|&other| other != core)
        .collect();
    let numa_node = fs::read_dir(&base).ok().and_then(|entries| {
        entries
            .flatten()
            .find_map(|entry| entry.file_name().to_str()?.strip_prefix("node")?.parse().ok())
    });
    CoreTopology {
        core,
        numa_node,
        smt_siblings,
    }
}

/// Parses the kernel's list format ("0-3,6"); parts that are not numbers are left out.
pub fn parse_list(text: &str) -> Vec<usize> {
    text.split(',')
        .filter_map(|part| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            Some(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?)
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_lists() {
        assert_eq!(parse_list("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(parse_list(""), Vec::<usize>::new());
    }

    #[test]
    fn this_machine_has_a_core() {
        let cores = allowed_cores().unwrap();
        assert_eq!(topology(cores[0]).core, cores[0]);
    }
}
