//! How long a compaction takes, and what it does to a producer on the same core.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tautline_core::batch::{Batch, BatchBuilder, Compression};
use tautline_core::histogram::Latency;
use tautline_core::ids::Offset;
use tautline_core::shard::test_on_shard;
use tautline_core::task::{Queue, spawn};
use tautline_core::time::{monotonic_ns, now_ms, sleep};
use tautline_store::*;

use crate::records::{HOW, check, fill, identity};

/// Between two batches of the producer: 5,000 a second at most.
const PAUSE: Duration = Duration::from_micros(200);
/// How long the producer is alone.
const ALONE_NS: u64 = 10_000_000_000;

/// Writes the records, cleans the log until nothing of it is dirty, compares what is left with what was written last, and has a
/// producer write to another log of the same core before and while it is cleaned.
pub fn measure(dir: PathBuf, records: u64, keys: u64, codec: Compression) {
    test_on_shard(move || async move {
        let new = Properties {
            cluster_id: "bench".into(),
            node_id: 1,
        };
        let data = Arc::new(DataDir::open(&dir, &new).expect("a directory"));
        let mut options = StoreOptions::default();
        options.cleaner.enabled = false;
        let store = Store::open(data, options).expect("a store");
        let relaxed = LogConfig {
            flush_messages: u64::MAX,
            ..LogConfig::default()
        };
        let log = store.open_log(identity(0), relaxed.clone()).await.expect("a log");
        let begun_ns = monotonic_ns();
        fill(&log, records, keys, codec).await;
        let (mb, s) = (
            log.size_bytes() / 1_000_000,
            (monotonic_ns() - begun_ns) as f64 / 1e9,
        );
        println!("{:>28}: {records} records, {mb} MB in {s:.1} s", "written");
        log.configure(LogConfig {
            compact: true,
            file_delete_delay_ms: 0,
            ..relaxed
        });
        let other = store
            .open_log(identity(1), LogConfig::default())
            .await
            .expect("a log");
        let until_ns = monotonic_ns() + ALONE_NS;
        let before = produce(other.clone(), || monotonic_ns() > until_ns).await;
        show("a producer before", &before);
        let over = Rc::new(std::cell::Cell::new(false));
        let producer = {
            let over = over.clone();
            spawn(Queue::Produce, produce(other, move || over.get()))
        };
        let mut upto = Offset(0);
        while let Some(cleaned) = log.clean(now_ms()).await.expect("it can be cleaned") {
            println!("{:>28}: {cleaned:?}", "pass");
            let bytes = cleaned.read_bytes + cleaned.written_bytes;
            let mb_per_s = bytes / 1000 / cleaned.took_ms.max(1);
            println!("{:>28}: {mb_per_s} MB/s read and written", "");
            upto = cleaned.upto;
        }
        over.set(true);
        show("a producer beside it", &producer.await);
        let (mb, segments) = (log.size_bytes() / 1_000_000, log.segment_count());
        println!("{:>28}: {mb} MB, {segments} segments", "left");
        let left = check(&log, keys, upto).await;
        println!("{:>28}: {left:?}", "left");
        store.close().await.expect("it closes");
    });
}

/// Produces to a log until `over`; gives how long each batch took.
async fn produce(log: Rc<Log>, over: impl Fn() -> bool) -> Latency {
    let bytes = BatchBuilder::new(1).record(None, Some(&[7; 1024])).build();
    let mut latency = Latency::new();
    while !over() {
        let begun_ns = monotonic_ns();
        let batch = Batch::parse(&bytes).expect("it was just built").0;
        let appended = log.append(&batch, HOW).expect("there is room");
        log.committed(appended.last_offset.next())
            .await
            .expect("the disk takes it");
        latency.record(monotonic_ns() - begun_ns);
        sleep(PAUSE).await;
    }
    latency
}

fn show(name: &str, latency: &Latency) {
    let figures: Vec<String> = latency
        .percentiles()
        .iter()
        .map(|(p, ns)| format!("p{p} {:.0}", *ns as f64 / 1e3))
        .collect();
    println!("{name:>28}: {} us", figures.join("  "));
}
