//! Hosts on a shard with a real log, under a coordinator that adds numbers up.

mod adder;
mod life;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tautline_core::batch::EndTransactionMarker;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{Offset, ProducerEpoch, ProducerId};
use tautline_core::task::yield_now;
use tautline_replica::coordinator::{Token, TransactionalProducer};
use tautline_store::{Fault, FaultPlan, TransactionVersion};

use self::adder::{Answered, Asked, REPLAYS};
use self::life::{Disk, Life};
use super::limits::{DISK_WAIT_MAX, REPLAY_BYTES};

const PRODUCER: TransactionalProducer = TransactionalProducer {
    id: ProducerId(7),
    epoch: ProducerEpoch(1),
};

#[test]
fn answers_wait_for_the_log_and_come_in_order() {
    let disk = Disk::new();
    disk.live(|life| async move {
        life.serving().await;
        let tokens: Vec<_> = (1..=100).map(|n| life.ask(Asked::Add("a", n))).collect();
        let mut sum = 0;
        for (n, token) in (1..=100).zip(tokens) {
            sum += n;
            let (answer, end, committed) = life.answer(token).await;
            assert_eq!(answer, Ok(Answered::Total(sum)));
            assert!(
                committed > Offset(n - 1),
                "decided by record {n}, told at {committed} of {end}"
            );
        }
        assert_eq!(life.log().high_watermark(), Offset(100));
    });
}

/// A write may end while the coordinator's task has its turn taken away. Without a look at the log afterwards nothing wakes it, and
/// this hangs.
#[test]
fn what_is_committed_while_others_have_their_turn_is_told() {
    let disk = Disk::new();
    disk.live(|life| async move {
        life.serving().await;
        for n in 1..=5 {
            let token = life.ask(Asked::AddSlowly("a", 1));
            assert_eq!(life.answer_when_busy(token).await.0, Ok(Answered::Total(n)));
        }
    });
}

#[test]
fn a_replay_gives_what_was_answered() {
    let disk = Disk::new();
    disk.live(|life| async move {
        life.serving().await;
        for (key, n) in [("a", 5), ("b", 7), ("a", 1)] {
            let token = life.ask(Asked::Add(key, n));
            life.answer(token).await.0.unwrap();
        }
    });
    disk.live(|life| async move {
        life.serving().await;
        for (key, total) in [("a", 6), ("b", 7), ("c", 0)] {
            let token = life.ask(Asked::Get(key));
            assert_eq!(life.answer(token).await.0, Ok(Answered::Total(total)));
        }
        assert_eq!(
            life.effects(),
            [("replayed", 2)],
            "by the coordinator, when it was replayed"
        );
    });
}

#[test]
fn a_host_that_loads_says_so() {
    let disk = Disk::new();
    disk.live(|life| async move {
        let token = life.ask(Asked::Get("a"));
        let (answer, ..) = life.answer(token).await;
        assert_eq!(answer, Err(ErrorCode::CoordinatorLoadInProgress));
        life.serving().await;
    });
}

/// The order of the log is the order in which they were told, also in the next life.
#[test]
fn transactions_end_by_their_markers() {
    let disk = Disk::new();
    let marker = |committed| EndTransactionMarker {
        committed,
        coordinator_epoch: 1,
    };
    disk.live(move |life| async move {
        life.serving().await;
        for (n, committed) in [(5, true), (100, false), (7, true)] {
            let token = life.ask(Asked::AddIn(PRODUCER, "a", n));
            let ended = life
                .host()
                .end_transaction(PRODUCER, marker(committed), TransactionVersion::V1);
            assert_eq!(ended.await, Ok(()));
            assert!(life.answer(token).await.0.is_ok());
        }
        let token = life.ask(Asked::AddIn(PRODUCER, "a", 1000));
        assert_eq!(
            life.answer(token).await.0,
            Ok(Answered::Total(12)),
            "the last one is open"
        );
    });
    disk.live(move |life| async move {
        life.serving().await;
        let token = life.ask(Asked::Get("a"));
        assert_eq!(life.answer(token).await.0, Ok(Answered::Total(12)), "it still is");
        let ended = life
            .host()
            .end_transaction(PRODUCER, marker(true), TransactionVersion::V1);
        assert_eq!(ended.await, Ok(()));
        let token = life.ask(Asked::Get("a"));
        assert_eq!(life.answer(token).await.0, Ok(Answered::Total(1012)));
        life.host().stop();
        let ended = life
            .host()
            .end_transaction(PRODUCER, marker(true), TransactionVersion::V1);
        assert_eq!(ended.await, Err(ErrorCode::NotCoordinator));
    });
}

/// KIP-890: what comes after the end of its transaction begins no other, and the coordinator goes on.
#[test]
fn what_comes_after_the_end_of_its_transaction_is_refused() {
    let disk = Disk::new();
    disk.live(|life| async move {
        life.serving().await;
        for version in [TransactionVersion::V1, TransactionVersion::V2] {
            let bumped = i16::from(version == TransactionVersion::V2);
            let marker = EndTransactionMarker {
                committed: true,
                coordinator_epoch: 1,
            };
            let producer = TransactionalProducer {
                id: ProducerId(8 + i64::from(bumped)),
                ..PRODUCER
            };
            let next = TransactionalProducer {
                epoch: ProducerEpoch(producer.epoch.0 + bumped),
                ..producer
            };
            let add = Asked::AddIn(producer, "a", 1);
            let claim = life.claim(producer, version);
            let token = life.ask_claiming(add, claim);
            life.answer(token).await.0.unwrap();
            let late = life.claim(producer, version);
            assert_eq!(life.host().end_transaction(next, marker, version).await, Ok(()));
            let token = life.ask_claiming(add, late);
            let refused = life.answer(token).await.0.unwrap_err();
            if version == TransactionVersion::V1 {
                assert_eq!(refused, ErrorCode::InvalidTxnState);
            } else {
                assert_eq!(refused, ErrorCode::InvalidProducerEpoch);
                let zombie = life.host().end_transaction(producer, marker, version);
                assert_eq!(zombie.await, Err(ErrorCode::InvalidProducerEpoch));
            }
            let claim = life.claim(next, version);
            let token = life.ask_claiming(Asked::AddIn(next, "a", 1), claim);
            life.answer(token).await.0.unwrap();
        }
        let token = life.ask(Asked::Get("a"));
        assert_eq!(life.answer(token).await.0, Ok(Answered::Total(2)));
    });
}

#[test]
fn deadlines_are_kept() {
    let disk = Disk::new();
    disk.live(|life| async move {
        life.serving().await;
        let late = life.ask(Asked::Wait(40));
        let early = life.ask(Asked::Wait(5));
        assert_eq!(life.answer(early).await.0, Ok(Answered::Waited));
        assert_eq!(life.answer(late).await.0, Ok(Answered::Waited));
        let gone = life.ask(Asked::Wait(60_000));
        life.host().abandon(gone);
        while life.waiting() > 0 {
            yield_now().await;
        }
    });
}

/// Two clients that ask again as soon as they are answered, so that one always waits: time goes on all the same.
#[test]
fn deadlines_are_kept_while_requests_never_end() {
    const WAIT: Duration = Duration::from_millis(20);
    const ENDLESS: Duration = Duration::from_secs(5);
    let disk = Disk::new();
    disk.live(|life| async move {
        life.serving().await;
        let life = Rc::new(life);
        let waits = life.ask(Asked::Wait(WAIT.as_millis() as i64));
        let (asking, began) = (Rc::downgrade(&life), Instant::now());
        life.listen(move |token| {
            if token != waits
                && began.elapsed() < ENDLESS
                && let Some(life) = asking.upgrade()
            {
                life.ask(Asked::Get("a"));
            }
        });
        life.ask(Asked::Get("a"));
        life.ask(Asked::Get("a"));
        assert_eq!(life.answer_when_busy(waits).await.0, Ok(Answered::Waited));
        assert!(began.elapsed() < ENDLESS, "only when nobody asked any more");
    });
}

#[test]
fn a_failed_log_ends_the_coordinator_and_not_the_host() {
    let mut disk = Disk::new();
    let plan = Arc::new(FaultPlan::default());
    disk.options.faults = Some(plan.clone());
    disk.live(move |life| async move {
        life.serving().await;
        let token = life.ask(Asked::Add("a", 1));
        life.answer(token).await.0.unwrap();
        plan.fail_after(0, Fault::NoSpace);
        let waits = life.ask(Asked::Wait(60_000));
        // It goes to a file of its own, which is not there when it is appended.
        let token = life.ask(Asked::Fill("a", 2 << 20));
        assert_eq!(life.answer(token).await.0, Err(ErrorCode::NotCoordinator));
        let total = 1;
        assert_eq!(life.answer(waits).await.0, Err(ErrorCode::NotCoordinator));
        plan.heal();
        life.serving().await;
        let token = life.ask(Asked::Get("a"));
        let Ok(Answered::Total(now)) = life.answer(token).await.0 else {
            panic!("it serves");
        };
        assert_eq!(now, total, "what was answered is kept, what was not is not");
        let token = life.ask(Asked::Add("a", 1));
        assert_eq!(life.answer(token).await.0, Ok(Answered::Total(total + 1)));
    });
}

#[test]
fn a_stopped_host_refuses_those_who_wait_and_those_who_come() {
    let disk = Disk::new();
    disk.live(|life| async move {
        life.serving().await;
        let waits = life.ask(Asked::Wait(60_000));
        yield_now().await;
        life.host().stop();
        assert_eq!(life.answer(waits).await.0, Err(ErrorCode::NotCoordinator));
        let late = life.ask(Asked::Get("a"));
        assert_eq!(life.answer(late).await.0, Err(ErrorCode::NotCoordinator));
    });
}

/// KAFKA-16030: a coordinator that has read half of its log must not write down that the other half is not there.
#[test]
fn a_host_that_is_stopped_while_it_loads_writes_nothing() {
    const RECORDS: usize = 12;
    let disk = Disk::new();
    disk.live(|life| async move {
        life.serving().await;
        let mut last = life.ask(Asked::Add(REPLAYS, 0));
        for _ in 1..RECORDS {
            last = life.ask(Asked::Fill("a", REPLAY_BYTES / 8));
        }
        life.answer(last).await.0.unwrap();
    });
    disk.live(|life| async move {
        let end = life.log().end_offset();
        assert_eq!(end, Offset(RECORDS as i64));
        while life.replayed() == 0 {
            yield_now().await;
        }
        life.stop().await;
        assert!(life.replayed() < RECORDS, "it was stopped between two reads");
        assert_eq!(life.log().end_offset(), end);
        assert_eq!((life.loaded(), life.effects()), (0, Vec::new()));
    });
    disk.live(|life| async move {
        life.serving().await;
        let token = life.ask(Asked::Get(REPLAYS));
        assert_eq!(
            life.answer(token).await.0,
            Ok(Answered::Total(1)),
            "a whole replay counts"
        );
    });
}

/// Fills the disk. Gives the request that waits for room.
async fn fill(life: &Life, plan: &FaultPlan) -> Token {
    // A log without a file fails, where one with a full file waits.
    let first = life.ask(Asked::Add("a", 1));
    life.answer(first).await.0.unwrap();
    plan.fail_after(0, Fault::NoSpace);
    loop {
        let filled = life.ask(Asked::Fill("a", 20 << 10));
        let after = life.ask(Asked::Get("a"));
        match life.answer(after).await.0 {
            Ok(_) => drop(life.answer(filled).await.0.unwrap()),
            Err(refused) => {
                assert_eq!(refused, ErrorCode::CoordinatorNotAvailable);
                return filled;
            }
        }
    }
}

/// A full disk fails no log: the coordinator keeps what it has decided.
#[test]
fn a_full_disk_is_waited_for_and_heartbeats_go_on() {
    let mut disk = Disk::new();
    let plan = Arc::new(FaultPlan::default());
    disk.options.faults = Some(plan.clone());
    disk.live(move |life| async move {
        life.serving().await;
        let waits = life.ask(Asked::Wait(60_000));
        let filled = fill(&life, &plan).await;
        for asked in [Asked::Get("a"), Asked::Add("a", 1)] {
            let token = life.ask(asked);
            assert_eq!(
                life.answer(token).await.0,
                Err(ErrorCode::CoordinatorNotAvailable)
            );
        }
        let marker = EndTransactionMarker {
            committed: true,
            coordinator_epoch: 1,
        };
        let ended = life
            .host()
            .end_transaction(PRODUCER, marker, TransactionVersion::V1);
        assert_eq!(ended.await, Err(ErrorCode::CoordinatorNotAvailable));
        let beat = life.ask(Asked::Beat);
        assert_eq!(life.answer(beat).await.0, Ok(Answered::Heard));
        assert_eq!((life.told(filled), life.told(waits)), (None, None));
        plan.heal();
        let total = life.log().end_offset().0 + 1;
        assert_eq!(life.answer(filled).await.0, Ok(Answered::Total(total)));
        assert_eq!(
            (life.loaded(), life.waiting()),
            (1, 1),
            "it is the same coordinator"
        );
    });
}

#[test]
fn who_waits_for_a_full_disk_is_told_in_time_and_no_coordinator_is_spent() {
    let mut disk = Disk::new();
    let plan = Arc::new(FaultPlan::default());
    disk.options.faults = Some(plan.clone());
    disk.live(move |life| async move {
        life.serving().await;
        let waits = life.ask(Asked::Wait(60_000));
        let began = Instant::now();
        let filled = fill(&life, &plan).await;
        for token in [waits, filled] {
            assert_eq!(
                life.answer(token).await.0,
                Err(ErrorCode::CoordinatorNotAvailable)
            );
        }
        assert!(began.elapsed() >= DISK_WAIT_MAX);
        let beat = life.ask(Asked::Beat);
        assert_eq!(life.answer(beat).await.0, Ok(Answered::Heard));
        assert_eq!(life.loaded(), 1);
        let end = life.log().end_offset();
        plan.heal();
        while life.loaded() == 1 {
            yield_now().await;
        }
        life.serving().await;
        assert_eq!(
            life.log().end_offset(),
            end.next(),
            "what was decided was appended"
        );
        let token = life.ask(Asked::Get("a"));
        assert_eq!(life.answer(token).await.0, Ok(Answered::Total(end.0 + 1)));
    });
}

#[test]
fn a_stopped_host_ends_while_it_waits_for_the_disk() {
    let mut disk = Disk::new();
    let plan = Arc::new(FaultPlan::default());
    disk.options.faults = Some(plan.clone());
    disk.live(move |life| async move {
        life.serving().await;
        let filled = fill(&life, &plan).await;
        life.stop().await;
        assert_eq!(life.told(filled), Some(Err(ErrorCode::NotCoordinator)));
    });
}
