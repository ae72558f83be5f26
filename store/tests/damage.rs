//! CORRECTNESS.md 8: a torn tail is cut quietly, damage is never cut, and says so.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::*;
use tautline_core::batch::Batch;
use tautline_core::ids::Offset;
use tautline_store::*;

/// Ten batches of ten records, each committed before the next, in one segment.
fn ten(disk: &Disk) -> Vec<u64> {
    disk.live(|life| async move {
        for n in 0..10u8 {
            life.put(&batch(i64::from(n), 10, &[n + 1; 300])).await;
        }
    });
    positions(&disk.segment(0))
}

/// Where the batches of a segment begin, and where the last ends.
fn positions(segment: &Path) -> Vec<u64> {
    let bytes = fs::read(segment).unwrap();
    let mut at = limits::SEGMENT_HEADER_BYTES as usize;
    let mut positions = vec![at as u64];
    while let Ok((batch, _)) = Batch::parse(&bytes[at..]) {
        at += batch.size_bytes();
        positions.push(at as u64);
    }
    positions
}

fn flip(path: &Path, at: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
    file.sync_all().unwrap();
}

fn zero(path: &Path, from: u64, to: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&vec![0; (to - from) as usize], from).unwrap();
    file.sync_all().unwrap();
}

/// Opens the log: it ends with `batches` batches, takes writes, and still does after another start.
fn goes_on_after(disk: &Disk, batches: i64) {
    disk.live(move |life| async move {
        assert_eq!(life.log.end_offset(), Offset(batches * 10));
        assert!(life.log.damage().is_empty());
        assert_eq!(life.read_all(0, 5_000).await.unwrap().len(), batches as usize);
        let appended = life.put(&batch(99, 10, b"after")).await;
        assert_eq!(appended.base_offset, Offset(batches * 10));
    });
    disk.live(move |life| async move {
        assert_eq!(life.log.end_offset(), Offset(batches * 10 + 10));
        assert_eq!(life.read_all(0, 5_000).await.unwrap().len(), batches as usize + 1);
    });
}

#[test]
fn a_truncated_tail_is_cut() {
    let disk = Disk::new();
    let at = ten(&disk);
    OpenOptions::new()
        .write(true)
        .open(disk.segment(0))
        .unwrap()
        .set_len(at[9] + 1_000)
        .unwrap();
    goes_on_after(&disk, 9);
}

#[test]
fn a_flipped_bit_in_the_last_batch_is_cut() {
    for within in [3, 10, 16, 20, 30, 500] {
        let disk = Disk::new();
        let at = ten(&disk);
        flip(&disk.segment(0), at[9] + within);
        goes_on_after(&disk, 9);
    }
}

#[test]
fn a_zeroed_tail_is_cut() {
    let disk = Disk::new();
    let at = ten(&disk);
    zero(&disk.segment(0), at[9] + 512, at[10] + 8_000);
    goes_on_after(&disk, 9);
    let disk = Disk::new();
    let at = ten(&disk);
    zero(
        &disk.segment(0),
        at[9],
        fs::metadata(disk.segment(0)).unwrap().len(),
    );
    goes_on_after(&disk, 9);
}

#[test]
fn bytes_torn_behind_the_end_do_not_come_back() {
    let disk = Disk::new();
    let at = ten(&disk);
    // What a write in flight may leave: a sound later batch, with a hole before it.
    let mut stray = batch(5, 10, b"stray");
    tautline_core::batch::patch_position(&mut stray, Offset(120), tautline_core::ids::LeaderEpoch(1));
    let file = OpenOptions::new().write(true).open(disk.segment(0)).unwrap();
    let behind = (at[10] / 4096 + 2) * 4096;
    file.write_all_at(&stray, behind).unwrap();
    drop(file);
    goes_on_after(&disk, 10);
    let bytes = fs::read(disk.segment(0)).unwrap();
    assert!(
        bytes[behind as usize..behind as usize + 4096]
            .iter()
            .all(|&b| b == 0)
    );
}

#[test]
fn a_lost_sector_that_ends_with_the_zeros_a_sound_batch_begins_with_is_torn() {
    const SECTOR: u64 = 512;
    let disk = Disk::new();
    disk.live(|life| async move {
        life.put(&batch(0, 10, b"first")).await;
    });
    let from = *positions(&disk.segment(0)).last().unwrap();
    // The offset of the batch behind the second begins with seven zeros: some of them, and nothing else, lie in the sector to be lost.
    let second = (60..600)
        .map(|len| batch(1, 10, &vec![1; len]))
        .find(|batch| batch.len() as u64 > 2 * SECTOR && (from + batch.len() as u64) % SECTOR > SECTOR - 7)
        .unwrap();
    let lost_end = (from + second.len() as u64).next_multiple_of(SECTOR);
    disk.live(move |life| async move {
        for bytes in [second, batch(2, 10, &[2; 300])] {
            life.log.append(&parse(&bytes), EPOCH).unwrap();
        }
        life.log.committed(life.log.end_offset()).await.unwrap();
    });
    zero(&disk.segment(0), lost_end - SECTOR, lost_end);
    goes_on_after(&disk, 1);
}

#[test]
fn a_flip_in_the_middle_is_damage() {
    for (n, within) in [(0, 30), (4, 3), (4, 10), (4, 16), (4, 100), (8, 61)] {
        let disk = Disk::new();
        let at = ten(&disk);
        let before = fs::read(disk.segment(0)).unwrap();
        flip(&disk.segment(0), at[n] + within);
        for _ in 0..2 {
            let position = at[n];
            disk.live(move |life| async move {
                let damage = life.log.damage();
                assert_eq!(damage.len(), 1, "batch {n}, byte {within}: {damage:?}");
                assert_eq!(
                    (damage[0].from, damage[0].position),
                    (Offset(n as i64 * 10), position)
                );
                assert_eq!(damage[0].to, Some(Offset(n as i64 * 10 + 10)));
                assert_eq!(life.log.end_offset(), Offset(100), "nothing is cut");
                let refused = life.log.append(&parse(&batch(1, 1, b"v")), EPOCH).unwrap_err();
                assert!(matches!(refused, AppendError::Log(LogError::Damaged)));
                let read = |offset| {
                    let from = ReadFrom {
                        offset: Offset(offset),
                        max_bytes: 1 << 20,
                        min_one_batch: true,
                        bound: Offset(100),
                    };
                    life.log.read(from)
                };
                for offset in (0..100).step_by(5) {
                    let result = read(offset).await;
                    if offset / 10 == n as i64 {
                        assert!(
                            matches!(result, Err(ReadError::Corrupt { .. })),
                            "offset {offset}"
                        );
                    } else {
                        let bytes = bytes_of(&result.unwrap());
                        assert_eq!(parse(&bytes).base_offset(), Offset(offset / 10 * 10));
                        parse(&bytes).verify_crc().unwrap();
                    }
                }
            });
            let mut after = fs::read(disk.segment(0)).unwrap();
            after[(at[n] + within) as usize] ^= 0x10;
            assert!(after == before, "the file is as it was");
        }
    }
}

#[test]
fn a_flip_below_the_last_write_is_damage_even_with_nothing_behind() {
    let disk = Disk::new();
    let at = ten(&disk);
    // The last two batches are gone, but the footer of the last write, which proves the ninth, is not.
    flip(&disk.segment(0), at[8] + 100);
    zero(&disk.segment(0), at[9], at[9] + 61);
    disk.live(move |life| async move {
        assert_eq!(life.log.damage().len(), 1);
        assert!(life.log.append(&parse(&batch(1, 1, b"v")), EPOCH).is_err());
        assert_eq!(
            life.read_all(0, 1_000).await.err().map(|e| e.error_code().code()),
            Some(2)
        );
    });
}

#[test]
fn damage_in_a_closed_segment_leaves_the_rest_in_use() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 8_000;
    ten(&disk);
    disk.live(|life| async move { life.store.close().await.unwrap() });
    let at = positions(&disk.segment(1));
    flip(&disk.segment(1), at[0] + 100);
    disk.live(|life| async move {
        assert!(
            life.log.damage().is_empty(),
            "below the checkpoint nothing is read at start"
        );
        let base = 20;
        let from = ReadFrom {
            offset: Offset(0),
            max_bytes: 1 << 20,
            min_one_batch: true,
            bound: Offset(100),
        };
        assert_eq!(
            bytes_of(&life.log.read(from).await.unwrap()).len() as u64,
            at[2] - at[0],
            "the first segment"
        );
        let read = life
            .log
            .read(ReadFrom {
                offset: Offset(base),
                ..from
            })
            .await;
        assert!(matches!(read, Err(ReadError::Corrupt { .. })), "{:?}", read.err());
        assert_eq!(life.log.damage().len(), 1);
        assert_eq!(life.store.metrics().damage.get(), 1);
        assert_eq!(life.read_all(base + 10, 1 << 20).await.unwrap().len(), 7);
        life.put(&batch(1, 10, b"goes on")).await;
    });
}

#[test]
fn a_lost_segment_is_damage() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 8_000;
    ten(&disk);
    disk.live(|life| async move { life.store.close().await.unwrap() });
    fs::remove_file(disk.segment(1)).unwrap();
    disk.live(|life| async move {
        assert_eq!(life.log.damage().len(), 1);
        assert_eq!(life.log.end_offset(), Offset(100));
        let from = ReadFrom {
            offset: Offset(25),
            max_bytes: 1 << 20,
            min_one_batch: true,
            bound: Offset(100),
        };
        assert!(matches!(
            life.log.read(from).await,
            Err(ReadError::Corrupt { .. })
        ));
        assert_eq!(life.read_all(40, 1 << 20).await.unwrap().len(), 6);
    });
}

#[test]
fn a_damaged_checkpoint_costs_a_full_read_only() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 8_000;
    ten(&disk);
    disk.live(|life| async move { life.store.close().await.unwrap() });
    for name in ["checkpoint", "checkpoint-closing"] {
        let path = disk.log_dir().join(name);
        if let Ok(mut bytes) = fs::read(&path) {
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    goes_on_after(&disk, 10);
}

#[test]
fn unknown_files_stay() {
    let disk = Disk::new();
    ten(&disk);
    fs::write(disk.log_dir().join("notes.txt"), b"mine").unwrap();
    goes_on_after(&disk, 10);
    assert_eq!(fs::read(disk.log_dir().join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn a_log_of_a_deleted_topic_of_the_same_name_is_set_aside() {
    let disk = Disk::new();
    ten(&disk);
    disk.live(|life| async move {
        life.store.close().await.unwrap();
        let other = LogIdentity {
            topic_id: tautline_core::ids::TopicId(uuid::Uuid::from_u128(8)),
            ..identity()
        };
        let log = life.store.open_log(other, LogConfig::default()).await.unwrap();
        assert_eq!(log.end_offset(), Offset(0));
        log.close().await.unwrap();
    });
    assert_eq!(fs::read_dir(disk.path().join("stray")).unwrap().count(), 1);
}
