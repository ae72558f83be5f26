//! Random schedules of transactions, kills, clean ends and power cuts against an independent model of what is committed, aborted
//! and open: the last stable offset never lies beyond the high watermark, a `read_committed` consumer gets every committed record
//! and no other, and a restart changes nothing of that (CORRECTNESS.md 3 and 4). proptest prints the seed.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::*;
use proptest::prelude::*;
use tautline_core::ids::{Offset, ProducerEpoch, ProducerId};
use tautline_store::*;

/// Ids of transactional producers: even ones use version 1, odd ones version 2.
const PRODUCERS: u8 = 5;

#[derive(Clone, Debug)]
enum Op {
    /// A batch of a producer's transaction.
    Write {
        producer: u8,
        records: usize,
        len: usize,
    },
    /// A batch outside of transactions.
    Plain {
        records: usize,
        len: usize,
    },
    End {
        producer: u8,
        committed: bool,
    },
    /// A guard is taken, to be used by a later write.
    Verify {
        producer: u8,
    },
    /// The write that was verified arrives.
    WriteLate {
        producer: u8,
    },
    /// Commits up to some part of what is durable.
    Commit {
        per_cent: i64,
    },
    Checkpoint,
    Expire,
    Delete {
        per_cent: i64,
    },
    Read {
        per_cent: i64,
        max_bytes: usize,
    },
}

#[derive(Clone, Debug)]
enum End {
    Kill,
    Close { clean: bool },
    PowerCut { after: u64, seed: u64 },
}

/// What happens to files that can be made again, between two lives.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Harm {
    None,
    ListsGone,
    ListsDamaged,
    CheckpointGone,
}

#[derive(Clone, Debug)]
struct Schedule {
    segment_bytes: u64,
    tail_cache_bytes: usize,
    lives: Vec<(Vec<Op>, End, Harm)>,
}

fn op() -> impl Strategy<Value = Op> {
    let producer = || 0..PRODUCERS;
    let len = || prop_oneof![3 => 1..100usize, 1 => 500..4_000usize];
    prop_oneof![
        10 => (producer(), 1..4usize, len()).prop_map(|(producer, records, len)| Op::Write { producer, records, len }),
        3 => (1..4usize, len()).prop_map(|(records, len)| Op::Plain { records, len }),
        5 => (producer(), any::<bool>()).prop_map(|(producer, committed)| Op::End { producer, committed }),
        1 => producer().prop_map(|producer| Op::Verify { producer }),
        1 => producer().prop_map(|producer| Op::WriteLate { producer }),
        4 => (0..=100i64).prop_map(|per_cent| Op::Commit { per_cent }),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Expire),
        1 => (0..=60i64).prop_map(|per_cent| Op::Delete { per_cent }),
        2 => (0..=100i64, prop_oneof![Just(1usize), 100..20_000usize])
            .prop_map(|(per_cent, max_bytes)| Op::Read { per_cent, max_bytes }),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Kill),
        any::<bool>().prop_map(|clean| End::Close { clean }),
        (1..100_000u64, any::<u64>()).prop_map(|(after, seed)| End::PowerCut { after, seed }),
    ]
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        6 => Just(Harm::None),
        1 => Just(Harm::ListsGone),
        1 => Just(Harm::ListsDamaged),
        1 => Just(Harm::CheckpointGone),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let life = (prop::collection::vec(op(), 1..80), end(), harm());
    (
        prop_oneof![Just(3_000u64), Just(12_000), Just(1 << 30)],
        prop_oneof![Just(0usize), Just(1 << 20)],
        prop::collection::vec(life, 1..5),
    )
        .prop_map(|(segment_bytes, tail_cache_bytes, lives)| Schedule {
            segment_bytes,
            tail_cache_bytes,
            lives,
        })
}

/// Something in the log.
#[derive(Clone, Debug, PartialEq)]
enum What {
    Plain,
    Write { producer: u8 },
    End { producer: u8, committed: bool },
}

#[derive(Clone, Debug, PartialEq)]
struct Event {
    first: i64,
    last: i64,
    what: What,
    /// A value for each record.
    values: Vec<Vec<u8>>,
    epoch: i16,
    /// Sequence behind its last record.
    next_sequence: i32,
}

#[derive(Clone, Copy, Default)]
struct Position {
    epoch: i16,
    sequence: i32,
}

/// The log as it must be: a list of what was appended.
#[derive(Clone, Default)]
struct Model {
    events: Vec<Event>,
    start: i64,
    /// May not come back.
    safe_start: i64,
    /// May not be lost.
    safe_end: i64,
    /// Guards that were taken, with how many ends of that producer's transactions there were then.
    guards: BTreeMap<u8, (Verification, usize, Position)>,
    count: u32,
    /// The checkpoint is gone, and with it what it knew of records that are no longer there.
    is_rebuilt: bool,
}

impl Model {
    fn of(&self, producer: u8) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter().filter(move |event| match event.what {
            What::Write { producer: p } | What::End { producer: p, .. } => p == producer,
            What::Plain => false,
        })
    }

    /// Where a producer goes on. It may have been forgotten, and then begins anywhere; or all but its last marker, and then the
    /// client takes another epoch (KIP-360).
    fn position(&self, life: &Life, producer: u8) -> Position {
        let last = self.of(producer).next_back();
        let mut at = last.map_or(Position::default(), |event| Position {
            epoch: event.epoch,
            sequence: event.next_sequence,
        });
        let known = life.log.producers();
        let known = known.iter().find(|known| known.id.0 == i64::from(producer));
        let known = known.filter(|known| known.epoch.0 == at.epoch);
        if known.is_some_and(|known| known.last_sequence + 1 != at.sequence) {
            at = Position {
                epoch: at.epoch + 1,
                sequence: 0,
            };
        }
        at
    }

    fn ends(&self, producer: u8) -> usize {
        self.of(producer)
            .filter(|e| matches!(e.what, What::End { .. }))
            .count()
    }

    /// First offset of a producer's open transaction.
    fn open(&self, producer: u8) -> Option<i64> {
        let behind_marker = self.of(producer).rev();
        let of_it = behind_marker.take_while(|e| matches!(e.what, What::Write { .. }));
        of_it.last().map(|event| event.first)
    }

    /// How each transaction ended: first offset, marker, producer, whether it was committed.
    fn decided(&self) -> Vec<(i64, i64, u8, bool)> {
        let mut open: BTreeMap<u8, i64> = BTreeMap::new();
        let mut decided = Vec::new();
        for event in &self.events {
            match event.what {
                What::Plain => {}
                What::Write { producer } => {
                    open.entry(producer).or_insert(event.first);
                }
                What::End { producer, committed } => {
                    if let Some(first) = open.remove(&producer) {
                        decided.push((first, event.first, producer, committed));
                    }
                }
            }
        }
        decided
    }

    fn last_stable(&self, high_watermark: i64) -> i64 {
        let open = (0..PRODUCERS).filter_map(|producer| self.open(producer));
        let decided = self.decided();
        let unsure = decided.iter().filter(|(_, marker, ..)| *marker >= high_watermark);
        let unstable = open.chain(unsure.map(|(first, ..)| *first)).min();
        unstable.map_or(high_watermark, |first| first.max(self.start).min(high_watermark))
    }

    /// What a consumer gets of `from..to`, below the last stable offset.
    fn committed(&self, from: i64, to: i64) -> Vec<(i64, Vec<u8>)> {
        let decided = self.decided();
        let is_seen = |event: &&Event| match event.what {
            What::Plain => true,
            What::End { .. } => false,
            What::Write { producer } => decided.iter().any(|&(first, marker, of, committed)| {
                of == producer && committed && first <= event.first && event.first < marker
            }),
        };
        let records = self.events.iter().filter(is_seen).flat_map(|event| {
            let offsets = event.first..=event.last;
            offsets.zip(event.values.iter().cloned())
        });
        records
            .filter(|(offset, _)| (from..to).contains(offset))
            .collect()
    }

    fn values(&mut self, records: usize, len: usize) -> Vec<Vec<u8>> {
        let value = |model: &mut Model| {
            model.count += 1;
            let mut value = model.count.to_be_bytes().to_vec();
            value.resize(len.max(4), 0);
            value
        };
        (0..records).map(|_| value(self)).collect()
    }

    fn push(&mut self, appended: Appended, what: What, values: Vec<Vec<u8>>, epoch: i16, next_sequence: i32) {
        assert!(!appended.duplicate);
        self.events.push(Event {
            first: appended.base_offset.0,
            last: appended.last_offset.0,
            what,
            values,
            epoch,
            next_sequence,
        });
    }

    /// Compares everything that can be asked.
    async fn check(&self, life: &Life) {
        let log = &life.log;
        let (stable, high_watermark, end) =
            (log.last_stable_offset(), log.high_watermark(), log.end_offset());
        assert!(log.start_offset() <= stable && stable <= high_watermark && high_watermark <= end);
        assert_eq!(stable.0, self.last_stable(high_watermark.0), "last stable offset");
        for producer in 0..PRODUCERS {
            let open = log.ongoing_transaction(ProducerId(producer.into()));
            let open = open.map(|first| first.0);
            assert_eq!(open, self.open(producer), "open transaction of {producer}");
        }
        for max_bytes in [1, 5_000, 1 << 20] {
            let got = life.consume(self.start, max_bytes).await.unwrap();
            assert!(
                got == self.committed(self.start, stable.0),
                "by {max_bytes} bytes"
            );
        }
    }

    /// Compares one fetch, and what it says of aborted transactions: neither more nor less than overlaps.
    async fn check_fetch(&self, life: &Life, from: i64, max_bytes: usize) {
        let got = life.fetch_committed(Offset(from), max_bytes).await.unwrap();
        if got.read.is_empty() {
            assert!(from >= life.log.last_stable_offset().0, "a fetch makes progress");
            return;
        }
        let next = got.read.next_offset.0;
        let records = filter(&bytes_of(&got.read), &got.aborted, Offset(from));
        assert_eq!(records, self.committed(from, next));
        let told = got.aborted.iter().map(|a| (a.first_offset.0, a.producer.0));
        let overlaps = |&(first, marker, _, committed): &(i64, i64, u8, bool)| {
            !committed && first < next && marker >= from
        };
        let decided = self.decided();
        let overlapping = decided.iter().filter(|t| overlaps(t));
        let expected = overlapping.map(|&(first, _, of, _)| (first, i64::from(of)));
        // Of a transaction whose first record was deleted a list that was made again has what is left, if anything is.
        let (cut, whole): (BTreeSet<_>, BTreeSet<_>) = expected.partition(|(first, _)| *first < self.start);
        let told: BTreeSet<_> = told.collect();
        assert!(told.is_superset(&whole), "{told:?} lack some of {whole:?}");
        let mut more = told.difference(&whole);
        assert!(
            more.all(|(_, of)| cut.iter().any(|(_, cut)| cut == of)),
            "{told:?} are more than {whole:?}"
        );
    }

    /// A log just opened: what was rightly lost is forgotten.
    fn adopt(&mut self, life: &Life) {
        let log = &life.log;
        assert!(log.damage().is_empty(), "{:?}", log.damage());
        let (start, end) = (log.start_offset().0, log.end_offset().0);
        assert!(end >= self.safe_end, "end {end}, acknowledged {}", self.safe_end);
        self.events.retain(|event| event.first < end);
        if std::mem::take(&mut self.is_rebuilt) {
            self.events.retain(|event| event.first >= start);
        }
        assert!(start >= self.safe_start, "what was deleted stays deleted");
        (self.start, self.safe_start) = (start, start);
        self.safe_end = end;
        self.guards.clear();
    }
}

fn version(producer: u8) -> TransactionVersion {
    if producer.is_multiple_of(2) {
        TransactionVersion::V1
    } else {
        TransactionVersion::V2
    }
}

fn bytes_for(producer: u8, at: Position, values: &[Vec<u8>]) -> Vec<u8> {
    let values: Vec<&[u8]> = values.iter().map(|value| &value[..]).collect();
    transactional(producer.into(), at.epoch, at.sequence, &values)
}

/// What a power cut leads to.
fn is_of_the_disk(error: &AppendError) -> bool {
    matches!(error, AppendError::Log(_) | AppendError::DiskFull)
}

fn share(of: i64, per_cent: i64) -> i64 {
    of * per_cent / 100
}

async fn step(life: &Life, op: Op, model: &mut Model) {
    let log = &life.log;
    match op {
        Op::Write {
            producer,
            records,
            len,
        } => {
            let (at, values) = (model.position(life, producer), model.values(records, len));
            let bytes = bytes_for(producer, at, &values);
            match life.append_in(&bytes, version(producer)) {
                Ok(appended) => {
                    let next = at.sequence + records as i32;
                    model.push(appended, What::Write { producer }, values, at.epoch, next);
                }
                Err(error) => assert!(is_of_the_disk(&error), "{error}"),
            }
        }
        Op::Plain { records, len } => {
            let values = model.values(records, len);
            let builder = tautline_core::batch::BatchBuilder::new(1_000);
            let bytes = values
                .iter()
                .fold(builder, |b, v| b.record(None, Some(v)))
                .build();
            if let Ok(appended) = log.append(&parse(&bytes), EPOCH) {
                model.push(appended, What::Plain, values, 0, 0);
            }
        }
        Op::End { producer, committed } => {
            let at = model.position(life, producer);
            let next = match version(producer) {
                TransactionVersion::V1 => at,
                TransactionVersion::V2 => Position {
                    epoch: at.epoch + 1,
                    sequence: 0,
                },
            };
            if model.open(producer).is_some() && next.epoch > at.epoch {
                let own = life.end(producer.into(), at.epoch, committed, version(producer));
                assert!(own.is_err(), "version 2 ends with a later epoch");
            }
            if let Ok(appended) = life.end(producer.into(), next.epoch, committed, version(producer)) {
                let what = What::End { producer, committed };
                model.push(appended, what, Vec::new(), next.epoch, next.sequence);
            }
        }
        Op::Verify { producer } => {
            let at = model.position(life, producer);
            let (id, epoch) = (ProducerId(producer.into()), ProducerEpoch(at.epoch));
            let guard = log
                .verification(id, epoch, at.sequence, version(producer))
                .unwrap();
            assert_eq!(guard == Verification::NotNeeded, model.open(producer).is_some());
            model.guards.insert(producer, (guard, model.ends(producer), at));
        }
        Op::WriteLate { producer } => {
            let Some((guard, ends, at)) = model.guards.remove(&producer) else {
                return;
            };
            let values = model.values(1, 10);
            let bytes = bytes_for(producer, at, &values);
            let began = model
                .of(producer)
                .any(|e| e.epoch == at.epoch && e.next_sequence > at.sequence);
            match log.append_verified(&parse(&bytes), EPOCH, 1_000, guard) {
                Ok(appended) if appended.duplicate => assert!(began),
                Ok(appended) => {
                    assert_eq!(ends, model.ends(producer), "its transaction has ended meanwhile");
                    model.push(
                        appended,
                        What::Write { producer },
                        values,
                        at.epoch,
                        at.sequence + 1,
                    );
                }
                Err(error) if is_of_the_disk(&error) => {}
                Err(error) => assert!(ends != model.ends(producer) || began, "{error}"),
            }
        }
        Op::Commit { per_cent } => {
            let end = log.end_offset();
            if log.committed(end).await.is_ok() {
                model.safe_end = model.safe_end.max(end.0);
            }
            let (high_watermark, durable) = (log.high_watermark().0, log.durable_end().0);
            let to = high_watermark + share(durable - high_watermark, per_cent);
            // The high watermark lies between batches.
            let ends = model.events.iter().map(|event| event.last + 1);
            let to = ends.filter(|&end| end <= to).max().unwrap_or(high_watermark);
            log.advance_high_watermark(Offset(to));
            let stable = log.last_stable_offset().0;
            assert_eq!(stable, model.last_stable(log.high_watermark().0));
        }
        Op::Checkpoint => {
            if log.save_checkpoint().await.is_ok() {
                model.safe_end = model.safe_end.max(log.durable_end().0);
            }
        }
        Op::Expire => {
            log.expire_producers(i64::MAX, 1);
            model.guards.clear();
        }
        Op::Delete { per_cent } => {
            let start = log.start_offset().0;
            let upto = start + share(log.high_watermark().0 - start, per_cent);
            // Failed or not, readers see the new start; it is kept only if it is answered.
            let deleted = log.delete_records(Offset(upto)).await;
            model.start = log.start_offset().0;
            if let Ok(deleted) = deleted {
                assert_eq!(deleted.0, model.start);
                model.safe_start = deleted.0;
            }
        }
        Op::Read { per_cent, max_bytes } => {
            let stable = log.last_stable_offset().0;
            let from = model.start + share(stable - model.start, per_cent);
            model.check_fetch(life, from, max_bytes).await;
        }
    }
}

fn harm_files(disk: &Disk, harm: Harm) {
    if harm == Harm::None {
        return;
    }
    let Ok(entries) = std::fs::read_dir(disk.log_dir()) else {
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        let is_list = path.extension().is_some_and(|e| e == "aborted");
        let is_checkpoint = path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("checkpoint");
        match harm {
            Harm::ListsGone if is_list => std::fs::remove_file(path).unwrap(),
            Harm::ListsDamaged if is_list => {
                let mut bytes = std::fs::read(&path).unwrap();
                let middle = bytes.len() / 2;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 1;
                }
                std::fs::write(path, bytes).unwrap();
            }
            Harm::CheckpointGone if is_checkpoint => std::fs::remove_file(path).unwrap(),
            _ => {}
        }
    }
}

fn run(schedule: Schedule) {
    let mut disk = Disk::new();
    disk.config.segment_bytes = schedule.segment_bytes;
    disk.config.file_delete_delay_ms = 0;
    disk.options.tail_cache_bytes = schedule.tail_cache_bytes;
    let plan = Arc::new(FaultPlan::lose_unsynced());
    disk.options.faults = Some(plan.clone());
    let mut model = Model::default();
    for (ops, end, harm) in schedule.lives {
        plan.heal();
        let (plan, mut kept) = (plan.clone(), model);
        model = disk.live(move |life| async move {
            kept.adopt(&life);
            kept.check(&life).await;
            if let End::PowerCut { after, seed } = end {
                plan.fail_after(after, Fault::PowerCut { seed });
            }
            for op in ops {
                step(&life, op, &mut kept).await;
            }
            if let End::Close { clean } = end {
                life.store.close().await.unwrap();
                if clean {
                    life.data.mark_clean().unwrap();
                }
            }
            kept.safe_end = kept.safe_end.max(life.log.durable_end().0);
            kept
        });
        harm_files(&disk, harm);
        if harm == Harm::CheckpointGone {
            // A start inside of a segment is known to the checkpoint alone.
            (model.safe_start, model.is_rebuilt) = (0, true);
        }
    }
    plan.heal();
    disk.live(move |life| async move {
        model.adopt(&life);
        model.check(&life).await;
        for producer in 0..PRODUCERS {
            step(
                &life,
                Op::End {
                    producer,
                    committed: true,
                },
                &mut model,
            )
            .await;
        }
        life.settle().await;
        model.check(&life).await;
        assert_eq!(
            life.log.last_stable_offset(),
            life.log.end_offset(),
            "all is decided"
        );
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_committed_record_is_seen_and_an_aborted_one_never(schedule in schedule()) {
        run(schedule);
    }
}
