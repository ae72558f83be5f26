//! Starts of a broker that is killed again and again: now and then also before it is ready.

use std::time::Duration;

use super::process::{BrokerProcess, Launch};
use crate::random::Random;

/// One start in so many is itself killed before the broker is ready.
const KILL_WHILE_STARTING: u64 = 5;
/// A kill while starting comes within this.
const STARTING: Duration = Duration::from_millis(60);

/// How to start the broker, and how often that was done.
pub struct Starts {
    /// The command.
    pub launch: Launch,
    /// The moments.
    pub random: Random,
    /// Starts so far.
    pub count: usize,
}

impl Starts {
    /// Starts the broker and waits until it is ready, which took so long; sometimes kills it on the way first, so often.
    pub fn start(&mut self) -> anyhow::Result<(BrokerProcess, Duration, u32)> {
        let mut killed = 0;
        while self.random.once_in(KILL_WHILE_STARTING) {
            let delay = self.random.between(Duration::ZERO, STARTING);
            let starting = self.launch.spawn(self.count)?;
            self.count += 1;
            std::thread::sleep(delay);
            starting.kill()?;
            killed += 1;
        }
        let (broker, took) = self.launch.start(self.count)?;
        self.count += 1;
        Ok((broker, took, killed))
    }
}
