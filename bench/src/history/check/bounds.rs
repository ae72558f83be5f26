//! High watermarks, last stable offsets and log starts: in order within an answer, and none behind what an earlier answer told.
//!
//! Earlier means: it had come before the later request was sent, whoever asked, and whether or not the broker was killed between,
//! since what is acknowledged and what is visible was durable. An acknowledged write counts as told: the high watermark is beyond it.

use std::collections::BTreeMap;

use tautline_core::error::ErrorCode;

use super::log::{Log, Logs, SpanEnd};
use super::{Anomaly, Violations};
use crate::errors;
use crate::history::event::{History, Isolation, Outcome, Polled, What};

/// A bound that only grows, and what was told of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    HighWatermark,
    LastStable,
    LogStart,
}

/// An answer.
struct Told {
    event: usize,
    value: i64,
    /// Whether the bound itself was told, not only that it is at least so much.
    exact: bool,
}

#[derive(Default)]
struct Facts {
    told: BTreeMap<(i32, Bound), Vec<Told>>,
    out_of_range: Vec<(i32, usize, i64)>,
}

pub fn check(history: &History, logs: &Logs<'_>, found: &mut Violations) {
    let mut facts = Facts::default();
    for (at, event) in history.events.iter().enumerate() {
        facts.gather(at, &event.what, logs, found);
    }
    for (&(partition, bound), told) in &facts.told {
        check_growth(history, partition, bound, told, found);
        if bound == Bound::LogStart {
            check_trims(history, logs, partition, told, found);
        }
    }
    check_out_of_range(history, logs, &facts, found);
    check_ends(logs, &facts, found);
}

impl Facts {
    fn tell(&mut self, partition: i32, bound: Bound, event: usize, value: i64, exact: bool) {
        let told = Told { event, value, exact };
        self.told.entry((partition, bound)).or_default().push(told);
    }

    fn gather(&mut self, at: usize, what: &What, logs: &Logs<'_>, found: &mut Violations) {
        match what {
            What::Poll(poll) => {
                for polled in &poll.partitions {
                    if polled.error == 0 {
                        self.gather_polled(at, polled, poll.isolation, logs, found);
                    } else if errors::is(polled.error, ErrorCode::OffsetOutOfRange) {
                        self.out_of_range.push((polled.partition, at, polled.from));
                    }
                }
            }
            What::Offset(told) => {
                let bound = match (told.latest, told.isolation) {
                    (false, _) => Bound::LogStart,
                    (true, Isolation::ReadUncommitted) => Bound::HighWatermark,
                    (true, Isolation::ReadCommitted) => Bound::LastStable,
                };
                self.tell(told.partition, bound, at, told.offset, true);
                if told.latest {
                    self.tell(told.partition, Bound::HighWatermark, at, told.offset, false);
                }
            }
            What::Write(write) => {
                if let Outcome::Ok(Some(base)) = write.outcome {
                    let end = base + i64::from(write.count);
                    self.tell(write.partition, Bound::HighWatermark, at, end, false);
                }
            }
            What::Trim(trim) => {
                if let Outcome::Ok(start) = trim.outcome {
                    self.tell(trim.partition, Bound::LogStart, at, start, true);
                }
            }
            What::Init(_) | What::End(_) | What::EpochEnd(_) | What::Kill | What::Ready => {}
        }
    }

    fn gather_polled(
        &mut self,
        at: usize,
        polled: &Polled,
        isolation: Isolation,
        logs: &Logs<'_>,
        found: &mut Violations,
    ) {
        let (partition, high, start) = (polled.partition, polled.high_watermark, polled.log_start);
        let told_stable = Some(polled.last_stable_offset).filter(|&stable| stable >= 0);
        let stable = told_stable.unwrap_or(high);
        self.tell(partition, Bound::HighWatermark, at, high, true);
        self.tell(partition, Bound::LogStart, at, start, true);
        if told_stable.is_some() {
            self.tell(partition, Bound::LastStable, at, stable, true);
        }
        // Where the log begins in the middle of an open transaction, Kafka's last stable offset may lie before that for a while.
        if start > high || stable > high {
            let text = format!("log start {start}, last stable offset {stable}, high watermark {high}");
            found.add(Anomaly::BoundsOrder, partition, &[at], text);
        }
        let (bound, name) = match isolation {
            Isolation::ReadUncommitted => (high, "high watermark"),
            Isolation::ReadCommitted => (stable, "last stable offset"),
        };
        let beyond = polled.batches.iter().find(|batch| batch.last_offset >= bound);
        if let Some(batch) = beyond {
            let (base, last) = (batch.base_offset, batch.last_offset);
            let text = format!("{base}..={last} is given, the {name} is {bound}");
            found.add(Anomaly::BeyondBound, partition, &[at], text);
        }
        let log = logs.partitions.get(&partition);
        let open = log
            .filter(|_| told_stable.is_some())
            .and_then(|log| open_below(log, start, stable, high));
        if let Some((first, end)) = open {
            let text = format!(
                "the last stable offset is {stable}, a transaction from {first} on ends at {end}, the high watermark is {high}"
            );
            found.add(Anomaly::StableBeyondOpen, partition, &[at], text);
        }
    }
}

/// A transaction that begins below the last stable offset and is not ended below the high watermark. One that began before the
/// log's start holds nothing back.
fn open_below(log: &Log<'_>, start: i64, stable: i64, high: i64) -> Option<(i64, i64)> {
    let below = log.spans.iter().take_while(|span| span.first < stable);
    below
        .filter(|span| span.first >= start)
        .find_map(|span| match span.end {
            SpanEnd::Marked(_, marker) if marker >= high => Some((span.first, marker)),
            SpanEnd::Open => Some((span.first, i64::MAX)),
            _ => None,
        })
}

fn check_growth(history: &History, partition: i32, bound: Bound, told: &[Told], found: &mut Violations) {
    // Events are in the order of their completion, so `told` is too; each is compared with all that had come when it was asked.
    let mut by_invocation: Vec<&Told> = told.iter().filter(|told| told.exact).collect();
    by_invocation.sort_by_key(|told| history.events[told.event].invoked_ns);
    let mut earlier = told.iter().peekable();
    let mut most: Option<&Told> = None;
    for now in by_invocation {
        let asked_ns = history.events[now.event].invoked_ns;
        while let Some(before) = earlier.next_if(|told| history.events[told.event].completed_ns < asked_ns) {
            if most.is_none_or(|most| before.value > most.value) {
                most = Some(before);
            }
        }
        let Some(before) = most.filter(|most| most.value > now.value) else {
            continue;
        };
        let (anomaly, name) = match bound {
            Bound::HighWatermark => (Anomaly::BoundsBackwards, "high watermark"),
            Bound::LastStable => (Anomaly::BoundsBackwards, "last stable offset"),
            Bound::LogStart => (Anomaly::LogStartBackwards, "log start"),
        };
        let text = format!(
            "the {name} is {}, it was at least {} before",
            now.value, before.value
        );
        found.add(anomaly, partition, &[before.event, now.event], text);
    }
}

fn check_trims(history: &History, logs: &Logs<'_>, partition: i32, told: &[Told], found: &mut Violations) {
    let Some(log) = logs.partitions.get(&partition) else {
        return;
    };
    for now in told {
        let most = log.deleted_before(history.events[now.event].completed_ns);
        if now.value > most {
            let text = format!(
                "the log begins at {}, deletion was asked for up to {most}",
                now.value
            );
            found.add(Anomaly::LogStartAhead, partition, &[now.event], text);
        }
    }
}

/// An offset below a high watermark that was told is there unless it may have been deleted.
fn check_out_of_range(history: &History, logs: &Logs<'_>, facts: &Facts, found: &mut Violations) {
    for &(partition, at, from) in &facts.out_of_range {
        let event = &history.events[at];
        let told = facts.told.get(&(partition, Bound::HighWatermark));
        let known = told.into_iter().flatten();
        let before = known.filter(|told| history.events[told.event].completed_ns < event.invoked_ns);
        let high = before.map(|told| told.value).max().unwrap_or(0);
        let log = logs.partitions.get(&partition);
        let deleted = log.map_or(0, |log| log.deleted_before(event.completed_ns));
        if from >= deleted && from <= high {
            let text =
                format!("offset {from} is out of range, the high watermark was at least {high} before");
            found.add(Anomaly::UnreachableOffset, partition, &[at], text);
        }
    }
}

/// The full reads at the end get to the highest watermark that was told: everything is decided by then.
fn check_ends(logs: &Logs<'_>, facts: &Facts, found: &mut Violations) {
    for (&(partition, bound), told) in &facts.told {
        if bound != Bound::HighWatermark {
            continue;
        }
        let Some(most) = told.iter().max_by_key(|told| told.value) else {
            continue;
        };
        for isolation in [Isolation::ReadUncommitted, Isolation::ReadCommitted] {
            let last = logs
                .partitions
                .get(&partition)
                .and_then(|log| log.last.get(&isolation));
            let end = last.map_or(0, |last| last.end);
            if end < most.value {
                let events: Vec<usize> = [most.event]
                    .into_iter()
                    .chain(last.map(|last| last.event))
                    .collect();
                let text = format!(
                    "{isolation:?} ends at {end} at the end, the high watermark was {}",
                    most.value
                );
                found.add(Anomaly::Unseen, partition, &events, text);
            }
        }
    }
}
