//! Writes against the log: acknowledged ones are there at the end, nothing is there that nobody wrote, refused ones are not, and no
//! producer is acknowledged after a newer one took over.

use std::collections::HashMap;

use tautline_core::error::ErrorCode;

use super::log::Logs;
use super::{Anomaly, Violations};
use crate::errors;
use crate::history::event::{Event, History, Isolation, Outcome, Producer, Value, What, Write};

pub fn check(history: &History, logs: &Logs<'_>, found: &mut Violations) {
    let mut written: HashMap<Value, usize> = HashMap::new();
    for (at, event) in history.events.iter().enumerate() {
        if let What::Write(write) = &event.what {
            written.extend(write.values().map(|value| (value, at)));
            check_write(at, write, logs, found);
        }
    }
    for (&value, &(partition, offset)) in &logs.places {
        let event = written.get(&value).copied();
        let write = event.and_then(|at| match &history.events[at].what {
            What::Write(write) => Some((at, write)),
            _ => None,
        });
        let seen = logs.partitions[&partition].at(offset).map(|seen| seen.event);
        let seen = seen.into_iter().chain(event).collect::<Vec<_>>();
        match write {
            Some((_, write)) if write.partition == partition => {
                if let Outcome::Fail(code) = write.outcome {
                    let why = errors::name(code);
                    let text = format!("{value} lies at offset {offset}, its write was refused with {why}");
                    found.add(Anomaly::AbortedRead, partition, &seen, text);
                }
            }
            _ => {
                let text = format!("{value} lies at offset {offset}, and nobody wrote it there");
                found.add(Anomaly::Unwritten, partition, &seen, text);
            }
        }
    }
    check_fencing(history, found);
}

fn check_write(at: usize, write: &Write, logs: &Logs<'_>, found: &mut Violations) {
    let partition = write.partition;
    if let Outcome::Fail(code) = write.outcome
        && is_sequence_error(code)
    {
        let text = format!(
            "the write of {} is refused with {}",
            write.first,
            errors::name(code)
        );
        found.add(Anomaly::BrokenSequence, partition, &[at], text);
    }
    let Outcome::Ok(base) = write.outcome else { return };
    let log = logs.partitions.get(&partition);
    let Some(last) = log.and_then(|log| log.last.get(&Isolation::ReadUncommitted)) else {
        let text = format!("{} was acknowledged, and nothing is read at the end", write.first);
        found.add(Anomaly::LostWrite, partition, &[at], text);
        return;
    };
    for (nth, value) in (0..).zip(write.values()) {
        match base {
            Some(base) if base + nth >= last.start => {
                let there = last.values.get(&(base + nth));
                if there != Some(&value) {
                    let there = there.map_or("nothing".into(), ToString::to_string);
                    let offset = base + nth;
                    let text =
                        format!("{value} was acknowledged at offset {offset}, at the end {there} is there");
                    found.add(Anomaly::LostWrite, partition, &[at, last.event], text);
                    return;
                }
            }
            Some(_) => {}
            // Where it lay before it was deleted nobody can tell.
            None if last.start > 0 => {}
            None => {
                if !logs.places.contains_key(&value) {
                    let text = format!("{value} was acknowledged as a duplicate and isn't there at the end");
                    found.add(Anomaly::LostWrite, partition, &[at, last.event], text);
                    return;
                }
            }
        }
    }
}

/// Whether the code says that the broker has forgotten what a producer wrote before.
pub fn is_sequence_error(code: i16) -> bool {
    [ErrorCode::OutOfOrderSequenceNumber, ErrorCode::UnknownProducerId]
        .iter()
        .any(|&error| errors::is(code, error))
}

/// A newer epoch that was given out fences what is asked for with an older one from then on.
fn check_fencing(history: &History, found: &mut Violations) {
    let mut given: HashMap<i64, Vec<(u64, i16, usize)>> = HashMap::new();
    for (at, event) in history.events.iter().enumerate() {
        if let What::Init(init) = &event.what
            && let Outcome::Ok(producer) = init.outcome
        {
            given
                .entry(producer.id)
                .or_default()
                .push((event.completed_ns, producer.epoch, at));
        }
    }
    for (at, event) in history.events.iter().enumerate() {
        let Some((producer, partition, what)) = acknowledged(event) else {
            continue;
        };
        let newer = given.get(&producer.id).and_then(|given| {
            given
                .iter()
                .find(|&&(when, epoch, _)| when < event.invoked_ns && epoch > producer.epoch)
        });
        if let Some(&(_, epoch, init)) = newer {
            let text = format!(
                "{what} of epoch {} is acknowledged after epoch {epoch} was given out",
                producer.epoch
            );
            found.add(Anomaly::FencedWrite, partition, &[init, at], text);
        }
    }
}

fn acknowledged(event: &Event) -> Option<(Producer, i32, &'static str)> {
    match &event.what {
        What::Write(write) if matches!(write.outcome, Outcome::Ok(_)) => {
            Some((write.producer?, write.partition, "a write"))
        }
        What::End(end) if end.commit && end.outcome == Outcome::Ok(()) => {
            Some((end.producer, -1, "a commit"))
        }
        _ => None,
    }
}
