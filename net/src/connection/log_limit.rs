//! How many log lines about connections a shard writes: a hostile client must not fill the disk with them.

use std::cell::Cell;

/// Lines a second; further ones are counted.
const LINES_PER_SECOND_MAX: u64 = 10;
const SECOND_NS: u64 = 1_000_000_000;

/// One shard's limit.
#[derive(Debug, Default)]
pub struct LogLimit {
    second: Cell<u64>,
    lines: Cell<u64>,
    suppressed: Cell<u64>,
}

impl LogLimit {
    /// Whether one more line may be written at this time of the monotonic clock.
    pub fn allows(&self, now_ns: u64) -> bool {
        let second = now_ns / SECOND_NS;
        if self.second.replace(second) != second {
            self.lines.set(0);
        }
        if self.lines.get() < LINES_PER_SECOND_MAX {
            self.lines.set(self.lines.get() + 1);
            true
        } else {
            self.suppressed.set(self.suppressed.get() + 1);
            false
        }
    }

    /// How many lines were left out since the last call.
    pub fn take_suppressed(&self) -> u64 {
        self.suppressed.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted() {
        let limit = LogLimit::default();
        let written = (0..1000).filter(|_| limit.allows(5 * SECOND_NS)).count() as u64;
        assert_eq!(written, LINES_PER_SECOND_MAX);
        assert_eq!(limit.take_suppressed(), 1000 - LINES_PER_SECOND_MAX);
        assert_eq!(limit.take_suppressed(), 0);
        assert!(limit.allows(6 * SECOND_NS));
    }
}
