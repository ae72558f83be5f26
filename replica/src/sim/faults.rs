//! Faults as they happen.

use tautline_core::ids::NodeId;

use super::fault::Kind;
use super::judge::Held;
use super::world::{MS, What, World};
use crate::quorum::{QuorumState, VoterChange};

impl World {
    pub(super) fn fault(&mut self, number: usize) -> Held {
        let fault = self.fault_of(number);
        let now_ns = self.queue.now_ns();
        let (nodes, until_ns) = (self.hosts.len(), now_ns + fault.for_ns);
        let host = (fault.who % nodes as u64) as usize;
        let more = fault.who >> 16;
        self.say(format_args!(
            "FAULT {}, node {host}, {} ms",
            fault.kind.name(),
            fault.for_ns / MS
        ));
        self.queue.at(until_ns, What::Over(number));
        self.disturbed_ns = now_ns;
        self.disturbances += usize::from(fault.disturbs());
        match fault.kind {
            Kind::Crash => self.crash(host),
            Kind::Pause => self.hosts[host].paused_until_ns = until_ns,
            Kind::Partition => {
                let side = |node: usize| more >> node & 1;
                for (from, to) in pairs(nodes).filter(|&(from, to)| side(from) != side(to)) {
                    self.network.cut(from, to, until_ns);
                }
            }
            Kind::OneWay => {
                // One node is heard by nobody, or hears nobody, or this only for one other.
                let other = (more % nodes as u64) as usize;
                for (from, to) in pairs(nodes) {
                    let cut = match more >> 8 & 3 {
                        0 => from == host,
                        1 => to == host,
                        _ => (from, to) == (host, other),
                    };
                    if cut {
                        self.network.cut(from, to, until_ns);
                    }
                }
            }
            Kind::Lossy => self.network.lossy(until_ns),
            Kind::SlowDisk => self.hosts[host].disk.slow_ns = MS << (more % 8),
            Kind::FullDisk => self.hosts[host].disk.full = true,
            Kind::Transfer => self.transfer(more),
            Kind::Membership => self.change_members(more),
            Kind::Trim => self.trim(),
        }
        Ok(())
    }

    /// A fault is over.
    pub(super) fn over(&mut self, number: usize) {
        let fault = self.fault_of(number);
        let host = (fault.who % self.hosts.len() as u64) as usize;
        self.disturbed_ns = self.queue.now_ns();
        self.disturbances -= usize::from(fault.disturbs());
        match fault.kind {
            Kind::Crash if !self.hosts[host].up => self.start(host),
            Kind::SlowDisk => self.hosts[host].disk.slow_ns = 0,
            Kind::FullDisk => {
                self.hosts[host].disk.full = false;
                self.restart_if_failed(host);
            }
            _ => {}
        }
    }

    fn crash(&mut self, host: usize) {
        let there = &mut self.hosts[host];
        if there.up {
            there.up = false;
            let mut random = there.random.fork();
            there.disk.crash(&mut random);
        }
    }

    fn restart_if_failed(&mut self, host: usize) {
        if self.hosts[host].failed && self.hosts[host].up {
            self.crash(host);
            self.start(host);
        }
    }

    fn leader(&self, group: crate::quorum::GroupId) -> Option<usize> {
        let leads = |host: usize| {
            let there = &self.hosts[host];
            let replica = there.node.group(group)?;
            Some((there.up.then(|| replica.leads()).flatten()?, host))
        };
        (0..self.hosts.len())
            .filter_map(leads)
            .max()
            .map(|(_, host)| host)
    }

    fn transfer(&mut self, chooses: u64) {
        let group = self.groups[(chooses % self.groups.len() as u64) as usize];
        let Some(host) = self.leader(group) else { return };
        let Some(replica) = self.hosts[host].node.group_mut(group) else {
            return;
        };
        let voters = &replica.replicas().voters;
        let to = voters[(chooses >> 8) as usize % voters.len()];
        let begun = replica.transfer(to);
        self.say(format_args!(
            "node {host} hands partition {} to {to}: {begun:?}",
            group.partition
        ));
        self.turn_soon(host);
    }

    fn change_members(&mut self, chooses: u64) {
        let group = self.groups[(chooses % self.groups.len() as u64) as usize];
        let Some(host) = self.leader(group) else { return };
        let leader = self.hosts[host].id;
        let everybody: Vec<_> = (0..self.hosts.len() as i32).map(NodeId).collect();
        let Some(replica) = self.hosts[host].node.group_mut(group) else {
            return;
        };
        let replicas = replica.replicas().clone();
        let outside: Vec<_> = everybody
            .into_iter()
            .filter(|&node| !replicas.contains(node))
            .collect();
        let others: Vec<_> = replicas
            .voters
            .iter()
            .copied()
            .filter(|&node| node != leader)
            .collect();
        let change = match (replicas.learners.first(), outside.first()) {
            (Some(&learner), _) => VoterChange::Promote(learner),
            (None, Some(&node)) => VoterChange::AddLearner(node),
            (None, None) => VoterChange::Remove(others[(chooses >> 8) as usize % others.len()]),
        };
        let begun = replica.change(change);
        self.say(format_args!(
            "node {host} partition {}: {change:?}: {begun:?}",
            group.partition
        ));
        self.turn_soon(host);
        if let (VoterChange::AddLearner(node), Ok(())) = (change, begun) {
            let new = &mut self.hosts[node.0 as usize];
            if !new.disk.durable.contains_key(&group) {
                new.place(group, QuorumState::default());
                if new.up {
                    new.recover(group, &self.judge);
                }
            }
        }
    }

    /// Retention: each node for itself, as far as it may.
    fn trim(&mut self) {
        for host in self.hosts.iter_mut().filter(|host| host.up) {
            for (&group, part) in &mut host.parts {
                let to = part.settled.min(part.judged);
                part.log.trim(to);
                host.disk.trim(group, to);
            }
        }
    }

    /// From here on nothing goes wrong.
    pub(super) fn heal(&mut self) {
        self.say(format_args!("HEAL"));
        self.healed = true;
        self.network.heal();
        for host in 0..self.hosts.len() {
            let there = &mut self.hosts[host];
            there.paused_until_ns = 0;
            (there.disk.full, there.disk.slow_ns) = (false, 0);
            if !there.up {
                self.start(host);
            }
            self.restart_if_failed(host);
        }
    }
}

fn pairs(nodes: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..nodes)
        .flat_map(move |from| (0..nodes).map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
}
