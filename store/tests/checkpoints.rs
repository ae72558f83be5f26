//! When checkpoints are written that nobody waits for.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::rc::Rc;

use common::*;
use tautline_core::ids::{Offset, PartitionIndex};
use tautline_core::task::yield_now;
use tautline_store::*;

const LOGS: i32 = 24;

fn log_identity(partition: i32) -> LogIdentity {
    LogIdentity {
        partition: PartitionIndex(partition),
        ..identity()
    }
}

async fn open_logs(life: &Life) -> Vec<Rc<Log>> {
    let mut logs = Vec::new();
    for partition in 10..10 + LOGS {
        let log = life.store.open_log(log_identity(partition), life.log.config());
        logs.push(log.await.unwrap());
    }
    logs
}

/// After a start all logs are due at the same time: they take turns, so that the disk has one checkpoint to sync at a time.
#[test]
fn logs_that_are_due_together_take_turns() {
    let mut disk = Disk::new();
    disk.options.checkpoint_interval_ms = 1;
    let topic = disk.path().join("topics/events");
    disk.live(move |life| async move {
        let logs = open_logs(&life).await;
        let bytes = batch(1, 10, b"record");
        for log in &logs {
            log.append(&parse(&bytes), EPOCH).unwrap();
        }
        while (life.store.metrics().checkpoints.get() as usize) < logs.len() {
            let under_way = (10..10 + LOGS)
                .filter(|partition| topic.join(format!("{partition}/checkpoint.tmp")).exists())
                .count();
            assert!(under_way <= 1, "{under_way} at a time");
            yield_now().await;
        }
        for partition in 10..10 + LOGS {
            assert!(topic.join(format!("{partition}/checkpoint")).exists());
        }
    });
    disk.live(|life| async move {
        for log in open_logs(&life).await {
            assert_eq!((log.end_offset(), log.damage().len()), (Offset(10), 0));
        }
    });
}

/// A sealed segment is in a checkpoint soon, however far the next one is: recovery does not read it again.
#[test]
fn a_sealed_segment_is_in_the_next_checkpoint() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 4_000;
    disk.options.checkpoint_interval_ms = i64::MAX;
    disk.live(|life| async move {
        life.put(&batch(1, 10, &[1; 300])).await;
        assert_eq!(life.store.metrics().checkpoints.get(), 0);
        life.put(&batch(2, 10, &[1; 300])).await;
        assert_eq!(life.log.segment_count(), 2);
        while life.store.metrics().checkpoints.get() == 0 {
            yield_now().await;
        }
    });
    // It does not need the batches of the first segment any more to know the log.
    let path = disk.segment(0);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, vec![0; bytes.len()]).unwrap();
    disk.live(|life| async move {
        assert_eq!((life.log.end_offset(), life.log.damage().len()), (Offset(20), 0));
    });
}

/// A log that can't be opened may have more in it than its checkpoint says: the next start is not to take that at its word.
#[test]
fn a_shutdown_is_not_clean_while_a_log_can_not_be_opened() {
    let disk = Disk::new();
    let bytes = batch(1, 10, b"record");
    disk.live(move |life| async move {
        let log = life.store.open_log(log_identity(10), life.log.config());
        let log = log.await.unwrap();
        for _ in 0..2 {
            let appended = log.append(&parse(&bytes), EPOCH).unwrap();
            log.committed(appended.last_offset.next()).await.unwrap();
            if appended.base_offset == Offset(0) {
                log.save_checkpoint().await.unwrap();
            }
        }
    });
    let checkpoint = disk.path().join("topics/events/10/checkpoint");
    let aside = disk.path().join("aside");
    std::fs::rename(&checkpoint, &aside).unwrap();
    std::fs::create_dir(&checkpoint).unwrap();
    disk.live(|life| async move {
        let opened = life.store.open_log(log_identity(10), life.log.config());
        assert!(opened.await.is_err(), "its checkpoint is a directory");
        life.store.close().await.unwrap();
        assert!(life.data.mark_clean().is_err());
    });
    std::fs::remove_dir(&checkpoint).unwrap();
    std::fs::rename(&aside, &checkpoint).unwrap();
    disk.live(|life| async move {
        let opened = life.store.open_log(log_identity(10), life.log.config());
        let log = opened.await.unwrap();
        assert_eq!(log.end_offset(), Offset(20));
        life.store.close().await.unwrap();
        life.data.mark_clean().unwrap();
    });
    disk.live(|life| async move { assert!(life.data.clean_start()) });
}
