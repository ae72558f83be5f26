//! A cluster and its clients, and what happens to them one after the other.

use std::rc::Rc;

use tautline_core::ids::{NodeId, Offset, PartitionIndex};

use super::client::{Answer, Client, Producer, Request, Role};
use super::ending::WATCH_NS;
use super::fault::Fault;
use super::host::Host;
use super::judge::{Held, Judge, Violation, violated};
use super::network::Network;
use super::plan::{Plan, RECOVERY_NS};
use super::queue::Queue;
use super::trace::Trace;
use crate::quorum::{GroupId, QuorumState, Random};

/// What may happen.
#[derive(Debug)]
pub(super) enum What {
    Tick(usize, u64),
    Turn(usize, u64),
    Frame {
        to: usize,
        head: Vec<u8>,
        attached: Rc<[u8]>,
    },
    /// A submit has reached the disk; then the node hears of it.
    DiskDone(usize, u64, u64),
    Persisted(usize, u64, u64),
    Client(usize),
    Request(usize, Request),
    Answer(usize, u64, Answer),
    Timeout(usize, u64),
    Fault(usize),
    Over(usize),
    Heal,
    /// Looks whether everybody makes progress.
    Watch,
}

/// See the module.
pub(super) struct World {
    pub plan: Plan,
    pub queue: Queue<What>,
    pub hosts: Vec<Host>,
    pub network: Network,
    pub clients: Vec<Client>,
    pub judge: Judge,
    pub trace: Trace,
    pub random: Random,
    pub groups: Vec<GroupId>,
    pub healed: bool,
    pub done_at_ns: Option<u64>,
    /// Faults that last, but for dead nodes.
    pub disturbances: usize,
    /// When there was the last fault, or the end of one.
    pub disturbed_ns: u64,
}

pub(super) const MS: u64 = 1_000_000;
/// How long after the last acknowledgement all replicas must be the same and asleep.
const QUIET_NS: u64 = 6_000 * MS;

impl World {
    pub fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let nodes: Vec<_> = (0..plan.nodes as i32).map(NodeId).collect();
        let groups: Vec<_> = (0..plan.partitions as i32)
            .map(|partition| GroupId {
                partition: PartitionIndex(partition),
                ..GroupId::default()
            })
            .collect();
        let voters = &nodes[..plan.replicas];
        let mut hosts = Vec::new();
        for &id in &nodes {
            let mut host = Host::new(id, &nodes, plan.settings, random.fork());
            for &group in groups.iter().filter(|_| voters.contains(&id)) {
                host.place(group, QuorumState::bootstrap(voters));
            }
            hosts.push(host);
        }
        let mut world = Self {
            queue: Queue::new(),
            network: Network::new(plan.nodes, random.fork()),
            judge: Judge::default(),
            trace: Trace::default(),
            healed: false,
            done_at_ns: None,
            disturbances: 0,
            disturbed_ns: 0,
            clients: Vec::new(),
            hosts,
            groups,
            random,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        for host in 0..self.hosts.len() {
            self.start(host);
        }
        let plan = self.plan.clone();
        let roles = (0..plan.all + plan.one)
            .map(|number| Role::Producer(Producer::new(number as i64, number < plan.all, plan.batches)));
        let roles: Vec<_> = roles
            .chain((0..plan.consumers).map(|_| Role::Consumer { from: Offset(0) }))
            .collect();
        for role in roles {
            let group = self.random.one_of(&self.groups);
            let client = Client {
                group,
                role,
                target: NodeId(0),
                waits: None,
                number: 0,
                floor: Offset(0),
                done: 0,
                busy_since_ns: None,
            };
            self.clients.push(client);
            let at_ns = self.random.below(500 * MS);
            self.queue.at(at_ns, What::Client(self.clients.len() - 1));
        }
        for (number, fault) in plan.faults.iter().enumerate() {
            self.queue.at(fault.at_ns, What::Fault(number));
        }
        self.queue.at(plan.heal_ns, What::Heal);
        self.queue.at(WATCH_NS, What::Watch);
    }

    /// Runs to the end, or to the first line that does not hold.
    pub fn run(&mut self) -> Held {
        let end_ns = self.plan.heal_ns + RECOVERY_NS;
        while let Some(what) = self.queue.next() {
            let now_ns = self.queue.now_ns();
            if now_ns > end_ns {
                break;
            }
            self.happen(what)?;
            if self.healed && self.clients.iter().all(Client::is_done) {
                let done_at_ns = *self.done_at_ns.get_or_insert(now_ns);
                if now_ns > done_at_ns + QUIET_NS {
                    return self.at_the_end();
                }
            }
        }
        let waits: Vec<_> = (0..self.clients.len())
            .filter(|&client| !self.clients[client].is_done())
            .collect();
        violated!("progress while a quorum lives", "clients {waits:?} wait still")
    }

    fn happen(&mut self, what: What) -> Held {
        let now_ns = self.queue.now_ns();
        // A node that is stopped finds everything when it goes on.
        let (What::Tick(host, _)
        | What::Turn(host, _)
        | What::Persisted(host, _, _)
        | What::Request(host, _)) = &what
        else {
            return self.happen_now(what);
        };
        let until_ns = self.hosts[*host].paused_until_ns;
        if until_ns > now_ns {
            self.queue.at(until_ns, what);
            return Ok(());
        }
        self.happen_now(what)
    }

    fn happen_now(&mut self, what: What) -> Held {
        match what {
            What::Tick(host, incarnation) if self.is_now(host, incarnation) => self.tick(host),
            What::Turn(host, incarnation) if self.is_now(host, incarnation) => self.turn(host),
            What::Persisted(host, incarnation, submit) if self.is_now(host, incarnation) => {
                let clock_ns = self.hosts[host].clock_ns(self.queue.now_ns());
                self.hosts[host].node.persisted(submit, clock_ns);
                self.turn_soon(host);
                Ok(())
            }
            What::Tick(..) | What::Turn(..) | What::Persisted(..) => Ok(()),
            What::DiskDone(host, incarnation, submit) => {
                if self.is_now(host, incarnation) {
                    self.hosts[host].disk.done(submit);
                    self.queue.after(0, What::Persisted(host, incarnation, submit));
                }
                Ok(())
            }
            What::Frame { to, head, attached } => {
                let now_ns = self.queue.now_ns();
                let until_ns = self.hosts[to].paused_until_ns;
                if until_ns > now_ns {
                    self.queue.at(until_ns, What::Frame { to, head, attached });
                } else if self.hosts[to].up {
                    self.hosts[to].receive(&head, &attached, now_ns);
                    self.turn_soon(to);
                }
                Ok(())
            }
            What::Client(client) => {
                self.client_acts(client);
                Ok(())
            }
            What::Request(host, request) => self.asked(host, request),
            What::Answer(client, number, answer) => self.answered(client, number, answer),
            What::Timeout(client, number) => {
                if self.clients[client].waits == Some(number) {
                    self.clients[client].waits = None;
                    self.elsewhere(client);
                    self.queue.after(0, What::Client(client));
                }
                Ok(())
            }
            What::Fault(number) => self.fault(number),
            What::Over(number) => {
                self.over(number);
                Ok(())
            }
            What::Heal => {
                self.heal();
                Ok(())
            }
            What::Watch => self.watch(),
        }
    }

    pub fn is_now(&self, host: usize, incarnation: u64) -> bool {
        self.hosts[host].up && self.hosts[host].incarnation == incarnation
    }

    pub fn start(&mut self, host: usize) {
        let now_ns = self.queue.now_ns();
        self.hosts[host].start(now_ns, &self.judge);
        let incarnation = self.hosts[host].incarnation;
        self.queue.after(0, What::Tick(host, incarnation));
        self.turn_soon(host);
        self.say(format_args!("node {host} starts"));
    }

    pub fn turn_soon(&mut self, host: usize) {
        let there = &mut self.hosts[host];
        if !there.turn_is_due {
            there.turn_is_due = true;
            let delay_ns = there.random.between(2_000, 30_000);
            self.queue.after(delay_ns, What::Turn(host, there.incarnation));
        }
    }

    pub fn say(&mut self, what: std::fmt::Arguments<'_>) {
        self.trace.say(self.queue.now_ns(), what);
    }

    pub fn fault_of(&self, number: usize) -> Fault {
        self.plan.faults[number]
    }
}
