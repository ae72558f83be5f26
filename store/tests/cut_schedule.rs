//! Random schedules of a replicated log against a model: appends of leaders and followers, commits, cuts, new beginnings,
//! kills, restarts, power cuts. What is committed stays, what was cut does not come back, producers are what the batches say.
//! proptest prints the seed.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::sync::Arc;

use common::*;
use proptest::prelude::*;
use tautline_core::batch::{BatchBuilder, patch_position};
use tautline_core::ids::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use tautline_store::*;

#[derive(Clone, Debug)]
enum Op {
    /// By a leader: of one of a few producers.
    Append {
        producer: i64,
        len: usize,
        records: usize,
    },
    /// By a follower, behind a gap.
    Follow {
        len: usize,
        gap: i64,
    },
    /// Makes all durable, and that part of it committed, in 1/255.
    Commit {
        part: u8,
    },
    /// Cuts that part of what is not committed.
    Truncate {
        part: u8,
    },
    Reset {
        gap: i64,
    },
    Checkpoint,
    /// Up to that part of what is committed.
    Delete {
        part: u8,
    },
    Settle,
}

#[derive(Clone, Debug)]
enum End {
    Kill,
    Close { clean: bool },
    PowerCut { after: u64, seed: u64 },
}

fn op() -> impl Strategy<Value = Op> {
    let len = || prop_oneof![1..200usize, 200..5_000usize, 5_000..30_000usize];
    prop_oneof![
        8 => (0..3i64, len(), 1..4usize).prop_map(|(producer, len, records)| Op::Append { producer, len, records }),
        2 => (len(), prop_oneof![3 => Just(0i64), 1 => 1..50i64]).prop_map(|(len, gap)| Op::Follow { len, gap }),
        3 => any::<u8>().prop_map(|part| Op::Commit { part }),
        3 => any::<u8>().prop_map(|part| Op::Truncate { part }),
        1 => (0..40i64).prop_map(|gap| Op::Reset { gap }),
        2 => Just(Op::Checkpoint),
        1 => any::<u8>().prop_map(|part| Op::Delete { part }),
        1 => Just(Op::Settle),
    ]
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        Just(End::Kill),
        any::<bool>().prop_map(|clean| End::Close { clean }),
        (1..200_000u64, any::<u64>()).prop_map(|(after, seed)| End::PowerCut { after, seed }),
    ]
}

#[derive(Clone, Debug)]
struct Held {
    base: i64,
    next: i64,
    epoch: i32,
    producer: i64,
    bytes: Vec<u8>,
}

/// What the log must hold.
#[derive(Clone, Debug)]
struct Model {
    batches: Vec<Held>,
    start: i64,
    /// All below is committed.
    committed: i64,
    /// All below may not be lost by a crash.
    durable: i64,
    end: i64,
    epoch: i32,
}

impl Model {
    /// Compares a log with the model; `opened` says that what was rightly lost may be missing, which the model then forgets.
    async fn check(&mut self, life: &Life, opened: bool) {
        let log = &life.log;
        assert!(log.damage().is_empty(), "{:?}", log.damage());
        let end = log.end_offset().0;
        if opened {
            assert!(
                (self.durable.max(self.committed)..=self.end).contains(&end),
                "end {end}: {self:?}"
            );
            self.batches.retain(|held| held.next <= end);
            self.end = end;
            self.durable = end;
            // Before its first checkpoint a log begins with its first batch.
            let first = self.batches.first().map_or(end, |held| held.base);
            self.start = self.start.max(log.start_offset().0.min(first));
        }
        assert_eq!((log.start_offset().0, end), (self.start, self.end));
        let read = life.read_all(self.start, 20_000).await.unwrap();
        let held: Vec<_> = self
            .batches
            .iter()
            .filter(|held| held.next > self.start)
            .collect();
        assert_eq!(read.len(), held.len(), "number of batches");
        for ((base, bytes), held) in read.iter().zip(&held) {
            let epoch = parse(bytes).leader_epoch().0;
            assert!((*base, epoch) == (held.base, held.epoch) && payload(bytes) == payload(&held.bytes));
        }
        let latest = held.last().map(|held| LeaderEpoch(held.epoch));
        assert!(latest.is_none() || log.latest_epoch() == latest);
        if opened {
            // Those that the files have; what was deleted may be there still.
            let heads = log.batch_heads(Offset(self.start)).await.unwrap();
            let heads: Vec<_> = heads
                .iter()
                .map(|head| (head.base_offset.0, head.leader_epoch.0))
                .collect();
            let held: Vec<_> = held.iter().map(|held| (held.base, held.epoch)).collect();
            assert_eq!(heads, held);
        }
        log.advance_high_watermark(Offset(self.committed));
    }

    /// The end of one of the batches between two offsets, or one of these.
    fn boundary(&self, from: i64, to: i64, part: u8) -> i64 {
        let mut ends: Vec<i64> = self.batches.iter().map(|held| held.next).collect();
        ends.extend([from, to]);
        ends.retain(|end| (from..=to).contains(end));
        ends.sort_unstable();
        ends[(ends.len() - 1) * usize::from(part) / 255]
    }

    fn took(&mut self, bytes: Vec<u8>, base: i64, next: i64, producer: i64) {
        let epoch = self.epoch;
        self.batches.push(Held {
            base,
            next,
            epoch,
            producer,
            bytes,
        });
        self.end = next;
    }

    async fn step(&mut self, life: &Life, op: Op) {
        let log = &life.log;
        match op {
            Op::Append {
                producer,
                len,
                records,
            } => {
                let sent = self.batches.iter().filter(|held| held.producer == producer);
                let sequence: i64 = sent.map(|held| held.next - held.base).sum();
                let builder = BatchBuilder::new(sequence).producer(
                    ProducerId(producer),
                    ProducerEpoch(0),
                    sequence as i32,
                );
                let value = vec![self.batches.len() as u8; len / records + 1];
                let bytes = (0..records)
                    .fold(builder, |b, _| b.record(None, Some(&value)))
                    .build();
                let how = AppendAs::Leader {
                    epoch: LeaderEpoch(self.epoch),
                };
                match log.append(&parse(&bytes), how) {
                    Ok(appended) => {
                        assert!(!appended.duplicate);
                        self.took(
                            bytes,
                            appended.base_offset.0,
                            appended.last_offset.next().0,
                            producer,
                        );
                    }
                    Err(error) => assert!(log.failure().is_some(), "{error}"),
                }
            }
            Op::Follow { len, gap } => {
                let base = self.end + gap;
                let mut bytes = batch(base, 1, &vec![self.batches.len() as u8; len]);
                patch_position(&mut bytes, Offset(base), LeaderEpoch(self.epoch));
                match log.append_replicated(&parse(&bytes)) {
                    Ok(_) => self.took(bytes, base, base + 1, -1),
                    Err(error) => assert!(log.failure().is_some(), "{error}"),
                }
            }
            Op::Commit { part } => {
                let end = log.end_offset();
                if log.flush().await.is_ok() {
                    self.durable = end.0;
                    self.committed = self.boundary(self.committed, end.0, part);
                    log.advance_high_watermark(Offset(self.committed));
                }
            }
            Op::Truncate { part } => {
                let end = self.boundary(self.committed, self.end, part);
                if let Err(error) = log.truncate(Offset(end)).await {
                    assert!(log.failure().is_some(), "{error}");
                    return;
                }
                self.batches.retain(|held| held.next <= end);
                self.end = end;
                self.durable = end;
                self.epoch += 1;
                self.check(life, false).await;
            }
            Op::Reset { gap } => {
                let start = self.end + gap;
                if log.reset(Offset(start)).await.is_ok() {
                    let epoch = self.epoch + 1;
                    *self = Model {
                        batches: Vec::new(),
                        start,
                        committed: start,
                        durable: start,
                        end: start,
                        epoch,
                    };
                    self.check(life, false).await;
                }
            }
            Op::Checkpoint if self.committed == self.end => {
                if log.save_checkpoint().await.is_ok() {
                    self.durable = self.end;
                }
            }
            Op::Delete { part } if self.committed == self.end => {
                let start = self.boundary(self.start, self.committed, part);
                if log.delete_records(Offset(start)).await.is_ok() {
                    self.start = start;
                }
            }
            Op::Checkpoint | Op::Delete { .. } => {}
            Op::Settle => log.settle(Offset(self.committed)),
        }
    }
}

fn run(segment_bytes: u64, relaxed: bool, lives: Vec<(Vec<Op>, End)>) {
    let mut disk = Disk::new();
    disk.config.replicated = true;
    disk.config.segment_bytes = segment_bytes;
    disk.config.flush_messages = if relaxed { 20 } else { 1 };
    let plan = Arc::new(FaultPlan::lose_unsynced());
    disk.options.faults = Some(plan.clone());
    let mut model = Model {
        batches: Vec::new(),
        start: 0,
        committed: 0,
        durable: 0,
        end: 0,
        epoch: 1,
    };
    for (ops, end) in lives {
        plan.heal();
        let (plan, mut kept) = (plan.clone(), model);
        model = disk.live(move |life| async move {
            kept.check(&life, true).await;
            if let End::PowerCut { after, seed } = end {
                plan.fail_after(after, Fault::PowerCut { seed });
            }
            for op in ops {
                kept.step(&life, op).await;
            }
            if let End::Close { clean } = end {
                life.store.close().await.unwrap();
                if clean {
                    life.data.mark_clean().unwrap();
                }
                kept.durable = kept.end;
            }
            kept
        });
    }
    plan.heal();
    disk.live(move |life| async move { model.check(&life, true).await });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_committed_stays_and_what_was_cut_does_not_come_back(
        segment_bytes in prop_oneof![Just(20_000u64), Just(150_000), Just(1 << 30)],
        relaxed: bool,
        lives in prop::collection::vec((prop::collection::vec(op(), 1..40), end()), 1..6),
    ) {
        run(segment_bytes, relaxed, lives);
    }
}
