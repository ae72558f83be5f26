//! CORRECTNESS.md 5: a retried produce is stored once, also across restarts (KIP-98).
#![allow(missing_docs, reason = "a test")]

mod common;

use common::*;
use tautline_core::ids::Offset;
use tautline_store::*;

#[test]
fn a_retry_is_answered_with_the_first_offset_after_a_kill_and_after_a_checkpoint() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 4_000;
    disk.live(|life| async move {
        for sequence in 0..50 {
            life.put(&idempotent(7, 2, sequence * 3, 3)).await;
            life.put(&batch(1, 1, b"others")).await;
        }
    });
    for round in 0..4 {
        disk.live(move |life| async move {
            let end = life.log.end_offset();
            assert_eq!(end, Offset(200 + round));
            for back in 0..5 {
                let sequence = (49 - back) * 3;
                let again = life.put(&idempotent(7, 2, sequence, 3)).await;
                assert!(again.duplicate);
                assert_eq!(again.base_offset, Offset(i64::from(49 - back) * 4));
                assert_eq!(again.last_offset, again.base_offset + 2);
            }
            assert_eq!(life.log.end_offset(), end);
            let gap = life
                .log
                .append(&parse(&idempotent(7, 2, 153, 1)), EPOCH)
                .unwrap_err();
            assert!(
                matches!(
                    gap,
                    AppendError::OutOfOrderSequence {
                        found: 153,
                        expected: 150
                    }
                ),
                "{gap}"
            );
            let fenced = life
                .log
                .append(&parse(&idempotent(7, 1, 150, 1)), EPOCH)
                .unwrap_err();
            assert!(matches!(fenced, AppendError::InvalidProducerEpoch));
            let producers = life.log.producers();
            let seven = producers.iter().find(|p| p.id.0 == 7).unwrap();
            assert_eq!((seven.epoch.0, seven.last_sequence), (2, 149));
            life.put(&idempotent(100 + round, 0, 0, 1)).await;
            if round % 2 == 1 {
                life.store.close().await.unwrap();
                if round == 3 {
                    life.data.mark_clean().unwrap();
                }
            }
        });
    }
    disk.live(|life| async move {
        assert!(life.data.clean_start());
        assert!(life.put(&idempotent(7, 2, 147, 3)).await.duplicate);
        assert!(life.put(&idempotent(102, 0, 0, 1)).await.duplicate);
    });
}

#[test]
fn a_retry_of_a_batch_still_being_written_waits_for_its_commit() {
    Disk::new().live(|life| async move {
        let bytes = idempotent(1, 0, 0, 5);
        let first = life.log.append(&parse(&bytes), EPOCH).unwrap();
        let second = life.log.append(&parse(&bytes), EPOCH).unwrap();
        assert!(!first.duplicate && second.duplicate && second.last_offset == first.last_offset);
        assert_eq!(life.log.durable_end(), Offset(0));
        life.log.committed(second.last_offset.next()).await.unwrap();
        assert_eq!(life.log.durable_end(), Offset(5));
    });
}

#[test]
fn leader_epochs_are_kept_and_older_leaders_fenced() {
    use tautline_core::ids::LeaderEpoch;
    let disk = Disk::new();
    let append = |life: &Life, epoch| {
        let how = AppendAs::Leader {
            epoch: LeaderEpoch(epoch),
        };
        life.log
            .append(&parse(&batch(1, 10, b"v")), how)
            .map(|a| a.base_offset)
    };
    disk.live(move |life| async move {
        append(&life, 1).unwrap();
        append(&life, 4).unwrap();
        append(&life, 4).unwrap();
        assert!(matches!(
            append(&life, 3),
            Err(AppendError::FencedLeaderEpoch { .. })
        ));
        life.log.flush().await.unwrap();
    });
    disk.live(move |life| async move {
        append(&life, 6).unwrap();
        let end = |epoch| {
            life.log
                .end_offset_for(LeaderEpoch(epoch))
                .map(|e| (e.epoch.0, e.end_offset.0))
        };
        assert_eq!(
            [end(0), end(1), end(2), end(4), end(5), end(6), end(7)],
            [
                Some((0, 0)),
                Some((1, 10)),
                Some((1, 10)),
                Some((4, 30)),
                Some((4, 30)),
                Some((6, 40)),
                None,
            ]
        );
        life.store.close().await.unwrap();
    });
    disk.live(|life| async move { assert_eq!(life.log.leader_epochs().entries().len(), 3) });
}
