//! Progress while it goes on, and how it must end.

use super::judge::{Held, Violation, violated};
use super::world::{MS, What, World};

/// How often it is looked whether all make progress.
pub(super) const WATCH_NS: u64 = 200 * MS;
/// How long a client may wait without a reason: for an election, and until it has found the leader.
const STALL_NS: u64 = 4_000 * MS;

impl World {
    /// While a quorum lives and nothing but dead nodes is wrong, nobody waits for long.
    pub(super) fn watch(&mut self) -> Held {
        let now_ns = self.queue.now_ns();
        self.queue.after(WATCH_NS, What::Watch);
        let living = self.hosts.iter().filter(|host| host.up && !host.failed).count();
        let calm =
            self.disturbances == 0 && self.plan.nodes == self.plan.replicas && self.done_at_ns.is_none();
        if !calm || living < (self.plan.replicas / 2 + 1).max(self.plan.settings.min_insync_replicas) {
            self.disturbed_ns = now_ns;
            return Ok(());
        }
        for (number, client) in self.clients.iter().enumerate() {
            let Some(since_ns) = client.busy_since_ns else {
                continue;
            };
            if now_ns > since_ns.max(self.disturbed_ns) + STALL_NS {
                return violated!(
                    "progress while a quorum lives",
                    "client {number} has waited since {} ms",
                    since_ns / MS
                );
            }
        }
        Ok(())
    }

    /// When nothing goes wrong any more all replicas come to be the same, and sleep.
    pub(super) fn at_the_end(&mut self) -> Held {
        for &group in &self.groups {
            let end = self.judge.end(group);
            let leader = self
                .hosts
                .iter()
                .find_map(|host| host.node.group(group).filter(|replica| replica.leads().is_some()));
            let Some(leader) = leader else {
                return violated!(
                    "progress while a quorum lives",
                    "nobody leads partition {}",
                    group.partition
                );
            };
            let replicas: Vec<_> = leader.replicas().all().collect();
            for host in self.hosts.iter().filter(|host| replicas.contains(&host.id)) {
                let Some(replica) = host.node.group(group) else {
                    continue;
                };
                let (log, high_watermark) = (&host.parts[&group].log, replica.high_watermark());
                if (log.end_offset(), high_watermark) != (end, end) {
                    return violated!(
                        "replicas come to be the same",
                        "node {} has {} with high watermark {high_watermark}, of {end}",
                        host.id,
                        log.end_offset()
                    );
                }
                if !replica.is_asleep() && self.plan.nodes == self.plan.replicas {
                    return violated!(
                        "idle groups sleep",
                        "partition {} on node {}",
                        group.partition,
                        host.id
                    );
                }
            }
        }
        Ok(())
    }
}
