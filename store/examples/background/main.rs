//! What a durable producer feels of everything else a store does on its core: `background DIR [seconds] [value bytes] [acts]`.
//!
//! One producer has one batch in flight in one log, with a pause between two, while one act after the other is forced far more
//! often than it would come by itself: segments roll, checkpoints are written, hundreds of segments are deleted and their files
//! removed, another log is cleaned, new logs are made and the pool of segment files is refilled for them. Each act takes turns
//! with quiet, half a second each, so that both meet the same disk. `acts` is a list of names with commas; all of them if there is
//! none. A line on the input begins it, once it is ready.
//!
//! A late batch also counts for those that would have come meanwhile. Besides, a task that sleeps for a millisecond tells how
//! late the core comes to it: what the disk does is not in that.

mod acts;
mod logs;

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tautline_core::histogram::Latency;
use tautline_core::shard::test_on_shard;
use tautline_core::task::{Queue, spawn};
use tautline_core::time::{monotonic_ns, sleep};
use tautline_store::*;

use crate::acts::{ACTS, Act, Stage};
use crate::logs::{append, batch_of};

/// Between two batches of the producer.
const PAUSE: Duration = Duration::from_micros(300);
/// A producer that does not wait sends that often.
const INTERVAL_NS: u64 = 500_000;
/// How long the watching task sleeps.
const WATCH: Duration = Duration::from_millis(1);
/// How long an act, or quiet, lasts before it is the other's turn.
const TURN: Duration = Duration::from_millis(500);
/// Until the stage is still.
const SETTLE: Duration = Duration::from_secs(5);
const SECONDS: u64 = 2;
const VALUE_BYTES: usize = 1024;

/// What a producer felt.
struct Felt {
    batches: u64,
    latency: Latency,
    /// How late the core came to a task.
    late: Rc<RefCell<Latency>>,
}

/// What was counted during an act.
#[derive(Clone, Copy, Default)]
struct Counts {
    rolls: u64,
    pool_waits: u64,
    checkpoints: u64,
    deleted: u64,
    cleaned_mb: u64,
    logs: u64,
}

impl Counts {
    fn of(metrics: &Metrics) -> Counts {
        Counts {
            rolls: metrics.rolls.get(),
            pool_waits: metrics.pool_waits.get(),
            checkpoints: metrics.checkpoints.get(),
            deleted: metrics.segments_deleted.get(),
            cleaned_mb: (metrics.cleaner_read_bytes.get() + metrics.cleaner_write_bytes.get()) >> 20,
            logs: metrics.logs.get(),
        }
    }

    fn add(&mut self, before: &Counts, after: &Counts) {
        self.rolls += after.rolls - before.rolls;
        self.pool_waits += after.pool_waits - before.pool_waits;
        self.checkpoints += after.checkpoints - before.checkpoints;
        self.deleted += after.deleted - before.deleted;
        self.cleaned_mb += after.cleaned_mb - before.cleaned_mb;
        self.logs += after.logs.saturating_sub(before.logs);
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = PathBuf::from(args.first().expect("a directory"));
    let number = |at: usize, default: u64| {
        args.get(at)
            .map_or(default, |text| text.parse().expect("a number"))
    };
    let period = Duration::from_secs(number(1, SECONDS));
    let value_bytes = number(2, VALUE_BYTES as u64) as usize;
    let names = args.get(3).cloned().unwrap_or_default();
    let wanted = move |act: &Act| names.is_empty() || names.split(',').any(|name| name == act.name());
    let acts: Vec<Act> = ACTS.into_iter().filter(wanted).collect();
    let home = dir.clone();
    test_on_shard(move || async move {
        let new = Properties {
            cluster_id: "bench".into(),
            node_id: 1,
        };
        let data = Arc::new(DataDir::open(&home, &new).expect("a directory"));
        let mut options = StoreOptions::default();
        options.cleaner.enabled = false;
        options.cleaner.dedupe_buffer_bytes = 1 << 20;
        let store = Store::open(data, options).expect("a store");
        let stage = Rc::new(Stage::prepare(store, &acts).await);
        // What filling has left to do is done: checkpoints, the pool of files.
        sleep(SETTLE).await;
        println!("ready");
        let _ = tautline_core::blocking::run(|| std::io::stdin().read_line(&mut String::new())).await;
        println!(
            "{:>24} {:>7} {:>7} {:>7} {:>8} | {:>7} {:>7}  core late us | rolls, pool waits, checkpoints, deleted, cleaned MB, logs",
            "batches", "p50", "p99", "p99.9", "max us", "p99.9", "max"
        );
        for &act in &acts {
            run(&stage, act, period, value_bytes).await;
        }
        println!("done");
        stage.store.close().await.expect("it closes");
    });
    let _ = std::fs::remove_dir_all(dir);
}

/// An act in turns with quiet.
async fn run(stage: &Rc<Stage>, act: Act, period: Duration, value_bytes: usize) {
    let log = stage.producers_log(act);
    let bytes = batch_of(value_bytes);
    let (mut quiet, mut acting) = (Felt::new(), Felt::new());
    let mut counts = Counts::default();
    for _ in 0..period.as_millis() / TURN.as_millis() {
        quiet.feel(&stage.large, &bytes).await;
        let before = Counts::of(stage.store.metrics());
        let going_on = stage.begin(act);
        acting.feel(&log, &bytes).await;
        going_on.end().await;
        counts.add(&before, &Counts::of(stage.store.metrics()));
    }
    quiet.show("quiet", &Counts::default());
    acting.show(act.name(), &counts);
}

impl Felt {
    fn new() -> Felt {
        Felt {
            batches: 0,
            latency: Latency::new(),
            late: Rc::new(RefCell::new(Latency::new())),
        }
    }

    /// Produces for a turn.
    async fn feel(&mut self, log: &Log, bytes: &[u8]) {
        let over = Rc::new(Cell::new(false));
        let (late, ended) = (self.late.clone(), over.clone());
        let watching = spawn(Queue::Produce, async move {
            while !ended.get() {
                let begun_ns = monotonic_ns();
                sleep(WATCH).await;
                let late_ns = (monotonic_ns() - begun_ns).saturating_sub(WATCH.as_nanos() as u64);
                late.borrow_mut().record(late_ns);
            }
        });
        let end_ns = monotonic_ns() + TURN.as_nanos() as u64;
        while monotonic_ns() < end_ns {
            let begun_ns = monotonic_ns();
            let upto = append(log, bytes);
            log.committed(upto).await.expect("the disk takes it");
            log.advance_high_watermark(upto);
            let mut took_ns = monotonic_ns() - begun_ns;
            self.batches += 1;
            self.latency.record(took_ns);
            while took_ns > INTERVAL_NS {
                took_ns -= INTERVAL_NS;
                self.latency.record(took_ns);
            }
            sleep(PAUSE).await;
        }
        over.set(true);
        watching.await;
    }

    fn show(&self, name: &str, counts: &Counts) {
        let us = |latency: &Latency, p: f64| latency.percentile(p) as f64 / 1e3;
        let (latency, late) = (&self.latency, self.late.borrow());
        println!(
            "{name:>14} {:>9} {:>7.0} {:>7.0} {:>7.0} {:>8.0} | {:>7.0} {:>7.0}  {}, {}, {}, {}, {}, {}",
            self.batches,
            us(latency, 50.0),
            us(latency, 99.0),
            us(latency, 99.9),
            us(latency, 100.0),
            us(&late, 99.9),
            us(&late, 100.0),
            counts.rolls,
            counts.pool_waits,
            counts.checkpoints,
            counts.deleted,
            counts.cleaned_mb,
            counts.logs,
        );
    }
}
