//! The model's consumers.

use tautline_core::error::ErrorCode;

use super::{CONSUMERS, Fault, Model, Partition, TRANSACTIONAL, WRITERS};
use crate::history::event::{Aborted, Batch, EpochEnd, Isolation, Marker, Offset, Poll, Polled, What};
use crate::history::view::delivered;

impl Partition {
    pub(super) fn last_stable(&self) -> i64 {
        let first = self.open.values().min().copied();
        first.unwrap_or(self.end).max(self.start)
    }

    fn from(&self, from: i64, bound: i64, count: usize) -> Vec<Batch> {
        let batches = self.batches.iter();
        let batches = batches.filter(|batch| batch.last_offset >= from && batch.last_offset < bound);
        batches.take(count).cloned().collect()
    }

    fn aborted(&self, from: i64, batches: &[Batch]) -> Vec<Aborted> {
        let last = batches.last().map_or(-1, |batch| batch.last_offset);
        let aborted = self.aborted.iter();
        let aborted = aborted.filter(|&&(_, first, marker)| marker >= from && first <= last);
        let listed = aborted.map(|&(producer_id, first_offset, _)| Aborted {
            producer_id,
            first_offset,
        });
        listed.collect()
    }
}

impl Model {
    pub(super) fn step_consumer(&mut self, process: usize) {
        let partition = self.partition();
        let nth = process - WRITERS - TRANSACTIONAL;
        debug_assert!(nth < CONSUMERS);
        match self.random.below(12) {
            0 => self.ask_offset(process, partition),
            1 => self.ask_epoch(process, partition),
            2 => {
                let log = &self.partitions[partition as usize];
                let offset = log.start + self.random.below((log.end - log.start) as u64 + 1) as i64;
                self.consumers[nth].positions[partition as usize] = (offset, true);
            }
            _ => self.poll(process, nth, partition),
        }
    }

    fn ask_offset(&mut self, process: usize, partition: i32) {
        let (latest, committed) = (self.random.once_in(2), self.random.once_in(2));
        let log = &self.partitions[partition as usize];
        let (isolation, last) = match committed {
            true => (Isolation::ReadCommitted, log.last_stable()),
            false => (Isolation::ReadUncommitted, log.end),
        };
        let what = Offset {
            partition,
            latest,
            isolation,
            offset: if latest { last } else { log.start },
        };
        self.record(process, What::Offset(what));
    }

    fn ask_epoch(&mut self, process: usize, partition: i32) {
        let asked = self.random.below(self.leader_epoch as u64 + 1) as i32;
        let log = &self.partitions[partition as usize];
        let (start, end) = (log.start, log.end);
        let later = log.batches.iter().find(|batch| batch.leader_epoch > asked);
        let later = later.map(|batch| batch.base_offset.max(start));
        let mut end_offset = later.unwrap_or(end);
        if later.is_some_and(|base| base >= log.asked_to_delete && base < end)
            && self.strikes(Fault::TellEpochEndLate)
        {
            end_offset = end;
        }
        let what = EpochEnd {
            partition,
            asked,
            epoch: asked,
            end_offset,
        };
        self.record(process, What::EpochEnd(what));
    }

    fn answer(
        &self,
        partition: i32,
        (from, sought): (i64, bool),
        isolation: Isolation,
        count: usize,
    ) -> Polled {
        let log = &self.partitions[partition as usize];
        let stable = log.last_stable();
        let bound = match isolation {
            Isolation::ReadUncommitted => log.end,
            Isolation::ReadCommitted => stable,
        };
        let gone = from < log.start;
        let batches = if gone {
            Vec::new()
        } else {
            log.from(from, bound, count)
        };
        let aborted = match isolation {
            Isolation::ReadUncommitted => Vec::new(),
            Isolation::ReadCommitted => log.aborted(from, &batches),
        };
        Polled {
            partition,
            from,
            sought,
            error: if gone {
                ErrorCode::OffsetOutOfRange.code()
            } else {
                0
            },
            high_watermark: log.end,
            last_stable_offset: stable,
            log_start: log.start,
            aborted,
            batches,
        }
    }

    fn poll(&mut self, process: usize, nth: usize, partition: i32) {
        let consumer = &self.consumers[nth];
        let (isolation, position) = (consumer.isolation, consumer.positions[partition as usize]);
        let count = 1 + self.random.below(4) as usize;
        let mut polled = self.answer(partition, position, isolation, count);
        if polled.error == 0 {
            self.spoil(nth, &mut polled, isolation);
        }
        let consumer = &mut self.consumers[nth];
        let position = &mut consumer.positions[partition as usize];
        if polled.error != 0 {
            *position = (self.partitions[partition as usize].start, true);
        } else {
            let ends = polled.batches.iter().map(|batch| batch.last_offset + 1);
            *position = (ends.fold(polled.from, i64::max), false);
            let Polled {
                high_watermark: high,
                last_stable_offset: stable,
                log_start: start,
                ..
            } = polled;
            consumer.told[partition as usize] = Some((high, stable, start));
        }
        self.record(process, What::Poll(poll_of(isolation, polled, false)));
    }

    /// Lets a fault of reading strike, if it can.
    fn spoil(&mut self, nth: usize, polled: &mut Polled, isolation: Isolation) {
        let committed = isolation == Isolation::ReadCommitted;
        let log = &self.partitions[polled.partition as usize];
        let (stable, end, asked) = (log.last_stable(), log.end, log.asked_to_delete);
        let told = self.consumers[nth].told[polled.partition as usize];
        let behind = log
            .batches
            .iter()
            .rfind(|batch| batch.last_offset < polled.from)
            .cloned();
        let rest = log.from(polled.from, end, usize::MAX);
        let is_open = |batch: &Batch| {
            let first = log.open.get(&batch.producer.id);
            batch.marker.is_none()
                && batch.transactional
                && first.is_some_and(|&first| batch.base_offset >= first)
        };
        let gives_open = committed && rest.iter().any(is_open);
        let holds_open = log
            .open
            .values()
            .any(|&first| first >= log.start && first >= stable && first < end);
        let shown: Vec<Batch> = delivered(polled, isolation).cloned().collect();
        let hides = polled
            .batches
            .iter()
            .any(|batch| batch.marker.is_none() && !shown.contains(batch));
        // Only what the same answer also shows to be committed.
        let decided = polled
            .batches
            .iter()
            .any(|batch| batch.marker == Some(Marker::Commit));
        let decided = shown.iter().find(|batch| batch.transactional && decided).cloned();
        let Some(fault) = self.fault else { return };
        let possible = match fault {
            Fault::ForgetAborted => committed && hides,
            Fault::InventAborted => committed && decided.is_some(),
            Fault::GiveOpen => gives_open,
            Fault::TellStableTooHigh => holds_open,
            Fault::TellStableAboveHigh => true,
            Fault::TellHighBack => told.is_some_and(|told| told.0 > polled.log_start),
            Fault::TellStableBack => told.is_some_and(|told| told.1 > polled.log_start),
            Fault::TellStartBack => told.is_some_and(|told| told.2 > 0),
            Fault::TellStartAhead => asked < stable,
            Fault::GiveBeyondHigh | Fault::GiveDamaged | Fault::GiveNothing => !polled.batches.is_empty(),
            Fault::GiveAgain => behind.is_some(),
            Fault::GiveLess => polled.batches.len() > 1,
            Fault::GiveOther => polled.batches.iter().any(|batch| !batch.values.is_empty()),
            Fault::RefuseOffset => polled.from >= asked && told.is_some_and(|told| told.0 >= polled.from),
            Fault::JumpAhead => !polled.sought && polled.from < end,
            Fault::JumpBack => !polled.sought && polled.from > 0,
            _ => false,
        };
        if !possible || !self.strikes(fault) {
            return;
        }
        let (high_told, stable_told, start_told) = told.unwrap_or_default();
        match fault {
            Fault::ForgetAborted => polled.aborted.clear(),
            Fault::InventAborted => polled.aborted.extend(decided.map(|batch| Aborted {
                producer_id: batch.producer.id,
                first_offset: batch.base_offset,
            })),
            Fault::GiveOpen => {
                polled.batches = rest;
                let log = &self.partitions[polled.partition as usize];
                polled.aborted = log.aborted(polled.from, &polled.batches);
            }
            Fault::TellStableTooHigh => polled.last_stable_offset = end,
            Fault::TellStableAboveHigh => polled.last_stable_offset = end + 1,
            Fault::TellHighBack => {
                polled.high_watermark = high_told - 1;
                polled.last_stable_offset = polled.last_stable_offset.min(high_told - 1);
                polled.batches.clear();
            }
            Fault::TellStableBack => {
                polled.last_stable_offset = stable_told - 1;
                polled.batches.clear();
            }
            Fault::TellStartBack => polled.log_start = start_told - 1,
            Fault::TellStartAhead => polled.log_start = asked + 1,
            Fault::GiveBeyondHigh => {
                polled.high_watermark = polled.batches[0].last_offset;
                polled.last_stable_offset = polled.last_stable_offset.min(polled.high_watermark);
            }
            Fault::GiveAgain => polled.batches.splice(0..0, behind).for_each(drop),
            Fault::GiveLess => drop(polled.batches.remove(0)),
            Fault::GiveOther => {
                let batches = polled.batches.iter_mut();
                for value in batches.filter_map(|batch| batch.values.first_mut()).take(1) {
                    value.sequence += 1_000_000;
                }
            }
            Fault::GiveDamaged => polled.batches[0].damage = Some("its CRC doesn't match"),
            Fault::RefuseOffset => {
                polled.error = ErrorCode::OffsetOutOfRange.code();
                polled.batches.clear();
            }
            Fault::GiveNothing => polled.batches.clear(),
            Fault::JumpAhead => polled.from += 1,
            Fault::JumpBack => polled.from -= 1,
            _ => {}
        }
    }

    /// Reads a partition to its end, as far as it gets.
    pub(super) fn read_all(&mut self, process: usize, partition: i32, isolation: Isolation) {
        let mut position = (self.partitions[partition as usize].start, true);
        loop {
            self.now_ns += 20;
            let polled = self.answer(partition, position, isolation, 5);
            let end = polled.batches.last().map(|batch| batch.last_offset + 1);
            self.record(process, What::Poll(poll_of(isolation, polled, true)));
            match end {
                Some(end) => position = (end, false),
                None => return,
            }
        }
    }
}

fn poll_of(isolation: Isolation, polled: Polled, last: bool) -> Poll {
    Poll {
        isolation,
        incremental: false,
        last,
        partitions: vec![polled],
    }
}
