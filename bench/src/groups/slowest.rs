//! The slowest answers of a run: when, of whom, and whether the broker or the connection before it was slow.

use std::fmt;

use crate::clock::SECOND_NS;

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// When the request was due, CLOCK_MONOTONIC as in the kernel's traces.
    pub due_ns: u64,
    /// When it was sent: later than due if the connection still waited for the answer before.
    pub sent_ns: u64,
    /// When the answer had come.
    pub answered_ns: u64,
    /// What was asked.
    pub kind: &'static str,
    /// The group's id.
    pub group: String,
}

impl Answer {
    /// What the member waited.
    pub fn latency_ns(&self) -> u64 {
        self.answered_ns - self.due_ns
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |ns: u64| ns as f64 / 1e6;
        write!(
            f,
            "due at {:.4} s: {} of {}, sent {:.2} ms late, answered {:.2} ms after that",
            self.due_ns as f64 / SECOND_NS as f64,
            self.kind,
            self.group,
            millis(self.sent_ns.saturating_sub(self.due_ns)),
            millis(self.answered_ns - self.sent_ns),
        )
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Slowest {
    count: usize,
    answers: Vec<Answer>,
}

impl Slowest {
    /// Keeps so many.
    pub fn new(count: usize) -> Slowest {
        Slowest {
            count,
            answers: Vec::new(),
        }
    }

    /// Whether one with this latency would be kept.
    pub fn takes(&self, latency_ns: u64) -> bool {
        self.answers.len() < self.count
            || self
                .answers
                .last()
                .is_some_and(|last| last.latency_ns() < latency_ns)
    }

    /// Keeps it if it is slow enough.
    pub fn note(&mut self, answer: Answer) {
        let latency_ns = answer.latency_ns();
        if self.takes(latency_ns) {
            let at = self
                .answers
                .partition_point(|other| other.latency_ns() >= latency_ns);
            self.answers.insert(at, answer);
            self.answers.truncate(self.count);
        }
    }

    /// Takes over another's.
    pub fn add(&mut self, other: Slowest) {
        other.answers.into_iter().for_each(|answer| self.note(answer));
    }

    /// Them in the order in which they were due.
    pub fn in_time(mut self) -> Vec<Answer> {
        self.answers.sort_by_key(|answer| answer.due_ns);
        self.answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_slowest_in_time() {
        let answer = |due_ns, latency_ns| Answer {
            due_ns,
            sent_ns: due_ns,
            answered_ns: due_ns + latency_ns,
            kind: "heartbeat",
            group: String::new(),
        };
        let (mut all, mut other) = (Slowest::new(3), Slowest::new(3));
        (0..10).for_each(|n| all.note(answer(n, 100 - n)));
        (10..20).for_each(|n| other.note(answer(n, n * 10)));
        all.add(other);
        let kept: Vec<_> = all.in_time().iter().map(|answer| answer.due_ns).collect();
        assert_eq!(kept, [17, 18, 19]);
        assert!(!Slowest::new(0).takes(u64::MAX));
    }
}
