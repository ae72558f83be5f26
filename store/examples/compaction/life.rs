//! One life of a process that cleans a log: `compaction life KIND DIR KEYS RECORDS DURABLE`, until it is done or killed. It says on
//! its output what it found and what it has done, a line each: `open END CLEAN_TO`, `acked END`, `pass CLEAN_TO KEYS MAP_BYTES MS`,
//! `left END RECORDS CLEAN`.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tautline_core::batch::{Batch, Compression};
use tautline_core::ids::Offset;
use tautline_core::shard::test_on_shard;
use tautline_core::task::{Queue, spawn};
use tautline_core::time::{now_ms, sleep};
use tautline_store::*;

use crate::records::{HOW, RECORDS_PER_BATCH, batch_from, check, fill, identity};

/// Memory for keys: a quarter of a million, so that a million take several passes.
pub const MAP_BYTES: usize = 8 << 20;
/// Small ones, so that a file is finished and put in place often.
const SEGMENT_BYTES: u64 = 16 << 20;
/// Between two batches that come while the log is cleaned.
const PAUSE: Duration = Duration::from_millis(5);
/// How long what was replaced stays in the trash.
const TRASH_MS: i64 = 1_000;
/// Between two looks at what others are about to do.
const LOOK: Duration = Duration::from_millis(20);

/// What the process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Writes the first records.
    Fill,
    /// Cleans, and writes more, until it is killed.
    Clean,
    /// Cleans all there is, the active segment too, and looks at what is left.
    Finish,
    /// Looks at what is left.
    Check,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Fill => "fill",
            Kind::Clean => "clean",
            Kind::Finish => "finish",
            Kind::Check => "check",
        }
    }
}

pub fn run(args: &[String]) {
    let kinds = [Kind::Fill, Kind::Clean, Kind::Finish, Kind::Check];
    let kind = kinds
        .into_iter()
        .find(|kind| kind.name() == args[0])
        .expect("a kind");
    let dir = PathBuf::from(&args[1]);
    let number = |at: usize| args[at].parse::<u64>().expect("a number");
    let (keys, records, lose_unsynced) = (number(2), number(3), number(4) == 0);
    test_on_shard(move || async move {
        let new = Properties {
            cluster_id: "bench".into(),
            node_id: 1,
        };
        let data = Arc::new(DataDir::open(&dir, &new).expect("a directory"));
        let mut options = StoreOptions::default();
        options.cleaner.enabled = false;
        options.cleaner.dedupe_buffer_bytes = MAP_BYTES;
        options.faults = lose_unsynced.then(|| Arc::new(FaultPlan::lose_unsynced()));
        let store = Store::open(data, options).expect("a store");
        let config = LogConfig {
            segment_bytes: SEGMENT_BYTES,
            file_delete_delay_ms: TRASH_MS,
            compact: true,
            delete: false,
            flush_messages: if lose_unsynced || kind == Kind::Fill {
                u64::MAX
            } else {
                1
            },
            max_compaction_lag_ms: if kind == Kind::Finish { 0 } else { i64::MAX },
            ..LogConfig::default()
        };
        let log = store.open_log(identity(0), config).await.expect("a log");
        assert!(
            log.damage().is_empty() && log.failure().is_none(),
            "{:?}",
            log.damage()
        );
        assert_eq!(log.start_offset(), Offset(0));
        log.advance_high_watermark(log.end_offset());
        println!("open {} {}", log.end_offset(), log.cleaned_to());
        match kind {
            Kind::Fill => fill(&log, records, keys, Compression::None).await,
            Kind::Clean => {
                drop(spawn(
                    Queue::Produce,
                    go_on_writing(log.clone(), keys, !lose_unsynced),
                ));
                loop {
                    clean_all(&log).await;
                    sleep(LOOK).await;
                }
            }
            Kind::Finish => finish(&log, &dir, keys).await,
            Kind::Check => {
                let left = check(&log, keys, log.cleaned_to()).await;
                println!("left {} {} {}", log.end_offset(), left.records, left.clean);
                return;
            }
        }
        store.close().await.expect("it closes");
    });
}

async fn clean_all(log: &Log) {
    while let Some(cleaned) = log.clean(now_ms()).await.expect("it can be cleaned") {
        assert!(cleaned.map_bytes <= MAP_BYTES as u64, "{cleaned:?}");
        println!(
            "pass {} {} {} {}",
            cleaned.upto, cleaned.keys, cleaned.map_bytes, cleaned.took_ms
        );
    }
}

async fn go_on_writing(log: Rc<Log>, keys: u64, durable: bool) {
    let mut batches = 0;
    loop {
        let first = log.end_offset().0 as u64;
        debug_assert!(first.is_multiple_of(RECORDS_PER_BATCH));
        let bytes = batch_from(first, keys, Compression::None);
        let batch = Batch::parse(&bytes).expect("it was just built").0;
        let appended = log.append(&batch, HOW).expect("there is room");
        let end = appended.last_offset.next();
        log.committed(end).await.expect("the disk takes it");
        log.advance_high_watermark(end);
        batches += 1;
        if durable && batches % 10 == 0 {
            println!("acked {end}");
        }
        sleep(PAUSE).await;
    }
}

/// Cleans all there is, and finds nothing but what is needed: the last record of each key, and its files.
async fn finish(log: &Log, dir: &Path, keys: u64) {
    while log.cleaned_to() < log.end_offset() {
        clean_all(log).await;
        sleep(LOOK).await;
    }
    let left = check(log, keys, log.cleaned_to()).await;
    assert_eq!(left.records, left.clean);
    while std::fs::read_dir(dir.join("trash"))
        .expect("there is one")
        .next()
        .is_some()
    {
        sleep(LOOK).await;
    }
    println!("left {} {} {}", log.end_offset(), left.records, left.clean);
}
