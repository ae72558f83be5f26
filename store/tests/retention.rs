//! What leaves the log: retention by size and time, DeleteRecords, deletion; and time lookups.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::sync::Arc;

use common::*;
use futures_util::FutureExt;
use tautline_core::ids::Offset;
use tautline_core::time::now_ms;
use tautline_store::*;

/// Segments of two batches of ten records; the n-th batch has timestamp `at(n)`.
async fn fill(life: &Life, count: i64, at: impl Fn(i64) -> i64) {
    for n in 0..count {
        life.put(&batch(at(n), 10, &[1; 300])).await;
    }
}

fn small() -> Disk {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 7_000;
    disk.config.file_delete_delay_ms = 0;
    disk
}

fn files(disk: &Disk, extension: &str) -> usize {
    let entries = std::fs::read_dir(disk.log_dir()).unwrap();
    entries
        .filter(|e| {
            e.as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == extension)
        })
        .count()
}

#[test]
fn size_and_time_take_whole_segments_and_never_what_is_not_committed() {
    let mut disk = small();
    disk.config.retention_bytes = 20_000;
    let start = disk.live(|life| async move {
        let now = now_ms();
        fill(&life, 20, |_| now).await;
        life.log.apply_retention(now).await.unwrap();
        let start = life.log.start_offset();
        assert!(start > Offset(0) && start.0 % 20 == 0, "{start}");
        assert!(
            life.log.size_bytes() >= 20_000 && life.log.size_bytes() < 27_000,
            "{}",
            life.log.size_bytes()
        );
        let read = life
            .log
            .read(ReadFrom {
                offset: Offset(0),
                max_bytes: 1,
                min_one_batch: true,
                bound: Offset(9),
            })
            .await;
        assert!(matches!(read, Err(ReadError::OffsetOutOfRange { .. })));
        start
    });
    disk.config.retention_bytes = -1;
    disk.config.retention_ms = 1_000;
    disk.live(move |life| async move {
        assert_eq!(life.log.start_offset(), start);
        let later = now_ms() + 10_000;
        life.log.apply_retention(later).await.unwrap();
        life.log.apply_retention(later).await.unwrap();
        assert_eq!(
            life.log.start_offset(),
            Offset(200),
            "the active one was closed and went too"
        );
        assert_eq!(life.log.size_bytes(), 0);
        life.put(&batch(later, 1, b"next")).await;
        assert_eq!(life.log.end_offset(), Offset(201));
    });
    disk.live(|life| async move {
        assert_eq!(
            (life.log.start_offset(), life.log.end_offset()),
            (Offset(200), Offset(201))
        );
        assert_eq!(life.read_all(200, 1).await.unwrap().len(), 1);
    });
    assert!(files(&disk, "log") <= 2, "{} files", files(&disk, "log"));
}

#[test]
fn deleted_records_stay_deleted_after_a_kill() {
    let disk = small();
    disk.live(|life| async move {
        fill(&life, 10, |n| n).await;
        assert!(
            life.log.delete_records(Offset(101)).await.is_err(),
            "beyond the high watermark"
        );
        assert_eq!(life.log.delete_records(Offset(47)).await.unwrap(), Offset(47));
        assert_eq!(
            life.log.delete_records(Offset(20)).await.unwrap(),
            Offset(47),
            "never back"
        );
    });
    assert!(files(&disk, "log") <= 4);
    disk.live(|life| async move {
        assert_eq!(life.log.start_offset(), Offset(47));
        let read = life.read_all(47, 1).await.unwrap();
        assert_eq!(
            (read.len(), parse(&read[0].1).base_offset()),
            (6, Offset(40)),
            "the batch that holds it"
        );
        assert_eq!(life.log.delete_records(Offset(100)).await.unwrap(), Offset(100));
        assert!(life.read_all(100, 1).await.unwrap().is_empty());
    });
    disk.live(|life| async move {
        assert_eq!(
            (life.log.start_offset(), life.log.end_offset()),
            (Offset(100), Offset(100))
        );
        assert_eq!(life.put(&batch(1, 1, b"v")).await.base_offset, Offset(100));
    });
}

/// An answer says that the start is durable, also to one who asks for less while it is on its way there.
#[test]
fn nobody_is_answered_over_a_start_that_is_not_durable() {
    let disk = small();
    disk.live(|life| async move {
        fill(&life, 10, |n| n).await;
        let mut first = Box::pin(life.log.delete_records(Offset(47)));
        assert!((&mut first).now_or_never().is_none());
        assert_eq!(
            life.log.start_offset(),
            Offset(0),
            "what readers find deleted must not come back"
        );
        let mut second = Box::pin(life.log.delete_records(Offset(20)));
        assert!((&mut second).now_or_never().is_none(), "not durable yet");
        let (first, second) = futures_util::future::join(first, second).await;
        assert_eq!((first.unwrap(), second.unwrap()), (Offset(47), Offset(47)));
        let again = life.log.delete_records(Offset(20)).now_or_never();
        assert_eq!(again.unwrap().unwrap(), Offset(47), "nothing is left to do");
    });
    disk.live(|life| async move { assert_eq!(life.log.start_offset(), Offset(47)) });
}

/// Records without a timestamp expire by the time of the file that has them, as Kafka's do.
#[test]
fn records_without_a_timestamp_do_not_stay_for_ever() {
    const HOUR_MS: i64 = 3_600_000;
    let mut disk = small();
    disk.config.retention_ms = HOUR_MS;
    let appended_ms = disk.live(|life| async move {
        let now = now_ms();
        fill(&life, 10, |n| if n < 6 { -1 } else { now }).await;
        life.log.apply_retention(now).await.unwrap();
        assert_eq!(life.log.start_offset(), Offset(0), "too young");
        life.log.apply_retention(now_ms() + HOUR_MS + 1).await.unwrap();
        assert_eq!(life.log.start_offset(), Offset(100));
        fill(&life, 3, |_| -1).await;
        life.log.save_checkpoint().await.unwrap();
        now_ms()
    });
    // They have not become younger.
    disk.live(move |life| async move {
        life.log.apply_retention(now_ms()).await.unwrap();
        assert_eq!(life.log.start_offset(), Offset(100), "too young");
        life.log.apply_retention(appended_ms + HOUR_MS + 1).await.unwrap();
        assert_eq!(life.log.start_offset(), Offset(130));
    });
}

/// A consumer that is told where the log starts now may rely on it: a power cut does not bring back what was before.
#[test]
fn a_power_cut_brings_nothing_back_that_retention_has_taken() {
    let mut disk = small();
    disk.config.retention_ms = 1_000;
    let plan = Arc::new(FaultPlan::default());
    disk.options.faults = Some(plan.clone());
    let cut = plan.clone();
    let shown = disk.live(move |life| async move {
        fill(&life, 10, |n| n).await;
        cut.fail_after(0, Fault::PowerCut { seed: 1 });
        life.log.apply_retention(now_ms()).await.unwrap_err();
        life.log.start_offset()
    });
    plan.heal();
    disk.live(move |life| async move {
        assert!(
            life.log.start_offset() >= shown,
            "{shown} was shown, {} is",
            life.log.start_offset()
        );
        let mut retention = Box::pin(life.log.apply_retention(now_ms()));
        assert!((&mut retention).now_or_never().is_none());
        assert_eq!(life.log.start_offset(), Offset(0), "not durable yet");
        retention.await.unwrap();
        assert_eq!(life.log.start_offset(), Offset(100));
    });
    disk.live(|life| async move {
        assert_eq!(life.log.start_offset(), Offset(100));
        let again = life.log.apply_retention(now_ms()).now_or_never();
        assert!(
            again.unwrap().is_ok(),
            "a start that is durable is not written again"
        );
    });
}

#[test]
fn a_start_inside_the_first_segment_is_durable_before_it_is_answered() {
    let disk = Disk::new();
    disk.live(|life| async move {
        fill(&life, 3, |n| n).await;
        assert_eq!(life.log.delete_records(Offset(5)).await.unwrap(), Offset(5));
    });
    disk.live(|life| async move {
        assert_eq!(
            (life.log.start_offset(), life.log.end_offset()),
            (Offset(5), Offset(30))
        );
    });
}

#[test]
fn a_reader_of_a_deleted_segment_reads_on() {
    let mut disk = small();
    disk.options.cold_read = ColdRead::Sendfile;
    disk.live(|life| async move { fill(&life, 10, |n| n).await });
    disk.live(|life| async move {
        let from = ReadFrom {
            offset: Offset(0),
            max_bytes: 4_000,
            min_one_batch: true,
            bound: Offset(100),
        };
        let before = life.log.read(from).await.unwrap();
        life.log.delete_records(Offset(60)).await.unwrap();
        let bytes = bytes_of(&before);
        parse(&bytes).verify_crc().unwrap();
    });
}

#[test]
fn a_deleted_log_leaves_nothing() {
    let mut disk = small();
    disk.config.file_delete_delay_ms = 0;
    disk.live(|life| async move {
        fill(&life, 10, |n| n).await;
        let refused = life.log.clone();
        life.store.delete_log(life.log.clone()).await.unwrap();
        assert!(matches!(
            refused.append(&parse(&batch(1, 1, b"v")), EPOCH),
            Err(AppendError::Log(LogError::Closed))
        ));
        assert!(life.data.logs().unwrap().is_empty());
        let again = life
            .store
            .open_log(identity(), LogConfig::default())
            .await
            .unwrap();
        assert_eq!(again.end_offset(), Offset(0));
        again.close().await.unwrap();
    });
    assert!(!disk.path().join("topics/events").exists());
}

#[test]
fn offsets_by_time_are_exact_for_plain_batches() {
    let disk = small();
    // Timestamps grow by 100 a batch, with one peak in the 13th.
    let at = |n: i64| if n == 13 { 9_000 } else { 1_000 + n * 100 };
    let check = move |life: Life| async move {
        let find = |ts| {
            let log = life.log.clone();
            async move {
                log.offset_for_timestamp(ts)
                    .await
                    .unwrap()
                    .map(|f| (f.offset.0, f.timestamp_ms))
            }
        };
        assert_eq!(find(0).await, Some((0, 1_000)));
        for n in 0..13 {
            assert_eq!(find(1_000 + n * 100).await, Some((n * 10, 1_000 + n * 100)));
            assert_eq!(find(1_000 + n * 100 - 50).await, Some((n * 10, 1_000 + n * 100)));
        }
        assert_eq!(find(5_000).await, Some((130, 9_000)));
        assert_eq!(find(9_001).await, None);
        let max = life.log.max_timestamp_offset().await.unwrap().unwrap();
        assert_eq!((max.offset, max.timestamp_ms), (Offset(130), 9_000));
        assert_eq!(max.leader_epoch.0, 1);
    };
    disk.live(move |life| async move {
        fill(&life, 20, at).await;
        check(life).await;
    });
    disk.live(check);
    disk.live(|life| async move {
        life.log.delete_records(Offset(35)).await.unwrap();
        let found = life.log.offset_for_timestamp(0).await.unwrap().unwrap();
        assert_eq!((found.offset, found.timestamp_ms), (Offset(35), 1_300));
    });
}

#[test]
fn the_broker_s_time_is_in_the_batch_and_in_the_answer() {
    use tautline_core::batch::TimestampType;
    let mut disk = Disk::new();
    disk.config.timestamp_type = TimestampType::LogAppendTime;
    disk.live(|life| async move {
        let before = now_ms();
        let appended = life.put(&batch(5, 3, b"v")).await;
        assert!(appended.log_append_time_ms >= before);
        let read = life.read_all(0, 1).await.unwrap();
        let stored = parse(&read[0].1);
        assert_eq!(
            (stored.timestamp_type(), stored.max_timestamp()),
            (TimestampType::LogAppendTime, appended.log_append_time_ms)
        );
        let found = life.log.offset_for_timestamp(before).await.unwrap().unwrap();
        assert_eq!(
            (found.offset, found.timestamp_ms),
            (Offset(0), appended.log_append_time_ms)
        );
    });
}
