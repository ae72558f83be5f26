//! How long requests spend in each stage: a histogram for each kind of request and stage.

use super::{STAGES, Stage, Stamps};
use crate::histogram::Latency;

/// Times of one core's requests, by kind of request; what the kinds are is the caller's.
pub struct StageTimes {
    /// Of each kind all stages.
    times: Vec<Latency>,
}

impl StageTimes {
    /// Empty ones for so many kinds of requests. Memory that nothing is counted in is not touched.
    pub fn new(kinds: usize) -> StageTimes {
        StageTimes {
            times: (0..kinds * STAGES).map(|_| Latency::compact()).collect(),
        }
    }

    /// Counts a request in the stages in which it spent time.
    #[inline]
    pub fn record(&mut self, kind: usize, stamps: &Stamps) {
        let times = &mut self.times[kind * STAGES..(kind + 1) * STAGES];
        for (time, stage) in times.iter_mut().zip(Stage::ALL) {
            let spent_ns = stamps.spent_ns(stage);
            if spent_ns > 0 {
                time.record(spent_ns);
            }
        }
    }

    /// Those of a kind of requests in a stage.
    pub fn of(&self, kind: usize, stage: Stage) -> &Latency {
        &self.times[kind * STAGES + stage as usize]
    }

    /// Adds what another one counted, and empties it.
    ///
    /// # Panics
    /// When the other is not of the same kinds.
    pub fn drain(&mut self, other: &mut StageTimes) {
        assert_eq!(self.times.len(), other.times.len(), "of the same kinds");
        for (mine, theirs) in self.times.iter_mut().zip(&mut other.times) {
            if theirs.count() > 0 {
                mine.merge(theirs);
                theirs.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stages_that_took_time_count() {
        let (mut total, mut times) = (StageTimes::new(2), StageTimes::new(2));
        let mut stamps = Stamps::begin(0);
        stamps.lap(Stage::Parse, 1_000);
        stamps.lap(Stage::Respond, 3_000);
        times.record(1, &stamps);
        total.drain(&mut times);
        times.record(1, &stamps);
        total.drain(&mut times);
        assert_eq!(total.of(1, Stage::Parse).count(), 2);
        assert_eq!(total.of(1, Stage::Hop).count(), 0);
        assert_eq!(total.of(0, Stage::Parse).count(), 0);
        let read = total.of(1, Stage::Respond).percentile(50.0);
        assert!((1_980..=2_020).contains(&read), "{read}");
        assert_eq!(times.of(1, Stage::Parse).count(), 0);
    }
}
