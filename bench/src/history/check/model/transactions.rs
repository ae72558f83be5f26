//! The model's transactional producers, and how their transactions end.

use tautline_core::error::ErrorCode;

use super::{Fault, Model, RECORDS_MAX, WRITERS};
use crate::history::event::{End, Init, Marker, Outcome, Producer, Value, What, Write};

impl Model {
    pub(super) fn step_transactional(&mut self, process: usize) {
        let nth = process - WRITERS;
        let roll = self.random.below(10);
        let state = &mut self.transactional[nth];
        let Some(producer) = state.producer.filter(|_| roll != 0) else {
            // A new life: its writer is another one.
            self.take_over(process, false);
            return;
        };
        match state.transaction {
            Some(transaction) if roll < 3 => self.end(process, producer, transaction, roll == 1),
            _ => self.write_in_transaction(process, producer),
        }
    }

    fn write_in_transaction(&mut self, process: usize, producer: Producer) {
        let nth = process - WRITERS;
        let (partition, count) = (self.partition(), 1 + self.random.below(RECORDS_MAX) as u32);
        let number = self.number();
        let state = &mut self.transactional[nth];
        let transaction = *state.transaction.get_or_insert(number);
        let mut write = Write {
            partition,
            first: Value {
                writer: state.number,
                sequence: state.next,
            },
            count,
            producer: Some(producer),
            transaction: Some(transaction),
            outcome: Outcome::Unknown,
        };
        state.next += u64::from(count);
        let id = state.id;
        if self.epochs[id] == producer.epoch
            || self.knows_newer(producer) && self.strikes(Fault::LetZombieWrite)
        {
            write.outcome = self.store(&write);
            if self.struck && self.fault == Some(Fault::LetZombieWrite) && self.epochs[id] != producer.epoch {
                // It is acknowledged, whatever else.
                if write.outcome == Outcome::Unknown {
                    let values = write.values().collect();
                    write.outcome = Outcome::Ok(Some(self.append(partition, producer, true, values)));
                }
            }
        } else {
            write.outcome = Outcome::Fail(ErrorCode::InvalidProducerEpoch.code());
        }
        let state = &mut self.transactional[nth];
        match write.outcome {
            Outcome::Ok(base) => state.acknowledged.extend(base.map(|base| (partition, base))),
            Outcome::Unknown => {}
            Outcome::Fail(_) => state.producer = None,
        }
        self.record(process, What::Write(write));
    }

    /// Whether somebody was given a newer epoch a while ago.
    fn knows_newer(&self, producer: Producer) -> bool {
        self.events.iter().any(|event| match &event.what {
            What::Init(init) => matches!(init.outcome, Outcome::Ok(newer)
                if newer.id == producer.id && newer.epoch > producer.epoch && event.completed_ns + 6 < self.now_ns),
            _ => false,
        })
    }

    fn end(&mut self, process: usize, producer: Producer, transaction: u64, commit: bool) {
        let state = &mut self.transactional[process - WRITERS];
        state.transaction = None;
        let mut acknowledged = std::mem::take(&mut state.acknowledged);
        let id = state.id;
        // Where somebody sees how the transaction ends: what was to be deleted nobody has to see.
        acknowledged.retain(|&(partition, base)| {
            let log = &self.partitions[partition as usize];
            log.open.contains_key(&producer.id) && base >= log.asked_to_delete
        });
        let mut seen: Vec<i32> = acknowledged.iter().map(|&(partition, _)| partition).collect();
        seen.sort_unstable();
        seen.dedup();
        let mut outcome = if self.epochs[id] != producer.epoch {
            state.producer = None;
            Outcome::Fail(ErrorCode::ProducerFenced.code())
        } else if self.random.once_in(6) {
            Outcome::Unknown
        } else {
            Outcome::Ok(())
        };
        let fenced = matches!(outcome, Outcome::Fail(_));
        if !fenced && (outcome == Outcome::Ok(()) || self.random.once_in(2)) {
            let mut markers = vec![if commit { Marker::Commit } else { Marker::Abort }; 3];
            if commit && seen.len() > 1 && self.strikes(Fault::TearCommit) {
                markers[seen[0] as usize] = Marker::Abort;
            }
            if commit && !seen.is_empty() && outcome == Outcome::Ok(()) && self.strikes(Fault::AbortCommitted)
            {
                markers.fill(Marker::Abort);
            }
            if !commit && !seen.is_empty() && self.strikes(Fault::CommitAborted) {
                markers.fill(Marker::Commit);
            }
            self.mark_all(producer, &markers);
        } else if !fenced {
            // It never came; the client goes away, and the next one aborts.
            outcome = Outcome::Unknown;
            if commit {
                self.perhaps_committed.insert(producer.id);
            }
            self.transactional[process - WRITERS].producer = None;
        }
        self.record(
            process,
            What::End(End {
                transaction,
                producer,
                commit,
                outcome,
            }),
        );
    }

    fn mark_all(&mut self, producer: Producer, markers: &[Marker]) {
        self.perhaps_committed.remove(&producer.id);
        for (partition, &marker) in (0..).zip(markers) {
            if self.partitions[partition as usize]
                .open
                .contains_key(&producer.id)
            {
                self.mark(partition, producer, marker);
            }
        }
    }

    /// InitProducerId: aborts what is open, and fences.
    pub(super) fn take_over(&mut self, process: usize, at_the_end: bool) {
        let number = self.number();
        let state = &mut self.transactional[process - WRITERS];
        let id = state.id;
        (state.number, state.next, state.transaction) = (number, 0, None);
        state.acknowledged.clear();
        self.epochs[id] += 1;
        let producer = Producer {
            id: id as i64,
            epoch: self.epochs[id],
        };
        let is_open = self.partitions.iter().any(|log| {
            let first = log.open.get(&producer.id);
            first.is_some_and(|&first| first >= log.start)
        });
        let leaves = at_the_end && is_open && self.fault == Some(Fault::LeaveOpen);
        self.struck |= leaves;
        if !leaves {
            let doomed = is_open && !self.perhaps_committed.contains(&producer.id);
            let wrong = doomed && self.strikes(Fault::CommitFenced);
            let marker = if wrong { Marker::Commit } else { Marker::Abort };
            self.mark_all(producer, &[marker; 3]);
        }
        self.transactional[process - WRITERS].producer = Some(producer);
        self.record(
            process,
            What::Init(Init {
                transactional_id: format!("id-{id}"),
                outcome: Outcome::Ok(producer),
            }),
        );
    }
}
