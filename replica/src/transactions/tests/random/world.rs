//! The network and the clock of a schedule.

use std::collections::{BTreeMap, BTreeSet};

use tautline_core::ids::ProducerId;

use crate::coordinator::{Coordinator, CoordinatorBatch, Moment, Token};
use crate::memory::CoordinatorMemory;
use crate::metadata::MetadataImage;
use crate::transactions::record::record;
use crate::transactions::tests::host::{V0, V2, coordinator, producer};
use crate::transactions::transaction::Transaction;
use crate::transactions::{
    LAST_EPOCH, MarkersWritten, TransactionConfig, TransactionCoordinator, TransactionRequest,
    TransactionResponse, WriteMarkers,
};

use super::Random;
use super::client::{Client, Told};
use super::host::{Held, Waiter, replay};
use super::judge::{Judge, check_log};
use super::partitions::Partitions;

/// How long disturbances last, and how long the rest may take to come to an end.
const DISTURBED_MS: i64 = 3_000;
const QUIET_MS: i64 = 3_000;
const DAY_MS: usize = 86_400_000;
/// The wall clock of any day, far from the other clock.
const WALL_MS: i64 = 1_700_000_000_000;

pub(super) const CONFIG: TransactionConfig = TransactionConfig {
    max_timeout_ms: 900_000,
    id_expiration_ms: 400,
    abort_interval_ms: 20,
    expire_interval_ms: 50,
    concurrent_wait_ms: 15,
    partition_verification: true,
};

/// What is on its way.
#[derive(Debug)]
pub(super) enum Message {
    Request(usize, u64, TransactionRequest),
    Response(usize, u64, TransactionResponse),
    Marker(WriteMarkers),
    Written(MarkersWritten),
}

pub(super) struct World {
    pub(super) random: Random,
    /// The clock that nobody sets.
    pub(super) now_ms: i64,
    /// By how much the wall clock is ahead of it.
    pub(super) ahead_ms: i64,
    pub(super) image: MetadataImage,
    pub(super) coordinator: TransactionCoordinator,
    pub(super) epoch: i32,
    pub(super) log: Vec<CoordinatorBatch>,
    pub(super) committed: usize,
    pub(super) held: Vec<(usize, Held)>,
    pub(super) waiting: BTreeMap<Token, Waiter>,
    pub(super) tokens: u64,
    pub(super) network: BTreeMap<(i64, u64), Message>,
    pub(super) messages: u64,
    pub(super) clients: Vec<Client>,
    pub(super) fresh_id: i64,
    pub(super) partitions: Partitions,
    pub(super) judge: Judge,
    pub(super) disturbed: bool,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let count = 1 + random.below(5);
        let clients = (0..count)
            .map(|number| {
                let id = ["a", "b"][random.below(2)];
                Client::new(number, id, if random.one_in(3) { V0 } else { V2 })
            })
            .collect();
        let mut world = Self {
            random,
            now_ms: 0,
            ahead_ms: WALL_MS,
            image: MetadataImage::default(),
            coordinator: coordinator(CONFIG, 0, &CoordinatorMemory::of(usize::MAX)),
            epoch: 0,
            log: Vec::new(),
            committed: 0,
            held: Vec::new(),
            waiting: BTreeMap::new(),
            tokens: 0,
            network: BTreeMap::new(),
            messages: 0,
            clients,
            fresh_id: 100,
            partitions: Partitions::default(),
            judge: Judge::default(),
            disturbed: true,
        };
        world.seed_epochs();
        world.replay();
        world
    }

    /// Ids that are soon at the end of their epochs, so that a run gets there.
    fn seed_epochs(&mut self) {
        for (id, producer_id) in [("a", 7), ("b", 8)] {
            if self.random.one_in(2) {
                continue;
            }
            let mut transaction = Transaction::new(ProducerId(producer_id), 60, Moment::recorded(WALL_MS));
            let epoch = LAST_EPOCH.0 - self.random.below(20) as i16;
            transaction.producer = producer(producer_id, epoch);
            self.judge.seed(id, transaction.producer);
            self.log.push(CoordinatorBatch {
                producer: None,
                records: vec![record(id, &transaction)],
            });
        }
        self.committed = self.log.len();
    }

    pub fn run(mut self) {
        while self.now_ms < DISTURBED_MS {
            self.turn();
            if self.random.one_in(150) {
                self.crash();
            }
            if self.random.one_in(100) {
                self.check_replay();
            }
            if self.random.one_in(200) {
                self.ahead_ms += self.random.below(2 * DAY_MS) as i64 - DAY_MS as i64;
            }
        }
        self.disturbed = false;
        while self.now_ms < DISTURBED_MS + QUIET_MS {
            self.turn();
        }
        self.check_end();
    }

    fn turn(&mut self) {
        self.now_ms += 1 + self.random.below(3) as i64;
        while let Some(first) = self.network.first_entry() {
            if first.key().0 > self.now_ms {
                break;
            }
            let message = first.remove();
            self.deliver(message);
        }
        if self.disturbed {
            for number in 0..self.clients.len() {
                if self.clients[number].resend_at_ms <= self.now_ms {
                    self.send_request(number);
                }
            }
        }
        if self
            .coordinator
            .deadline_ms()
            .is_some_and(|due_ms| due_ms <= self.now_ms)
        {
            self.tick();
        }
        if self.random.one_in(3) || !self.disturbed {
            self.committed += self.random.below(self.log.len() - self.committed + 1);
        }
        self.release();
    }

    fn send_request(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let request = client.request(self.now_ms, &mut self.random, &mut self.fresh_id);
        let (sent, overtaken) = (client.sent, client.may_be_overtaken());
        if !overtaken {
            // One connection: what was not delivered by now never is.
            self.network
                .retain(|_, message| !matches!(message, Message::Request(of, ..) if *of == number));
        }
        if self.random.one_in(20) {
            return;
        }
        if overtaken && self.random.one_in(5) {
            self.send(300, Message::Request(number, sent, request.clone()));
        }
        self.send(8, Message::Request(number, sent, request));
    }

    pub(super) fn send(&mut self, delay_ms: usize, message: Message) {
        let delay_ms = if self.disturbed {
            self.random.below(delay_ms) as i64
        } else {
            0
        };
        self.messages += 1;
        self.network
            .insert((self.now_ms + delay_ms, self.messages), message);
    }

    fn deliver(&mut self, message: Message) {
        match message {
            Message::Request(number, sent, request) => self.step(Some((number, sent)), request),
            Message::Written(written) => self.step(None, TransactionRequest::MarkersWritten(written)),
            Message::Response(number, sent, response) => {
                let client = &mut self.clients[number];
                if client.sent == sent {
                    client.answered(self.now_ms, response, &mut self.partitions, &mut self.random);
                    client.sent += 1;
                }
            }
            Message::Marker(markers) => self.write_markers(markers),
        }
    }

    /// Some of the markers are written, the others are tried again.
    fn write_markers(&mut self, markers: WriteMarkers) {
        let mut rest = markers.clone();
        rest.partitions.clear();
        let mut written = Vec::new();
        for partition in &markers.partitions {
            if self.disturbed && self.random.one_in(4) {
                rest.partitions.push(partition.clone());
                continue;
            }
            let WriteMarkers {
                producer,
                instance,
                committed,
                ..
            } = markers;
            self.partitions
                .mark(partition, producer, instance.epoch, committed);
            written.push(partition.clone());
        }
        if !rest.partitions.is_empty() {
            self.send(50, Message::Marker(rest));
        }
        let copies = 1 + self.random.below(2);
        for _ in 0..copies {
            let message = Message::Written(MarkersWritten {
                transactional_id: markers.transactional_id.clone(),
                decision: markers.decision,
                instance: markers.instance.number,
                partitions: written.clone(),
            });
            self.send(30, message);
        }
    }

    /// The log gives the state that the coordinator has.
    fn check_replay(&mut self) {
        let mut replayed = coordinator(CONFIG, 0, &CoordinatorMemory::of(usize::MAX));
        replay(&mut replayed, &self.log);
        assert_eq!(replayed.len(), self.coordinator.len());
        for (id, live) in self.coordinator.transactions() {
            let mut logged = replayed.transaction(id).expect("it is in the log").clone();
            if live.state.is_decided() {
                // Markers that were written are noted in memory only.
                assert!(
                    live.partitions
                        .iter()
                        .all(|partition| logged.partitions.contains(&partition))
                );
                logged.partitions = live.partitions.clone();
            }
            // Their place on the clock that nobody sets is not logged.
            for (logged, live) in [
                (&mut logged.start, live.start),
                (&mut logged.last_update, live.last_update),
            ] {
                assert_eq!(logged.ms, live.ms);
                *logged = live;
            }
            assert_eq!(*live, logged, "{id}");
        }
    }

    fn check_end(mut self) {
        self.check_replay();
        check_log(&self.log);
        assert_eq!(self.committed, self.log.len());
        assert!(self.waiting.is_empty() && self.held.is_empty() && self.network.is_empty());
        assert!(
            self.coordinator.is_empty(),
            "all have completed, and then expired"
        );
        self.partitions.check_all_ended();
        let mut ended = BTreeSet::new();
        for (name, told) in self.clients.iter().flat_map(|client| &client.told) {
            let outcome = self.partitions.outcomes.get(name);
            match told {
                Told::Committed => {
                    assert_eq!(outcome, Some(&true), "{name:?} was told to be committed");
                    assert!(ended.insert(name));
                }
                Told::Aborted | Told::NotCommitted => {
                    assert_ne!(outcome, Some(&true), "{name:?} was told not to be committed");
                }
            }
        }
    }
}
