//! What every client of a run has: a connection that is opened again after each kill, its own random numbers, and what it recorded.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use kafka_protocol::protocol::Request;
use tautline_core::error::ErrorCode;

use crate::client::admin::{Admin, Topic};
use crate::clock::{nanos, now_ns};
use crate::errors;
use crate::history::event::{Event, What};
use crate::random::Random;

/// How long a client tries again what the broker asks it to try again.
const PATIENCE: Duration = Duration::from_secs(60);
const ATTEMPTS_MIN: u32 = 500;
const RECONNECT_EVERY: Duration = Duration::from_millis(5);
const RETRY_WITHIN: Duration = Duration::from_millis(10);

/// What all clients of a run share.
pub struct Field {
    /// The broker's address.
    pub listen: String,
    /// The topic.
    pub topic: Topic,
    /// Names of the clients.
    pub transactional_ids: Vec<String>,
    /// What is known of each partition, to choose offsets within it.
    pub known: Vec<Known>,
    /// The largest leader epoch that was seen.
    pub leader_epoch: AtomicI32,
    /// Set when the schedule is over: what is under way is finished, nothing new begun.
    pub over: AtomicBool,
    next_number: AtomicU64,
}

/// Offsets of a partition that some answer told.
#[derive(Default)]
pub struct Known {
    pub log_start: AtomicI64,
    pub high_watermark: AtomicI64,
}

impl Field {
    /// For a new topic.
    pub fn new(listen: String, topic: Topic, transactional_ids: Vec<String>) -> Field {
        let known = topic.leaders.iter().map(|_| Known::default()).collect();
        Field {
            listen,
            topic,
            transactional_ids,
            known,
            leader_epoch: AtomicI32::new(0),
            over: AtomicBool::new(false),
            next_number: AtomicU64::new(1),
        }
    }

    /// A number nobody else gets, for a writer or a transaction.
    pub fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// Partitions of the topic.
    pub fn partitions(&self) -> i32 {
        self.known.len() as i32
    }

    /// Whether the schedule is over.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Notes a partition's bounds.
    pub fn learn(&self, partition: i32, log_start: i64, high_watermark: i64) {
        let known = &self.known[partition as usize];
        known.log_start.fetch_max(log_start, Ordering::Relaxed);
        known.high_watermark.fetch_max(high_watermark, Ordering::Relaxed);
    }
}

/// One client.
pub struct Client<'a> {
    /// What it shares with the others.
    pub field: &'a Field,
    /// Its own random numbers.
    pub random: Random,
    /// What it has seen.
    pub events: Vec<Event>,
    process: usize,
    connection: Option<Admin>,
}

impl<'a> Client<'a> {
    /// A client that isn't connected yet.
    pub fn new(field: &'a Field, process: usize, seed: u64) -> Client<'a> {
        Client {
            field,
            random: Random(seed),
            events: Vec::new(),
            process,
            connection: None,
        }
    }

    /// Notes what happened since `invoked_ns`.
    pub fn record(&mut self, invoked_ns: u64, what: What) {
        self.events.push(Event {
            process: self.process,
            invoked_ns,
            completed_ns: now_ns(),
            what,
        });
    }

    /// Sends a request and gives its answer; none when the connection breaks, so that nobody knows what became of it. An answer that
    /// can't be read is an error. The client waits for a broker that isn't there.
    pub fn ask<R: Request>(&mut self, request: &R, version: i16) -> anyhow::Result<Option<R::Response>> {
        let answer = self
            .connected()
            .and_then(|broker| broker.call_at(request, version));
        self.unless_lost(answer)
    }

    /// Sends a request and goes away, as a client that dies does.
    pub fn send_and_die<R: Request>(&mut self, request: &R, version: i16) -> anyhow::Result<()> {
        let sent = self
            .connected()
            .and_then(|broker| broker.send_at(request, version));
        self.unless_lost(sent)?;
        self.disconnect();
        Ok(())
    }

    /// Closes the connection.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    fn unless_lost<T>(&mut self, answer: anyhow::Result<T>) -> anyhow::Result<Option<T>> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.chain().any(|cause| cause.is::<io::Error>()) => {
                self.disconnect();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn connected(&mut self) -> anyhow::Result<&mut Admin> {
        let mut patience = Patience::new();
        let broker = match self.connection.take() {
            Some(broker) => broker,
            None => loop {
                match Admin::connect(&self.field.listen) {
                    Ok(broker) => break broker,
                    Err(error) if !patience.lasts() => return Err(error),
                    Err(_) => std::thread::sleep(RECONNECT_EVERY),
                }
            },
        };
        Ok(self.connection.insert(broker))
    }

    /// A random partition.
    pub fn partition(&mut self) -> i32 {
        self.random.below(self.field.partitions() as u64) as i32
    }

    /// Some different partitions, mostly one.
    pub fn some_partitions(&mut self) -> Vec<i32> {
        let mut partitions = vec![self.partition()];
        while self.random.once_in(3) {
            let another = self.partition();
            if !partitions.contains(&another) {
                partitions.push(another);
            }
        }
        partitions
    }

    /// Waits a random while.
    pub fn pause(&mut self, most: Duration) {
        std::thread::sleep(self.random.between(Duration::ZERO, most));
    }

    /// Waits before it tries again; false if it is out of patience.
    pub fn may_retry(&mut self, patience: &mut Patience) -> bool {
        self.pause(RETRY_WITHIN);
        patience.lasts()
    }
}

/// How long a client tries again: for a time and so many times, since a process that was stopped for a while has not tried.
pub struct Patience {
    since_ns: u64,
    attempts: u32,
}

impl Patience {
    /// From now on.
    pub fn new() -> Patience {
        Patience {
            since_ns: now_ns(),
            attempts: 0,
        }
    }

    /// Counts an attempt; false if there were enough.
    pub fn lasts(&mut self) -> bool {
        self.attempts += 1;
        self.attempts < ATTEMPTS_MIN || now_ns() < self.since_ns + nanos(PATIENCE)
    }
}

/// What an error code says of what was asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Done,
    /// Not done: ask again.
    Again,
    /// Perhaps done: ask again.
    Unsure,
    /// Not done, and asking again won't help.
    Refused,
}

/// Reads an error code.
pub fn verdict(code: i16) -> Verdict {
    let Some(error) = ErrorCode::from_code(code) else {
        return Verdict::Refused;
    };
    match error {
        ErrorCode::None => Verdict::Done,
        ErrorCode::RequestTimedOut
        | ErrorCode::NotEnoughReplicasAfterAppend
        | ErrorCode::NetworkException
        | ErrorCode::KafkaStorageError
        | ErrorCode::UnknownServerError => Verdict::Unsure,
        error if error.is_retriable() && !errors::is(code, ErrorCode::CorruptMessage) => Verdict::Again,
        _ => Verdict::Refused,
    }
}
