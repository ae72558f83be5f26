//! One small history that keeps every promise, and for each promise changes that break it.

use tautline_core::error::ErrorCode;

use super::super::{Anomaly, check};
use crate::history::event::*;

const PLAIN: Producer = Producer { id: 7, epoch: 0 };
const TRANSACTIONAL: Producer = Producer { id: 8, epoch: 0 };

// The clients.
const WRITER: usize = 0;
const OWNER: usize = 1;
const UNCOMMITTED: usize = 2;
const COMMITTED: usize = 3;
const READER: usize = 4;

// Places of events in the history.
const PLAIN_WRITE: usize = 0;
const INIT: usize = 1;
const SECOND_WRITE: usize = 3;
const READ_UNCOMMITTED: usize = 4;
const READ_COMMITTED: usize = 5;
const COMMIT: usize = 6;
const DOOMED_WRITE: usize = 7;
const ABORT: usize = 8;
const READ_ON: usize = 9;
const LATEST: usize = 10;
const TRIM: usize = 11;
const EPOCH_END: usize = 12;
const LAST: usize = 13;
const LAST_COMMITTED: usize = 14;

fn value(writer: u64, sequence: u64) -> Value {
    Value { writer, sequence }
}

fn data(base_offset: i64, producer: Producer, first: Value, count: i64) -> Batch {
    let values = (0..count as u64).map(|nth| value(first.writer, first.sequence + nth));
    Batch {
        base_offset,
        last_offset: base_offset + count - 1,
        leader_epoch: 1,
        producer,
        transactional: producer == TRANSACTIONAL,
        marker: None,
        values: values.collect(),
        damage: None,
    }
}

fn marker(offset: i64, marker: Marker) -> Batch {
    Batch {
        marker: Some(marker),
        values: Vec::new(),
        ..data(offset, TRANSACTIONAL, value(0, 0), 1)
    }
}

fn write(partition: i32, first: Value, count: u32, transaction: Option<u64>, offset: i64) -> What {
    What::Write(Write {
        partition,
        first,
        count,
        producer: Some(if transaction.is_some() {
            TRANSACTIONAL
        } else {
            PLAIN
        }),
        transaction,
        outcome: Outcome::Ok(Some(offset)),
    })
}

fn end(transaction: u64, commit: bool) -> What {
    What::End(End {
        transaction,
        producer: TRANSACTIONAL,
        commit,
        outcome: Outcome::Ok(()),
    })
}

fn polled(partition: i32, from: i64, bounds: (i64, i64, i64), batches: Vec<Batch>) -> Polled {
    let (log_start, last_stable_offset, high_watermark) = bounds;
    Polled {
        partition,
        from,
        sought: true,
        error: 0,
        high_watermark,
        last_stable_offset,
        log_start,
        aborted: Vec::new(),
        batches,
    }
}

fn poll(isolation: Isolation, last: bool, partitions: Vec<Polled>) -> What {
    What::Poll(Poll {
        isolation,
        incremental: false,
        last,
        partitions,
    })
}

/// Partition 0 in the end: a plain batch, a committed transaction, an aborted one.
fn first_partition() -> Vec<Batch> {
    vec![
        data(0, PLAIN, value(1, 0), 2),
        data(2, TRANSACTIONAL, value(2, 0), 1),
        marker(3, Marker::Commit),
        data(4, TRANSACTIONAL, value(2, 2), 1),
        marker(5, Marker::Abort),
    ]
}

fn last(isolation: Isolation) -> What {
    let second = vec![data(0, TRANSACTIONAL, value(2, 1), 1), marker(1, Marker::Commit)];
    let mut first = polled(0, 1, (1, 6, 6), first_partition());
    first.aborted = vec![Aborted {
        producer_id: 8,
        first_offset: 4,
    }];
    poll(isolation, true, vec![first, polled(1, 0, (0, 2, 2), second)])
}

fn good() -> History {
    let log = first_partition();
    let mut read_on = polled(0, 2, (0, 6, 6), log[1..].to_vec());
    read_on.sought = false;
    read_on.aborted = vec![Aborted {
        producer_id: 8,
        first_offset: 4,
    }];
    let uncommitted = polled(0, 0, (0, 2, 3), log[..2].to_vec());
    let committed = polled(0, 0, (0, 2, 3), log[..1].to_vec());
    let whats = [
        (WRITER, write(0, value(1, 0), 2, None, 0)),
        (
            OWNER,
            What::Init(Init {
                transactional_id: "id".into(),
                outcome: Outcome::Ok(TRANSACTIONAL),
            }),
        ),
        (OWNER, write(0, value(2, 0), 1, Some(1), 2)),
        (OWNER, write(1, value(2, 1), 1, Some(1), 0)),
        (
            UNCOMMITTED,
            poll(Isolation::ReadUncommitted, false, vec![uncommitted]),
        ),
        (COMMITTED, poll(Isolation::ReadCommitted, false, vec![committed])),
        (OWNER, end(1, true)),
        (OWNER, write(0, value(2, 2), 1, Some(2), 4)),
        (OWNER, end(2, false)),
        (COMMITTED, poll(Isolation::ReadCommitted, false, vec![read_on])),
        (
            UNCOMMITTED,
            What::Offset(Offset {
                partition: 0,
                latest: true,
                isolation: Isolation::ReadUncommitted,
                offset: 6,
            }),
        ),
        (
            WRITER,
            What::Trim(Trim {
                partition: 0,
                before: 1,
                outcome: Outcome::Ok(1),
            }),
        ),
        (
            UNCOMMITTED,
            What::EpochEnd(EpochEnd {
                partition: 0,
                asked: 1,
                epoch: 1,
                end_offset: 6,
            }),
        ),
        (READER, last(Isolation::ReadUncommitted)),
        (READER + 1, last(Isolation::ReadCommitted)),
    ];
    let events = (0..).zip(whats).map(|(nth, (process, what))| Event {
        process,
        invoked_ns: nth * 10,
        completed_ns: nth * 10 + 5,
        what,
    });
    History {
        processes: ["writer", "owner", "uncommitted", "committed", "reader", "reader"]
            .map(String::from)
            .to_vec(),
        events: events.collect(),
    }
}

fn of_write(history: &mut History, at: usize) -> &mut Write {
    match &mut history.events[at].what {
        What::Write(write) => write,
        other => panic!("{other:?}"),
    }
}

/// The first partition of an answer.
fn of_poll(history: &mut History, at: usize) -> &mut Polled {
    match &mut history.events[at].what {
        What::Poll(poll) => &mut poll.partitions[0],
        other => panic!("{other:?}"),
    }
}

/// Changes what lies at a place of the first partition, wherever it was seen.
fn change_log(history: &mut History, base_offset: i64, change: impl Fn(&mut Batch)) {
    for event in &mut history.events {
        let What::Poll(poll) = &mut event.what else {
            continue;
        };
        let first = poll.partitions.iter_mut().filter(|polled| polled.partition == 0);
        let batches = first.flat_map(|polled| &mut polled.batches);
        batches
            .filter(|batch| batch.base_offset == base_offset)
            .for_each(&change);
    }
}

fn of_end(history: &mut History, at: usize) -> &mut End {
    match &mut history.events[at].what {
        What::End(end) => end,
        other => panic!("{other:?}"),
    }
}

type Change = fn(&mut History);

/// What breaks, and how.
const BROKEN: [(Anomaly, Change); 39] = [
    // Nobody reads it at the end.
    (Anomaly::LostWrite, |h| {
        of_write(h, PLAIN_WRITE).outcome = Outcome::Ok(Some(6))
    }),
    // It is acknowledged for another offset.
    (Anomaly::LostWrite, |h| {
        of_write(h, PLAIN_WRITE).outcome = Outcome::Ok(Some(1))
    }),
    // It is acknowledged as a duplicate, and nowhere.
    (Anomaly::LostWrite, |h| {
        let write = of_write(h, SECOND_WRITE);
        (write.first, write.outcome) = (value(2, 77), Outcome::Ok(None));
    }),
    // Both parts of a committed transaction are aborted in the log.
    (Anomaly::LostWrite, |h| {
        for at in [LAST, LAST_COMMITTED] {
            let What::Poll(poll) = &mut h.events[at].what else {
                continue;
            };
            poll.partitions[1].batches[1].marker = Some(Marker::Abort);
            poll.partitions[1].aborted = vec![Aborted {
                producer_id: 8,
                first_offset: 0,
            }];
        }
        change_log(h, 3, |batch| batch.marker = Some(Marker::Abort));
        of_poll(h, LAST_COMMITTED).aborted.push(Aborted {
            producer_id: 8,
            first_offset: 2,
        });
        of_poll(h, READ_ON).aborted.push(Aborted {
            producer_id: 8,
            first_offset: 2,
        });
    }),
    (Anomaly::Duplicate, |h| {
        change_log(h, 2, |batch| batch.values = vec![value(1, 0)])
    }),
    (Anomaly::Reordered, |h| {
        change_log(h, 2, |batch| batch.values = vec![value(2, 2)]);
        change_log(h, 4, |batch| batch.values = vec![value(2, 0)]);
    }),
    (Anomaly::Unwritten, |h| {
        change_log(h, 0, |batch| batch.values[1] = value(99, 0))
    }),
    // It was written, to another partition.
    (Anomaly::Unwritten, |h| of_write(h, PLAIN_WRITE).partition = 1),
    (Anomaly::BrokenSequence, |h| {
        of_write(h, PLAIN_WRITE).outcome = Outcome::Fail(ErrorCode::OutOfOrderSequenceNumber.code());
    }),
    (Anomaly::FencedWrite, |h| {
        // Given out before the first write of epoch 0.
        let What::Init(init) = &mut h.events[INIT].what else {
            return;
        };
        init.outcome = Outcome::Ok(Producer {
            epoch: 1,
            ..TRANSACTIONAL
        });
    }),
    (Anomaly::InconsistentOffsets, |h| {
        of_poll(h, READ_UNCOMMITTED).batches[0].values[1] = value(1, 5)
    }),
    // Batches of different lengths at the same place.
    (Anomaly::InconsistentOffsets, |h| {
        let batch = &mut of_poll(h, READ_UNCOMMITTED).batches[1];
        batch.base_offset = 1;
    }),
    (Anomaly::Damaged, |h| {
        of_poll(h, READ_ON).batches[0].damage = Some("its CRC doesn't match")
    }),
    // The answer doesn't list it.
    (Anomaly::AbortedRead, |h| of_poll(h, READ_ON).aborted.clear()),
    // The log says that it was committed, and nobody asked for that.
    (Anomaly::AbortedRead, |h| {
        change_log(h, 5, |batch| batch.marker = Some(Marker::Commit));
        of_poll(h, READ_ON).aborted.clear();
        of_poll(h, LAST_COMMITTED).aborted.clear();
    }),
    // Its producer died, and the log says that it was committed.
    (Anomaly::AbortedRead, |h| of_end(h, COMMIT).transaction = 55),
    // Its commit was refused.
    (Anomaly::AbortedRead, |h| {
        of_end(h, COMMIT).outcome = Outcome::Fail(ErrorCode::ProducerFenced.code());
    }),
    // Its write was refused.
    (Anomaly::AbortedRead, |h| {
        of_write(h, PLAIN_WRITE).outcome = Outcome::Fail(ErrorCode::NotEnoughReplicas.code());
    }),
    (Anomaly::PrecommittedRead, |h| {
        let open = first_partition()[1].clone();
        of_poll(h, READ_COMMITTED).batches.push(open);
        of_poll(h, READ_COMMITTED).last_stable_offset = 3;
    }),
    // One part of it is aborted.
    (Anomaly::TornTransaction, |h| {
        for at in [LAST, LAST_COMMITTED] {
            let What::Poll(poll) = &mut h.events[at].what else {
                continue;
            };
            poll.partitions[1].batches[1].marker = Some(Marker::Abort);
            poll.partitions[1].aborted = vec![Aborted {
                producer_id: 8,
                first_offset: 0,
            }];
        }
    }),
    // The same, where nobody knows whether it was committed.
    (Anomaly::TornTransaction, |h| {
        of_end(h, COMMIT).outcome = Outcome::Unknown;
        for at in [LAST, LAST_COMMITTED] {
            let What::Poll(poll) = &mut h.events[at].what else {
                continue;
            };
            poll.partitions[1].batches[1].marker = Some(Marker::Abort);
            poll.partitions[1].aborted = vec![Aborted {
                producer_id: 8,
                first_offset: 0,
            }];
        }
    }),
    (Anomaly::NonmonotonicPoll, |h| {
        of_poll(h, READ_ON)
            .batches
            .insert(0, first_partition()[0].clone())
    }),
    (Anomaly::NonmonotonicPoll, |h| of_poll(h, READ_ON).from = 1),
    (Anomaly::PollSkip, |h| drop(of_poll(h, READ_ON).batches.remove(0))),
    (Anomaly::PollSkip, |h| drop(of_poll(h, LAST).batches.remove(1))),
    (Anomaly::PollSkip, |h| of_poll(h, READ_ON).from = 3),
    // A committed transaction is listed as aborted.
    (Anomaly::PollSkip, |h| {
        of_poll(h, READ_ON).aborted[0].first_offset = 2
    }),
    (Anomaly::NoProgress, |h| of_poll(h, READ_ON).batches.clear()),
    (Anomaly::UnreachableOffset, |h| {
        of_poll(h, READ_ON).error = ErrorCode::OffsetOutOfRange.code();
    }),
    (Anomaly::Unseen, |h| {
        for at in [LAST, LAST_COMMITTED] {
            of_poll(h, at).batches.truncate(3);
        }
    }),
    (Anomaly::BoundsOrder, |h| {
        of_poll(h, READ_UNCOMMITTED).last_stable_offset = 4
    }),
    (Anomaly::BoundsOrder, |h| {
        of_poll(h, READ_UNCOMMITTED).log_start = 4
    }),
    (Anomaly::BeyondBound, |h| {
        of_poll(h, READ_UNCOMMITTED).high_watermark = 2
    }),
    (Anomaly::StableBeyondOpen, |h| {
        of_poll(h, READ_UNCOMMITTED).last_stable_offset = 3
    }),
    // The acknowledged writes are not below it, though nobody had read it yet.
    (Anomaly::BoundsBackwards, |h| {
        let polled = of_poll(h, READ_UNCOMMITTED);
        (polled.high_watermark, polled.last_stable_offset) = (2, 2);
        polled.batches.truncate(1);
    }),
    (Anomaly::BoundsBackwards, |h| {
        of_poll(h, LAST).last_stable_offset = 5
    }),
    (Anomaly::LogStartBackwards, |h| of_poll(h, LAST).log_start = 0),
    (Anomaly::LogStartAhead, |h| of_poll(h, LAST).log_start = 2),
    (Anomaly::EpochEnd, |h| {
        let What::EpochEnd(told) = &mut h.events[EPOCH_END].what else {
            return;
        };
        told.end_offset = 4;
    }),
];

#[test]
fn a_good_history_passes() {
    let found: Vec<String> = check(&good()).iter().map(ToString::to_string).collect();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_rule_is_broken_by_hand() {
    for (nth, (expected, change)) in BROKEN.iter().enumerate() {
        let mut history = good();
        change(&mut history);
        let found = check(&history);
        let told: Vec<String> = found.iter().map(ToString::to_string).collect();
        let is_found = found.iter().any(|violation| violation.anomaly == *expected);
        assert!(is_found, "change {nth}, {expected:?}: {told:#?}");
    }
}

#[test]
fn what_isn_t_known_breaks_nothing() {
    let changes: [Change; 6] = [
        |h| of_write(h, PLAIN_WRITE).outcome = Outcome::Unknown,
        |h| of_end(h, COMMIT).outcome = Outcome::Unknown,
        |h| of_end(h, ABORT).outcome = Outcome::Unknown,
        |h| of_write(h, DOOMED_WRITE).outcome = Outcome::Unknown,
        |h| {
            let What::Trim(trim) = &mut h.events[TRIM].what else {
                return;
            };
            trim.outcome = Outcome::Unknown;
        },
        // What overlaps may have happened in either order.
        |h| {
            h.events[LATEST].invoked_ns = 0;
            let What::Offset(told) = &mut h.events[LATEST].what else {
                return;
            };
            told.offset = 0;
        },
    ];
    for (nth, change) in changes.iter().enumerate() {
        let mut history = good();
        change(&mut history);
        let told: Vec<String> = check(&history).iter().map(ToString::to_string).collect();
        assert!(told.is_empty(), "change {nth}: {told:#?}");
    }
}

#[test]
fn a_transaction_of_unknown_outcome_may_be_aborted_as_a_whole() {
    let mut history = good();

    of_end(&mut history, COMMIT).outcome = Outcome::Unknown;
    change_log(&mut history, 3, |batch| batch.marker = Some(Marker::Abort));
    for at in [READ_ON, LAST_COMMITTED] {
        let first = Aborted {
            producer_id: 8,
            first_offset: 2,
        };
        of_poll(&mut history, at).aborted.push(first);
    }
    for at in [LAST, LAST_COMMITTED] {
        let What::Poll(poll) = &mut history.events[at].what else {
            continue;
        };
        poll.partitions[1].batches[1].marker = Some(Marker::Abort);
        poll.partitions[1].aborted = vec![Aborted {
            producer_id: 8,
            first_offset: 0,
        }];
    }
    let told: Vec<String> = check(&history).iter().map(ToString::to_string).collect();
    assert!(told.is_empty(), "{told:#?}");
}
