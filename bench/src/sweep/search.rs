//! Which rate to try next: up by a factor until the tail breaks, then between the last that held and the first that
//! didn't. Decides, measures nothing.

/// A rate breaks the tail only if it does so this often: a noisy neighbour breaks one.
const TRIES: u32 = 2;
/// The knee is known when the two rates are this near.
const NEAR: f64 = 1.08;

/// The search of one target's knee.
#[derive(Clone, Debug)]
pub struct Search {
    rate: f64,
    factor: f64,
    rate_max: f64,
    held: Option<f64>,
    broke: Option<f64>,
    tries: u32,
    done: bool,
}

impl Search {
    /// Begins at `from`, multiplies by `factor`, and goes no further than `rate_max`.
    pub fn new(from: f64, factor: f64, rate_max: f64) -> Search {
        Search {
            rate: from,
            factor,
            rate_max,
            held: None,
            broke: None,
            tries: 0,
            done: false,
        }
    }

    /// The rate to try next; None when the knee is found.
    pub fn next(&self) -> Option<f64> {
        (!self.done).then_some(self.rate)
    }

    /// The highest rate that held.
    pub fn knee(&self) -> Option<f64> {
        self.held
    }

    /// The rate that was to be tried held or broke.
    pub fn tried(&mut self, held: bool) {
        if !held {
            self.tries += 1;
            if self.tries < TRIES {
                return;
            }
        }
        self.tries = 0;
        if held {
            self.held = Some(self.held.unwrap_or(0.0).max(self.rate));
        } else {
            self.broke = Some(self.rate);
        }
        match (self.held, self.broke) {
            (None, _) => self.done = true,
            (Some(held), None) => {
                self.done = held >= self.rate_max;
                self.rate = (held * self.factor).min(self.rate_max);
            }
            (Some(held), Some(broke)) => {
                self.done = broke / held < NEAR;
                self.rate = (held * broke).sqrt();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(from: f64, knee: f64, mut noise: impl FnMut(u32) -> bool) -> (Option<f64>, u32) {
        let mut search = Search::new(from, 1.5, 1e6);
        let mut steps = 0;
        while let Some(rate) = search.next() {
            steps += 1;
            search.tried(rate <= knee && !noise(steps));
            assert!(steps < 60);
        }
        (search.knee(), steps)
    }

    #[test]
    fn finds_the_knee() {
        for knee in [1000.0, 1234.0, 5000.0, 77_777.0] {
            let (found, steps) = find(1000.0, knee, |_| false);
            let found = found.unwrap();
            assert!(found <= knee && found * NEAR > knee, "{found} of {knee}");
            assert!(steps < 30, "{steps}");
        }
    }

    #[test]
    fn one_bad_measurement_does_not_end_it() {
        let (found, _) = find(1000.0, 50_000.0, |step| step % 5 == 2);
        assert!(found.unwrap() * NEAR > 50_000.0);
    }

    #[test]
    fn ends_where_nothing_holds_or_everything_does() {
        assert_eq!(find(1000.0, 10.0, |_| false), (None, 2));
        assert_eq!(find(1000.0, f64::MAX, |_| false).0, Some(1e6));
    }
}
