//! Cleanings that fail, or meet the end of their log: what they leave, and that others go on.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::keyed::*;
use common::*;
use tautline_core::batch::Compression;
use tautline_core::ids::PartitionIndex;
use tautline_core::task::{Queue, spawn, yield_now};
use tautline_store::*;

fn segment_files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".log")).collect()
}

/// A cleaning that has a file ready when its log is deleted does not wait for a turn that the deletion has.
#[test]
fn a_log_is_deleted_when_a_cleaned_file_is_about_to_get_its_place() {
    let disk = compacted();
    let dir = disk.log_dir();
    disk.live(move |life| async move {
        for n in 0..20 {
            let sent = [sent(&format!("k{}", n % 3), Some(&"v".repeat(400)), NOW)];
            life.send(&sent, Compression::None).await;
        }
        let log = life.log.clone();
        let cleaning = spawn(Queue::Background, async move { log.clean(NOW).await });
        while !segment_files(&dir).iter().any(|name| name.contains("-1.")) {
            yield_now().await;
        }
        life.store.delete_log(life.log.clone()).await.unwrap();
        let ended = cleaning.await;
        assert!(matches!(ended, Err(CleanError::Ended) | Ok(_)), "{ended:?}");
    });
}

/// What a cleaned file replaces goes with a later checkpoint if that of the swap could not be written.
#[test]
fn replaced_segments_go_when_a_checkpoint_can_be_written_again() {
    let mut disk = compacted();
    let plan = Arc::new(FaultPlan::default());
    disk.options.faults = Some(plan.clone());
    let dir = disk.log_dir();
    disk.live(move |life| async move {
        for n in 0..20 {
            let sent = [sent(&format!("k{}", n % 3), Some(&"v".repeat(400)), NOW)];
            life.send(&sent, Compression::None).await;
        }
        for places in 0.. {
            plan.stop_cleaning_after(places);
            life.log.clean(NOW).await.unwrap_err();
            let stopped_at = plan.stopped_at().unwrap();
            plan.heal();
            if stopped_at == Stop::Checkpoint {
                break;
            }
        }
        let rows = life.table().await;
        life.log.save_checkpoint().await.unwrap();
        let files = segment_files(&dir);
        assert!(!files.contains(&"0000000000.log".to_owned()), "{files:?}");
        assert_eq!(life.table().await, rows);
    });
}

/// A log that can't be cleaned does not keep the cleaner from others, however dirty it is.
#[test]
fn a_cleaning_that_fails_does_not_hold_up_others() {
    let mut disk = compacted();
    disk.options.cleaner.enabled = true;
    disk.options.cleaner.backoff_ms = 1;
    let config = LogConfig {
        min_cleanable_dirty_millionths: 400_000,
        ..disk.config.clone()
    };
    disk.config.compact = false;
    let dir = disk.log_dir();
    disk.live(move |life| async move {
        let other = LogIdentity {
            partition: PartitionIndex(1),
            ..identity()
        };
        let lost = LogConfig {
            compact: true,
            ..life.log.config()
        };
        let other = Life {
            store: life.store.clone(),
            data: life.data.clone(),
            log: life.store.open_log(other, config.clone()).await.unwrap(),
        };
        let metrics = life.store.metrics();
        for life in [&life, &other] {
            for n in 0..20 {
                let sent = [sent(&format!("k{n}"), Some(&"v".repeat(400)), NOW)];
                life.send(&sent, Compression::None).await;
            }
        }
        while metrics.cleaner_runs.get() == 0 {
            yield_now().await;
        }
        // All of the one is dirty, half of the other, and a file of the first is not there.
        std::fs::remove_file(dir.join("0000000000.log")).unwrap();
        life.log.configure(lost);
        while metrics.cleaner_errors.get() == 0 {
            yield_now().await;
        }
        let runs = metrics.cleaner_runs.get();
        for n in 0..20 {
            let sent = [sent(&format!("k{n}"), Some(&"w".repeat(400)), NOW)];
            other.send(&sent, Compression::None).await;
        }
        while metrics.cleaner_runs.get() == runs && metrics.cleaner_errors.get() < 100 {
            yield_now().await;
        }
        assert!(
            metrics.cleaner_runs.get() > runs,
            "{} tries",
            metrics.cleaner_errors.get()
        );
    });
}
