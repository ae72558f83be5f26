//! What must hold, line by line of CORRECTNESS.md. It sees everything: all disks, all answers, and the one history that all
//! replicas must agree on.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use tautline_core::batch::Batch;
use tautline_core::ids::{LeaderEpoch, NodeId, Offset, ProducerEpoch, ProducerId};

use super::log::{Log, Stored};
use super::producers::Producers;
use crate::quorum::GroupId;

/// A line of CORRECTNESS.md that does not hold, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which one, in a few words that stay the same: a smaller run must break the same.
    pub rule: &'static str,
    /// What was found.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.found)
    }
}

pub(super) type Held = Result<(), Violation>;

/// Shortens the making of violations.
macro_rules! violated {
    ($rule:literal, $($found:tt)+) => {
        Err(Violation { rule: $rule, found: format!($($found)+) })
    };
}
pub(super) use violated;

/// Of one partition.
#[derive(Debug, Default)]
struct History {
    /// All that was ever committed, from offset 0.
    committed: Vec<Stored>,
    leaders: BTreeMap<LeaderEpoch, NodeId>,
    sequences: HashMap<(ProducerId, ProducerEpoch), i32>,
    /// The largest high watermark that a client knows of.
    seen: Offset,
    acked: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Judge {
    of: BTreeMap<GroupId, History>,
}

impl History {
    fn end(&self) -> Offset {
        self.committed.last().map_or(Offset(0), Stored::end_offset)
    }

    fn find(&self, base: Offset) -> Option<&Stored> {
        let at = self
            .committed
            .partition_point(|stored| stored.base_offset() < base);
        self.committed
            .get(at)
            .filter(|stored| stored.base_offset() == base)
    }

    /// A batch that is committed for the first time.
    fn commit(&mut self, stored: &Stored) -> Held {
        let batch = stored.batch();
        let last = self.committed.last();
        if stored.base_offset() != self.end() {
            return violated!(
                "no gap in what is committed",
                "{} follows {}",
                stored.base_offset(),
                self.end()
            );
        }
        if last.is_some_and(|last| last.epoch() > stored.epoch()) {
            return violated!("epochs never go back", "offset {}", stored.base_offset());
        }
        let producer = (batch.producer_id(), batch.producer_epoch());
        let expected = self.sequences.get(&producer).map_or(0, |last| last + 1);
        if batch.base_sequence() != expected {
            return violated!(
                "each batch once and in order",
                "producer {} has sequence {} at offset {}, {expected} was next",
                batch.producer_id(),
                batch.base_sequence(),
                stored.base_offset()
            );
        }
        self.sequences.insert(producer, batch.last_sequence());
        self.committed.push(stored.clone());
        Ok(())
    }
}

impl Judge {
    fn of(&mut self, group: GroupId) -> &mut History {
        self.of.entry(group).or_default()
    }

    /// A replica says that everything below `to` is committed; it said so of `from` before.
    pub fn high_watermark(
        &mut self,
        group: GroupId,
        node: NodeId,
        log: &Log,
        from: Offset,
        to: Offset,
    ) -> Held {
        let history = self.of(group);
        if to > log.end_offset() {
            return violated!(
                "the high watermark is within the log",
                "{to} of {} on {node}",
                log.end_offset()
            );
        }
        if to > log.start && !log.is_edge(to) {
            return violated!(
                "the high watermark is an exclusive bound",
                "{to} is within a batch on {node}"
            );
        }
        for stored in log
            .from(from.max(log.start))
            .iter()
            .take_while(|stored| stored.base_offset() < to)
        {
            match history.find(stored.base_offset()) {
                Some(known) if known == stored => {}
                Some(known) => {
                    return violated!(
                        "committed prefixes are the same",
                        "offset {} is of epoch {} on {node}, and was of {}",
                        stored.base_offset(),
                        stored.epoch(),
                        known.epoch()
                    );
                }
                None => history.commit(stored)?,
            }
        }
        Ok(())
    }

    /// A node leads from now on.
    pub fn leads(&mut self, group: GroupId, node: NodeId, epoch: LeaderEpoch, log: &Log) -> Held {
        let history = self.of(group);
        let other = *history.leaders.entry(epoch).or_insert(node);
        if other != node {
            return violated!("one leader an epoch", "{other} and {node} lead epoch {epoch}");
        }
        // One that was elected long ago, and hears of it only now, may lack what later ones have committed.
        let before = history.committed.iter().filter(|stored| stored.epoch() < epoch);
        for stored in before.filter(|stored| stored.base_offset() >= log.start) {
            if log.find(stored.base_offset()) != Some(stored) {
                return violated!(
                    "a leader has all that is committed",
                    "{node} leads epoch {epoch} without offset {}",
                    stored.base_offset()
                );
            }
        }
        Ok(())
    }

    /// A producer with acks=all is told that its batch is safe; it is durable on so many replicas, of the needed ones.
    pub fn acked(
        &mut self,
        group: GroupId,
        batch: &Batch<'_>,
        end: Offset,
        durable_on: usize,
        needed: usize,
    ) -> Held {
        let history = self.of(group);
        let sequence = batch.base_sequence();
        let known = history
            .committed
            .iter()
            .rev()
            .find(|stored| stored.end_offset() == end);
        let same = known.is_some_and(|stored| {
            let known = stored.batch();
            (known.producer_id(), known.base_sequence()) == (batch.producer_id(), sequence)
        });
        if !same {
            return violated!(
                "what is acknowledged is committed",
                "sequence {sequence} at offset {end}"
            );
        }
        if durable_on < needed {
            return violated!(
                "what is acknowledged is durable on a quorum",
                "sequence {sequence} up to offset {end} is on {durable_on} disks of {needed}"
            );
        }
        history.acked += 1;
        Ok(())
    }

    /// The batch that ends there, if it is committed.
    pub fn committed_up_to(&self, group: GroupId, end: Offset) -> Option<&Stored> {
        self.of
            .get(&group)?
            .committed
            .iter()
            .rev()
            .find(|stored| stored.end_offset() == end)
    }

    /// A client has heard of this high watermark.
    pub fn seen(&mut self, group: GroupId, high_watermark: Offset) {
        let history = self.of(group);
        history.seen = history.seen.max(high_watermark);
    }

    /// What a client that asks now must be shown at least.
    pub fn floor(&mut self, group: GroupId) -> Offset {
        self.of(group).seen
    }

    /// A leader's answer to a fetch that was asked when `floor` was known.
    pub fn fetched(
        &mut self,
        group: GroupId,
        floor: Offset,
        from: Offset,
        batches: &[Stored],
        high_watermark: Offset,
    ) -> Held {
        let history = self.of(group);
        if high_watermark < floor {
            return violated!(
                "no stale read",
                "{high_watermark} was shown, and {floor} before it"
            );
        }
        let mut end = from;
        for stored in batches {
            if history.find(stored.base_offset()) != Some(stored) {
                return violated!(
                    "consumers see only what is committed",
                    "offset {}",
                    stored.base_offset()
                );
            }
            if stored.base_offset() != end || stored.end_offset() > high_watermark {
                return violated!(
                    "consumers see everything in order, up to the high watermark",
                    "{} to {} after {end}, below {high_watermark}",
                    stored.base_offset(),
                    stored.end_offset()
                );
            }
            end = stored.end_offset();
        }
        if batches.is_empty() && from < high_watermark {
            return violated!(
                "a fetch makes progress",
                "nothing at {from}, below {high_watermark}"
            );
        }
        Ok(())
    }

    /// What is known of producers at an offset: a copy of the log brings it along.
    pub fn producers_at(&self, group: GroupId, offset: Offset) -> Producers {
        let below = self.of.get(&group).map_or(&[][..], |history| &history.committed);
        let below: Vec<_> = below
            .iter()
            .filter(|stored| stored.end_offset() <= offset)
            .cloned()
            .collect();
        Producers::of(&Producers::default(), &below)
    }

    /// Everything committed.
    pub fn end(&self, group: GroupId) -> Offset {
        self.of.get(&group).map_or(Offset(0), History::end)
    }

    /// Batches acknowledged with acks=all, of all partitions.
    pub fn acked_count(&self) -> u64 {
        self.of.values().map(|history| history.acked).sum()
    }

    /// Leaders there were.
    pub fn leaders(&self) -> usize {
        self.of.values().map(|history| history.leaders.len()).sum()
    }
}
