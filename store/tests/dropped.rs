//! Whoever waits for a change of a log may go away half-way, like a client with its connection: the log is as if the change had not
//! been asked for, or had been.
#![allow(missing_docs, reason = "a test")]

mod common;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use common::*;
use tautline_core::ids::Offset;
use tautline_core::task::yield_now;
use tautline_core::time::timeout;
use tautline_store::*;

/// What takes longer has been lost.
const WAIT: Duration = Duration::from_secs(10);

/// Lets a future come so far and drops it. Whether it got to its end.
async fn ends_within(polls: usize, future: impl Future) -> bool {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

fn segment_files(dir: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".log")).count()
}

#[test]
fn a_deletion_goes_on_and_the_name_is_free_again() {
    let mut polls = 1;
    while !disk_of_small_segments().live(move |life| async move {
        let ended = ends_within(polls, life.store.delete_log(life.log.clone())).await;
        let opened = timeout(WAIT, life.store.open_log(identity(), LogConfig::default())).await;
        let log = opened.expect("the name is free").unwrap();
        assert_eq!(log.end_offset(), Offset(0), "a new log");
        log.close().await.unwrap();
        ended
    }) {
        polls += 1;
    }
    assert!(polls > 1, "it takes a while");
}

#[test]
fn deleted_records_go_the_next_time_at_the_latest() {
    let mut polls = 1;
    while !delete_and_drop(polls) {
        polls += 1;
    }
    assert!(polls > 2, "it takes a while");
}

/// Whether the deletion got to its end.
fn delete_and_drop(polls: usize) -> bool {
    let disk = disk_of_small_segments();
    let dir = disk.log_dir();
    let ended = disk.live(move |life| async move {
        for n in 0..10 {
            life.put(&batch(n, 10, &[1; 300])).await;
        }
        let ended = ends_within(polls, life.log.delete_records(Offset(47))).await;
        let again = timeout(WAIT, life.log.delete_records(Offset(47))).await;
        assert_eq!(again.expect("nothing is in its way").unwrap(), Offset(47));
        let gone = async {
            while segment_files(&dir) > 4 {
                yield_now().await;
            }
        };
        assert!(timeout(WAIT, gone).await.is_ok(), "dropped at {polls}");
        ended
    });
    disk.live(|life| async move { assert_eq!(life.log.start_offset(), Offset(47)) });
    ended
}

fn disk_of_small_segments() -> Disk {
    let mut disk = Disk::new();
    disk.config.segment_bytes = 7_000;
    disk.config.file_delete_delay_ms = 0;
    disk
}
