//! Asking the shards from the admin thread, without ever waiting for long or asking a stuck one again and again.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tautline_core::remote::Remote;
use tautline_core::stage::Recorder;
use tautline_core::task::{Queue, spawn};

use super::trace::{self, Recorded};
use crate::broker::Broker;
use crate::metrics::{Latencies, ShardSnapshot, snapshot};

thread_local! {
    /// This shard's part of the broker, once there is one.
    static BROKER: RefCell<Weak<Broker>> = const { RefCell::new(Weak::new()) };
}

/// Makes the shard of this thread answer for `broker`.
pub fn attach(broker: &Rc<Broker>) {
    BROKER.set(Rc::downgrade(broker));
}

/// One shard, and whether it still owes an answer to each kind of question.
struct Link {
    remote: Remote,
    probed: Arc<AtomicBool>,
    scraped: Arc<AtomicBool>,
    traced: Arc<AtomicBool>,
}

/// What a scrape brought.
pub(super) struct Answers {
    round: u64,
    rounds: Vec<u64>,
    /// Snapshots of this scrape, and late ones of scrapes before.
    pub all: Vec<ShardSnapshot>,
}

impl Answers {
    /// Those of this scrape.
    pub fn current(self) -> Vec<ShardSnapshot> {
        let Answers { round, rounds, all } = self;
        all.into_iter()
            .zip(rounds)
            .filter(|(_, of)| *of == round)
            .map(|(snapshot, _)| snapshot)
            .collect()
    }
}

/// The scrape it belongs to, and the numbers, if the shard has come as far as to have some.
type Answer = (u64, Option<ShardSnapshot>);

/// A shard's place, and what it has recorded, if it has come as far.
type Flights = (usize, Option<Recorded>);

/// The shards, as they come up.
pub(super) struct Shards {
    links: Mutex<Vec<Link>>,
    answers: (flume::Sender<Answer>, flume::Receiver<Answer>),
    /// What shards have recorded, with their places.
    recorded: (flume::Sender<Flights>, flume::Receiver<Flights>),
    round: Mutex<u64>,
}

impl Default for Shards {
    fn default() -> Shards {
        Shards {
            links: Mutex::default(),
            answers: flume::unbounded(),
            recorded: flume::unbounded(),
            round: Mutex::default(),
        }
    }
}

impl Shards {
    pub fn add(&self, remote: Remote) {
        let link = Link {
            remote,
            probed: Arc::default(),
            scraped: Arc::default(),
            traced: Arc::default(),
        };
        self.links.lock().expect("nobody panics with the lock").push(link);
    }

    /// The numbers, in the order in which the shards came up, of those that do not answer in time. A closure on their poller is
    /// enough of an answer: what is asked is whether the core turns, not whether it is busy.
    pub fn silent(&self, within: Duration) -> Vec<usize> {
        let deadline = Instant::now() + within;
        let links = self.links.lock().expect("nobody panics with the lock");
        let (sender, receiver) = flume::bounded(links.len().max(1));
        for (place, link) in links.iter().enumerate() {
            // One that owes an answer from an earlier probe is silent until it gives it.
            if !link.probed.swap(true, Ordering::AcqRel) {
                let (owing, sender) = (link.probed.clone(), sender.clone());
                link.remote.run_on_shard(Box::new(move || {
                    owing.store(false, Ordering::Release);
                    // Nobody waits any more when the probe has given up.
                    let _ = sender.try_send(place);
                }));
            }
        }
        drop(sender);
        let mut silent: Vec<usize> = (0..links.len()).collect();
        while !silent.is_empty() {
            let Ok(place) = receiver.recv_deadline(deadline) else {
                break;
            };
            silent.retain(|other| *other != place);
        }
        silent
    }

    /// What the shards have recorded since they were asked last, and the numbers of those that do not answer in time: theirs is
    /// in the next answer.
    pub fn recorded(&self, within: Duration) -> (Vec<Recorded>, Vec<usize>) {
        let deadline = Instant::now() + within;
        let mut silent = Vec::new();
        for (place, link) in self
            .links
            .lock()
            .expect("nobody panics with the lock")
            .iter()
            .enumerate()
        {
            silent.push(place);
            if link.traced.swap(true, Ordering::AcqRel) {
                continue;
            }
            let (owing, sender) = (Owing(link.traced.clone()), self.recorded.0.clone());
            // Made here: the shard shall not spend its time on asking for memory.
            let empty = Recorder::default();
            link.remote.run_on_shard(Box::new(move || {
                let broker = BROKER.with_borrow(Weak::upgrade);
                let recorded = broker.map(|broker| trace::take(&broker, empty));
                drop(owing);
                // The receiver lives as long as the process.
                let _ = sender.send((place, recorded));
            }));
        }
        let mut all = Vec::new();
        while !silent.is_empty() {
            let Ok((place, recorded)) = self.recorded.1.recv_deadline(deadline) else {
                break;
            };
            silent.retain(|other| *other != place);
            all.extend(recorded);
        }
        (all, silent)
    }

    /// A snapshot of every shard that answers in time.
    pub fn snapshots(&self, partitions: bool, within: Duration) -> Answers {
        let deadline = Instant::now() + within;
        let round = {
            let mut round = self.round.lock().expect("nobody panics with the lock");
            *round += 1;
            *round
        };
        let mut wanted = 0;
        for link in self.links.lock().expect("nobody panics with the lock").iter() {
            if link.scraped.swap(true, Ordering::AcqRel) {
                continue;
            }
            wanted += 1;
            let owing = Owing(link.scraped.clone());
            let sender = self.answers.0.clone();
            // Made here: the shard shall not spend its time on clearing memory.
            let empty = Latencies::default();
            link.remote.run_on_shard(Box::new(move || {
                let broker = BROKER.with_borrow(Weak::upgrade);
                spawn(Queue::Background, async move {
                    let taken = match broker {
                        Some(broker) => Some(snapshot(broker, empty, partitions).await),
                        None => None,
                    };
                    drop(owing);
                    // The receiver lives as long as the process.
                    let _ = sender.send((round, taken));
                });
            }));
        }
        let mut answers = Answers {
            round,
            rounds: Vec::new(),
            all: Vec::new(),
        };
        while wanted > 0 {
            let Ok((of, snapshot)) = self.answers.1.recv_deadline(deadline) else {
                break;
            };
            wanted -= usize::from(of == round);
            if let Some(snapshot) = snapshot {
                answers.rounds.push(of);
                answers.all.push(snapshot);
            }
        }
        answers
    }
}

/// Set while a shard owes a snapshot; taken back when it gives it, or has none to give.
struct Owing(Arc<AtomicBool>);

impl Drop for Owing {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tautline_core::shard::test_on_shard;
    use tautline_core::time::sleep;

    /// A shard that is stuck is named within the time, is not asked again, and is well again as soon as it turns.
    #[test]
    fn a_stuck_shard_is_silent_and_holds_nobody_up() {
        let (shards, (stuck, wait), (done, over)) =
            (Arc::new(Shards::default()), flume::bounded(0), flume::bounded(0));
        let asked = shards.clone();
        let probe = std::thread::spawn(move || {
            let _: () = wait.recv().expect("the shard is stuck now");
            for _ in 0..3 {
                assert_eq!(asked.silent(Duration::from_millis(20)), [0]);
                assert!(asked.snapshots(false, Duration::from_millis(20)).all.is_empty());
            }
            done.send(()).expect("the shard waits for it");
            while !asked.silent(Duration::from_millis(20)).is_empty() {}
        });
        test_on_shard(move || async move {
            shards.add(Remote::current());
            stuck.send(()).expect("the probe waits for it");
            over.recv().expect("the probe has seen enough");
            while !probe.is_finished() {
                sleep(Duration::from_millis(1)).await;
            }
            probe.join().expect("the probe's assertions hold");
        });
    }
}
