//! The checker: a history in, violations out. Pure; it knows Kafka's promises and nothing of who made the history.
//!
//! What consumers saw, put together, is the log ([`log`]). Then each promise is held against each answer: writes against the log
//! ([`writes`]), polls against what lies where they read ([`polls`]), committed reads against the markers and against what the
//! producers asked for ([`isolation`]), watermarks and log starts against all earlier answers ([`bounds`]), ends of leader epochs
//! against the batches ([`epochs`]). Names are those of Jepsen's Kafka workload where it has one.
//!
//! There is no rule for G0: transactions that write the same partition interleave, and Kafka says so.

mod bounds;
mod epochs;
mod isolation;
mod log;
#[cfg(test)]
mod model;
mod polls;
#[cfg(test)]
mod tests;
mod writes;

use std::fmt;

use super::event::History;
use log::Logs;
pub use writes::is_sequence_error;

/// A promise that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Anomaly {
    /// An acknowledged record isn't there at the end.
    LostWrite,
    /// A record is there twice.
    Duplicate,
    /// Records of one producer in one partition are not in the order in which it sent them.
    Reordered,
    /// A record that nobody wrote there.
    Unwritten,
    /// An idempotent producer that nobody fenced was told that its sequence is wrong.
    BrokenSequence,
    /// A producer was acknowledged after a newer one had taken over its transactional id.
    FencedWrite,
    /// Two answers disagree about what lies at an offset.
    InconsistentOffsets,
    /// Bytes that aren't those that were sent, or not in a whole batch.
    Damaged,
    /// G1a: a record of an aborted transaction, or one whose write was refused, was read.
    AbortedRead,
    /// G1b: a record of a transaction that was still open was read by a reader of committed ones.
    PrecommittedRead,
    /// Only a part of a transaction is committed.
    TornTransaction,
    /// A consumer was given something before where it reads.
    NonmonotonicPoll,
    /// A consumer was not given something that is there.
    PollSkip,
    /// An answer has nothing although there is something to read.
    NoProgress,
    /// An offset that is there was said to be out of range.
    UnreachableOffset,
    /// Reading to the end at the end doesn't get there.
    Unseen,
    /// A log start or last stable offset beyond the high watermark.
    BoundsOrder,
    /// Data beyond the high watermark or the last stable offset that the same answer tells. (Kafka's own is at times the one of
    /// just before the read; ours belong together.)
    BeyondBound,
    /// A last stable offset beyond a transaction whose end isn't below the high watermark.
    StableBeyondOpen,
    /// A high watermark or last stable offset below one that was told before.
    BoundsBackwards,
    /// A log start below one that was told before.
    LogStartBackwards,
    /// A log start beyond everything that was asked to be deleted.
    LogStartAhead,
    /// Leader epochs out of order in the log, or told to end where they don't.
    EpochEnd,
}

impl Anomaly {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Anomaly::LostWrite => "lost write",
            Anomaly::Duplicate => "duplicate",
            Anomaly::Reordered => "reordered writes",
            Anomaly::Unwritten => "unwritten record",
            Anomaly::BrokenSequence => "broken sequence",
            Anomaly::FencedWrite => "fenced write",
            Anomaly::InconsistentOffsets => "inconsistent offsets",
            Anomaly::Damaged => "damaged record",
            Anomaly::AbortedRead => "aborted read (G1a)",
            Anomaly::PrecommittedRead => "precommitted read (G1b)",
            Anomaly::TornTransaction => "torn transaction",
            Anomaly::NonmonotonicPoll => "nonmonotonic poll",
            Anomaly::PollSkip => "poll skip",
            Anomaly::NoProgress => "no progress",
            Anomaly::UnreachableOffset => "unreachable offset",
            Anomaly::Unseen => "unseen",
            Anomaly::BoundsOrder => "bounds out of order",
            Anomaly::BeyondBound => "read beyond bound",
            Anomaly::StableBeyondOpen => "stable beyond open transaction",
            Anomaly::BoundsBackwards => "bounds backwards",
            Anomaly::LogStartBackwards => "log start backwards",
            Anomaly::LogStartAhead => "log start ahead",
            Anomaly::EpochEnd => "epoch end",
        }
    }
}

/// One broken promise.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub anomaly: Anomaly,
    /// Where, if in one partition.
    pub partition: Option<i32>,
    /// What happened.
    pub text: String,
    /// The events that show it, by their place in the history.
    pub events: Vec<usize>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.anomaly.name())?;
        if let Some(partition) = self.partition {
            write!(f, " in partition {partition}")?;
        }
        write!(f, ": {}", self.text)
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Violations(pub Vec<Violation>);

impl Violations {
    fn add(&mut self, anomaly: Anomaly, partition: i32, events: &[usize], text: String) {
        self.0.push(Violation {
            anomaly,
            partition: Some(partition),
            text,
            events: events.to_vec(),
        });
    }
}

/// Holds a whole history against every promise.
pub fn check(history: &History) -> Vec<Violation> {
    let mut found = Violations::default();
    let logs = Logs::of(history, &mut found);
    writes::check(history, &logs, &mut found);
    polls::check(history, &mut found);
    isolation::check(history, &logs, &mut found);
    bounds::check(history, &logs, &mut found);
    epochs::check(history, &logs, &mut found);
    found.0
}
