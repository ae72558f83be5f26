//! How long append to committed takes beside the bare durable write, in one run: `append_latency DIR [bytes] [count]`.

use std::path::PathBuf;
use std::sync::Arc;

use tautline_core::batch::{Batch, BatchBuilder};
use tautline_core::buffer::Pool;
use tautline_core::file::{Durability, File, OpenMode};
use tautline_core::histogram::Latency;
use tautline_core::ids::{LeaderEpoch, PartitionIndex, TopicId};
use tautline_core::shard::test_on_shard;
use tautline_core::time::monotonic_ns;
use tautline_store::*;

fn show(name: &str, latency: &Latency) {
    let us: Vec<String> = latency
        .percentiles()
        .iter()
        .map(|(p, ns)| format!("p{p} {:.1}", *ns as f64 / 1e3))
        .collect();
    println!("{name:>24}: {} us", us.join("  "));
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let dir = PathBuf::from(&args[1]);
    let size: usize = args.get(2).map_or(1024, |s| s.parse().unwrap());
    let count: usize = args.get(3).map_or(20_000, |s| s.parse().unwrap());
    test_on_shard(move || async move {
        let new = Properties {
            cluster_id: "bench".into(),
            node_id: 1,
        };
        let data = Arc::new(DataDir::open(&dir, &new).unwrap());
        let store = Store::open(data, StoreOptions::default()).unwrap();
        let identity = |p| LogIdentity {
            topic: "t".into(),
            topic_id: TopicId::ZERO,
            partition: PartitionIndex(p),
        };
        let log = store.open_log(identity(0), LogConfig::default()).await.unwrap();
        let bytes = BatchBuilder::new(1).record(None, Some(&vec![7; size])).build();
        let how = AppendAs::Leader {
            epoch: LeaderEpoch(1),
        };
        let append = |log: &Log| {
            let batch = Batch::parse(&bytes).unwrap().0;
            log.append(&batch, how).unwrap().last_offset.next()
        };
        for round in 0..3 {
            let floor_file = File::open(&dir.join("floor"), OpenMode::ReadWriteDirect)
                .await
                .unwrap();
            let blocks = bytes.len().div_ceil(4096) * 4096;
            let region = 64usize << 20;
            if round == 0 {
                for at in (0..region).step_by(1 << 20) {
                    let zero = Pool::current().take(1 << 20).unwrap().freeze();
                    floor_file
                        .write_at(vec![zero], at as u64, Durability::Cached)
                        .await
                        .unwrap();
                }
                floor_file.sync_data().await.unwrap();
            }
            let mut floor = Latency::new();
            let began = monotonic_ns();
            for n in 0..count {
                let part = Pool::current().take(blocks).unwrap().freeze().slice(..blocks);
                let t = monotonic_ns();
                let at = (n * blocks) % (region - blocks);
                floor_file
                    .write_at(vec![part], (at / 4096 * 4096) as u64, Durability::Durable)
                    .await
                    .unwrap();
                floor.record(monotonic_ns() - t);
            }
            let floor_s = (monotonic_ns() - began) as f64 / 1e9;
            show("durable write", &floor);
            let mut one = Latency::new();
            let mut call = Latency::new();
            let rolls = store.metrics().rolls.get();
            let waits = store.metrics().pool_waits.get();
            let began = monotonic_ns();
            for _ in 0..count {
                let t = monotonic_ns();
                let end = append(&log);
                call.record(monotonic_ns() - t);
                log.committed(end).await.unwrap();
                one.record(monotonic_ns() - t);
            }
            let one_s = (monotonic_ns() - began) as f64 / 1e9;
            show("append call", &call);
            show("append to committed", &one);
            let mb = (count * bytes.len()) as f64 / 1e6;
            println!(
                "{:>24}: {:.0} MB/s floor, {:.0} MB/s log; {} rolls, {} pool waits",
                "one in flight",
                (count * blocks) as f64 / 1e6 / floor_s,
                mb / one_s,
                store.metrics().rolls.get() - rolls,
                store.metrics().pool_waits.get() - waits
            );
            let began = monotonic_ns();
            let total = (512usize << 20) / bytes.len();
            let (mut n, waits) = (0, store.metrics().pool_waits.get());
            while n < total {
                let batch = Batch::parse(&bytes).unwrap().0;
                match log.append(&batch, how) {
                    Ok(_) => n += 1,
                    Err(AppendError::Backlog) => log.room().await,
                    Err(e) => panic!("{e}"),
                }
            }
            log.committed(log.end_offset()).await.unwrap();
            let s = (monotonic_ns() - began) as f64 / 1e9;
            println!(
                "{:>24}: {:.0} MB/s, {} pool waits",
                "as fast as it goes",
                (total * bytes.len()) as f64 / 1e6 / s,
                store.metrics().pool_waits.get() - waits
            );
            log.advance_high_watermark(log.end_offset());
            log.delete_records(log.end_offset()).await.unwrap();
        }
        store.close().await.unwrap();
    });
    let _ = std::fs::remove_dir_all(PathBuf::from(&args[1]));
}
