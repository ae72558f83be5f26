//! Leader epochs (KIP-101, KIP-320): they never fall along the log, and end where OffsetForLeaderEpoch says.

use super::log::{Logs, brief};
use super::{Anomaly, Violations};
use crate::history::event::{EpochEnd, History, What};

pub fn check(history: &History, logs: &Logs<'_>, found: &mut Violations) {
    for (&partition, log) in &logs.partitions {
        let seen: Vec<_> = log.batches.values().collect();
        for pair in seen.windows(2) {
            if pair[1].batch.leader_epoch < pair[0].batch.leader_epoch {
                let text = format!("{} is followed by {}", brief(pair[0].batch), brief(pair[1].batch));
                found.add(
                    Anomaly::EpochEnd,
                    partition,
                    &[pair[0].event, pair[1].event],
                    text,
                );
            }
        }
    }
    for (at, event) in history.events.iter().enumerate() {
        if let What::EpochEnd(told) = &event.what
            && told.end_offset >= 0
        {
            check_end(history, at, told, logs, found);
        }
    }
}

/// Later epochs begin at or after the end that was told; what had been seen of this one and earlier ones lies before it.
fn check_end(history: &History, at: usize, told: &EpochEnd, logs: &Logs<'_>, found: &mut Violations) {
    let Some(log) = logs.partitions.get(&told.partition) else {
        return;
    };
    let asked_ns = history.events[at].invoked_ns;
    // Epochs never fall, so only the batches around the end can contradict it.
    // An epoch that was deleted altogether ends where the log begins now.
    let is_there = told.end_offset > log.deleted_before(history.events[at].completed_ns);
    let before = log
        .batches
        .range(..told.end_offset)
        .next_back()
        .filter(|_| is_there);
    let wrong = before
        .filter(|(_, seen)| seen.batch.leader_epoch > told.asked)
        .or_else(|| {
            let mut after = log.batches.range(told.end_offset..);
            after.next().filter(|(_, seen)| {
                seen.batch.leader_epoch <= told.asked && history.events[seen.event].completed_ns < asked_ns
            })
        });
    if let Some((_, seen)) = wrong {
        let text = format!(
            "epoch {} is told to end at {} when asked for {}, but {} is there",
            told.epoch,
            told.end_offset,
            told.asked,
            brief(seen.batch)
        );
        found.add(Anomaly::EpochEnd, told.partition, &[seen.event, at], text);
    }
}
