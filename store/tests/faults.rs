//! CORRECTNESS.md 1 and 12: what is acknowledged is durable; a log whose disk fails says so, and others go on.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::sync::Arc;

use common::*;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{Offset, PartitionIndex};
use tautline_store::*;

fn faulty(plan: FaultPlan) -> (Disk, Arc<FaultPlan>) {
    let mut disk = Disk::new();
    let plan = Arc::new(plan);
    disk.options.faults = Some(plan.clone());
    (disk, plan)
}

#[test]
fn what_is_acknowledged_survives_when_unsynced_writes_are_lost() {
    let (disk, _) = faulty(FaultPlan::lose_unsynced());
    disk.live(|life| async move {
        for n in 0..40 {
            life.put(&batch(n, 3, &[n as u8; 700])).await;
        }
        assert_eq!(life.store.metrics().unsynced_acks.get(), 0);
    });
    disk.live(|life| async move { assert_eq!(life.log.end_offset(), Offset(120)) });
}

#[test]
fn a_relaxed_topic_loses_no_more_than_it_was_told() {
    let (mut disk, _) = faulty(FaultPlan::lose_unsynced());
    disk.config.flush_messages = 10;
    let durable = disk.live(|life| async move {
        for n in 0..25 {
            let appended = life.log.append(&parse(&batch(n, 1, b"relaxed")), EPOCH).unwrap();
            life.log.committed(appended.last_offset.next()).await.unwrap();
            assert_eq!(
                life.log.committed_end(),
                appended.last_offset.next(),
                "acknowledged from memory"
            );
        }
        while life.log.durable_end() < Offset(10) {
            tautline_core::task::yield_now().await;
        }
        assert_eq!(life.store.metrics().unsynced_acks.get(), 25);
        assert_eq!(life.store.metrics().durable_writes.get(), 0);
        life.log.durable_end()
    });
    disk.live(move |life| async move {
        assert!(life.log.end_offset() >= durable && life.log.end_offset() <= Offset(25));
        assert!(life.log.damage().is_empty());
    });
}

#[test]
fn a_relaxed_topic_is_synced_by_time_and_at_close() {
    let (mut disk, _) = faulty(FaultPlan::lose_unsynced());
    disk.config.flush_ms = Some(5);
    disk.live(|life| async move {
        life.put(&batch(1, 1, b"one")).await;
        while life.log.durable_end() < Offset(1) {
            tautline_core::task::yield_now().await;
        }
    });
    disk.config.flush_ms = Some(3_600_000);
    disk.live(|life| async move {
        assert_eq!(life.log.end_offset(), Offset(1));
        life.put(&batch(1, 1, b"two")).await;
        life.store.close().await.unwrap();
    });
    disk.live(|life| async move {
        assert_eq!(life.log.end_offset(), Offset(2));
        // Larger than the block that the next write shares with it.
        life.put(&batch(1, 1, &[3; 20_000])).await;
        life.log.configure(LogConfig::default());
        life.put(&batch(1, 1, b"four")).await;
        assert_eq!(
            life.log.durable_end(),
            Offset(4),
            "made durable with what came before"
        );
    });
    disk.live(|life| async move { assert_eq!(life.log.end_offset(), Offset(4)) });
}

#[test]
fn a_failed_write_stops_the_log_and_nothing_unwritten_is_acknowledged() {
    let (disk, plan) = faulty(FaultPlan::default());
    let armed = plan.clone();
    disk.live(move |life| async move {
        let acknowledged = life.put(&batch(1, 10, b"safe")).await.last_offset.next();
        let other = LogIdentity {
            partition: PartitionIndex(4),
            ..identity()
        };
        let other = life.store.open_log(other, LogConfig::default()).await.unwrap();
        armed.fail_after(0, Fault::Io);
        let lost = life.log.append(&parse(&batch(1, 10, b"lost")), EPOCH).unwrap();
        let error = life.log.committed(lost.last_offset.next()).await.unwrap_err();
        assert_eq!(error.error_code(), ErrorCode::KafkaStorageError);
        let refused = life
            .log
            .append(&parse(&batch(1, 10, b"refused")), EPOCH)
            .unwrap_err();
        assert_eq!(refused.error_code(), ErrorCode::KafkaStorageError);
        life.log.committed(acknowledged).await.unwrap();
        assert_eq!(life.log.durable_end(), acknowledged);
        let from = ReadFrom {
            offset: Offset(0),
            max_bytes: 100,
            min_one_batch: true,
            bound: acknowledged,
        };
        assert!(!life.log.read(from).await.unwrap().is_empty(), "reads go on");
        armed.heal();
        assert!(
            life.log
                .append(&parse(&batch(1, 10, b"still refused")), EPOCH)
                .is_err()
        );
        let appended = other.append(&parse(&batch(1, 1, b"other")), EPOCH).unwrap();
        other.committed(appended.last_offset.next()).await.unwrap();
        assert!(life.store.close().await.is_err());
    });
    disk.live(|life| async move {
        assert_eq!(life.log.end_offset(), Offset(10));
        life.put(&batch(1, 1, b"works again")).await;
    });
}

#[test]
fn a_full_disk_is_refused_before_anything_is_appended_and_goes_on_when_there_is_room() {
    let (mut disk, plan) = faulty(FaultPlan::default());
    disk.config.segment_bytes = 20_000;
    let end = disk.live(move |life| async move {
        plan.fail_after(300 << 10, Fault::NoSpace);
        let small = batch(1, 1, &[1; 3_000]);
        let refused = loop {
            match life.log.append(&parse(&small), EPOCH) {
                Ok(appended) => life.log.committed(appended.last_offset.next()).await.unwrap(),
                Err(error) => break error,
            }
        };
        assert!(matches!(refused, AppendError::DiskFull), "{refused}");
        assert_eq!(refused.error_code(), ErrorCode::KafkaStorageError);
        assert_eq!(
            life.log.durable_end(),
            life.log.end_offset(),
            "nothing acknowledged is in doubt"
        );
        assert!(life.log.end_offset() >= Offset(5));
        plan.heal();
        put_when_possible(&life, &small).await;
        life.log.durable_end()
    });
    disk.live(move |life| async move { assert_eq!(life.log.end_offset(), end) });
}

/// What DeleteRecords and retention free is free when a checkpoint is written that does not name it, and that needs room itself.
#[test]
fn a_full_disk_keeps_nobody_from_making_room() {
    let (mut disk, plan) = faulty(FaultPlan::default());
    disk.config.segment_bytes = 20_000;
    disk.config.retention_ms = 1_000;
    let (pool, trash) = (disk.path().join("pool"), disk.path().join("trash"));
    disk.live(move |life| async move {
        let entries = |dir: &std::path::Path| std::fs::read_dir(dir).unwrap().count();
        for _ in 0..30 {
            life.put(&batch(1, 1, &[1; 3_000])).await;
        }
        // A file is in stock when the next one is being made.
        let ready = |entry: &std::io::Result<std::fs::DirEntry>| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("ready-")
        };
        while std::fs::read_dir(&pool).unwrap().filter(ready).count() < 2 {
            tautline_core::task::yield_now().await;
        }
        assert_eq!(entries(&trash), 0);
        plan.fail_after(0, Fault::NoSpace);
        assert_eq!(life.log.delete_records(Offset(12)).await.unwrap(), Offset(12));
        assert!(entries(&trash) >= 2, "at the cost of a file of the pool");
        plan.fail_after(0, Fault::NoSpace);
        life.log
            .apply_retention(tautline_core::time::now_ms())
            .await
            .unwrap();
        assert_eq!(life.log.start_offset(), Offset(30), "at the cost of the trash");
    });
}

#[test]
fn batches_that_never_got_a_file_are_forgotten_with_their_sequences() {
    let (disk, plan) = faulty(FaultPlan::default());
    disk.live(move |life| async move {
        life.put(&idempotent(1, 0, 0, 1)).await;
        plan.fail_after(0, Fault::NoSpace);
        // Too large for what is left of the first segment, and no other was asked for yet.
        let large = tautline_core::batch::BatchBuilder::new(1)
            .producer(
                tautline_core::ids::ProducerId(1),
                tautline_core::ids::ProducerEpoch(0),
                1,
            )
            .record(None, Some(&[1; 300_000]))
            .build();
        let appended = life.log.append(&parse(&large), EPOCH).unwrap();
        let error = life.log.committed(appended.last_offset.next()).await.unwrap_err();
        assert_eq!(error.error_code(), ErrorCode::KafkaStorageError);
        plan.heal();
        put_when_possible(&life, &large).await;
        assert_eq!(life.log.end_offset(), Offset(2), "stored once");
        assert_eq!(life.read_all(0, 100).await.unwrap().len(), 2);
        life.put(&idempotent(1, 0, 2, 1)).await;
    });
    disk.live(|life| async move { assert_eq!(life.log.end_offset(), Offset(3)) });
}

async fn put_when_possible(life: &Life, bytes: &[u8]) {
    loop {
        match life.log.append(&parse(bytes), EPOCH) {
            Ok(appended) => {
                assert!(!appended.duplicate);
                return life.log.committed(appended.last_offset.next()).await.unwrap();
            }
            Err(error) => assert_eq!(error.error_code(), ErrorCode::KafkaStorageError),
        }
        tautline_core::task::yield_now().await;
    }
}

#[test]
fn a_relaxed_topic_that_is_never_told_to_sync_does_so_when_a_segment_is_full() {
    let (mut disk, _) = faulty(FaultPlan::lose_unsynced());
    disk.config.flush_messages = u64::MAX;
    disk.config.segment_bytes = 50_000;
    let durable = disk.live(|life| async move {
        for n in 0..20 {
            life.put(&batch(n, 1, &[n as u8; 10_000])).await;
        }
        while life.log.durable_end() < Offset(12) {
            tautline_core::task::yield_now().await;
        }
        life.log.durable_end()
    });
    disk.live(move |life| async move { assert!(life.log.end_offset() >= durable) });
}
