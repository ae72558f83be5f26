//! Transactions that take too long, transactional ids that expire, and what 100,000 of them cost.

use std::time::Instant;

use super::host::{Host, TIMEOUT_MS, V0, V2, partition, producer};
use crate::coordinator::Coordinator;
use crate::transactions::TransactionState::{CompleteAbort, Ongoing, PrepareAbort};
use crate::transactions::limits::TIMERS_PER_TICK;

const EXPIRATION_MS: i64 = 604_800_000;

#[test]
fn a_transaction_that_takes_too_long_is_aborted() {
    let mut host = Host::new();
    let holder = host.init_with("t", None, 5_000).expect("new");
    host.begin("t", holder, V0);
    let begun_ms = host.now_ms;
    assert_eq!(host.coordinator.deadline_ms(), Some(begun_ms + 5_001));
    host.tick(3_000);
    host.add("t", holder, &[partition("more", 0)], V0).expect("held");
    assert_eq!(
        host.coordinator.deadline_ms(),
        Some(begun_ms + 10_000 + 3_000),
        "the next sweep"
    );
    host.tick(2_000);
    assert_eq!(
        host.state("t"),
        Ongoing,
        "time runs from the first partition, and is not over"
    );
    host.tick(8_000);
    assert_eq!(host.state("t"), PrepareAbort);
    assert_eq!(host.markers[0].producer, producer(holder.id.0, 1));
    assert_eq!(host.markers[0].partitions.len(), 2);
    host.write_markers();
    assert_eq!(host.state("t"), CompleteAbort);
    assert_eq!(host.coordinator.deadline_ms(), Some(host.now_ms + EXPIRATION_MS));
}

#[test]
fn time_runs_on_over_a_restart() {
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.begin("t", holder, V2);
    host.now_ms += i64::from(TIMEOUT_MS) + 1;
    host.restart();
    host.tick(0);
    assert_eq!(
        host.state("t"),
        Ongoing,
        "its producer has an interval to come back"
    );
    host.tick(10_000);
    assert_eq!(host.state("t"), PrepareAbort);
}

/// A wall clock that is set, as after a pause of a virtual machine: it ends no transaction, and keeps none open.
#[test]
fn a_wall_clock_that_is_set_does_not_move_a_deadline() {
    const HOUR_MS: i64 = 3_600_000;
    let mut host = Host::new();
    let holder = host.init("t", None).expect("new");
    host.init("idle", None).expect("new");
    host.begin("t", holder, V0);
    let begun_ms = host.now_ms;
    host.ahead_ms = 1_000 * HOUR_MS;
    host.tick(20_000);
    host.add("t", holder, &[partition("more", 0)], V0).expect("held");
    host.tick(20_000);
    assert_eq!((host.state("t"), host.coordinator.len()), (Ongoing, 2));
    host.ahead_ms = -HOUR_MS;
    host.tick(begun_ms + i64::from(TIMEOUT_MS) + 10_000 - host.now_ms);
    assert_eq!(host.state("t"), PrepareAbort);
    host.write_markers();
    // What lies in the future of a clock that was set back counts from the replay.
    host.ahead_ms = -2 * HOUR_MS;
    host.restart();
    assert_eq!(host.coordinator.deadline_ms(), Some(host.now_ms + EXPIRATION_MS));
}

#[test]
fn ids_expire_unless_they_have_a_transaction() {
    let mut host = Host::new();
    let idle = host.init("idle", None).expect("new");
    let open = host.init("open", None).expect("new");
    let decided = host.init("decided", None).expect("new");
    host.begin("open", open, V0);
    host.begin("decided", decided, V0);
    host.end("decided", decided, true, V0).expect("ongoing");
    host.tick(EXPIRATION_MS - 1);
    assert_eq!(host.coordinator.len(), 3);
    assert_eq!(host.state("open"), PrepareAbort, "it took too long");
    host.tick(3_600_000);
    assert_eq!(host.coordinator.len(), 2);
    assert!(host.log.iter().any(|record| record.value.is_none()));
    assert!(host.verify("idle", idle, &[]).is_err());
    host.restart();
    assert_eq!(host.coordinator.len(), 2);
    host.write_markers();
    assert_eq!(host.coordinator.len(), 2, "their time begins with their end");
    host.tick(EXPIRATION_MS);
    assert!(host.coordinator.is_empty());
    assert_eq!(host.coordinator.deadline_ms(), None);
}

#[test]
fn much_that_is_due_takes_several_ticks_and_few_batches() {
    let mut host = Host::new();
    let count = 2 * TIMERS_PER_TICK + 1;
    for number in 0..count {
        let id = format!("t-{number}");
        let holder = host.init(&id, None).expect("new");
        host.begin(&id, holder, V0);
    }
    host.tick(i64::from(TIMEOUT_MS) + 1);
    assert_eq!(host.markers.len(), TIMERS_PER_TICK);
    assert_eq!(host.batches, 1);
    assert!(
        host.coordinator.deadline_ms() <= Some(host.now_ms),
        "the others are due"
    );
    host.tick(0);
    host.tick(0);
    assert_eq!(host.markers.len(), count);
    assert_eq!(host.coordinator.deadline_ms(), None, "all are decided");
}

/// Not a measurement: what it takes must not grow with the square of the number.
#[test]
fn many_ids_are_cheap() {
    const IDS: usize = 10_000;
    let started = Instant::now();
    let mut host = Host::new();
    for number in 0..IDS {
        let id = format!("application-{number}");
        let holder = host.init(&id, None).expect("new");
        host.begin(&id, holder, V2);
        if number % 2 == 0 {
            host.end(&id, holder, true, V2).expect("ongoing");
        }
        host.now_ms += i64::from(number % 3 == 0);
    }
    host.restart();
    assert_eq!(host.markers.len(), IDS / 2);
    host.write_markers();
    host.tick(900_000);
    while host.coordinator.deadline_ms() <= Some(host.now_ms) {
        host.tick(0);
    }
    assert_eq!(host.markers.len(), IDS / 2);
    host.write_markers();
    host.now_ms += EXPIRATION_MS;
    while !host.coordinator.is_empty() {
        host.tick(0);
    }
    eprintln!("{IDS} ids, 6 records and a replay each: {:?}", started.elapsed());
}
