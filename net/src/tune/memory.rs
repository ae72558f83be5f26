//! Memory: huge pages, swapping, writeback, and what scans it.

use super::finding::Finding;
use super::plan::Plan;
use super::tree::Tree;

const THP: &str = "/sys/kernel/mm/transparent_hugepage";
/// Percent of memory that others may have dirty before the kernel writes it back, and before it makes them wait.
const DIRTY_MAX: [(&str, i64); 2] = [("dirty_background_ratio", 5), ("dirty_ratio", 10)];
/// Seconds between two rounds of statistics, which wake every core.
const STAT_INTERVAL_S: i64 = 10;

pub(super) fn look(tree: &Tree, _: &Plan, found: &mut Vec<Finding>) {
    huge_pages(tree, found);
    swapping(tree, found);
    dirty(tree, found);
    scanning(tree, found);
}

fn huge_pages(tree: &Tree, found: &mut Vec<Finding>) {
    for (file, bad, should, why) in [
        (
            "enabled",
            "always",
            "madvise",
            "the kernel makes huge pages while a page fault waits, and moves memory about in the background; the broker's buffers are \
             allocated once and need none",
        ),
        (
            "defrag",
            "always",
            "madvise",
            "a page fault would wait for memory to be compacted, for milliseconds",
        ),
    ] {
        let path = format!("{THP}/{file}");
        let subject = format!("transparent huge pages, {file}");
        match tree.choice(&path) {
            Some((is, _)) => {
                let finding = Finding::new("memory.huge-pages", subject, is.clone(), should, why);
                found.push(finding.good_if(is != bad).write(path, is, should));
            }
            None => found.push(Finding::unknown("memory.huge-pages", subject, why)),
        }
    }
}

fn swapping(tree: &Tree, found: &mut Vec<Finding>) {
    // The first line is a heading.
    let swaps = tree
        .text("/proc/swaps")
        .unwrap_or_default()
        .lines()
        .skip(1)
        .count();
    let path = "/proc/sys/vm/swappiness";
    let Some(is) = tree.number(path) else { return };
    let finding = Finding::new(
        "memory.swappiness",
        "vm.swappiness",
        match swaps {
            0 => format!("{is}, and there is no swap"),
            _ => is.to_string(),
        },
        "1",
        "a buffer that was swapped out is read from the disk in the middle of a request",
    );
    found.push(
        finding
            .good_if(swaps == 0 || is <= 1)
            .write(path, is.to_string(), "1"),
    );
}

/// Our own writes are direct and never dirty; those of others come in bursts on the same disk.
fn dirty(tree: &Tree, found: &mut Vec<Finding>) {
    for (name, most) in DIRTY_MAX {
        let path = format!("/proc/sys/vm/{name}");
        // 0 says that the limit is given in bytes instead.
        let Some(is) = tree.number(&path).filter(|&is| is > 0) else {
            continue;
        };
        let finding = Finding::new(
            "memory.dirty",
            format!("vm.{name}"),
            is.to_string(),
            format!("{most} at most"),
            "the broker writes directly; what others write to files piles up this far, and then goes to the same disk at once",
        );
        let finding = finding
            .good_if(is <= most)
            .write(path, is.to_string(), most.to_string());
        found.push(finding.only_to_consider());
    }
}

/// Work of the kernel that stops every process, or wakes every core, to look around.
fn scanning(tree: &Tree, found: &mut Vec<Finding>) {
    let nodes = tree.names("/sys/devices/system/node").into_iter();
    let nodes = nodes
        .filter(|name| {
            name.strip_prefix("node")
                .is_some_and(|number| number.parse::<usize>().is_ok())
        })
        .count();
    for (check, name, should, why, at_least) in [
        (
            "memory.numa-balancing",
            "kernel/numa_balancing",
            0,
            "the kernel takes pages away to see who misses them; shards are pinned, and their memory is where they are",
            false,
        ),
        (
            "memory.zone-reclaim",
            "vm/zone_reclaim_mode",
            0,
            "an allocation would free this node's memory rather than take another one's, and wait for it",
            false,
        ),
        (
            "kernel.statistics",
            "vm/stat_interval",
            STAT_INTERVAL_S,
            "the kernel wakes every core that often, for nothing but counters",
            true,
        ),
        (
            "kernel.watchdog",
            "kernel/nmi_watchdog",
            0,
            "a hardware counter interrupts every core every few seconds",
            false,
        ),
    ] {
        let path = format!("/proc/sys/{name}");
        let Some(is) = tree.number(&path) else { continue };
        let of_nodes = check.starts_with("memory.");
        let good = is == should || (at_least && is >= should) || (of_nodes && nodes < 2);
        let finding = Finding::new(
            check,
            name.replace('/', "."),
            is.to_string(),
            should.to_string(),
            why,
        );
        found.push(
            finding
                .good_if(good)
                .write(path, is.to_string(), should.to_string()),
        );
    }
}
