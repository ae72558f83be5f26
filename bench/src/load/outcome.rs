//! What became of the requests of some connections, and of all of them.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::job::Window;
use crate::clock::now_ns;
use crate::errors;
use crate::report::recorder::Recorder;

/// How long answers may be outstanding after the last send, and how long one may take in a closed loop.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Counts of one or more connections.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Messages acknowledged, warm-up included.
    pub acknowledged: u64,
    /// Messages never answered.
    pub unanswered: u64,
    /// Answers with an error, by Kafka's name; only of measured requests.
    pub errors: BTreeMap<String, u64>,
    /// Of the busiest client thread, the part of its time in which it had something to do; absent for threads that
    /// block in `read`. Near 1 the harness itself is the limit.
    pub client_busy: Option<f64>,
}

impl Outcome {
    /// Adds another's counts.
    pub fn add(&mut self, other: &Outcome) {
        self.acknowledged += other.acknowledged;
        self.unanswered += other.unanswered;
        for (name, count) in &other.errors {
            *self.errors.entry(name.clone()).or_default() += count;
        }
        self.client_busy = match (self.client_busy, other.client_busy) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
    }

    /// Whether everything was answered without an error.
    pub fn is_clean(&self) -> bool {
        self.unanswered == 0 && self.errors.is_empty()
    }
}

/// Takes the answers of the connections of a thread.
pub struct Answers<'a> {
    /// Counts so far.
    pub outcome: Outcome,
    /// Where latencies go.
    pub recorder: Recorder,
    /// What is measured.
    pub window: &'a Window,
    /// Messages of a request.
    pub records: u64,
    /// Bytes of a message's value.
    pub value_bytes: u64,
    /// Time between the messages of a request; 0 when one latency stands for all of them.
    pub spacing_ns: u64,
}

impl Answers<'_> {
    /// An answer came in now, for a request whose first message was meant for `intended_ns`.
    #[inline]
    pub fn take(&mut self, intended_ns: u64, error_code: i16) {
        if error_code == 0 {
            self.outcome.acknowledged += self.records;
            self.record(intended_ns, 1);
        } else if self.window.measures(intended_ns) {
            *self.outcome.errors.entry(errors::name(error_code)).or_default() += 1;
        }
    }

    /// No answer will come any more: the wait so far counts, so that giving up doesn't flatter the tail.
    pub fn give_up(&mut self, intended_ns: u64) {
        self.outcome.unanswered += self.records;
        self.record(intended_ns, 0);
    }

    /// Records latencies until now, each for `counted` times the messages it stands for.
    fn record(&mut self, intended_ns: u64, counted: u64) {
        let now = now_ns();
        let (samples, each) = match self.spacing_ns {
            0 => (1, self.records),
            _ => (self.records, 1),
        };
        for sample in 0..samples {
            let intended = intended_ns + sample * self.spacing_ns;
            self.recorder.record(
                now.saturating_sub(intended),
                now,
                counted * each,
                counted * each * self.value_bytes,
                self.window.measures(intended),
            );
        }
    }

    /// Hands the recorder over and returns the counts.
    pub fn finish(self) -> Outcome {
        self.recorder.finish();
        self.outcome
    }
}
