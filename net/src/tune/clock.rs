//! The clock: whether reading it costs nanoseconds or a system call.

use super::finding::Finding;
use super::plan::Plan;
use super::tree::Tree;

const BASE: &str = "/sys/devices/system/clocksource/clocksource0";
/// Clocks that are read without a system call, the best first.
const QUICK: [&str; 4] = [
    "tsc",
    "arch_sys_counter",
    "kvm-clock",
    "hyperv_clocksource_tsc_page",
];

pub(super) fn look(tree: &Tree, _: &Plan, found: &mut Vec<Finding>) {
    let why = "each turn of a core reads the clock: with hpet or acpi_pm that is a system call and a microsecond or more";
    let path = format!("{BASE}/current_clocksource");
    let Some(is) = tree.text(&path) else {
        found.push(Finding::unknown("clock.source", "this machine", why));
        return;
    };
    let available = tree
        .text(&format!("{BASE}/available_clocksource"))
        .unwrap_or_default();
    let quick = QUICK
        .iter()
        .find(|quick| available.split_whitespace().any(|it| it == **quick));
    let should = quick.copied().unwrap_or(QUICK[0]);
    let finding = Finding::new("clock.source", "this machine", is.clone(), should, why);
    let finding = finding.good_if(QUICK.contains(&is.as_str()));
    found.push(if quick.is_some() {
        finding.write(path, is, should)
    } else {
        finding.by_hand(
            "the kernel found the tsc unstable: look for a firmware update, or boot with tsc=reliable",
            "take tsc=reliable out of the kernel's command line",
        )
    });
}
