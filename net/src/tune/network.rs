//! Network devices: queues, and what delays a packet on its way.

use super::finding::Finding;
use super::flags::IrqFlag;
use super::masks;
use super::plan::Plan;
use super::tree::Tree;

/// Connections that may wait to be accepted; a listener asks for as many.
const BACKLOG: i64 = tautline_core::limits::LISTEN_BACKLOG as i64;

/// The interfaces with a device behind them.
pub(super) fn interfaces(tree: &Tree) -> Vec<String> {
    let names = tree.names("/sys/class/net").into_iter();
    names
        .filter(|name| tree.has(&format!("/sys/class/net/{name}/device")))
        .collect()
}

pub(super) fn look(tree: &Tree, plan: &Plan, found: &mut Vec<Finding>) {
    for name in interfaces(tree) {
        queues(tree, plan, &name, found);
        steering(tree, plan, &name, found);
        delays(tree, &name, found);
    }
    busy_poll(tree, found);
    backlog(tree, found);
    slow_start(tree, found);
}

fn queues(tree: &Tree, plan: &Plan, name: &str, found: &mut Vec<Finding>) {
    let names = tree.names(&format!("/sys/class/net/{name}/queues"));
    let is = names.iter().filter(|queue| queue.starts_with("rx-")).count();
    let wanted = match plan.irqs {
        IrqFlag::Onto => plan.shards.len(),
        IrqFlag::Away => plan.others.len().max(1),
    };
    let finding = Finding::new(
        "network.queues",
        name,
        format!("{is} receive queue(s)"),
        format!("{wanted} at least"),
        "each queue has an interrupt of its own: with one for each core that handles them, no core handles another one's packets",
    );
    found.push(
        finding
            .good_if(is >= wanted)
            .by_hand(
                format!("ethtool -L {name} combined {wanted} (ethtool -l {name} says how many it can have)"),
                format!("ethtool -L {name} combined {is}"),
            )
            .only_to_consider(),
    );
}

/// Packets that are handed on to other cores in software.
fn steering(tree: &Tree, plan: &Plan, name: &str, found: &mut Vec<Finding>) {
    // Whoever has interrupts handled elsewhere may want the work on the shard's core, which is what it costs.
    for queue in tree.names(&format!("/sys/class/net/{name}/queues")) {
        let path = format!("/sys/class/net/{name}/queues/{queue}/rps_cpus");
        let Some(is) = tree.text(&path) else { continue };
        let now = masks::parse(&is);
        let good = !plan.shards.iter().any(|core| now.contains(core));
        if good {
            continue;
        }
        let should = masks::show(&[], &is);
        let finding = Finding::new(
            "network.steering",
            format!("{name} {queue}"),
            is.clone(),
            should.clone(),
            "packets handed on to a shard's core in software interrupt it; the socket wakes it anyway",
        );
        found.push(finding.write(path, is, should));
    }
}

/// Packets that are held back so that more come together.
fn delays(tree: &Tree, name: &str, found: &mut Vec<Finding>) {
    for file in ["gro_flush_timeout", "napi_defer_hard_irqs"] {
        let path = format!("/sys/class/net/{name}/{file}");
        let Some(is) = tree.text(&path) else { continue };
        let finding = Finding::new(
            "network.delays",
            format!("{name} {file}"),
            is.clone(),
            "0",
            "what saves interrupts makes packets wait",
        );
        let finding = finding.write(path, is, "0");
        found.push(finding.only_to_consider());
    }
    found.push(
        Finding::unknown(
            "network.coalescing",
            name,
            "a device that joins interrupts holds packets back, often for 50 us and more",
        )
        .by_hand(
            format!("ethtool -c {name} tells; ethtool -C {name} adaptive-rx off rx-usecs 0 tx-usecs 0"),
            format!("ethtool -C {name} with what ethtool -c has told before"),
        ),
    );
}

fn busy_poll(tree: &Tree, found: &mut Vec<Finding>) {
    for name in ["busy_read", "busy_poll"] {
        let path = format!("/proc/sys/net/core/{name}");
        let Some(is) = tree.text(&path) else { continue };
        let finding = Finding::new(
            "network.busy-poll",
            format!("net.core.{name}"),
            is.clone(),
            "0",
            "it makes each receive look at the device for so many microseconds, also for sockets with nothing to come; \
             the broker spins on its ring instead (--poll, --spin-us)",
        );
        found.push(finding.write(path, is, "0").only_to_consider());
    }
}

fn backlog(tree: &Tree, found: &mut Vec<Finding>) {
    let path = "/proc/sys/net/core/somaxconn";
    let Some(is) = tree.number(path) else { return };
    let finding = Finding::new(
        "network.backlog",
        "net.core.somaxconn",
        is.to_string(),
        BACKLOG.to_string(),
        "when all clients connect again at once, those beyond it wait a second or more for their next try",
    );
    found.push(
        finding
            .good_if(is >= BACKLOG)
            .write(path, is.to_string(), BACKLOG.to_string()),
    );
}

fn slow_start(tree: &Tree, found: &mut Vec<Finding>) {
    let path = "/proc/sys/net/ipv4/tcp_slow_start_after_idle";
    let Some(is) = tree.text(path) else { return };
    let finding = Finding::new(
        "network.slow-start",
        "net.ipv4.tcp_slow_start_after_idle",
        is.clone(),
        "0",
        "a connection that was idle for a moment would send a large batch in several round trips",
    );
    found.push(finding.write(path, is, "0"));
}
