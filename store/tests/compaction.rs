//! Log compaction by named cases: what stays, what goes and when, and what readers see of the gaps.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::future::poll_fn;
use std::task::Poll;

use common::keyed::*;
use common::*;
use futures_util::future::maybe_done;
use tautline_core::batch::Compression;
use tautline_core::ids::Offset;
use tautline_store::*;

/// A batch that fills a segment's rest, so that what came before can be cleaned.
async fn fill(life: &Life, n: i64) {
    let value = "f".repeat(560);
    life.send(&[sent(&format!("fill{n}"), Some(&value), NOW)], Compression::None)
        .await;
}

fn row(offset: i64, key: &str, value: &str) -> (i64, String, Option<String>) {
    (offset, key.to_owned(), Some(value.to_owned()))
}

async fn table(life: &Life) -> Vec<(i64, String, Option<String>)> {
    let mut rows = life.table().await;
    rows.retain(|(_, key, _)| !key.starts_with("fill"));
    rows
}

#[test]
fn the_last_record_of_each_key_stays_at_its_offset() {
    for codec in CODECS {
        let disk = compacted();
        disk.live(move |life| async move {
            let first =
                [("a", "a0"), ("b", "b1"), ("c", "c2")].map(|(key, value)| sent(key, Some(value), NOW));
            life.send(&first, codec).await;
            life.send(
                &[sent("a", Some("a3"), NOW + 5), sent("d", Some("d4"), NOW)],
                codec,
            )
            .await;
            life.send(&[sent("c", Some("c5"), NOW + 1)], codec).await;
            fill(&life, 0).await;
            let end = life.log.end_offset();
            let cleaned = life.log.clean(NOW).await.unwrap().unwrap();
            assert_eq!(life.log.end_offset(), end);
            assert!(cleaned.upto > Offset(5) && cleaned.upto < end, "{cleaned:?}");
            assert!(
                cleaned.written_bytes >= 2 * 4_096,
                "a header and batches: {cleaned:?}"
            );
            assert_eq!(
                life.store.metrics().cleaner_write_bytes.get(),
                cleaned.written_bytes
            );
            let expected = vec![
                row(1, "b", "b1"),
                row(3, "a", "a3"),
                row(4, "d", "d4"),
                row(5, "c", "c5"),
            ];
            assert_eq!(table(&life).await, expected, "{codec:?}");
            let found = life.log.offset_for_timestamp(NOW + 2).await.unwrap().unwrap();
            assert_eq!((found.offset, found.timestamp_ms), (Offset(3), NOW + 5));
            assert_eq!(life.log.clean(NOW).await.unwrap(), None, "nothing is dirty");
        });
        disk.live(move |life| async move {
            assert_eq!(
                life.log.clean(NOW).await.unwrap(),
                None,
                "also not after a restart"
            );
            assert_eq!(table(&life).await.len(), 4);
            life.log.max_timestamp_offset().await.unwrap().unwrap();
        });
    }
}

/// KIP-534: a tombstone stays `delete.retention.ms` from the cleaning that found it first.
#[test]
fn tombstones_stay_until_their_horizon_and_no_value_comes_back() {
    for codec in CODECS {
        let disk = compacted();
        disk.live(move |life| async move {
            life.send(
                &[sent("a", Some("old"), NOW), sent("b", Some("kept"), NOW - 7)],
                codec,
            )
            .await;
            life.send(&[sent("a", None, NOW), sent("c", Some("kept"), NOW + 9)], codec)
                .await;
            fill(&life, 0).await;
            life.log.clean(NOW).await.unwrap().unwrap();
            let with_tombstone = vec![
                row(1, "b", "kept"),
                (2, "a".to_owned(), None),
                row(3, "c", "kept"),
            ];
            assert_eq!(table(&life).await, with_tombstone);
            let batches = life.read_all(0, 100_000).await.unwrap();
            let horizons: Vec<_> = batches
                .iter()
                .filter_map(|(_, bytes)| parse(bytes).delete_horizon_ms())
                .collect();
            assert_eq!(horizons, [NOW + 1_000]);
            fill(&life, 0).await;
            life.log.clean(NOW + 999).await.unwrap().unwrap();
            assert_eq!(table(&life).await, with_tombstone, "{codec:?}: not yet");
            fill(&life, 0).await;
            life.log.clean(NOW + 1_000).await.unwrap().unwrap();
            assert_eq!(
                table(&life).await,
                [row(1, "b", "kept"), row(3, "c", "kept")],
                "{codec:?}"
            );
            let records = life.records().await;
            assert_eq!(
                records[1].record.timestamp_ms,
                NOW + 9,
                "times are not moved by the horizon"
            );
        });
    }
}

#[test]
fn readers_get_over_gaps_from_every_offset() {
    let mut disk = compacted();
    disk.config.segment_bytes = 2_000;
    for cold in [ColdRead::Ring, ColdRead::Sendfile] {
        disk.options.cold_read = cold;
        disk.live(|life| async move {
            for round in 0..40 {
                let records: Vec<Sent> = (0..4)
                    .map(|n| sent(&format!("k{}", (round * 7 + n) % 9), Some(&"v".repeat(80)), NOW))
                    .collect();
                life.send(&records, CODECS[round % 5]).await;
            }
            fill(&life, 0).await;
            life.log.clean(NOW).await.unwrap().unwrap();
            check_every_offset(&life).await;
        });
        disk.live(|life| async move {
            check_every_offset(&life).await;
            for offset in 0..life.log.end_offset().0 {
                life.log.delete_records(Offset(offset)).await.unwrap();
                assert_eq!(life.log.start_offset(), Offset(offset));
                if offset % 16 == 0 {
                    check_every_offset(&life).await;
                }
            }
        });
        disk = compacted();
        disk.options.cold_read = cold;
        disk.config.segment_bytes = 2_000;
    }
}

/// A reader at any offset gets the batch that holds the next record, and comes to the end.
async fn check_every_offset(life: &Life) {
    let (start, end) = (life.log.start_offset().0, life.log.end_offset().0);
    let all: Vec<i64> = life.records().await.iter().map(|found| found.offset).collect();
    for offset in start..end {
        let from = ReadFrom {
            offset: Offset(offset),
            max_bytes: 1,
            min_one_batch: true,
            bound: Offset(end),
        };
        let read = life.log.read(from).await.unwrap();
        let bytes = bytes_of(&read);
        assert!(!bytes.is_empty(), "nothing at {offset} of {start}..{end}");
        let batch = parse(&bytes);
        assert!(batch.next_offset().0 > offset);
        let next = all.iter().copied().find(|&o| o >= offset);
        let mut found = open(&batch)
            .into_iter()
            .map(|found| found.offset)
            .filter(|&o| o >= offset);
        if let Some(first) = found.next() {
            assert_eq!(Some(first), next);
        } else {
            assert!(next.is_none_or(|next| next > batch.last_offset().0));
        }
    }
}

/// A reader that has found its segment, and waits for its bytes while that is merged with the next one, goes on in what they became.
#[test]
fn readers_miss_nothing_while_their_segments_are_merged() {
    const READERS: usize = 16;
    compacted().live(|life| async move {
        let mut waited = 0;
        for round in 0..16 {
            for n in 0..8 {
                let key = format!("k{}", (round * 7 + n * n) % 23);
                let value = "v".repeat(60);
                life.send(&[sent(&key, Some(&value), NOW)], Compression::None)
                    .await;
            }
            fill(&life, round).await;
            // This opens the files as well.
            life.records().await;
            let end = life.log.end_offset();
            let step = (end.0 as usize).div_ceil(READERS);
            let offsets = (0..end.0).skip(round as usize % step).step_by(step);
            let mut readers: Vec<_> = offsets
                .map(|offset| {
                    let from = ReadFrom {
                        offset: Offset(offset),
                        max_bytes: 1,
                        min_one_batch: true,
                        bound: end,
                    };
                    (offset, Box::pin(maybe_done(life.log.read(from))))
                })
                .collect();
            poll_fn(|cx| {
                for (_, reader) in &mut readers {
                    waited += usize::from(reader.as_mut().poll(cx).is_pending());
                }
                Poll::Ready(())
            })
            .await;
            life.log.clean(NOW).await.unwrap();
            let all: Vec<i64> = life.records().await.iter().map(|found| found.offset).collect();
            for (offset, mut reader) in readers {
                reader.as_mut().await;
                let read = reader.as_mut().take_output().unwrap().unwrap();
                let next = all.iter().copied().find(|&o| o >= offset);
                let found = parse(&bytes_of(&read)).base_offset().0;
                assert!(
                    next.is_none_or(|next| found <= next),
                    "round {round}: {found} is read at {offset}, and {next:?} is missed"
                );
            }
        }
        assert!(waited > 0, "no reader had to wait");
    });
}

#[test]
fn small_segments_are_merged_and_large_ones_kept_apart() {
    let mut disk = compacted();
    disk.live(|life| async move {
        for n in 0..60 {
            life.send(
                &[sent(&format!("k{}", n % 10), Some(&"v".repeat(300)), NOW)],
                Compression::None,
            )
            .await;
        }
        let before = life.log.segment_count();
        let size = life.log.size_bytes();
        life.log.clean(NOW).await.unwrap().unwrap();
        assert!(
            life.log.segment_count() < before / 3,
            "{} of {before}",
            life.log.segment_count()
        );
        assert!(life.log.size_bytes() < size / 3);
    });
    disk.config.segment_bytes = 100_000;
    disk.live(|life| async move {
        for n in 0..400 {
            life.send(
                &[sent(&format!("k{}", n % 10), Some(&"v".repeat(300)), NOW)],
                Compression::None,
            )
            .await;
        }
        life.log.clean(NOW).await.unwrap().unwrap();
        assert!(life.log.segment_count() <= 3, "{}", life.log.segment_count());
        let mut keys: Vec<String> = life.table().await.into_iter().map(|(_, key, _)| key).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 10);
    });
}

/// As many keys as the map holds in a pass, and the others in the next.
#[test]
fn more_keys_than_memory_take_several_passes() {
    let mut disk = compacted();
    disk.config.segment_bytes = 4_000;
    disk.options.cleaner.dedupe_buffer_bytes = 4_096;
    disk.live(|life| async move {
        for round in 0..3 {
            for n in 0..20 {
                let records: Vec<Sent> = (0..25)
                    .map(|m| sent(&format!("k{}", n * 25 + m), Some(&format!("{round}")), NOW))
                    .collect();
                life.send(&records, CODECS[n % 5]).await;
            }
        }
        let mut passes = 0;
        while let Some(cleaned) = life.log.clean(NOW).await.unwrap() {
            assert!(cleaned.keys <= 127);
            passes += 1;
        }
        assert!(passes > 3, "{passes}");
        let cleaned_to = life.log.cleaned_to().0;
        let rows = life.table().await;
        let mut seen = std::collections::HashSet::new();
        for (offset, key, _) in rows.iter().rev().filter(|(offset, ..)| *offset < cleaned_to) {
            assert!(seen.insert(key.clone()), "{key} at {offset} has a later one");
        }
        let keys: std::collections::HashSet<_> = rows.iter().map(|(_, key, _)| key).collect();
        assert_eq!(keys.len(), 500);
    });
}

/// What must be known of a producer is in the log itself, also when its records are gone.
#[test]
fn the_last_batch_of_a_producer_stays_without_records() {
    let disk = compacted();
    let from = |sequence| From {
        producer: Some((7, 0, sequence)),
        transactional: false,
    };
    disk.live(move |life| async move {
        let two = [sent("a", Some("1"), NOW), sent("b", Some("1"), NOW)];
        life.put(&keyed_from(&two, Compression::Gzip, from(0))).await;
        life.put(&keyed_from(&two, Compression::Gzip, from(2))).await;
        life.send(
            &[sent("a", Some("2"), NOW), sent("b", Some("2"), NOW)],
            Compression::None,
        )
        .await;
        fill(&life, 0).await;
        life.log.clean(NOW).await.unwrap().unwrap();
        assert_eq!(table(&life).await, [row(4, "a", "2"), row(5, "b", "2")]);
        let batches = life.read_all(0, 100_000).await.unwrap();
        let first = parse(&batches[0].1);
        assert_eq!(
            (first.base_offset(), first.last_offset(), first.record_count()),
            (Offset(2), Offset(3), 0)
        );
        assert_eq!(
            (
                first.producer_id().0,
                first.base_sequence(),
                first.last_sequence()
            ),
            (7, 2, 3)
        );
        assert_eq!((first.base_timestamp(), first.max_timestamp()), (-1, NOW));
    });
    for name in ["checkpoint", "checkpoint-closing"] {
        let _ = std::fs::remove_file(disk.log_dir().join(name));
    }
    disk.live(move |life| async move {
        let again = [sent("a", Some("1"), NOW), sent("b", Some("1"), NOW)];
        let appended = life
            .log
            .append(&parse(&keyed_from(&again, Compression::Gzip, from(2))), EPOCH)
            .unwrap();
        assert!(appended.duplicate && appended.base_offset == Offset(2));
        let end = life.log.end_offset();
        let next = life.put(&keyed_from(&again, Compression::Gzip, from(4))).await;
        assert_eq!((next.duplicate, next.base_offset), (false, end));
        assert_eq!(table(&life).await.len(), 4);
    });
}

#[test]
fn young_records_wait_for_their_lag_and_old_ones_wait_no_longer_than_theirs() {
    let mut disk = compacted();
    disk.config.min_compaction_lag_ms = 1_000;
    disk.live(|life| async move {
        life.send(&[sent("a", Some("1"), NOW)], Compression::None).await;
        life.send(&[sent("a", Some("2"), NOW)], Compression::None).await;
        fill(&life, 0).await;
        fill(&life, 0).await;
        assert_eq!(life.log.clean(NOW + 999).await.unwrap(), None);
        life.log.clean(NOW + 1_000).await.unwrap().unwrap();
        assert_eq!(table(&life).await, [row(1, "a", "2")]);
    });
}

#[test]
fn a_batch_that_can_not_be_taken_apart_stops_the_cleaning_and_nothing_goes() {
    let disk = compacted();
    disk.live(|life| async move {
        life.send(&[sent("a", Some("1"), NOW)], Compression::None).await;
        // Taken while the topic was not compacted.
        let mut bytes = keyed(&[sent("a", Some("2"), NOW)], Compression::Zstd);
        let at = bytes.len() - 1;
        bytes[at] ^= 0x55;
        bytes[tautline_core::batch::BATCH_HEADER_BYTES] ^= 0x55;
        tautline_core::batch::patch_max_timestamp(&mut bytes, NOW);
        life.put(&bytes).await;
        life.send(&[sent("a", Some("3"), NOW)], Compression::None).await;
        fill(&life, 0).await;
        let error = life.log.clean(NOW).await.unwrap_err();
        assert!(matches!(error, CleanError::Unreadable(Offset(1))), "{error}");
        assert_eq!(life.log.clean(NOW).await.unwrap(), None, "not tried again");
        assert_eq!(life.read_all(0, 100_000).await.unwrap().len(), 4);
        assert!(life.log.damage().is_empty());
        life.log.delete_records(Offset(2)).await.unwrap();
        fill(&life, 0).await;
        life.log.clean(NOW).await.unwrap().unwrap();
        assert_eq!(table(&life).await, [row(2, "a", "3")]);
    });
}

#[test]
fn records_without_keys_go_as_in_kafka() {
    let disk = compacted();
    disk.live(|life| async move {
        let keyless = Sent {
            key: None,
            ..sent("", Some("x"), NOW)
        };
        life.send(&[keyless, sent("a", Some("1"), NOW)], Compression::Lz4)
            .await;
        fill(&life, 0).await;
        life.log.clean(NOW).await.unwrap().unwrap();
        assert_eq!(table(&life).await, [row(1, "a", "1")]);
    });
}

/// `cleanup.policy=compact,delete`.
#[test]
fn retention_takes_cleaned_segments_and_those_without_records() {
    let mut disk = compacted();
    disk.config.delete = true;
    disk.config.retention_ms = 1_000;
    disk.live(|life| async move {
        for n in 0..20 {
            life.send(&[sent("a", Some(&format!("{n}")), NOW)], Compression::None)
                .await;
            fill(&life, 0).await;
        }
        life.log.clean(NOW).await.unwrap().unwrap();
        let count = life.log.segment_count();
        life.log.apply_retention(NOW + 999).await.unwrap();
        assert_eq!(life.log.segment_count(), count);
        life.log.apply_retention(NOW + 10_000).await.unwrap();
        life.log.apply_retention(NOW + 10_000).await.unwrap();
        assert_eq!(life.log.start_offset(), life.log.end_offset());
        assert_eq!(life.log.segment_count(), 0);
        life.send(&[sent("a", Some("later"), NOW + 10_000)], Compression::None)
            .await;
        fill(&life, 0).await;
        life.log.clean(NOW + 10_000).await.unwrap();
        assert_eq!(table(&life).await, [row(40, "a", "later")]);
    });
}

#[test]
fn nothing_undecided_is_touched_and_aborted_records_go() {
    let disk = compacted();
    let from = |id, sequence| From {
        producer: Some((id, 0, sequence)),
        transactional: true,
    };
    const V1: TransactionVersion = TransactionVersion::V1;
    disk.live(move |life| async move {
        let value = |text| {
            keyed_from(
                &[sent("a", Some(text), NOW)],
                Compression::None,
                text_from(text, from),
            )
        };
        life.send(&[sent("a", Some("0"), NOW)], Compression::None).await;
        life.append_in(&value("1 aborted"), V1).unwrap();
        life.append_in(&value("2 committed"), V1).unwrap();
        fill(&life, 0).await;
        fill(&life, 1).await;
        assert_eq!(life.log.clean(NOW).await.unwrap(), None, "two are undecided");
        assert_eq!(table(&life).await.len(), 3);
        life.end(1, 0, false, V1).unwrap();
        life.end(2, 0, true, V1).unwrap();
        fill(&life, 2).await;
        fill(&life, 3).await;
        life.log.clean(NOW).await.unwrap().unwrap();
        assert_eq!(table(&life).await, [row(2, "a", "2 committed")]);
        // The aborted one's last batch stays, empty, for the sake of the producer; so its marker stays too.
        assert_eq!(markers(&life).await, [(1, false), (2, true)]);
        // With their next transactions both are free to go.
        life.append_in(
            &keyed_from(&[sent("b", Some("x"), NOW)], Compression::None, from(1, 1)),
            V1,
        )
        .unwrap();
        life.end(1, 0, true, V1).unwrap();
        life.append_in(
            &keyed_from(&[sent("a", Some("newer"), NOW)], Compression::None, from(2, 1)),
            V1,
        )
        .unwrap();
        life.end(2, 0, true, V1).unwrap();
        for n in 0..2 {
            fill(&life, 4 + n).await;
            fill(&life, 6 + n).await;
            life.log.clean(NOW).await.unwrap().unwrap();
            assert_eq!(
                markers(&life).await,
                [(1, false), (2, true), (1, true), (2, true)],
                "their time runs"
            );
        }
        fill(&life, 8).await;
        fill(&life, 9).await;
        life.log.clean(NOW + 1_000).await.unwrap().unwrap();
        assert_eq!(markers(&life).await, [(1, true), (2, true)]);
        let seen = life.consume(0, 100_000).await.unwrap();
        let seen: Vec<_> = seen
            .iter()
            .filter(|(_, value)| value.len() < 100)
            .map(|(offset, _)| *offset)
            .collect();
        assert_eq!(
            seen,
            table(&life)
                .await
                .iter()
                .map(|(offset, ..)| *offset)
                .collect::<Vec<_>>()
        );
        assert_eq!(seen.len(), 2);
    });
    // Without a checkpoint the same is found in the files.
    for name in ["checkpoint", "checkpoint-closing"] {
        let _ = std::fs::remove_file(disk.log_dir().join(name));
    }
    disk.live(|life| async move {
        assert!(life.log.damage().is_empty() && life.log.failure().is_none());
        assert_eq!(table(&life).await.len(), 2);
        assert_eq!(life.log.last_stable_offset(), life.log.end_offset());
    });
}

fn text_from(text: &str, from: impl Fn(i64, i32) -> From) -> From {
    from(i64::from(text.as_bytes()[0] - b'0'), 0)
}

/// Producer of each marker, and whether it commits.
async fn markers(life: &Life) -> Vec<(i64, bool)> {
    let batches = life.read_all(0, 100_000).await.unwrap();
    let markers = batches.iter().filter_map(|(_, bytes)| {
        let batch = parse(bytes);
        let marker = tautline_core::batch::EndTransactionMarker::of(&batch)?;
        Some((batch.producer_id().0, marker.committed))
    });
    markers.collect()
}

#[test]
fn a_deleted_or_closed_log_ends_its_cleaning() {
    let disk = compacted();
    disk.live(|life| async move {
        for n in 0..50 {
            life.send(
                &[sent(&format!("k{}", n % 3), Some(&"v".repeat(400)), NOW)],
                Compression::None,
            )
            .await;
        }
        let cleaning = {
            let log = life.log.clone();
            tautline_core::task::spawn(tautline_core::task::Queue::Background, async move {
                log.clean(NOW).await
            })
        };
        tautline_core::task::yield_now().await;
        life.store.delete_log(life.log.clone()).await.unwrap();
        let ended = cleaning.await;
        assert!(
            matches!(ended, Err(CleanError::Ended | CleanError::Io(_)) | Ok(_)),
            "{ended:?}"
        );
        let again = life
            .store
            .open_log(identity(), LogConfig::default())
            .await
            .unwrap();
        assert_eq!(again.end_offset(), Offset(0));
        again.close().await.unwrap();
    });
}

/// `log.cleaner.io.max.bytes.per.second`.
#[test]
fn cleaning_keeps_to_its_pace_and_ends_with_its_log() {
    let mut disk = compacted();
    disk.config.segment_bytes = 100_000;
    disk.options.cleaner.io_bytes_per_second_max = 1 << 20;
    disk.live(|life| async move {
        for n in 0..30 {
            let value = "v".repeat(20_000);
            life.send(
                &[sent(&format!("k{}", n % 3), Some(&value), NOW)],
                Compression::None,
            )
            .await;
        }
        let cleaned = life.log.clean(NOW).await.unwrap().unwrap();
        let bytes = cleaned.read_bytes + cleaned.written_bytes;
        assert!(bytes > 900_000, "{bytes}");
        assert!(cleaned.took_ms >= bytes * 1_000 / (1 << 20), "{cleaned:?}");
    });
    disk.options.cleaner.io_bytes_per_second_max = 1;
    disk.live(|life| async move {
        for n in 0..10 {
            let value = "v".repeat(20_000);
            life.send(
                &[sent(&format!("k{}", n % 3), Some(&value), NOW)],
                Compression::None,
            )
            .await;
        }
        let log = life.log.clone();
        let cleaning = tautline_core::task::spawn(tautline_core::task::Queue::Background, async move {
            log.clean(NOW).await
        });
        while life.store.metrics().cleaner_read_bytes.get() == 0 {
            tautline_core::task::yield_now().await;
        }
        life.store.close().await.unwrap();
        assert!(
            matches!(cleaning.await, Err(CleanError::Ended)),
            "it does not wait for its pace"
        );
    });
}

/// What lies beside segments goes with them.
#[test]
fn a_restart_leaves_no_file_of_a_segment_that_is_gone() {
    let disk = compacted();
    disk.live(|life| async move {
        for n in 0..20 {
            life.send(
                &[sent(&format!("k{}", n % 3), Some(&"v".repeat(400)), NOW)],
                Compression::None,
            )
            .await;
        }
        life.log.clean(NOW).await.unwrap().unwrap();
    });
    for name in [
        "0000000001.index",
        "0000000002-9.aborted",
        "0000000003-9.cleaning",
        "0000000002-9.log",
    ] {
        std::fs::write(disk.log_dir().join(name), b"left by a crash").unwrap();
    }
    std::fs::write(disk.log_dir().join("mystery-9.log"), b"?").unwrap();
    disk.live(|life| async move {
        assert!(life.log.damage().is_empty());
        assert!(life.table().await.len() >= 3);
    });
    let names = std::fs::read_dir(disk.log_dir()).unwrap();
    let names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(
        !names
            .iter()
            .any(|name| name.contains("-9") && !name.contains("mystery")),
        "{names:?}"
    );
    assert!(!names.contains(&"0000000001.index".to_owned()), "{names:?}");
    assert!(
        names.contains(&"mystery-9.log".to_owned()),
        "what is unknown is left alone"
    );
}

#[test]
fn the_store_cleans_by_itself() {
    let mut disk = compacted();
    disk.options.cleaner.enabled = true;
    disk.options.cleaner.backoff_ms = 1;
    disk.live(|life| async move {
        for n in 0..50 {
            life.send(
                &[sent(&format!("k{}", n % 3), Some(&"v".repeat(400)), NOW)],
                Compression::None,
            )
            .await;
        }
        while life.store.metrics().cleaner_runs.get() == 0 || life.log.segment_count() > 10 {
            tautline_core::task::yield_now().await;
        }
        assert!(life.store.metrics().cleaner_read_bytes.get() > 0);
    });
}
