//! Random schedules of appends, commits, kills, clean restarts and power cuts against a model: what was acknowledged is there,
//! byte for byte; what is there was appended, in order; a power cut is never taken for damage. proptest prints the seed.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::sync::Arc;

use common::*;
use proptest::prelude::*;
use tautline_store::*;

#[derive(Clone, Debug)]
enum Op {
    Append { len: usize, records: usize },
    Commit,
    Checkpoint,
    Read,
}

#[derive(Clone, Debug)]
enum End {
    Kill,
    Close { clean: bool },
    PowerCut { after: u64, seed: u64 },
}

#[derive(Clone, Debug)]
struct Schedule {
    relaxed: bool,
    segment_bytes: u64,
    lives: Vec<(Vec<Op>, End)>,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (prop_oneof![1..200usize, 200..5_000usize, 5_000..60_000usize], 1..8usize)
            .prop_map(|(len, records)| Op::Append { len, records }),
        3 => Just(Op::Commit),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Read),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Kill),
        any::<bool>().prop_map(|clean| End::Close { clean }),
        (1..200_000u64, any::<u64>()).prop_map(|(after, seed)| End::PowerCut { after, seed }),
        (1..20_000u64, any::<u64>()).prop_map(|(after, seed)| End::PowerCut { after, seed }),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let lives = prop::collection::vec((prop::collection::vec(op(), 1..40), end()), 1..6);
    (
        any::<bool>(),
        prop_oneof![Just(20_000u64), Just(150_000), Just(1 << 30)],
        lives,
    )
        .prop_map(|(relaxed, segment_bytes, lives)| Schedule {
            relaxed,
            segment_bytes,
            lives,
        })
}

/// What the log must hold: the batches appended, and how many of them may not be lost.
#[derive(Clone, Default)]
struct Model {
    batches: Vec<(i64, Vec<u8>)>,
    safe_end: i64,
}

impl Model {
    /// Compares a log just opened with the model, which forgets what was rightly lost.
    async fn check(&mut self, life: &Life) {
        assert!(life.log.damage().is_empty(), "{:?}", life.log.damage());
        let end = life.log.end_offset().0;
        assert!(end >= self.safe_end, "end {end}, acknowledged {}", self.safe_end);
        self.batches.retain(|(base, _)| *base < end);
        let read = life.read_all(0, 20_000).await.unwrap();
        let read: Vec<_> = read.iter().map(|(base, bytes)| (*base, payload(bytes))).collect();
        assert!(
            read == self.batches,
            "{} batches in the log, {} in the model",
            read.len(),
            self.batches.len()
        );
        self.safe_end = end;
    }
}

fn run(schedule: Schedule) {
    let mut disk = Disk::new();
    disk.config.segment_bytes = schedule.segment_bytes;
    disk.config.flush_messages = if schedule.relaxed { 20 } else { 1 };
    let plan = Arc::new(FaultPlan::lose_unsynced());
    disk.options.faults = Some(plan.clone());
    let mut model = Model::default();
    for (ops, end) in schedule.lives {
        plan.heal();
        let (plan, mut kept) = (plan.clone(), model);
        model = disk.live(move |life| async move {
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
                kept.safe_end = kept
                    .batches
                    .last()
                    .map_or(kept.safe_end, |_| life.log.end_offset().0);
            }
            kept.safe_end = kept.safe_end.max(life.log.durable_end().0);
            kept
        });
    }
    plan.heal();
    disk.live(move |life| async move {
        model.check(&life).await;
        life.put(&batch(1, 1, b"goes on")).await;
    });
}

async fn step(life: &Life, op: Op, model: &mut Model) {
    match op {
        Op::Append { len, records } => {
            let fill = model.batches.len() as u8;
            let bytes = batch(
                model.batches.len() as i64,
                records,
                &vec![fill; len / records + 1],
            );
            if let Ok(appended) = life.log.append(&parse(&bytes), EPOCH) {
                model.batches.push((appended.base_offset.0, payload(&bytes)));
            }
        }
        Op::Commit => {
            let end = life.log.end_offset();
            if life.log.committed(end).await.is_ok() && life.log.durable_end() >= end {
                model.safe_end = model.safe_end.max(end.0);
            }
        }
        Op::Checkpoint => {
            life.log.advance_high_watermark(life.log.durable_end());
            // The store syncs what the checkpoint describes before it writes it.
            if life.log.save_checkpoint().await.is_ok() {
                model.safe_end = model.safe_end.max(life.log.durable_end().0);
            }
        }
        Op::Read => {
            let durable = life.log.durable_end();
            let from = ReadFrom {
                offset: tautline_core::ids::Offset(0),
                max_bytes: 100_000,
                min_one_batch: true,
                bound: durable,
            };
            let _ = life.log.read(from).await.unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_acknowledged_is_lost_and_nothing_foreign_appears(schedule in schedule()) {
        run(schedule);
    }
}
