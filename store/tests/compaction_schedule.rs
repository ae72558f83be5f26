//! Random schedules of keyed records, tombstones, transactions, cleanings that a crash ends at any of their steps, kills and lost
//! checkpoints, against a model: the latest record of each key is there at its offset, what was cleaned away does not come back,
//! deleted keys go after their time, and every reader gets through. proptest prints the seed.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use common::keyed::*;
use common::*;
use proptest::prelude::*;
use tautline_core::batch::Compression;
use tautline_core::ids::Offset;
use tautline_store::*;

const NOW: i64 = 1_600_000_000_000;
const RETENTION_MS: i64 = 1_000;
const PRODUCERS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    /// Keys, and the lengths of their values; none deletes the key.
    Send {
        records: Vec<(u8, Option<u8>)>,
        codec: usize,
        /// A producer, and whether it writes in a transaction.
        producer: Option<(usize, bool)>,
        /// Milliseconds added to the time, taken from it if they are more than 200.
        shift_ms: u8,
    },
    End {
        producer: usize,
        committed: bool,
    },
    /// Cleans after so many milliseconds; a crash ends it after so many steps.
    Clean {
        after_ms: u16,
        crash: Option<u8>,
    },
    DeleteRecords {
        keep: u8,
    },
}

#[derive(Clone, Copy, Debug)]
enum End {
    Kill,
    Close,
    LoseCheckpoint,
}

#[derive(Clone, Debug)]
struct Schedule {
    segment_bytes: u64,
    map_bytes: usize,
    lives: Vec<(Vec<Op>, End, u64)>,
}

fn op() -> impl Strategy<Value = Op> {
    let record = (0..24u8, prop::option::weighted(0.8, 0..120u8));
    prop_oneof![
        12 => (
            prop::collection::vec(record, 1..12),
            0..CODECS.len(),
            prop::option::weighted(0.5, (0..PRODUCERS, any::<bool>())),
            any::<u8>(),
        )
            .prop_map(|(records, codec, producer, shift_ms)| Op::Send { records, codec, producer, shift_ms }),
        3 => (0..PRODUCERS, any::<bool>()).prop_map(|(producer, committed)| Op::End { producer, committed }),
        3 => (0..2_500u16, prop::option::weighted(0.4, 0..30u8))
            .prop_map(|(after_ms, crash)| Op::Clean { after_ms, crash }),
        1 => (0..200u8).prop_map(|keep| Op::DeleteRecords { keep }),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let end = prop_oneof![Just(End::Kill), Just(End::Close), Just(End::LoseCheckpoint)];
    let lives = prop::collection::vec((prop::collection::vec(op(), 1..60), end, any::<u64>()), 1..6);
    let sizes = (
        prop_oneof![Just(700u64), Just(4_000), Just(30_000)],
        prop_oneof![Just(4_096usize), Just(1 << 20)],
    );
    (sizes, lives).prop_map(|((segment_bytes, map_bytes), lives)| Schedule {
        segment_bytes,
        map_bytes,
        lives,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Plain,
    Open(usize),
    Committed,
    Aborted,
}

#[derive(Clone, Debug)]
struct Written {
    record: Sent,
    fate: Fate,
    /// The earliest time at which a cleaning that covers it began; by when one that covers it had ended well; and whether another
    /// did so when its time was over.
    tried_ms: Option<i64>,
    clean_ms: Option<i64>,
    may_expire: bool,
    must_expire: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Producer {
    next_sequence: i32,
    open: bool,
}

/// What the log must hold, may hold, and may not.
#[derive(Clone, Debug, Default)]
struct Model {
    records: BTreeMap<i64, Written>,
    producers: [Producer; PRODUCERS],
    now_ms: i64,
    start: i64,
    /// All below was cleaned, for certain.
    cleaned_to: i64,
}

impl Model {
    /// The last offset of each key below a bound, of records that count.
    fn latest(&self, below: i64) -> HashMap<&[u8], i64> {
        let counts = |written: &Written| matches!(written.fate, Fate::Plain | Fate::Committed);
        let below = self.records.range(..below).filter(|(_, written)| counts(written));
        below
            .map(|(&offset, written)| (written.record.key.as_deref().unwrap(), offset))
            .collect()
    }

    async fn check(&self, life: &Life) {
        assert!(life.log.damage().is_empty(), "{:?}", life.log.damage());
        assert!(life.log.failure().is_none());
        let found: BTreeMap<i64, Sent> = life
            .records()
            .await
            .into_iter()
            .map(|f| (f.offset, f.record))
            .collect();
        for (offset, record) in &found {
            let written = self
                .records
                .get(offset)
                .unwrap_or_else(|| panic!("{offset} was never written"));
            assert_eq!(*record, written.record, "at {offset}");
        }
        let (clean, all) = (self.latest(self.cleaned_to), self.latest(i64::MAX));
        for (&offset, written) in self.records.range(self.start..) {
            let key = written.record.key.as_deref().unwrap();
            let replaced = clean.get(key).is_some_and(|&last| last > offset);
            let aborted = written.fate == Fate::Aborted;
            let here = found.contains_key(&offset);
            if offset < self.cleaned_to && (replaced || aborted || written.must_expire) {
                assert!(
                    !here,
                    "{offset} {written:?} is back, cleaned to {}",
                    self.cleaned_to
                );
            }
            let may_go = aborted || written.may_expire || all.get(key).is_some_and(|&last| last > offset);
            assert!(
                here || may_go,
                "{offset} {written:?} is gone, start {}",
                self.start
            );
        }
        for (n, producer) in self.producers.iter().enumerate() {
            let known = life.log.producers().into_iter().find(|p| p.id.0 == n as i64);
            let last = known.map_or(-1, |p| p.last_sequence);
            let below_start = self.start > 0 && last == -1;
            assert!(
                last == producer.next_sequence - 1 || below_start,
                "producer {n}: {last}, {producer:?}"
            );
            let open = known.and_then(|p| p.transaction_start).is_some();
            assert_eq!(open, producer.open, "producer {n}");
        }
        self.check_reads(life, &found).await;
    }

    /// From every offset a reader gets on; by time it finds what a walk finds.
    async fn check_reads(&self, life: &Life, found: &BTreeMap<i64, Sent>) {
        let end = life.log.end_offset();
        let start = life.log.start_offset().0;
        let step = ((end.0 - start) / 60).max(1) as usize;
        for offset in (start..end.0).step_by(step) {
            let from = ReadFrom {
                offset: Offset(offset),
                max_bytes: 1,
                min_one_batch: true,
                bound: end,
            };
            let bytes = bytes_of(&life.log.read(from).await.unwrap());
            assert!(!bytes.is_empty(), "nothing at {offset} of {start}..{end}");
            let batch = parse(&bytes);
            let next = found.range(offset..).next().map(|(&offset, _)| offset);
            assert!(batch.next_offset().0 > offset);
            assert!(next.is_none_or(|next| next >= batch.base_offset().0));
        }
        let seen = life.consume(start, 3_000).await.unwrap();
        let stable = life.log.last_stable_offset().0;
        let expected: Vec<i64> = found
            .range(start..stable)
            .filter(|(offset, _)| matches!(self.records[offset].fate, Fate::Plain | Fate::Committed))
            .map(|(&offset, _)| offset)
            .collect();
        assert_eq!(
            seen.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(),
            expected
        );
        let no_markers = self.records.values().all(|written| written.fate == Fate::Plain);
        let times = found.range(start..).map(|(_, record)| record.timestamp_ms);
        for wanted in times.clone().step_by(step).filter(|_| no_markers) {
            let first = found
                .range(start..)
                .find(|(_, record)| record.timestamp_ms >= wanted)
                .unwrap();
            let by_time = life.log.offset_for_timestamp(wanted).await.unwrap().unwrap();
            assert_eq!(
                (by_time.offset.0, by_time.timestamp_ms),
                (*first.0, first.1.timestamp_ms)
            );
        }
        if no_markers && let Some(max) = times.max() {
            assert_eq!(
                life.log
                    .max_timestamp_offset()
                    .await
                    .unwrap()
                    .unwrap()
                    .timestamp_ms,
                max
            );
        }
    }

    /// A cleaning begins that may come up to `end`.
    fn tried(&mut self, end: i64) {
        for (_, written) in self.records.range_mut(..end) {
            let begun = *written.tried_ms.get_or_insert(self.now_ms);
            written.may_expire |= written.record.value.is_none() && self.now_ms >= begun + RETENTION_MS;
        }
    }

    /// A cleaning has ended well.
    fn cleaned(&mut self, upto: i64) {
        self.cleaned_to = self.cleaned_to.max(upto);
        for (_, written) in self.records.range_mut(..upto) {
            let clean = *written.clean_ms.get_or_insert(self.now_ms);
            let over = self.now_ms >= clean + RETENTION_MS;
            written.must_expire |= written.record.value.is_none() && over && self.now_ms > clean;
        }
    }
}

fn run(schedule: Schedule) {
    let mut disk = Disk::new();
    disk.config.segment_bytes = schedule.segment_bytes;
    disk.config.compact = true;
    disk.config.delete = false;
    disk.config.file_delete_delay_ms = 0;
    disk.config.delete_retention_ms = RETENTION_MS;
    disk.options.cleaner.enabled = false;
    disk.options.cleaner.dedupe_buffer_bytes = schedule.map_bytes;
    let plan = Arc::new(FaultPlan::lose_unsynced());
    disk.options.faults = Some(plan.clone());
    let mut model = Model {
        now_ms: NOW,
        ..Model::default()
    };
    for (ops, end, seed) in schedule.lives {
        plan.heal();
        let (life_plan, mut kept) = (plan.clone(), model);
        model = disk.live(move |life| async move {
            kept.check(&life).await;
            for op in ops {
                if !step(&life, op, &mut kept, &life_plan).await {
                    return kept;
                }
            }
            if matches!(end, End::Close) {
                life.store.close().await.unwrap();
                life.data.mark_clean().unwrap();
            }
            kept
        });
        crash(&disk, &plan, seed);
        if matches!(end, End::LoseCheckpoint) && model.start == 0 {
            for name in ["checkpoint", "checkpoint-closing"] {
                let _ = std::fs::remove_file(disk.log_dir().join(name));
            }
        }
    }
    plan.heal();
    disk.live(move |life| async move {
        model.check(&life).await;
        model.tried(life.log.last_stable_offset().0);
        while let Some(cleaned) = life.log.clean(model.now_ms).await.unwrap() {
            model.cleaned(cleaned.upto.0);
        }
        model.check(&life).await;
    });
}

/// What a power cut leaves of what was not synced.
fn crash(disk: &Disk, plan: &FaultPlan, seed: u64) {
    let Some(stopped_at) = plan.stopped_at() else {
        return;
    };
    let newest = highest_generation(disk);
    for entry in std::fs::read_dir(disk.log_dir()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".cleaning") && seed.is_multiple_of(3) {
            std::fs::write(&path, vec![0xa5; (seed % 50_000) as usize]).unwrap();
        } else if name.contains('-') && name.ends_with(".index") && seed.is_multiple_of(2) {
            std::fs::write(&path, b"torn").unwrap();
        } else if name.contains('-')
            && name.ends_with(".log")
            && stopped_at == Stop::SyncName
            && seed.is_multiple_of(2)
        {
            // The name of the last one was not durable.
            if generation_of(&name) == newest {
                std::fs::rename(&path, path.with_extension("cleaning")).unwrap();
            }
        }
    }
}

fn generation_of(name: &str) -> u64 {
    let stem = name.split('.').next().unwrap();
    stem.split_once('-')
        .and_then(|(_, generation)| generation.parse().ok())
        .unwrap_or(0)
}

fn highest_generation(disk: &Disk) -> u64 {
    let names = std::fs::read_dir(disk.log_dir()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned());
    names
        .filter(|name| name.ends_with(".log"))
        .map(|name| generation_of(&name))
        .max()
        .unwrap_or(0)
}

/// False if a crash has ended the life.
async fn step(life: &Life, op: Op, model: &mut Model, plan: &FaultPlan) -> bool {
    match op {
        Op::Send {
            records,
            codec,
            producer,
            shift_ms,
        } => {
            let shift_ms = i64::from(shift_ms);
            let time = model.now_ms + if shift_ms > 200 { -shift_ms } else { shift_ms };
            let records: Vec<Sent> = records
                .iter()
                .enumerate()
                .map(|(n, (key, value))| {
                    let value = value.map(|len| format!("{}", time % 1_000).repeat(usize::from(len)));
                    sent(&format!("key{key}"), value.as_deref(), time + n as i64 % 3)
                })
                .collect();
            send(life, model, &records, CODECS[codec], producer).await;
        }
        Op::End { producer, committed } => {
            if !model.producers[producer].open {
                return true;
            }
            life.end(producer as i64, 0, committed, TransactionVersion::V1)
                .unwrap();
            life.settle().await;
            model.producers[producer].open = false;
            let fate = if committed { Fate::Committed } else { Fate::Aborted };
            for written in model
                .records
                .values_mut()
                .filter(|written| written.fate == Fate::Open(producer))
            {
                written.fate = fate;
            }
        }
        Op::Clean { after_ms, crash } => {
            model.now_ms += i64::from(after_ms);
            model.tried(life.log.last_stable_offset().0);
            if let Some(places) = crash {
                plan.stop_cleaning_after(u64::from(places));
            }
            match life.log.clean(model.now_ms).await {
                Ok(cleaned) => model.cleaned(cleaned.map_or(0, |cleaned| cleaned.upto.0)),
                Err(_) if plan.stopped_at().is_some() => return false,
                Err(error) => panic!("{error}"),
            }
            plan.heal();
        }
        Op::DeleteRecords { keep } => {
            let upto = (life.log.high_watermark().0 - i64::from(keep) * 4).max(0);
            if upto < life.log.last_stable_offset().0 {
                model.start = life.log.delete_records(Offset(upto)).await.unwrap().0;
            }
        }
    }
    true
}

async fn send(
    life: &Life,
    model: &mut Model,
    records: &[Sent],
    codec: Compression,
    producer: Option<(usize, bool)>,
) {
    let mut fate = Fate::Plain;
    let bytes = match producer {
        None => keyed(records, codec),
        Some((n, transactional)) => {
            let known = &mut model.producers[n];
            // Who has a transaction open writes in it.
            let transactional = transactional || known.open;
            let from = From {
                producer: Some((n as i64, 0, known.next_sequence)),
                transactional,
            };
            known.next_sequence += records.len() as i32;
            known.open |= transactional;
            if transactional {
                fate = Fate::Open(n);
            }
            keyed_from(records, codec, from)
        }
    };
    let appended = life.append_in_or_not(&bytes).await;
    for (n, record) in records.iter().enumerate() {
        let written = Written {
            record: record.clone(),
            fate,
            tried_ms: None,
            clean_ms: None,
            may_expire: false,
            must_expire: false,
        };
        model.records.insert(appended.base_offset.0 + n as i64, written);
    }
}

impl Life {
    async fn append_in_or_not(&self, bytes: &[u8]) -> Appended {
        let appended = if parse(bytes).is_transactional() {
            self.append_in(bytes, TransactionVersion::V1).unwrap()
        } else {
            self.log.append(&parse(bytes), EPOCH).unwrap()
        };
        self.settle().await;
        appended
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_latest_stays_and_what_went_does_not_come_back(schedule in schedule()) {
        run(schedule);
    }
}
