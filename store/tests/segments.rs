//! Many segments: rolls, sizes, cold reads by ring and by sendfile, indexes made again.
#![allow(missing_docs, reason = "a test")]

mod common;

use common::*;
use tautline_core::ids::Offset;
use tautline_store::*;

/// A log of `count` batches of 20 records and 2 KiB over many small segments.
async fn fill(life: &Life, count: usize) -> Vec<(i64, Vec<u8>)> {
    let mut written = Vec::new();
    for n in 0..count {
        let bytes = batch(n as i64, 20, &[n as u8; 100]);
        let appended = life.log.append(&parse(&bytes), EPOCH).unwrap();
        written.push((appended.base_offset.0, payload(&bytes)));
        if n % 7 == 0 {
            life.log.committed(life.log.end_offset()).await.unwrap();
        }
    }
    life.log.committed(life.log.end_offset()).await.unwrap();
    life.log.advance_high_watermark(life.log.end_offset());
    written
}

fn payloads(read: &[(i64, Vec<u8>)]) -> Vec<(i64, Vec<u8>)> {
    read.iter()
        .map(|(offset, bytes)| (*offset, payload(bytes)))
        .collect()
}

#[test]
fn rolls_keep_every_batch_over_restarts() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 40_000;
    let mut written = disk.live(|life| async move {
        let written = fill(&life, 300).await;
        assert!(
            life.log.segment_count() >= 15,
            "{} segments",
            life.log.segment_count()
        );
        assert_eq!(payloads(&life.read_all(0, 10_000).await.unwrap()), written);
        written
    });
    for _ in 0..3 {
        let expected = written.clone();
        written = disk.live(move |life| async move {
            assert_eq!(life.log.end_offset(), Offset(expected.len() as i64 * 20));
            assert_eq!(payloads(&life.read_all(0, 1 << 20).await.unwrap()), expected);
            for (n, (base, payload_n)) in expected.iter().enumerate().step_by(37) {
                let read = life.read_all(base + 7, 1).await.unwrap();
                assert_eq!(read.len(), expected.len() - n);
                assert_eq!(payload(&read[0].1), *payload_n);
            }
            let base = life.log.end_offset().0;
            let more = fill(&life, 40).await;
            assert!(more[0].0 == base);
            [expected, more].concat()
        });
    }
}

#[test]
fn a_batch_larger_than_a_class_gets_a_file_of_its_own() {
    let mut disk = Disk::new();
    disk.config.max_message_bytes = 80 << 20;
    let sizes = [1_000, 300_000, 9 << 20, 5_000, 70 << 20, 100];
    let check = move |read: Vec<(i64, Vec<u8>)>| {
        for (n, (offset, bytes)) in read.iter().enumerate() {
            assert_eq!(*offset, n as i64);
            assert!(
                bytes.len() > sizes[n] && bytes.len() < sizes[n] + 200,
                "batch {n} has {} bytes",
                bytes.len()
            );
        }
        assert_eq!(read.len(), sizes.len());
    };
    disk.live(move |life| async move {
        for &size in &sizes {
            life.put(&batch(1, 1, &vec![5; size])).await;
        }
        check(life.read_all(0, 1 << 20).await.unwrap());
    });
    disk.live(move |life| async move { check(life.read_all(0, 1 << 20).await.unwrap()) });
}

#[test]
fn sendfile_ranges_hold_the_same_bytes() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 100_000;
    disk.options.cold_read = ColdRead::Sendfile;
    let written = disk.live(|life| async move { fill(&life, 200).await });
    disk.live(|life| async move {
        assert_eq!(payloads(&life.read_all(0, 30_000).await.unwrap()), written);
        let from = ReadFrom {
            offset: Offset(45),
            max_bytes: 30_000,
            min_one_batch: true,
            bound: Offset(400),
        };
        let result = life.log.read(from).await.unwrap();
        assert!(result.parts.iter().all(|part| matches!(part, Part::File { .. })));
        assert!(result.size_bytes <= 30_000);
        let bytes = bytes_of(&result);
        let first = parse(&bytes);
        assert!(first.base_offset() <= Offset(45) && Offset(45) < first.next_offset());
    });
}

#[test]
fn a_lost_or_damaged_index_is_made_again() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 100_000;
    let written = disk.live(|life| async move {
        let written = fill(&life, 200).await;
        life.store.close().await.unwrap();
        written
    });
    let mut indexes = 0;
    for entry in std::fs::read_dir(disk.log_dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "index") {
            indexes += 1;
            if indexes % 2 == 0 {
                std::fs::remove_file(&path).unwrap();
            } else {
                let mut bytes = std::fs::read(&path).unwrap();
                bytes[60] ^= 1;
                std::fs::write(&path, bytes).unwrap();
            }
        }
    }
    assert!(indexes >= 2);
    disk.live(|life| async move {
        for (n, (base, payload_n)) in written.iter().enumerate().step_by(11) {
            let read = life.read_all(*base, 1 << 20).await.unwrap();
            assert_eq!(
                (read.len(), payload(&read[0].1)),
                (written.len() - n, payload_n.clone())
            );
        }
    });
}

#[test]
fn a_cache_over_its_budget_lets_the_oldest_go() {
    let mut disk = Disk::new();
    disk.options.tail_cache_bytes = 256 << 10;
    disk.live(|life| async move {
        let written = fill(&life, 1_000).await;
        let metrics = life.store.metrics();
        assert!(
            metrics.cache_bytes.get() <= (256 << 10) + (1 << 20),
            "{}",
            metrics.cache_bytes.get()
        );
        assert_eq!(
            payloads(&life.read_all(0, 50_000).await.unwrap()),
            written,
            "from disk, then from memory"
        );
        assert!(metrics.cold_reads.get() > 0 && metrics.tail_reads.get() > 0);
    });
}

#[test]
fn limits_and_bounds_are_kept() {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 60_000;
    let check = |life: Life| async move {
        let end = life.log.end_offset().0;
        for offset in (0..end).step_by(41) {
            for max_bytes in [0, 2_500, 7_000, 200_000] {
                for bound in [offset, offset + 1, offset + 25, end / 2, end] {
                    for min_one_batch in [false, true] {
                        let bound = Offset(bound.min(end));
                        let from = ReadFrom {
                            offset: Offset(offset),
                            max_bytes,
                            min_one_batch,
                            bound,
                        };
                        let bytes = bytes_of(&life.log.read(from).await.unwrap());
                        let mut rest = &bytes[..];
                        let mut count = 0;
                        while !rest.is_empty() {
                            let (batch, behind) = tautline_core::batch::Batch::parse(rest).unwrap();
                            assert!(batch.next_offset() <= bound, "{from:?}");
                            (rest, count) = (behind, count + 1);
                        }
                        assert!(
                            bytes.len() <= max_bytes || min_one_batch && count == 1,
                            "{from:?}: {}",
                            bytes.len()
                        );
                        let first_end = (offset / 20 + 1) * 20;
                        let must = first_end <= bound.0 && (min_one_batch || max_bytes > 2_500);
                        assert!(count > 0 || !must, "{from:?}");
                    }
                }
            }
        }
    };
    disk.live(move |life| async move {
        fill(&life, 120).await;
        check(life).await;
    });
    disk.live(check);
}
