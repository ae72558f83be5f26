//! The log of each partition as all consumers together saw it, and what is wrong with it by itself.

use std::collections::{BTreeMap, HashMap};

use super::{Anomaly, Violations};
use crate::history::event::{Batch, History, Isolation, Marker, Outcome, Trim, Value, What};
use crate::history::view::delivered;

/// All partitions.
#[derive(Default)]
pub struct Logs<'a> {
    /// By number.
    pub partitions: BTreeMap<i32, Log<'a>>,
    /// Where each value lies.
    pub places: HashMap<Value, (i32, i64)>,
}

/// One partition.
#[derive(Default)]
pub struct Log<'a> {
    /// Batches by base offset.
    pub batches: BTreeMap<i64, Observed<'a>>,
    /// Transactions in it, by their first offset.
    pub spans: Vec<Span>,
    /// When deletion was asked for, and the largest offset so far before which all was to go.
    trims: Vec<(u64, i64)>,
    /// What the full reads at the end gave.
    pub last: HashMap<Isolation, LastRead>,
}

/// A batch that was seen.
pub struct Observed<'a> {
    /// The batch.
    pub batch: &'a Batch,
    /// The event that showed it first.
    pub event: usize,
    /// Its transaction: an index of [`Log::spans`].
    pub span: Option<usize>,
}

/// A transaction's part of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Whose.
    pub producer_id: i64,
    /// Its first offset that was seen.
    pub first: i64,
    /// How it ends.
    pub end: SpanEnd,
}

/// How a transaction ends in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanEnd {
    /// By this marker at this offset.
    Marked(Marker, i64),
    /// Not at all.
    Open,
    /// Nobody read so far on before it was deleted.
    Unseen,
}

/// A full read at the end.
#[derive(Default)]
pub struct LastRead {
    /// The offset it began at.
    pub start: i64,
    /// The offset after the last that it was given.
    pub end: i64,
    /// Its last event.
    pub event: usize,
    /// What the application was given.
    pub values: BTreeMap<i64, Value>,
}

impl<'a> Logs<'a> {
    /// Puts together what all answers of a history show.
    pub fn of(history: &'a History, found: &mut Violations) -> Logs<'a> {
        let mut logs = Logs::default();
        for (at, event) in history.events.iter().enumerate() {
            if let What::Trim(trim) = &event.what {
                let log = logs.partitions.entry(trim.partition).or_default();
                log.trims.push((event.invoked_ns, most_deleted(trim)));
            }
            let What::Poll(poll) = &event.what else { continue };
            for polled in poll.partitions.iter().filter(|polled| polled.error == 0) {
                let partition = polled.partition;
                let log = logs.partitions.entry(partition).or_default();
                for batch in &polled.batches {
                    log.observe(partition, batch, at, found);
                }
                if poll.last {
                    let fresh = LastRead {
                        start: polled.from,
                        end: polled.from,
                        ..LastRead::default()
                    };
                    let last = log.last.entry(poll.isolation).or_insert(fresh);
                    last.event = at;
                    for batch in delivered(polled, poll.isolation) {
                        last.values.extend(batch.values_from(polled.from));
                    }
                    let ends = polled.batches.iter().map(|batch| batch.last_offset + 1);
                    last.end = ends.fold(last.end, i64::max);
                }
            }
        }
        for (&partition, log) in &mut logs.partitions {
            log.sum_up_trims();
            log.find_spans();
            log.place(partition, &mut logs.places, found);
        }
        logs
    }
}

impl Batch {
    /// Offset and value of each record from an offset on.
    pub fn values_from(&self, from: i64) -> impl Iterator<Item = (i64, Value)> + '_ {
        (self.base_offset..)
            .zip(self.values.iter().copied())
            .filter(move |&(offset, _)| offset >= from)
    }
}

impl<'a> Log<'a> {
    fn observe(&mut self, partition: i32, batch: &'a Batch, event: usize, found: &mut Violations) {
        if let Some(damage) = batch.damage {
            let text = format!("the batch at {}: {damage}", batch.base_offset);
            found.add(Anomaly::Damaged, partition, &[event], text);
        }
        let before = self.batches.range(..=batch.last_offset).next_back();
        match before {
            Some((_, seen)) if seen.batch == batch => return,
            Some((_, seen)) if seen.batch.last_offset >= batch.base_offset => {
                let text = format!("{} here, {} there", brief(seen.batch), brief(batch));
                found.add(
                    Anomaly::InconsistentOffsets,
                    partition,
                    &[seen.event, event],
                    text,
                );
                return;
            }
            _ => {}
        }
        let observed = Observed {
            batch,
            event,
            span: None,
        };
        self.batches.insert(batch.base_offset, observed);
    }

    fn sum_up_trims(&mut self) {
        self.trims.sort_unstable();
        let mut most = 0;
        for (_, before) in &mut self.trims {
            most = most.max(*before);
            *before = most;
        }
    }

    /// How far the log may have been deleted by then.
    pub fn deleted_before(&self, when_ns: u64) -> i64 {
        let known = self.trims.partition_point(|&(asked_ns, _)| asked_ns <= when_ns);
        known.checked_sub(1).map_or(0, |at| self.trims[at].1)
    }

    fn find_spans(&mut self) {
        let mut open: HashMap<i64, usize> = HashMap::new();
        let mut next_offset = None;
        for (&base, seen) in &mut self.batches {
            if next_offset.is_some_and(|next| next != base) {
                // What lies between was deleted unread.
                for (_, span) in open.drain() {
                    self.spans[span].end = SpanEnd::Unseen;
                }
            }
            next_offset = Some(seen.batch.last_offset + 1);
            let producer_id = seen.batch.producer.id;
            if let Some(marker) = seen.batch.marker {
                if let Some(span) = open.remove(&producer_id) {
                    self.spans[span].end = SpanEnd::Marked(marker, base);
                }
            } else if seen.batch.transactional {
                let span = *open.entry(producer_id).or_insert_with(|| {
                    self.spans.push(Span {
                        producer_id,
                        first: base,
                        end: SpanEnd::Open,
                    });
                    self.spans.len() - 1
                });
                seen.span = Some(span);
            }
        }
    }

    /// Notes where values lie; each may lie in one place only, and those of a writer in the order in which it sent them.
    fn place(&self, partition: i32, places: &mut HashMap<Value, (i32, i64)>, found: &mut Violations) {
        let mut newest: HashMap<u64, (u64, i64, usize)> = HashMap::new();
        for seen in self.batches.values() {
            for (offset, value) in seen.batch.values_from(0) {
                if let Some((other, at)) = places.insert(value, (partition, offset)) {
                    let text =
                        format!("{value} lies at offset {offset} and at offset {at} of partition {other}");
                    found.add(Anomaly::Duplicate, partition, &[seen.event], text);
                    continue;
                }
                let before = newest.insert(value.writer, (value.sequence, offset, seen.event));
                if let Some((sequence, at, event)) = before.filter(|before| before.0 > value.sequence) {
                    let text = format!("{value} at offset {offset} follows number {sequence} at offset {at}");
                    found.add(Anomaly::Reordered, partition, &[event, seen.event], text);
                }
            }
        }
    }

    /// The batch that holds an offset.
    pub fn at(&self, offset: i64) -> Option<&Observed<'a>> {
        let (_, seen) = self.batches.range(..=offset).next_back()?;
        (seen.batch.last_offset >= offset).then_some(seen)
    }
}

/// How far a deletion may have gone.
fn most_deleted(trim: &Trim) -> i64 {
    match (trim.before, trim.outcome) {
        (_, Outcome::Fail(_)) => 0,
        (-1, Outcome::Ok(start)) => start,
        (-1, Outcome::Unknown) => i64::MAX,
        (before, _) => before,
    }
}

/// A batch in a few words.
pub fn brief(batch: &Batch) -> String {
    let (base, last, epoch) = (batch.base_offset, batch.last_offset, batch.leader_epoch);
    let Batch { producer, .. } = batch;
    let whose = format!("producer {} epoch {}", producer.id, producer.epoch);
    match (batch.marker, batch.values.first()) {
        (Some(marker), _) => format!("{marker:?} marker at {base} of {whose}, leader epoch {epoch}"),
        (None, Some(first)) => {
            let kind = if batch.transactional { "transactional " } else { "" };
            format!("{kind}{base}..={last} from {first} of {whose}, leader epoch {epoch}")
        }
        (None, None) => format!("{base}..={last} without values of {whose}, leader epoch {epoch}"),
    }
}
