//! A node's tick and turn: what its state machines say goes to its disk, to the network, to clients, and to the judge.

use std::rc::Rc;

use tautline_core::ids::NodeId;

use super::judge::{Held, Violation, violated};
use super::world::{What, World};
use crate::quorum::limits::TICK_NS;
use crate::quorum::{Event, GroupId};

impl World {
    pub(super) fn tick(&mut self, host: usize) -> Held {
        let now_ns = self.queue.now_ns();
        let there = &mut self.hosts[host];
        let clock_ns = there.clock_ns(now_ns);
        there.node.tick(clock_ns);
        let next_ns = there.lasts_ns(TICK_NS);
        self.queue
            .after(next_ns, What::Tick(host, self.hosts[host].incarnation));
        self.turn_soon(host);
        Ok(())
    }

    pub(super) fn turn(&mut self, host: usize) -> Held {
        let now_ns = self.queue.now_ns();
        let there = &mut self.hosts[host];
        there.turn_is_due = false;
        let clock_ns = there.clock_ns(now_ns);
        let turn = there.node.turn(clock_ns);
        let mut answers = Vec::new();
        if let Some((number, writes)) = turn.submit {
            let writes = there.write(writes, &self.judge);
            let groups: Vec<_> = writes.iter().map(|write| write.group).collect();
            let mut random = there.random.fork();
            match there.disk.submit(number, writes, now_ns, &mut random) {
                Some(at_ns) => self
                    .queue
                    .at(at_ns, What::DiskDone(host, there.incarnation, number)),
                None => {
                    there.failed = true;
                    groups.into_iter().for_each(|group| there.node.fail(group));
                    self.say(format_args!("node {host}: the disk is full"));
                    self.turn_soon(host);
                }
            }
        }
        for (group, event) in turn.events {
            self.judge_event(host, group, &event)?;
            self.hosts[host].event(group, &event, &mut answers);
            if matches!(event, Event::CopyAsked { .. }) {
                self.turn_soon(host);
            }
        }
        for (to, messages) in turn.frames {
            let (head, attached) = self.hosts[host].frame(to, messages);
            self.carry(host, to, head, attached.into());
        }
        self.give(host, answers)
    }

    pub(super) fn carry(&mut self, from: usize, to: NodeId, head: Vec<u8>, attached: Rc<[u8]>) {
        let now_ns = self.queue.now_ns();
        for arrival in self.network.carry(NodeId(from as i32), to, now_ns) {
            let (mut head, mut attached) = (head.clone(), Rc::clone(&attached));
            if let Some(where_) = arrival.damaged {
                let at = (where_ >> 8) as usize % (head.len() + attached.len());
                match at.checked_sub(head.len()) {
                    None => head[at] ^= (where_ as u8) | 1,
                    Some(at) => {
                        let mut bytes = attached.to_vec();
                        bytes[at] ^= (where_ as u8) | 1;
                        attached = bytes.into();
                    }
                }
            }
            self.queue.after(
                arrival.delay_ns,
                What::Frame {
                    to: to.0 as usize,
                    head,
                    attached,
                },
            );
        }
    }

    /// What the judge and the reader of a trace want to know.
    pub(super) fn judge_event(&mut self, host: usize, group: GroupId, event: &Event) -> Held {
        let now_ns = self.queue.now_ns();
        let there = &mut self.hosts[host];
        let partition = group.partition;
        let part = there.parts.get_mut(&group).expect("a group that tells is here");
        match event {
            Event::Leadership { epoch, leader } => {
                let said = leader.map_or(-1, |leader| leader.0);
                self.trace.say(
                    now_ns,
                    format_args!("node {host} partition {partition}: epoch {epoch}, leader {said}"),
                );
                if *leader == Some(there.id) {
                    self.judge.leads(group, there.id, *epoch, &part.log)?;
                }
            }
            Event::HighWatermark(to) => {
                let from = std::mem::replace(&mut part.judged, *to);
                self.trace.say(
                    now_ns,
                    format_args!("node {host} partition {partition}: high watermark {to}"),
                );
                if *to < from {
                    return violated!(
                        "the high watermark only grows",
                        "{to} after {from} on node {host}"
                    );
                }
                let replica = there.node.group(group).expect("a group that tells is here");
                let own = replica
                    .leads()
                    .is_none_or(|epoch| epoch == replica.committed_epoch());
                if !own && *to > self.judge.end(group) {
                    return violated!(
                        "a leader commits nothing before an entry of its own epoch",
                        "offset {to} on node {host}"
                    );
                }
                self.judge.high_watermark(group, there.id, &part.log, from, *to)?;
            }
            Event::Replicas(replicas) => {
                let (voters, learners) = (&replicas.voters, &replicas.learners);
                self.trace.say(
                    now_ns,
                    format_args!(
                        "node {host} partition {partition}: voters {voters:?}, learners {learners:?}"
                    ),
                );
            }
            Event::CopyAsked { peer, from, to } => self.trace.say(
                now_ns,
                format_args!("node {host} partition {partition}: {peer} copies from {from} to {to}"),
            ),
            _ => {}
        }
        Ok(())
    }
}
