//! What readers of committed records were given, against the markers in the log and against what producers asked for.

use std::collections::HashMap;

use super::log::{Log, Logs, SpanEnd, brief};
use super::{Anomaly, Violations};
use crate::history::event::{Batch, History, Isolation, Marker, Outcome, Polled, Value, What, Write};
use crate::history::view::delivered;

/// What a producer may say of its transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// The commit was acknowledged.
    Committed,
    /// A commit was asked for, and its outcome isn't known.
    Either,
    /// No commit was asked for, or it was refused.
    Aborted,
}

pub fn check(history: &History, logs: &Logs<'_>, found: &mut Violations) {
    let fates = fates(history);
    let doomed = doomed_values(history, &fates);
    for (at, event) in history.events.iter().enumerate() {
        let What::Poll(poll) = &event.what else { continue };
        if poll.isolation != Isolation::ReadCommitted {
            continue;
        }
        for polled in poll.partitions.iter().filter(|polled| polled.error == 0) {
            let Some(log) = logs.partitions.get(&polled.partition) else {
                continue;
            };
            check_polled(at, polled, log, &doomed, found);
        }
    }
    check_atomicity(history, logs, &fates, found);
}

fn fates(history: &History) -> HashMap<u64, (Fate, usize)> {
    let mut fates = HashMap::new();
    for (at, event) in history.events.iter().enumerate() {
        let What::End(end) = &event.what else { continue };
        let fate = match (end.commit, end.outcome) {
            (true, Outcome::Ok(())) => Fate::Committed,
            (true, Outcome::Unknown) => Fate::Either,
            _ => Fate::Aborted,
        };
        fates.insert(end.transaction, (fate, at));
    }
    fates
}

/// Values that no reader of committed records may ever see, with the event that wrote them.
fn doomed_values(history: &History, fates: &HashMap<u64, (Fate, usize)>) -> HashMap<Value, usize> {
    let mut doomed = HashMap::new();
    for (at, write) in writes(history) {
        let fate = write.transaction.map(|transaction| fates.get(&transaction));
        if fate.is_some_and(|fate| fate.is_none_or(|&(fate, _)| fate == Fate::Aborted)) {
            doomed.extend(write.values().map(|value| (value, at)));
        }
    }
    doomed
}

fn writes(history: &History) -> impl Iterator<Item = (usize, &Write)> {
    let events = history.events.iter().enumerate();
    events.filter_map(|(at, event)| match &event.what {
        What::Write(write) => Some((at, write)),
        _ => None,
    })
}

fn check_polled(
    at: usize,
    polled: &Polled,
    log: &Log<'_>,
    doomed: &HashMap<Value, usize>,
    found: &mut Violations,
) {
    let partition = polled.partition;
    let mut given = delivered(polled, Isolation::ReadCommitted).peekable();
    for batch in &polled.batches {
        let is_given = given.next_if(|next| std::ptr::eq(*next, batch)).is_some();
        if batch.marker.is_some() {
            continue;
        }
        let span = log.at(batch.base_offset).and_then(|seen| seen.span);
        let end = span.map(|span| log.spans[span].end);
        let described = brief(batch);
        if is_given {
            let open = match end {
                Some(SpanEnd::Marked(kind, marker)) => {
                    if kind == Marker::Abort {
                        let text = format!("{described} is given, it was aborted at {marker}");
                        found.add(Anomaly::AbortedRead, partition, &[at], text);
                    }
                    marker >= polled.high_watermark
                }
                Some(SpanEnd::Open) => true,
                Some(SpanEnd::Unseen) | None => false,
            };
            if open {
                let text =
                    format!("{described} is given before its transaction's end is below the high watermark");
                found.add(Anomaly::PrecommittedRead, partition, &[at], text);
            }
            check_doomed(at, partition, batch, polled.from, doomed, found);
        } else if matches!(end, None | Some(SpanEnd::Marked(Marker::Commit, _))) {
            let text = format!("{described} is committed, and listed as aborted");
            found.add(Anomaly::PollSkip, partition, &[at], text);
        }
    }
}

fn check_doomed(
    at: usize,
    partition: i32,
    batch: &Batch,
    from: i64,
    doomed: &HashMap<Value, usize>,
    found: &mut Violations,
) {
    let mut values = batch.values_from(from);
    if let Some((offset, value)) = values.find(|(_, value)| doomed.contains_key(value)) {
        let text = format!("{value} is given at {offset}, nobody asked to commit its transaction");
        found.add(Anomaly::AbortedRead, partition, &[doomed[&value], at], text);
    }
}

/// All of a committed transaction's acknowledged records are there at the end; if its commit is unknown, all or none.
fn check_atomicity(
    history: &History,
    logs: &Logs<'_>,
    fates: &HashMap<u64, (Fate, usize)>,
    found: &mut Violations,
) {
    // By transaction: a write whose records are all given at the end, and one of whose records some are not.
    let mut given: HashMap<u64, [Option<usize>; 2]> = HashMap::new();
    for (at, write) in writes(history) {
        let (Some(transaction), Outcome::Ok(Some(base))) = (write.transaction, write.outcome) else {
            continue;
        };
        let Some(&(fate, end)) = fates.get(&transaction) else {
            continue;
        };
        // What was sent beside the request to commit may have come late.
        if fate == Fate::Aborted || history.events[at].completed_ns > history.events[end].invoked_ns {
            continue;
        }
        let log = logs.partitions.get(&write.partition);
        let Some(last) = log.and_then(|log| log.last.get(&Isolation::ReadCommitted)) else {
            continue;
        };
        for (offset, value) in (base..).zip(write.values()) {
            if offset >= last.start {
                let is_given = last.values.get(&offset) == Some(&value);
                given.entry(transaction).or_default()[usize::from(!is_given)] = Some(at);
            }
        }
    }
    for (transaction, [all, missing]) in given {
        let Some(missing) = missing else { continue };
        let (fate, end) = fates[&transaction];
        let What::Write(write) = &history.events[missing].what else {
            continue;
        };
        let (partition, first) = (write.partition, write.first);
        if let Some(all) = all {
            let text =
                format!("transaction {transaction:x}: {first} isn't read at the end, others of it are");
            found.add(Anomaly::TornTransaction, partition, &[all, missing, end], text);
        } else if fate == Fate::Committed {
            let text = format!("{first} of committed transaction {transaction:x} isn't read at the end");
            found.add(Anomaly::LostWrite, partition, &[missing, end], text);
        }
    }
}
