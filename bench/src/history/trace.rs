//! A short trace around a violation: the events that show it, and what the same partition saw just before and after.

use std::collections::BTreeSet;

use super::check::Violation;
use super::event::{Event, History, Outcome, Polled, What};
use crate::errors;

/// Events shown on each side of those that show the violation.
const AROUND: usize = 4;
/// Batches shown of an answer.
const BATCHES_MAX: usize = 6;

/// The lines of a trace.
pub fn trace(history: &History, violation: &Violation) -> Vec<String> {
    let concerns = |event: &Event| match violation.partition {
        None => true,
        Some(partition) => is_about(event, partition),
    };
    let mut shown = BTreeSet::new();
    for &at in &violation.events {
        let before = (0..at).rev().filter(|&other| concerns(&history.events[other]));
        shown.extend(before.take(AROUND));
        let after = (at + 1..history.events.len()).filter(|&other| concerns(&history.events[other]));
        shown.extend(after.take(AROUND));
        shown.insert(at);
    }
    let start_ns = history
        .events
        .iter()
        .map(|event| event.invoked_ns)
        .min()
        .unwrap_or(0);
    shown
        .into_iter()
        .map(|at| {
            let event = &history.events[at];
            let sign = if violation.events.contains(&at) { '>' } else { ' ' };
            let millis = |ns: u64| ns.saturating_sub(start_ns) as f64 / 1e6;
            format!(
                "{sign} {:>10.3} ..{:>10.3} ms  {:<16} {}",
                millis(event.invoked_ns),
                millis(event.completed_ns),
                history.processes.get(event.process).map_or("", String::as_str),
                describe(&event.what, violation.partition)
            )
        })
        .collect()
}

fn is_about(event: &Event, partition: i32) -> bool {
    match &event.what {
        What::Write(write) => write.partition == partition,
        What::Trim(trim) => trim.partition == partition,
        What::Poll(poll) => poll.partitions.iter().any(|polled| polled.partition == partition),
        What::Offset(told) => told.partition == partition,
        What::EpochEnd(told) => told.partition == partition,
        What::Init(_) | What::End(_) | What::Kill | What::Ready => true,
    }
}

fn describe(what: &What, partition: Option<i32>) -> String {
    match what {
        What::Write(write) => {
            let transaction = write.transaction.map_or(String::new(), |transaction| {
                format!(" in transaction {transaction:x}")
            });
            let producer = write.producer.map_or(String::new(), |producer| {
                format!(" as {} epoch {}", producer.id, producer.epoch)
            });
            let (first, count) = (write.first, write.count);
            format!(
                "writes {count} from {first}{producer}{transaction}: {}",
                outcome(&write.outcome)
            )
        }
        What::Init(init) => format!("takes {}: {}", init.transactional_id, outcome(&init.outcome)),
        What::End(end) => {
            let wish = if end.commit { "commits" } else { "aborts" };
            let (id, epoch) = (end.producer.id, end.producer.epoch);
            format!(
                "{wish} transaction {:x} as {id} epoch {epoch}: {}",
                end.transaction,
                outcome(&end.outcome)
            )
        }
        What::Trim(trim) => format!("deletes before {}: {}", trim.before, outcome(&trim.outcome)),
        What::Poll(poll) => {
            let polled = poll.partitions.iter();
            let polled =
                polled.filter(|polled| partition.is_none_or(|partition| partition == polled.partition));
            let polled: Vec<String> = polled.map(describe_polled).collect();
            let kind = if poll.incremental { " in a session" } else { "" };
            format!("polls {:?}{kind}: {}", poll.isolation, polled.join("; "))
        }
        What::Offset(told) => {
            let which = if told.latest { "latest" } else { "earliest" };
            format!(
                "asks for the {which} offset, {:?}: {}",
                told.isolation, told.offset
            )
        }
        What::EpochEnd(told) => {
            let (asked, epoch, end) = (told.asked, told.epoch, told.end_offset);
            format!("asks where epoch {asked} ends: epoch {epoch} at {end}")
        }
        What::Kill => "KILL".into(),
        What::Ready => "ready".into(),
    }
}

fn describe_polled(polled: &Polled) -> String {
    if polled.error != 0 {
        return format!("from {}: {}", polled.from, errors::name(polled.error));
    }
    let batches = polled.batches.iter().take(BATCHES_MAX).map(|batch| {
        let (base, last, id) = (batch.base_offset, batch.last_offset, batch.producer.id);
        match batch.marker {
            Some(marker) => format!("{base} {marker:?} of {id}"),
            None if batch.transactional => format!("{base}..={last} of {id}"),
            None => format!("{base}..={last}"),
        }
    });
    let batches: Vec<String> = batches.collect();
    let more = polled.batches.len().saturating_sub(BATCHES_MAX);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let aborted: Vec<String> = polled
        .aborted
        .iter()
        .map(|aborted| format!("{} from {}", aborted.producer_id, aborted.first_offset))
        .collect();
    format!(
        "from {}{} [start {} stable {} high {}] gets [{}{more}] aborted [{}]",
        polled.from,
        if polled.sought { " (sought)" } else { "" },
        polled.log_start,
        polled.last_stable_offset,
        polled.high_watermark,
        batches.join(", "),
        aborted.join(", ")
    )
}

fn outcome<T: std::fmt::Debug>(outcome: &Outcome<T>) -> String {
    match outcome {
        Outcome::Ok(value) => format!("ok {value:?}"),
        Outcome::Fail(code) => format!("refused, {}", errors::name(*code)),
        Outcome::Unknown => "unknown".into(),
    }
}
