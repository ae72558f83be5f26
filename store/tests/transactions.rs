//! Transactions in the log: what `read_committed` consumers see, before and after restarts (KIP-98, KIP-890; CORRECTNESS.md 3, 4,
//! 6 and 10).
#![allow(missing_docs, reason = "a test")]

mod common;

use common::*;
use tautline_core::ids::{Offset, ProducerEpoch, ProducerId};
use tautline_store::*;

const V1: TransactionVersion = TransactionVersion::V1;
const V2: TransactionVersion = TransactionVersion::V2;

/// Values of what a consumer gets, joined.
async fn seen(life: &Life, from: i64) -> String {
    let records = life.consume(from, 1 << 20).await.unwrap();
    let small = life.consume(from, 1).await.unwrap();
    assert_eq!(records, small, "in one read, and batch by batch");
    records
        .iter()
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

fn offsets(life: &Life) -> (i64, i64, i64) {
    let log = &life.log;
    (
        log.last_stable_offset().0,
        log.high_watermark().0,
        log.end_offset().0,
    )
}

#[test]
fn the_last_stable_offset_waits_for_the_marker_to_be_committed() {
    Disk::new().live(|life| async move {
        life.put(&batch(1, 1, b"a")).await;
        life.append_in(&transactional(1, 0, 0, &[b"b", b"c"]), V1)
            .unwrap();
        assert_eq!(life.log.ongoing_transaction(ProducerId(1)), Some(Offset(1)));
        life.settle().await;
        assert_eq!(offsets(&life), (1, 3, 3));
        assert_eq!(seen(&life, 0).await, "a");
        life.put(&batch(1, 1, b"d")).await;
        assert_eq!((offsets(&life), seen(&life, 0).await.as_str()), ((1, 4, 4), "a"));
        life.end(1, 0, true, V1).unwrap();
        life.log.committed(Offset(5)).await.unwrap();
        assert_eq!(
            offsets(&life),
            (1, 4, 5),
            "durable, but not below the high watermark"
        );
        life.settle().await;
        assert_eq!(
            (offsets(&life), seen(&life, 0).await.as_str()),
            ((5, 5, 5), "abcd")
        );
        assert_eq!(life.log.ongoing_transaction(ProducerId(1)), None);
    });
}

#[test]
fn the_last_stable_offset_wakes_those_who_wait() {
    use futures_util::FutureExt;
    Disk::new().live(|life| async move {
        life.append_in(&transactional(1, 0, 0, &[b"a"]), V1).unwrap();
        life.settle().await;
        life.end(1, 0, true, V1).unwrap();
        life.log.committed(Offset(2)).await.unwrap();
        let woken = life.log.appended().wait();
        life.log.advance_high_watermark(Offset(2));
        assert!(woken.now_or_never().is_some());
        assert_eq!(life.log.last_stable_offset(), Offset(2));
    });
}

/// Redpanda 21.10 (Jepsen, 2022) showed aborted records, its last stable offset being off by one: transactions of one record,
/// side by side, each the first or the last of what may be read.
#[test]
fn no_bound_is_off_by_one() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 4_500;
    let check = |life: Life| async move {
        assert_eq!(seen(&life, 0).await, "012345678901234567890123456789");
        for from in 0..120 {
            let expected: String = (0..30)
                .filter(|n| n * 4 >= from)
                .map(|n| (n % 10).to_string())
                .collect();
            assert_eq!(seen(&life, from).await, expected, "from {from}");
            let got = life.fetch_committed(Offset(from), 1).await.unwrap();
            let aborted: Vec<_> = got.aborted.iter().map(|a| a.first_offset.0).collect();
            // Of each four the third record is aborted by the fourth.
            let n = from / 4 * 4;
            let expected = if from % 4 >= 2 { vec![n + 2] } else { vec![] };
            assert_eq!(aborted, expected, "from {from}");
        }
        life
    };
    disk.live(move |life| async move {
        for n in 0..30 {
            let value = (n % 10).to_string();
            life.append_in(&transactional(1, 0, n, &[value.as_bytes()]), V1)
                .unwrap();
            life.end(1, 0, true, V1).unwrap();
            life.append_in(&transactional(2, 0, n, &[b"x"]), V1).unwrap();
            life.settle().await;
            assert_eq!(life.log.last_stable_offset(), Offset(i64::from(n) * 4 + 2));
            let last = life.consume(0, 1 << 20).await.unwrap().last().cloned();
            assert_eq!(last, Some((i64::from(n) * 4, value.into_bytes())));
            life.end(2, 0, false, V1).unwrap();
            life.settle().await;
        }
        check(life).await.store.close().await.unwrap();
    });
    disk.live(move |life| async move { drop(check(life).await) });
}

/// Transactions over many segments, whose markers lie in others; the lists come from memory, from files, and from the batches.
#[test]
fn aborted_transactions_are_known_over_segments_and_restarts() {
    for (name, cold_read) in [("ring", ColdRead::Ring), ("sendfile", ColdRead::Sendfile)] {
        println!("{name}");
        let mut disk = Disk::new();
        disk.config.segment_bytes = 6_000;
        disk.options.cold_read = cold_read;
        disk.options.tail_cache_bytes = 0;
        let filler = |n: i32| format!("{n:03} ").repeat(300).into_bytes();
        disk.live(move |life| async move {
            // 1 is open over all, 2 aborts in between, 3 commits beside it.
            life.append_in(&transactional(1, 0, 0, &[b"long "]), V1).unwrap();
            for n in 0..20 {
                life.append_in(&transactional(2, 0, n, &[&filler(n)]), V1)
                    .unwrap();
                life.append_in(&transactional(3, 0, n, &[format!("{n} ").as_bytes()]), V1)
                    .unwrap();
                if n % 5 == 4 {
                    life.end(2, 0, false, V1).unwrap();
                    life.end(3, 0, n % 2 == 0, V1).unwrap();
                }
                life.log.flush().await.unwrap();
            }
            life.settle().await;
            assert_eq!((offsets(&life).0, seen(&life, 0).await.as_str()), (0, ""));
            life.end(1, 0, true, V1).unwrap();
            life.settle().await;
        });
        let expected = "long 0 1 2 3 4 10 11 12 13 14 ";
        let files = |kind: &str| -> Vec<_> {
            let entries = std::fs::read_dir(disk.log_dir()).unwrap();
            let paths = entries.map(|entry| entry.unwrap().path());
            paths
                .filter(|path| path.extension().is_some_and(|e| e == kind))
                .collect()
        };
        let read = |name: &str| {
            println!("{name}");
            disk.live(move |life| async move {
                assert_eq!(seen(&life, 0).await, expected);
                let single = life.consume(1, 1).await.unwrap();
                assert_eq!(single.len(), 10, "from behind the first record");
                life.log.save_checkpoint().await.unwrap();
            });
        };
        read("after a kill");
        assert!(files("log").len() > 3 && !files("aborted").is_empty());
        let lists: Vec<_> = files("aborted")
            .iter()
            .map(|path| std::fs::read(path).unwrap())
            .collect();
        for path in files("aborted") {
            std::fs::remove_file(path).unwrap();
        }
        read("with lists missing");
        for path in files("aborted") {
            let mut bytes = std::fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(path, bytes).unwrap();
        }
        read("with lists damaged");
        let contents = || -> Vec<_> {
            let files = files("aborted");
            files.iter().map(|path| std::fs::read(path).unwrap()).collect()
        };
        // A helper thread may still be writing.
        let began = std::time::Instant::now();
        while lists != contents() {
            assert!(began.elapsed() < common::HANGS, "made again as they were");
            std::thread::yield_now();
        }
        for path in files("aborted") {
            std::fs::write(path, b"short").unwrap();
        }
        std::fs::remove_file(disk.log_dir().join("checkpoint")).unwrap();
        read("without a checkpoint");
        disk.live(|life| async move { life.store.close().await.unwrap() });
        read("after a clean end");
    }
}

/// Producer state, epochs of coordinators and open transactions are in the checkpoint.
#[test]
fn open_transactions_survive_restarts_and_retention() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 5_000;
    disk.config.retention_bytes = 0;
    disk.config.file_delete_delay_ms = 0;
    disk.live(|life| async move {
        life.put(&batch(1, 10, &[0; 300])).await;
        life.append_in(&transactional(7, 3, 0, &[b"open"]), V2).unwrap();
        for _ in 0..5 {
            life.put(&batch(1, 10, &[0; 300])).await;
        }
        life.log.apply_retention(0).await.unwrap();
        assert!(
            life.log.start_offset() <= Offset(10),
            "not over an open transaction"
        );
        assert_eq!(life.log.last_stable_offset(), Offset(10));
        life.log.expire_producers(i64::MAX, 1);
        let deleted = life.log.delete_records(Offset(40)).await.unwrap();
        assert_eq!(deleted, Offset(40), "asked for, it is deleted");
        assert_eq!(offsets(&life), (40, 61, 61), "never before the start");
    });
    for round in 0..3 {
        disk.live(move |life| async move {
            let producers = life.log.producers();
            let open = producers.iter().find(|p| p.id == ProducerId(7)).unwrap();
            assert_eq!(
                (open.epoch, open.transaction_start),
                (ProducerEpoch(3), Some(Offset(10)))
            );
            assert_eq!(open.last_sequence, round);
            assert_eq!(offsets(&life).0, 40);
            life.append_in(&transactional(7, 3, round + 1, &[b"more"]), V2)
                .unwrap();
            life.settle().await;
            assert!(life.end(7, 3, true, V2).is_err(), "its own epoch");
            life.store.close().await.unwrap();
        });
    }
    disk.live(|life| async move {
        let (id, epoch) = (ProducerId(7), ProducerEpoch(4));
        life.log
            .append_marker(id, epoch, marker(false, 9), V2, EPOCH)
            .unwrap();
        life.settle().await;
        assert_eq!(offsets(&life), (65, 65, 65));
        let late = life.append_in(&transactional(7, 3, 4, &[b"late"]), V2);
        assert!(matches!(late, Err(AppendError::InvalidProducerEpoch)));
        let records = life.consume(40, 1 << 20).await.unwrap();
        assert!(
            records.iter().all(|(_, value)| value == &[0; 300]),
            "what it wrote is aborted"
        );
    });
    disk.live(|life| async move {
        let (id, epoch) = (ProducerId(7), ProducerEpoch(5));
        let zombie = life.log.append_marker(id, epoch, marker(true, 8), V2, EPOCH);
        assert!(matches!(
            zombie,
            Err(AppendError::CoordinatorFenced { found: 8, latest: 9 })
        ));
        let shown = life.log.producers();
        assert_eq!(
            (shown.len(), shown[0].coordinator_epoch, shown[0].last_sequence),
            (1, 9, -1)
        );
        life.log.expire_producers(i64::MAX, 1);
        assert!(life.log.producers().is_empty(), "nothing is open");
    });
}

/// KIP-890, through the log: the guard is void once the transaction has ended.
#[test]
fn a_record_that_comes_late_begins_nothing() {
    Disk::new().live(|life| async move {
        let (id, epoch) = (ProducerId(1), ProducerEpoch(0));
        let verification = life.log.verification(id, epoch, 0, V1).unwrap();
        assert!(matches!(verification, Verification::Needed(_)));
        life.end(1, 0, false, V1).unwrap();
        let bytes = transactional(1, 0, 0, &[b"late"]);
        let late = life
            .log
            .append_verified(&parse(&bytes), EPOCH, 1_000, verification);
        assert!(matches!(late, Err(AppendError::InvalidTransactionState)));
        let plain = life.log.append(&parse(&bytes), EPOCH);
        assert!(matches!(plain, Err(AppendError::InvalidTransactionState)));
        assert_eq!(life.log.end_offset(), Offset(1));
    });
}

#[test]
fn a_transaction_ends_whatever_the_size_of_messages() {
    let mut disk = Disk::new();
    disk.config.max_message_bytes = 75;
    disk.live(|life| async move {
        life.append_in(&transactional(1, 0, 0, &[b"a"]), V1).unwrap();
        life.end(1, 0, true, V1).unwrap();
        life.settle().await;
        assert_eq!(seen(&life, 0).await, "a");
    });
}

#[test]
fn a_segment_has_so_many_aborted_transactions() {
    const FILLER: i64 = 40;
    let disk = Disk::new();
    let count = 2 * limits::ABORTED_PER_SEGMENT_MAX as i32;
    disk.live(move |life| async move {
        // So that segments are large enough.
        for _ in 0..FILLER {
            life.put(&batch(1, 1, &[0; 1_000_000])).await;
        }
        for n in 0..count {
            if n % 10_000 == 0 {
                life.log.flush().await.unwrap();
            }
            life.append_in(&transactional(1, 0, n, &[b"x"]), V1).unwrap();
            life.end(1, 0, false, V1).unwrap();
        }
        life.put(&batch(1, 1, b"end")).await;
        life.store.close().await.unwrap();
    });
    let entries = std::fs::read_dir(disk.log_dir()).unwrap();
    let lists = entries.map(|entry| entry.unwrap()).filter(|entry| {
        let path = entry.path();
        path.extension().is_some_and(|e| e == "aborted")
    });
    let largest = lists.map(|entry| entry.metadata().unwrap().len()).max();
    assert_eq!(largest, Some(48 + 32 * limits::ABORTED_PER_SEGMENT_MAX as u64));
    disk.live(move |life| async move {
        let last = i64::from(count) * 2 + FILLER;
        let got = life.fetch_committed(Offset(last - 300), 1).await.unwrap();
        assert_eq!(got.aborted.len(), 1, "only what overlaps");
        assert_eq!(
            life.consume(last - 1_000, 1 << 20).await.unwrap(),
            [(last, b"end".to_vec())]
        );
    });
}
