//! One member of a group, in a thread of its own. It commits what it has processed every `COMMIT_EVERY` records,
//! when it is idle, and, before it gives a partition up, that partition's position.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::doomed::clock;
use crate::harness::Outcome;
use crate::ledger::{Account, Partition, Positions};

const COMMIT_EVERY: usize = 50;
const POLL: Duration = Duration::from_millis(100);
pub const SESSION_MS: u32 = 20_000; // long enough for members on a busy machine
/// A member that has time has sent a heartbeat by then.
pub const HEARTBEAT_WITHIN: Duration = Duration::from_secs(2);

/// How a member joins its group; a subscription that begins with ^ is a pattern.
#[derive(Clone)]
pub struct Joining {
    pub bootstrap: String,
    pub group: String,
    pub flavour: String,
    pub subscription: String,
    pub instance: Option<String>,
    pub session_ms: u32,
}

impl Joining {
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("topic.metadata.refresh.interval.ms", "500")
            // By default it may be ten seconds after a restart of the broker: members would be fenced, and process what they still hold.
            .set("reconnect.backoff.max.ms", "500")
            .set("log_level", "0");
        if self.flavour == "consumer" {
            config.set("group.protocol", "consumer");
        } else {
            let cooperative = self.flavour == "cooperative";
            config
                .set("session.timeout.ms", self.session_ms.to_string())
                .set("heartbeat.interval.ms", "500")
                .set(
                    "partition.assignment.strategy",
                    if cooperative {
                        "cooperative-sticky"
                    } else {
                        "range"
                    },
                );
        }
        if let Some(instance) = &self.instance {
            config.set("group.instance.id", instance);
        }
        config
    }
}

/// What the member's thread, its rebalances and whoever watches it share.
pub struct Shared {
    pub name: String,
    pub account: Arc<dyn Account>,
    pub state: Mutex<State>,
    leaving: AtomicBool,
}

#[derive(Default)]
pub struct State {
    pub owned: BTreeSet<Partition>,
    positions: Positions,
    /// And lost.
    pub revoked: Vec<Partition>,
    /// How many partitions came and went.
    pub rebalances: usize,
    pub processed: usize,
    uncommitted: usize,
    /// When a member in a process of its own had time to say so.
    pub alive: Vec<Duration>,
    pub error: Option<String>,
}

struct Context(Arc<Shared>);

impl ClientContext for Context {}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(partitions) => {
                let mut state = self.0.state.lock().unwrap();
                let partitions = named(partitions);
                state.rebalances += partitions.len();
                state.owned.extend(partitions);
            }
            Rebalance::Revoke(partitions) => {
                let partitions = named(partitions);
                let mut going = self.0.state.lock().unwrap().positions.clone();
                going.retain(|at, _| partitions.contains(at));
                if !consumer.assignment_lost() {
                    self.0.commit(consumer, &going);
                }
                let mut state = self.0.state.lock().unwrap();
                state.owned.retain(|at| !partitions.contains(at));
                state.positions.retain(|at, _| !partitions.contains(at));
                state.rebalances += partitions.len();
                state.revoked.extend(partitions);
            }
            Rebalance::Error(error) => self.0.state.lock().unwrap().error = Some(error.to_string()),
        }
    }
}

fn named(partitions: &TopicPartitionList) -> Vec<Partition> {
    partitions
        .elements()
        .iter()
        .map(|at| (at.topic().to_string(), at.partition()))
        .collect()
}

pub fn commit_sync<C: ConsumerContext>(consumer: &BaseConsumer<C>, positions: &Positions) -> Outcome {
    let mut offsets = TopicPartitionList::new();
    for ((topic, partition), offset) in positions {
        offsets.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
    }
    consumer
        .commit(&offsets, CommitMode::Sync)
        .map_err(crate::harness::refused)
}

impl Shared {
    /// A refusal leaves the positions for the next commit, or for whoever is given the partition.
    fn commit(&self, consumer: &BaseConsumer<Context>, positions: &Positions) {
        if !positions.is_empty() && commit_sync(consumer, positions).is_ok() {
            self.account.committed(positions);
            self.state.lock().unwrap().uncommitted = 0;
        }
    }

    fn run(self: &Arc<Self>, how: &Joining) -> Outcome {
        let consumer: BaseConsumer<Context> = how.config().create_with_context(Context(self.clone()))?;
        consumer.subscribe(&[&how.subscription])?;
        while !self.leaving.load(Ordering::Relaxed) {
            let (mut got, mut wait) = (0, POLL);
            while got < 100 {
                let Some(message) = consumer.poll(wait) else { break };
                wait = Duration::ZERO;
                let Ok(message) = message else { continue }; // it goes on by itself
                let at = (message.topic().to_string(), message.partition());
                let value = String::from_utf8_lossy(message.payload().unwrap_or_default());
                self.account.processed(&self.name, &at, message.offset(), &value);
                let mut state = self.state.lock().unwrap();
                state.positions.insert(at, message.offset() + 1);
                state.processed += 1;
                state.uncommitted += 1;
                got += 1;
            }
            let state = self.state.lock().unwrap();
            let due = state.uncommitted >= COMMIT_EVERY || (state.uncommitted > 0 && got == 0);
            let positions = state.positions.clone();
            drop(state);
            if due {
                self.commit(&consumer, &positions);
            }
        }
        let positions = self.state.lock().unwrap().positions.clone();
        self.commit(&consumer, &positions);
        Ok(())
    }
}

#[derive(Clone)]
pub struct Member {
    pub shared: Arc<Shared>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
    process: Option<Arc<Mutex<Child>>>,
}

impl Member {
    fn new(name: &str, account: Arc<dyn Account>) -> Arc<Shared> {
        Arc::new(Shared {
            name: name.into(),
            account,
            state: Mutex::default(),
            leaving: AtomicBool::new(false),
        })
    }

    pub fn start(name: &str, account: Arc<dyn Account>, how: Joining) -> Member {
        let shared = Member::new(name, account);
        let thread = thread::spawn({
            let shared = shared.clone();
            move || {
                if let Err(error) = shared.run(&how) {
                    shared.state.lock().unwrap().error = Some(error.to_string());
                }
            }
        });
        Member {
            shared,
            thread: Arc::new(Mutex::new(Some(thread))),
            process: None,
        }
    }

    /// A member in a process of its own, which only `kill -9` ends.
    pub fn start_doomed(account: Arc<dyn Account>, how: &Joining) -> Outcome<Member> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([
                "member",
                &how.bootstrap,
                &how.group,
                &how.flavour,
                &how.subscription,
            ])
            .arg(how.session_ms.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let shared = Member::new("doomed", account);
        let said = BufReader::new(child.stdout.take().ok_or("a pipe")?);
        let thread = thread::spawn({
            let shared = shared.clone();
            move || {
                said.lines()
                    .map_while(Result::ok)
                    .for_each(|line| shared.heard(&line))
            }
        });
        Ok(Member {
            shared,
            thread: Arc::new(Mutex::new(Some(thread))),
            process: Some(Arc::new(Mutex::new(child))),
        })
    }

    /// When that was, and for how long it may have had no time for a heartbeat before: a machine can be that busy.
    pub fn kill(&self) -> Outcome<(Instant, Duration)> {
        let (killed, clock) = (Instant::now(), clock());
        if let Some(process) = &self.process {
            process.lock().unwrap().kill()?;
            process.lock().unwrap().wait()?;
        }
        self.join();
        let mut alive = self.shared.state.lock().unwrap().alive.clone();
        alive.push(clock);
        let gaps = alive.windows(2).filter(|pair| pair[1] + HEARTBEAT_WITHIN > clock);
        let longest = gaps.map(|pair| pair[1].saturating_sub(pair[0])).max();
        Ok((killed, longest.ok_or("it never said that it is alive")?))
    }

    pub fn begin_leaving(&self) {
        self.shared.leaving.store(true, Ordering::Relaxed);
    }

    /// Waits until the member has committed and left the group as the client does it by itself.
    pub fn join(&self) {
        if let Some(thread) = self.thread.lock().unwrap().take() {
            let _ = thread.join();
        }
    }

    pub fn is(&self, other: &Member) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub fn owned(&self) -> BTreeSet<Partition> {
        self.shared.state.lock().unwrap().owned.clone()
    }

    pub fn processed(&self) -> usize {
        self.shared.state.lock().unwrap().processed
    }

    pub fn rebalances(&self) -> usize {
        self.shared.state.lock().unwrap().rebalances
    }

    pub fn told(&self) -> String {
        let state = self.shared.state.lock().unwrap();
        let shares: Vec<i32> = state.owned.iter().map(|at| at.1).collect();
        format!(
            "{}: {shares:?}, {} processed {}",
            self.shared.name,
            state.processed,
            state.error.as_deref().unwrap_or_default()
        )
    }
}
