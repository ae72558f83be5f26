//! Polls against where they read: on from where the consumer was, nothing before it, nothing left out, something if there is
//! something. Topics are not compacted, so each offset is there from the log's start to its end.

use std::collections::HashMap;

use super::{Anomaly, Violations};
use crate::history::event::{History, Isolation, Poll, Polled, What};

pub fn check(history: &History, found: &mut Violations) {
    let mut positions: HashMap<(usize, i32), (i64, usize)> = HashMap::new();
    for (at, event) in history.events.iter().enumerate() {
        let What::Poll(poll) = &event.what else { continue };
        check_progress(at, poll, found);
        for polled in &poll.partitions {
            let position = positions.get(&(event.process, polled.partition)).copied();
            if polled.error == 0 {
                check_polled(at, polled, position.filter(|_| !polled.sought), found);
            }
            let next = polled.batches.iter().map(|batch| batch.last_offset + 1);
            let next = next.fold(polled.from, i64::max);
            positions.insert((event.process, polled.partition), (next, at));
        }
    }
}

fn check_polled(at: usize, polled: &Polled, position: Option<(i64, usize)>, found: &mut Violations) {
    let partition = polled.partition;
    if let Some((expected, before)) = position
        && expected != polled.from
    {
        let anomaly = if polled.from < expected {
            Anomaly::NonmonotonicPoll
        } else {
            Anomaly::PollSkip
        };
        let text = format!("the consumer was at {expected} and goes on at {}", polled.from);
        found.add(anomaly, partition, &[before, at], text);
    }
    let mut next = polled.from;
    for (nth, batch) in polled.batches.iter().enumerate() {
        let (base, last) = (batch.base_offset, batch.last_offset);
        // The first batch may begin before what was asked for: batches are given whole.
        if last < next || (nth > 0 && base < next) {
            let text = format!("at offset {next} the consumer is given {base}..={last}");
            found.add(Anomaly::NonmonotonicPoll, partition, &[at], text);
        } else if base > next {
            let text = format!("at offset {next} the consumer is given {base}..={last}");
            found.add(Anomaly::PollSkip, partition, &[at], text);
        }
        next = next.max(last + 1);
    }
}

/// Kafka gives at least one batch, however large, if any partition of the request has one (KIP-74).
fn check_progress(at: usize, poll: &Poll, found: &mut Violations) {
    let idle = |polled: &Polled| polled.error == 0 && polled.batches.is_empty();
    if !poll.partitions.iter().all(idle) {
        return;
    }
    for polled in &poll.partitions {
        let bound = match poll.isolation {
            Isolation::ReadUncommitted => polled.high_watermark,
            Isolation::ReadCommitted => polled.last_stable_offset,
        };
        if polled.from < bound {
            let text = format!(
                "nothing at offset {}, although one may read up to {bound}",
                polled.from
            );
            found.add(Anomaly::NoProgress, polled.partition, &[at], text);
        }
    }
}
