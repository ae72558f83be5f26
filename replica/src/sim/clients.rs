//! Clients' questions and answers, and what is judged of them.

use tautline_core::ids::{NodeId, Offset};

use super::client::{Answer, Ask, Request, Role, sequence};
use super::host::{Answers, Host};
use super::judge::{Held, Violation, violated};
use super::log::Stored;
use super::world::{MS, What, World};

/// How long a client waits before it asks again.
const TIMEOUT_NS: u64 = 700 * MS;

impl World {
    pub(super) fn asked(&mut self, host: usize, request: Request) -> Held {
        if !self.hosts[host].up {
            return Ok(());
        }
        let now_ns = self.queue.now_ns();
        let mut answers = Vec::new();
        self.hosts[host].ask(request, now_ns, &mut answers);
        self.turn_soon(host);
        self.give(host, answers)
    }

    /// Answers leave a node: what they promise must be true now.
    pub(super) fn give(&mut self, host: usize, answers: Answers) -> Held {
        for (client, number, answer) in answers {
            match &answer {
                Answer::Produced(ends) => self.judge_ack(host, client, ends)?,
                Answer::Fetched { .. } => self.judge_read(host, client)?,
                _ => {}
            }
            let delay_ns = self.random.between(30_000, 2 * MS);
            self.queue.after(delay_ns, What::Answer(client, number, answer));
        }
        Ok(())
    }

    pub(super) fn judge_ack(&mut self, host: usize, client: usize, ends: &[Offset]) -> Held {
        let group = self.clients[client].group;
        let Role::Producer(producer) = &self.clients[client].role else {
            return Ok(());
        };
        let all = producer.all;
        let there = &self.hosts[host];
        let replica = there.node.group(group).expect("it answers");
        let quorum = replica.replicas().quorum().min(self.plan.replicas / 2 + 1);
        let needed = if all {
            quorum.max(self.plan.settings.min_insync_replicas)
        } else {
            1
        };
        for &end in ends {
            let log = &there.parts[&group].log;
            let stored = log
                .batches()
                .iter()
                .find(|stored| stored.end_offset() == end)
                .cloned();
            let Some(stored) = stored.or_else(|| self.judge.committed_up_to(group, end).cloned()) else {
                return violated!(
                    "what is acknowledged is in the log",
                    "offset {end} on node {host}"
                );
            };
            let has = |host: &Host| {
                let there = host.disk.durable.get(&group);
                // It counts as down while it copies, and has had what retention has taken.
                let excused =
                    there.is_some_and(|there| there.state.copying.is_some() || there.log.start >= end);
                host.disk.has(group, &stored) || excused
            };
            let durable_on = self.hosts.iter().filter(|host| has(host)).count();
            if !all {
                if !has(there) {
                    return violated!("acks=1 is durable on the leader", "offset {end} on node {host}");
                }
                continue;
            }
            self.judge
                .acked(group, &stored.batch(), end, durable_on, needed)?;
        }
        Ok(())
    }

    fn judge_read(&mut self, host: usize, client: usize) -> Held {
        let group = self.clients[client].group;
        let replica = self.hosts[host].node.group(group).expect("it answers");
        match replica.leads() {
            Some(epoch) if replica.committed_epoch() != epoch => {
                violated!(
                    "nothing is served before an entry of its own epoch",
                    "epoch {epoch} on node {host}"
                )
            }
            _ => Ok(()),
        }
    }

    pub(super) fn client_acts(&mut self, client: usize) {
        let now_ns = self.queue.now_ns();
        if let Some(&(_, until_ns)) = self
            .plan
            .lulls
            .iter()
            .find(|(from_ns, to_ns)| (*from_ns..*to_ns).contains(&now_ns))
        {
            self.queue.at(until_ns, What::Client(client));
            self.clients[client].busy_since_ns = None;
            return;
        }
        let quiet = self.done_at_ns.is_some();
        let this = &mut self.clients[client];
        if this.waits.is_some() || quiet || this.has_nothing_to_do() {
            return;
        }
        let ask = match &mut this.role {
            Role::Producer(producer) => {
                let batches = producer.batches(&mut self.random);
                Ask::Produce {
                    batches,
                    all: producer.all,
                }
            }
            Role::Consumer { from } => Ask::Fetch { from: *from },
        };
        this.busy_since_ns.get_or_insert(now_ns);
        this.number += 1;
        this.waits = Some(this.number);
        this.floor = self.judge.floor(this.group);
        let (target, number) = (this.target.0 as usize, this.number);
        let request = Request {
            client,
            number,
            group: this.group,
            ask,
        };
        let delay_ns = self.random.between(30_000, 2 * MS);
        // Now and then one comes very late, after its client has given up.
        let late_ns = if self.random.once_in(50) {
            self.random.below(2 * TIMEOUT_NS)
        } else {
            0
        };
        self.queue
            .after(delay_ns + late_ns, What::Request(target, request));
        self.queue.after(TIMEOUT_NS, What::Timeout(client, number));
    }

    pub(super) fn answered(&mut self, client: usize, number: u64, answer: Answer) -> Held {
        let this = &mut self.clients[client];
        if this.waits != Some(number) {
            return Ok(());
        }
        this.waits = None;
        let mut pause_ns = self.random.between(5 * MS, 60 * MS);
        match (&mut this.role, answer) {
            (Role::Producer(producer), Answer::Produced(ends)) => {
                this.busy_since_ns = None;
                let acked = producer.acked(ends.len());
                this.done += acked.len() as u64;
                if producer.all {
                    let last = acked.last().map_or(0, |bytes| sequence(bytes));
                    let end = ends.last().copied().unwrap_or_default();
                    self.judge.seen(this.group, end);
                    let now_ns = self.queue.now_ns();
                    self.trace.say(
                        now_ns,
                        format_args!("client {client}: acknowledged to sequence {last}, offset {end}"),
                    );
                }
            }
            (
                Role::Consumer { from },
                Answer::Fetched {
                    batches,
                    high_watermark,
                },
            ) => {
                this.busy_since_ns = None;
                self.judge
                    .fetched(this.group, this.floor, *from, &batches, high_watermark)?;
                self.judge.seen(this.group, high_watermark);
                *from = batches.last().map_or(*from, Stored::end_offset);
                this.done += 1;
            }
            (Role::Consumer { from }, Answer::OutOfRange(start)) => *from = start,
            (_, Answer::NotLeader(Some(leader))) if leader != this.target => {
                this.target = leader;
                pause_ns = 2 * MS;
            }
            (Role::Producer(producer), Answer::OutOfOrder | Answer::Fenced) => {
                producer.refused();
                self.elsewhere(client);
            }
            _ => self.elsewhere(client),
        }
        self.queue.after(pause_ns, What::Client(client));
        Ok(())
    }

    pub(super) fn elsewhere(&mut self, client: usize) {
        self.clients[client].target = NodeId(self.random.below(self.hosts.len() as u64) as i32);
    }
}
