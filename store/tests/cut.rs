//! A replicated log: what is not committed is cut off its end, for good; what stays is as if the rest had never been there.
#![allow(missing_docs, reason = "a test")]

mod common;

use common::*;
use tautline_core::batch::patch_position;
use tautline_core::ids::{LeaderEpoch, Offset};
use tautline_store::*;

fn replicated() -> Disk {
    let mut disk = Disk::new();
    disk.config.replicated = true;
    disk
}

fn under(epoch: i32) -> AppendAs {
    AppendAs::Leader {
        epoch: LeaderEpoch(epoch),
    }
}

fn placed(mut bytes: Vec<u8>, offset: i64, epoch: i32) -> Vec<u8> {
    patch_position(&mut bytes, Offset(offset), LeaderEpoch(epoch));
    bytes
}

async fn offsets(life: &Life, from: i64) -> Vec<i64> {
    let read = life.read_all(from, 30_000).await.unwrap();
    read.iter().map(|(base, _)| *base).collect()
}

#[test]
fn the_end_is_cut_off_and_the_log_goes_on_there() {
    let disk = replicated();
    disk.live(|life| async move {
        let log = &life.log;
        life.put(&batch(1, 2, b"committed")).await;
        for n in 0..3 {
            log.append(&parse(&batch(100 + n, 2, b"not")), under(2)).unwrap();
        }
        let error = log.truncate(Offset(1)).await.unwrap_err();
        assert!(matches!(error, CutError::Committed { .. }), "{error}");
        let error = log.truncate(Offset(5)).await.unwrap_err();
        assert!(matches!(error, CutError::NoBatch(Offset(5))), "{error}");
        let error = log.truncate(Offset(9)).await.unwrap_err();
        assert!(matches!(error, CutError::NoBatch(Offset(9))), "{error}");
        log.truncate(Offset(8)).await.unwrap();
        assert_eq!(offsets(&life, 0).await, [0, 2, 4, 6]);

        log.truncate(Offset(4)).await.unwrap();
        assert_eq!((log.end_offset(), log.durable_end()), (Offset(4), Offset(4)));
        assert_eq!(log.end_offset_for(LeaderEpoch(2)).unwrap().end_offset, Offset(4));
        log.truncate(Offset(2)).await.unwrap();
        assert_eq!(
            log.latest_epoch(),
            Some(LeaderEpoch(1)),
            "epoch 2 has no batch left"
        );
        let log_append = log.append(&parse(&batch(3, 1, b"another")), under(3)).unwrap();
        assert_eq!(log_append.base_offset, Offset(2));
        life.settle().await;
        assert_eq!(offsets(&life, 0).await, [0, 2]);
        let newest = log.max_timestamp_offset().await.unwrap().unwrap();
        assert_eq!(
            newest.offset,
            Offset(2),
            "the times of what was cut are forgotten"
        );
    });
    disk.live(|life| async move {
        assert!(life.log.damage().is_empty());
        assert_eq!(offsets(&life, 0).await, [0, 2]);
        assert_eq!(life.log.latest_epoch(), Some(LeaderEpoch(3)));
    });
}

#[test]
fn files_that_were_cut_off_do_not_come_back() {
    let mut disk = replicated();
    disk.config.segment_bytes = 20_000;
    let dir = disk.log_dir();
    let kept = disk.live(move |life| async move {
        for n in 0..12 {
            life.log
                .append(&parse(&batch(n, 1, &[n as u8; 6_000])), EPOCH)
                .unwrap();
        }
        life.log.flush().await.unwrap();
        assert!(life.log.segment_count() > 3);
        // As a crash between the checkpoint and what follows it would leave them.
        let files = std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let files: Vec<_> = files
            .filter(|path| path.extension().is_some_and(|kind| kind == "log"))
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        life.log.truncate(Offset(4)).await.unwrap();
        files
    });
    for (path, bytes) in kept {
        std::fs::write(path, bytes).unwrap();
    }
    disk.live(|life| async move {
        assert!(life.log.damage().is_empty());
        assert_eq!(offsets(&life, 0).await, [0, 1, 2, 3]);
        life.put(&batch(4, 1, b"goes on")).await;
        assert_eq!(offsets(&life, 2).await, [2, 3, 4]);
    });
}

#[test]
fn producers_are_as_they_were_at_the_end() {
    let disk = replicated();
    disk.live(|life| async move {
        let log = &life.log;
        for sequence in 0..6 {
            log.append(&parse(&idempotent(7, 0, sequence, 1)), EPOCH).unwrap();
            if sequence == 1 {
                life.settle().await;
                log.save_checkpoint().await.unwrap();
            }
        }
        life.append_in(&transactional(8, 0, 0, &[b"open"]), TransactionVersion::V2)
            .unwrap();
        log.truncate(Offset(4)).await.unwrap();
        life.settle().await;
        assert_eq!(
            log.last_stable_offset(),
            Offset(4),
            "no transaction is open any more"
        );
        let gap = log.append(&parse(&idempotent(7, 0, 6, 1)), EPOCH);
        assert!(
            matches!(gap, Err(AppendError::OutOfOrderSequence { expected: 4, .. })),
            "{gap:?}"
        );
        assert!(
            log.append(&parse(&idempotent(7, 0, 3, 1)), EPOCH)
                .unwrap()
                .duplicate
        );
        let next = log.append(&parse(&idempotent(7, 0, 4, 1)), EPOCH).unwrap();
        assert!(!next.duplicate && next.base_offset == Offset(4));
    });
}

#[test]
fn transactions_that_were_aborted_behind_the_end_are_forgotten() {
    let mut disk = replicated();
    disk.config.segment_bytes = 20_000;
    disk.live(|life| async move {
        let version = TransactionVersion::V2;
        let big = [3; 6_000];
        for n in 0..4 {
            life.append_in(&transactional(8, 2 * n, 0, &[&big]), version)
                .unwrap();
            life.end(8, 2 * n + 1, n % 2 == 0, version).unwrap();
        }
        let whole = life.log.end_offset();
        assert_eq!(whole, Offset(8));
        // The marker that ends the last is cut off: it is open again.
        life.log.truncate(Offset(7)).await.unwrap();
        life.settle().await;
        assert_eq!(life.log.last_stable_offset(), Offset(6));
        let seen = life.consume(0, 100_000).await.unwrap();
        assert_eq!(seen.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(), [0, 4]);
        life.end(8, 7, true, version).unwrap();
        life.settle().await;
        let seen = life.consume(0, 100_000).await.unwrap();
        assert_eq!(
            seen.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(),
            [0, 4, 6]
        );
    });
}

#[test]
fn a_log_begins_anew_behind_a_gap_and_takes_batches_as_they_are() {
    let disk = replicated();
    disk.live(|life| async move {
        let log = &life.log;
        life.put(&idempotent(7, 0, 0, 3)).await;
        let early = log.reset(Offset(2)).await;
        assert!(matches!(early, Err(CutError::Committed { .. })));
        log.reset(Offset(100)).await.unwrap();
        let bounds = (log.start_offset(), log.high_watermark(), log.end_offset());
        assert_eq!(bounds, (Offset(100), Offset(100), Offset(100)));
        assert!(log.producers().is_empty() && log.latest_epoch().is_none());
        for (offset, epoch) in [(100, 4), (101, 4), (110, 4), (111, 6)] {
            log.append_replicated(&parse(&placed(idempotent(7, 0, 9, 1), offset, epoch)))
                .unwrap();
        }
        let before = log.append_replicated(&parse(&placed(batch(1, 1, b"x"), 111, 6)));
        assert!(matches!(before, Err(AppendError::Misplaced { .. })));
        life.settle().await;
    });
    disk.live(|life| async move {
        assert!(life.log.damage().is_empty());
        assert_eq!(offsets(&life, 100).await, [100, 101, 110, 111]);
        assert_eq!(life.log.epoch_of(Offset(110)), Some(LeaderEpoch(4)));
        let heads = life.log.batch_heads(Offset(101)).await.unwrap();
        let heads: Vec<_> = heads
            .iter()
            .map(|head| (head.base_offset.0, head.leader_epoch.0))
            .collect();
        assert_eq!(heads, [(101, 4), (110, 4), (111, 6)]);
    });
}

#[test]
fn a_checkpoint_waits_for_what_may_be_cut_and_gives_up_when_it_is() {
    let disk = replicated();
    disk.live(|life| async move {
        let log = life.log.clone();
        log.append(&parse(&batch(1, 1, b"one")), EPOCH).unwrap();
        let (saved, cut) = futures_util::join!(log.save_checkpoint(), log.truncate(Offset(0)));
        assert!(matches!(saved, Err(LogError::Cut)), "{saved:?}");
        cut.unwrap();
        log.append(&parse(&batch(2, 1, b"two")), EPOCH).unwrap();
        let (saved, ()) = futures_util::join!(log.save_checkpoint(), life.settle());
        saved.unwrap();
    });
    disk.live(|life| async move {
        life.log.append(&parse(&batch(3, 1, b"three")), EPOCH).unwrap();
        life.store.close().await.unwrap();
        life.data.mark_clean().unwrap();
    });
    disk.live(|life| async move {
        assert_eq!(
            life.log.end_offset(),
            Offset(2),
            "what is not committed is not lost either"
        );
    });
}

#[test]
fn what_is_not_settled_is_neither_deleted_nor_lost_to_those_who_count_it() {
    let mut disk = replicated();
    disk.config.segment_bytes = 20_000;
    disk.live(|life| async move {
        for n in 0..9 {
            life.put(&batch(n, 1, &[n as u8; 6_000])).await;
        }
        let segments = life.log.segment_count();
        life.log.delete_records(Offset(8)).await.unwrap();
        assert_eq!(
            (life.log.start_offset(), life.log.segment_count()),
            (Offset(8), segments)
        );
        assert_eq!(life.log.batch_heads(Offset(2)).await.unwrap().len(), 7);
        life.log.settle(Offset(6));
        life.log.delete_records(Offset(9)).await.unwrap();
        assert!(life.log.segment_count() < segments);
        assert_eq!(life.log.batch_heads(Offset(6)).await.unwrap().len(), 3);
    });
}
