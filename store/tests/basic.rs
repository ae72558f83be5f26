//! Append, commit, read, close, open again.
#![allow(missing_docs, reason = "a test")]

mod common;

use common::*;
use tautline_core::ids::Offset;
use tautline_store::*;

#[test]
fn what_was_committed_is_read_from_memory_and_after_a_restart_from_disk() {
    let disk = Disk::new();
    let sizes = [1usize, 100, 4_000, 5_000, 70_000, 300];
    let written = disk.live(move |life| async move {
        let mut written = Vec::new();
        for (n, &size) in sizes.iter().enumerate() {
            let bytes = batch(n as i64, n + 1, &vec![n as u8; size]);
            let appended = life.put(&bytes).await;
            assert_eq!(appended.last_offset - appended.base_offset, n as i64);
            written.push((appended.base_offset.0, payload(&bytes)));
        }
        assert_eq!(life.log.durable_end(), Offset(21));
        let read = life.read_all(0, 8_000).await.unwrap();
        assert_eq!(
            read.iter().map(|(o, b)| (*o, payload(b))).collect::<Vec<_>>(),
            written
        );
        assert!(
            life.store.metrics().cold_reads.get() == 0,
            "the tail is in memory"
        );
        written
    });
    for clean in [false, true, true] {
        let expected = written.clone();
        disk.live(move |life| async move {
            assert_eq!(life.log.end_offset(), Offset(21));
            assert_eq!(life.log.durable_end(), Offset(21));
            for max_bytes in [1, 8_000, 1 << 20] {
                let read = life.read_all(0, max_bytes).await.unwrap();
                assert_eq!(
                    read.iter().map(|(o, b)| (*o, payload(b))).collect::<Vec<_>>(),
                    expected
                );
            }
            assert!(life.store.metrics().cold_reads.get() > 0);
            let middle = life.read_all(12, 100).await.unwrap();
            assert_eq!(
                middle.len(),
                2,
                "offset 12 lies inside the fifth batch, which begins at 10"
            );
            if clean {
                life.store.close().await.unwrap();
                life.data.mark_clean().unwrap();
            }
        });
    }
    disk.live(|life| async move {
        assert!(life.data.clean_start());
        life.put(&batch(9, 2, b"more")).await;
        assert_eq!(life.read_all(0, 1 << 20).await.unwrap().len(), 7);
    });
}

#[test]
fn out_of_range_is_told_apart_from_nothing_yet() {
    Disk::new().live(|life| async move {
        let read = |offset| ReadFrom {
            offset: Offset(offset),
            max_bytes: 100,
            min_one_batch: true,
            bound: Offset(1),
        };
        assert!(life.log.read(read(0)).await.unwrap().is_empty());
        assert!(matches!(
            life.log.read(read(1)).await,
            Err(ReadError::OffsetOutOfRange { .. })
        ));
        life.put(&batch(1, 2, b"v")).await;
        assert!(
            life.log.read(read(0)).await.unwrap().is_empty(),
            "the batch reaches beyond the bound"
        );
        assert!(life.log.read(read(2)).await.unwrap().is_empty());
        assert!(matches!(
            life.log.read(read(3)).await,
            Err(ReadError::OffsetOutOfRange { .. })
        ));
        assert!(matches!(
            life.log.read(read(-1)).await,
            Err(ReadError::OffsetOutOfRange { .. })
        ));
    });
}

#[test]
fn appends_during_a_write_share_the_next() {
    Disk::new().live(|life| async move {
        life.put(&batch(1, 1, b"first")).await;
        let before = life.store.metrics().durable_writes.get();
        for n in 0..100 {
            life.log.append(&parse(&batch(n, 1, &[7; 500])), EPOCH).unwrap();
        }
        life.log.committed(life.log.end_offset()).await.unwrap();
        let writes = life.store.metrics().durable_writes.get() - before;
        assert!(writes <= 2, "{writes} writes for a hundred appends in one turn");
        assert_eq!(life.read_all(0, 1 << 20).await.unwrap().len(), 101);
    });
}
