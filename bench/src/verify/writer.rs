//! One writer: a thread that keeps batches under way to its partitions, journals what is acknowledged, and outlives
//! the broker.
//!
//! Idempotent: after a lost connection or an error every batch that isn't acknowledged is sent again, with its
//! sequence number, until it is. Not idempotent: such a batch has an unknown outcome and is never sent again.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use tautline_core::error::ErrorCode;

use super::journal::{Entry, Journal, OFFSET_UNKNOWN};
use super::record::Mark;
use crate::client::admin::Admin;
use crate::client::connection::{Connection, Poll};
use crate::client::produce::{self, Acknowledgement};
use crate::client::template::{RequestShape, Template};
use crate::clock::{nanos, now_ns, wall_ms};
use crate::errors;
use crate::stop::Stop;

/// Kafka keeps the last five batches of an idempotent producer; more under way could not all be told from duplicates.
pub const IN_FLIGHT_MAX: usize = 5;
/// How long one answer may take before the connection is given up.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);
/// Pause before connecting again.
const RECONNECT_AFTER: Duration = Duration::from_millis(10);
/// How long a writer that was told to stop goes on retrying what isn't acknowledged.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);
/// Sequence numbers of the protocol wrap to 0 after i32::MAX.
const SEQUENCE_MASK: u64 = i32::MAX as u64;

/// What all writers have counted.
#[derive(Default)]
pub struct Counts {
    /// Records acknowledged.
    pub acknowledged: AtomicU64,
    /// Records sent again.
    pub retried: AtomicU64,
    /// Records whose outcome isn't known (not idempotent).
    pub unknown: AtomicU64,
    /// Connections lost or given up.
    pub disconnects: AtomicU64,
}

/// What a writer is to do.
#[derive(Clone)]
pub struct Assignment {
    /// Its id.
    pub id: u64,
    /// Its partitions.
    pub partitions: Vec<i32>,
    /// Whether it is idempotent.
    pub idempotent: bool,
    /// Its requests; the version and topic id of a fresh look at the broker.
    pub shape: RequestShape,
    /// Where to ask for leaders.
    pub bootstrap: String,
    /// Batches under way at most.
    pub in_flight: usize,
}

/// A batch under way.
#[derive(Clone, Copy)]
struct Batch {
    /// Index into the assignment's partitions.
    slot: usize,
    first_sequence: u64,
    /// Index of the connection it went over.
    link: usize,
}

/// The writer's state.
pub struct Writer<'a> {
    assignment: Assignment,
    journal: Journal,
    counts: &'a Counts,
    template: Template,
    producer: (i64, i16),
    next_sequences: Vec<u64>,
    turn: usize,
    under_way: VecDeque<Batch>,
    links: Vec<(String, Connection)>,
    /// Link of each of the assignment's partitions.
    routes: Vec<usize>,
}

/// Why a connection is given up.
enum Broken {
    /// Lost, or an error that may pass: connect again.
    Retry,
    /// Not to be repaired.
    Fatal(anyhow::Error),
}

impl<'a> Writer<'a> {
    /// A writer that hasn't connected yet.
    pub fn new(assignment: Assignment, journal: Journal, counts: &'a Counts) -> Writer<'a> {
        Writer {
            template: Template::new(&assignment.shape),
            next_sequences: vec![0; assignment.partitions.len()],
            assignment,
            journal,
            counts,
            producer: (-1, -1),
            turn: 0,
            under_way: VecDeque::new(),
            links: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// Writes until told to stop, then until everything is acknowledged (idempotent) or answered.
    pub fn run(mut self, stop: &Stop) -> anyhow::Result<()> {
        let mut drain_until = u64::MAX;
        loop {
            if stop.is_set() {
                drain_until = drain_until.min(now_ns() + nanos(DRAIN_TIMEOUT));
                if self.under_way.is_empty() {
                    return Ok(());
                }
            }
            match self.step(stop) {
                Ok(()) => {}
                Err(Broken::Fatal(error)) => {
                    return Err(error.context(format!("writer {:016x}", self.assignment.id)));
                }
                Err(Broken::Retry) if now_ns() > drain_until => {
                    bail!(
                        "writer {:016x}: not acknowledged {DRAIN_TIMEOUT:?} after the end",
                        self.assignment.id
                    )
                }
                Err(Broken::Retry) => {
                    self.disconnect();
                    std::thread::sleep(RECONNECT_AFTER);
                }
            }
        }
    }

    /// Connects if need be, fills the pipeline, and takes one answer.
    fn step(&mut self, stop: &Stop) -> Result<(), Broken> {
        if self.links.is_empty() {
            self.connect().map_err(|_| Broken::Retry)?;
            self.resend()?;
        }
        while self.under_way.len() < self.assignment.in_flight && !stop.is_set() {
            let slot = self.turn;
            self.turn = (slot + 1) % self.assignment.partitions.len();
            let batch = Batch {
                slot,
                first_sequence: self.next_sequences[slot],
                link: self.routes[slot],
            };
            self.next_sequences[slot] += self.template.records() as u64;
            self.under_way.push_back(batch);
            self.send(batch)?;
        }
        match self.under_way.front().copied() {
            Some(batch) => self.receive(batch),
            None => Ok(()),
        }
    }

    fn connect(&mut self) -> anyhow::Result<()> {
        let mut admin = Admin::connect(&self.assignment.bootstrap)?;
        let topic = admin
            .topic(&self.assignment.shape.topic)?
            .context("the topic isn't there")?;
        if self.assignment.idempotent && self.producer.0 < 0 {
            self.producer = admin.init_producer_id()?;
        }
        let (mut links, mut routes) = (Vec::<(String, Connection)>::new(), Vec::new());
        for &partition in &self.assignment.partitions {
            let leader = topic
                .leaders
                .get(partition as usize)
                .context("the partition isn't there")?;
            let link = links.iter().position(|(address, _)| address == leader);
            routes.push(link.unwrap_or(links.len()));
            if link.is_none() {
                let mut connection = Connection::open(leader, Poll::Block)?;
                connection.receiver.set_timeout(Some(ANSWER_TIMEOUT))?;
                links.push((leader.clone(), connection));
            }
        }
        (self.links, self.routes) = (links, routes);
        Ok(())
    }

    fn disconnect(&mut self) {
        self.counts.disconnects.fetch_add(1, Ordering::Relaxed);
        self.links.clear();
        if !self.assignment.idempotent {
            let records = self.under_way.len() * self.template.records();
            self.counts.unknown.fetch_add(records as u64, Ordering::Relaxed);
            self.under_way.clear();
        }
    }

    fn resend(&mut self) -> Result<(), Broken> {
        for at in 0..self.under_way.len() {
            let link = self.routes[self.under_way[at].slot];
            self.under_way[at].link = link;
            self.send(self.under_way[at])?;
            self.counts
                .retried
                .fetch_add(self.template.records() as u64, Ordering::Relaxed);
        }
        Ok(())
    }

    fn send(&mut self, batch: Batch) -> Result<(), Broken> {
        let Assignment { id, idempotent, .. } = self.assignment;
        for at in 0..self.template.records() {
            let mark = Mark {
                writer: id,
                sequence: batch.first_sequence + at as u64,
                idempotent,
            };
            mark.write(self.template.value_mut(at));
        }
        if idempotent {
            let base_sequence = (batch.first_sequence & SEQUENCE_MASK) as i32;
            self.template
                .set_producer(self.producer.0, self.producer.1, base_sequence);
        }
        self.template
            .set_partition(self.assignment.partitions[batch.slot]);
        self.template
            .set_correlation((batch.first_sequence & SEQUENCE_MASK) as i32);
        let frame = self.template.seal(wall_ms());
        self.links[batch.link]
            .1
            .sender
            .send(frame)
            .map_err(|_| Broken::Retry)
    }

    fn receive(&mut self, batch: Batch) -> Result<(), Broken> {
        let body = self.links[batch.link]
            .1
            .receiver
            .receive()
            .map_err(|_| Broken::Retry)?;
        let answer = produce::parse(body, self.assignment.shape.version)
            .map_err(|error| Broken::Fatal(error.into()))?;
        let partition = self.assignment.partitions[batch.slot];
        if answer.partition != partition
            || answer.correlation != (batch.first_sequence & SEQUENCE_MASK) as i32
        {
            return Err(Broken::Fatal(anyhow::anyhow!(
                "partition {partition}: the answer to another request came first; a connection's answers must keep the order of its requests"
            )));
        }
        let records = self.template.records() as u64;
        if self.accepts(batch, answer)? {
            self.under_way.pop_front();
            let base_offset = if answer.error_code == 0 {
                answer.base_offset
            } else {
                OFFSET_UNKNOWN
            };
            let entry = Entry {
                partition,
                base_offset,
                writer: self.assignment.id,
                first_sequence: batch.first_sequence,
                count: records as u32,
            };
            self.journal.append(&entry).map_err(Broken::Fatal)?;
            self.counts.acknowledged.fetch_add(records, Ordering::Relaxed);
        } else {
            self.under_way.pop_front();
            self.counts.unknown.fetch_add(records, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether the batch is acknowledged; false when it failed and isn't sent again.
    fn accepts(&self, batch: Batch, answer: Acknowledgement) -> Result<bool, Broken> {
        let idempotent = self.assignment.idempotent;
        match ErrorCode::from_code(answer.error_code) {
            Some(ErrorCode::None) => Ok(true),
            Some(ErrorCode::DuplicateSequenceNumber) if idempotent => Ok(true),
            Some(error) if error.is_retriable() && !matches!(error, ErrorCode::CorruptMessage) => {
                if idempotent {
                    Err(Broken::Retry)
                } else {
                    Ok(false)
                }
            }
            _ => Err(Broken::Fatal(anyhow::anyhow!(
                "partition {}: the broker refuses the batch from sequence {} with {}; everything before it is acknowledged",
                answer.partition,
                batch.first_sequence,
                errors::name(answer.error_code)
            ))),
        }
    }
}
