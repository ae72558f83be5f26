//! A broker and its clients in memory, which make random histories from a seed: correct ones, or with one fault.
//!
//! Every operation happens at one moment between its invocation and its completion, and those of different clients overlap. A fault
//! strikes once, where it can be seen by somebody: nothing is deleted any more after it.

mod fault;
mod reads;
mod transactions;

use std::collections::{BTreeMap, BTreeSet};

use tautline_core::error::ErrorCode;

pub use fault::Fault;

use crate::history::event::{
    Batch, Event, History, Isolation, Marker, Outcome, Producer, Trim, Value, What, Write,
};
use crate::random::Random;

const PARTITIONS: i32 = 3;
const WRITERS: usize = 2;
const TRANSACTIONAL: usize = 3;
const CONSUMERS: usize = 4;
const RECORDS_MAX: u64 = 3;
/// One write in so many has an outcome that its client never learns.
const UNKNOWN: u64 = 8;
/// A fault strikes at one of so many chances.
const STRIKE: u64 = 3;

#[derive(Default)]
struct Partition {
    start: i64,
    end: i64,
    batches: Vec<Batch>,
    /// Open transactions: producer id and first offset.
    open: BTreeMap<i64, i64>,
    /// Aborted ones: producer id, first offset, marker.
    aborted: Vec<(i64, i64, i64)>,
    /// The largest offset so far before which all was to go.
    asked_to_delete: i64,
}

struct WriterState {
    number: u64,
    next: u64,
}

struct TransactionalState {
    id: usize,
    number: u64,
    next: u64,
    producer: Option<Producer>,
    transaction: Option<u64>,
    /// Acknowledged writes of the transaction: partition and base offset.
    acknowledged: Vec<(i32, i64)>,
}

struct ConsumerState {
    isolation: Isolation,
    positions: Vec<(i64, bool)>,
    told: Vec<Option<(i64, i64, i64)>>,
}

/// The broker, its clients, and what they have seen.
pub struct Model {
    random: Random,
    fault: Option<Fault>,
    struck: bool,
    now_ns: u64,
    busy_until_ns: Vec<u64>,
    partitions: Vec<Partition>,
    leader_epoch: i32,
    /// Producers whose open transaction somebody asked to commit, and never knew.
    perhaps_committed: BTreeSet<i64>,
    /// Epochs in use by transactional id; the producer's id is its index.
    epochs: Vec<i16>,
    writers: Vec<WriterState>,
    transactional: Vec<TransactionalState>,
    consumers: Vec<ConsumerState>,
    next_number: u64,
    events: Vec<Event>,
}

/// Makes a history of about `steps` operations; none if the fault found no place to strike.
pub fn history(seed: u64, steps: u32, fault: Option<Fault>) -> Option<History> {
    let mut model = Model::new(seed, fault);
    for _ in 0..steps {
        model.step();
    }
    model.finish();
    let mut events = model.events;
    events.sort_by_key(|event| event.completed_ns);
    let processes = (0..model.busy_until_ns.len()).map(|process| format!("client-{process}"));
    let history = History {
        processes: processes.collect(),
        events,
    };
    (fault.is_none() || model.struck).then_some(history)
}

impl Model {
    fn new(seed: u64, fault: Option<Fault>) -> Model {
        let writers = (0..WRITERS as u64).map(|number| WriterState { number, next: 0 });
        let transactional = (0..TRANSACTIONAL).map(|nth| TransactionalState {
            // The last two share an id.
            id: nth.min(TRANSACTIONAL - 2),
            number: 100 + nth as u64,
            next: 0,
            producer: None,
            transaction: None,
            acknowledged: Vec::new(),
        });
        let consumers = (0..CONSUMERS).map(|nth| ConsumerState {
            isolation: [Isolation::ReadUncommitted, Isolation::ReadCommitted][nth % 2],
            positions: vec![(0, true); PARTITIONS as usize],
            told: vec![None; PARTITIONS as usize],
        });
        Model {
            random: Random(seed),
            fault,
            struck: false,
            now_ns: 100,
            // One more deletes, and one reads everything at the end.
            busy_until_ns: vec![0; WRITERS + TRANSACTIONAL + CONSUMERS + 2],
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            leader_epoch: 1,
            perhaps_committed: BTreeSet::new(),
            epochs: vec![-1; TRANSACTIONAL - 1],
            writers: writers.collect(),
            transactional: transactional.collect(),
            consumers: consumers.collect(),
            next_number: 1000,
            events: Vec::new(),
        }
    }

    fn step(&mut self) {
        let trimmer = WRITERS + TRANSACTIONAL + CONSUMERS;
        let process = self.random.below(trimmer as u64 + 1) as usize;
        self.now_ns += 1 + self.random.below(6);
        if self.busy_until_ns[process] >= self.now_ns {
            return;
        }
        if self.random.once_in(200) {
            self.leader_epoch += 1;
        }
        if process < WRITERS {
            self.write_plainly(process);
        } else if process < WRITERS + TRANSACTIONAL {
            self.step_transactional(process);
        } else if process < trimmer {
            self.step_consumer(process);
        } else if self.random.once_in(6) {
            self.trim(process);
        }
    }

    /// Whether a fault strikes, now that it could.
    fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = self.fault == Some(fault) && !self.struck && self.random.once_in(STRIKE);
        self.struck |= strikes;
        strikes
    }

    /// Notes what happened now, some time after it was asked and before the client knows.
    fn record(&mut self, process: usize, what: What) {
        let asked_ns = self.now_ns - 1 - self.random.below(4);
        let completed_ns = self.now_ns + 1 + self.random.below(4);
        self.events.push(Event {
            process,
            invoked_ns: asked_ns.max(self.busy_until_ns[process] + 1).min(self.now_ns),
            completed_ns,
            what,
        });
        self.busy_until_ns[process] = completed_ns;
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn partition(&mut self) -> i32 {
        self.random.below(PARTITIONS as u64) as i32
    }

    fn append(&mut self, partition: i32, producer: Producer, transactional: bool, values: Vec<Value>) -> i64 {
        let follows = !self.partitions[partition as usize].batches.is_empty();
        let leader_epoch = if follows && self.strikes(Fault::EpochFalls) {
            0
        } else {
            self.leader_epoch
        };
        let log = &mut self.partitions[partition as usize];
        let base_offset = log.end;
        log.end += values.len() as i64;
        log.batches.push(Batch {
            base_offset,
            last_offset: log.end - 1,
            leader_epoch,
            producer,
            transactional,
            marker: None,
            values,
            damage: None,
        });
        if transactional {
            log.open.entry(producer.id).or_insert(base_offset);
        }
        base_offset
    }

    fn mark(&mut self, partition: i32, producer: Producer, marker: Marker) {
        let leader_epoch = self.leader_epoch;
        let log = &mut self.partitions[partition as usize];
        if let Some(first) = log.open.remove(&producer.id)
            && marker == Marker::Abort
        {
            log.aborted.push((producer.id, first, log.end));
        }
        log.batches.push(Batch {
            base_offset: log.end,
            last_offset: log.end,
            leader_epoch,
            producer,
            transactional: true,
            marker: Some(marker),
            values: Vec::new(),
            damage: None,
        });
        log.end += 1;
    }

    /// Stores a write as it should be, or as the fault has it, and gives the outcome.
    fn store(&mut self, write: &Write) -> Outcome<Option<i64>> {
        let producer = write.producer.unwrap_or(Producer { id: -1, epoch: -1 });
        let (partition, transactional) = (write.partition, write.transaction.is_some());
        let values: Vec<Value> = write.values().collect();
        if !transactional {
            if self.strikes(Fault::AcknowledgeUnstored) {
                return Outcome::Ok(Some(self.partitions[partition as usize].end));
            }
            if self.strikes(Fault::ForgetSequence) {
                return Outcome::Fail(ErrorCode::OutOfOrderSequenceNumber.code());
            }
            if self.strikes(Fault::StoreRefused) {
                self.append(partition, producer, false, values);
                return Outcome::Fail(ErrorCode::NotEnoughReplicas.code());
            }
            if self.strikes(Fault::StoreAnother) {
                let writer = 9999;
                let others = values.iter().map(|value| Value { writer, ..*value }).collect();
                return Outcome::Ok(Some(self.append(partition, producer, false, others)));
            }
            if values.len() > 1 && self.strikes(Fault::StoreReordered) {
                let reversed = values.into_iter().rev().collect();
                self.append(partition, producer, false, reversed);
                return Outcome::Unknown;
            }
            if self.strikes(Fault::StoreTwice) {
                self.append(partition, producer, false, values.clone());
                return Outcome::Ok(Some(self.append(partition, producer, false, values)));
            }
        }
        if self.random.once_in(UNKNOWN) {
            if self.random.once_in(2) {
                self.append(partition, producer, transactional, values);
            }
            return Outcome::Unknown;
        }
        Outcome::Ok(Some(self.append(partition, producer, transactional, values)))
    }

    fn write_plainly(&mut self, process: usize) {
        let (partition, count) = (self.partition(), 1 + self.random.below(RECORDS_MAX) as u32);
        let writer = &mut self.writers[process];
        let mut write = Write {
            partition,
            first: Value {
                writer: writer.number,
                sequence: writer.next,
            },
            count,
            producer: Some(Producer {
                id: 50 + process as i64,
                epoch: 0,
            }),
            transaction: None,
            outcome: Outcome::Unknown,
        };
        writer.next += u64::from(count);
        write.outcome = self.store(&write);
        self.record(process, What::Write(write));
    }

    fn trim(&mut self, process: usize) {
        if self.struck {
            return;
        }
        let partition = self.partition();
        let roll = self.random.below(8);
        let random = self.random.next_u64();
        let log = &mut self.partitions[partition as usize];
        let before = log.start + (random % ((log.end - log.start) as u64 / 3 + 1)) as i64;
        let (happens, knows) = (roll != 0, roll > 1);
        log.asked_to_delete = log.asked_to_delete.max(before);
        if happens {
            log.start = log.start.max(before);
            let start = log.start;
            log.batches.retain(|batch| batch.last_offset >= start);
        }
        let outcome = match knows {
            true => Outcome::Ok(log.start),
            false => Outcome::Unknown,
        };
        self.record(
            process,
            What::Trim(Trim {
                partition,
                before,
                outcome,
            }),
        );
    }

    fn finish(&mut self) {
        for nth in 0..TRANSACTIONAL {
            let process = WRITERS + nth;
            self.now_ns += 20;
            self.take_over(process, true);
        }
        if self.fault == Some(Fault::LoseTail) {
            self.lose_tail();
        }
        let reader = self.busy_until_ns.len() - 1;
        for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
            for partition in 0..PARTITIONS {
                self.read_all(reader, partition, isolation);
            }
        }
    }

    /// Cuts the log behind what somebody was told to be there.
    fn lose_tail(&mut self) {
        let acknowledged = self.events.iter().find_map(|event| match &event.what {
            What::Write(write) => match write.outcome {
                Outcome::Ok(Some(base)) if base >= self.partitions[write.partition as usize].start => {
                    Some((write.partition, base))
                }
                _ => None,
            },
            _ => None,
        });
        if let Some((partition, base)) = acknowledged {
            let log = &mut self.partitions[partition as usize];
            log.batches.retain(|batch| batch.base_offset < base);
            log.end = base;
            self.struck = true;
        }
    }
}
