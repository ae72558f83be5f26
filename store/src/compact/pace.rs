//! How fast a cleaning may go (`log.cleaner.io.max.bytes.per.second`), and how much it has read and written.

use tautline_core::time::monotonic_ns;

use super::pass::Moved;

/// See the module.
pub(super) struct Pace {
    begun_ns: u64,
    bytes_per_second_max: u64,
    pub moved: Moved,
}

impl Pace {
    /// Begins now.
    pub fn new(bytes_per_second_max: u64) -> Pace {
        Pace {
            begun_ns: monotonic_ns(),
            bytes_per_second_max: bytes_per_second_max.max(1),
            moved: Moved::default(),
        }
    }

    /// How long it is since the begin.
    pub fn elapsed_ns(&self) -> u64 {
        monotonic_ns() - self.begun_ns
    }

    /// How long it is until all that was moved was due.
    pub fn ahead_ns(&self) -> u64 {
        let bytes = u128::from(self.moved.read_bytes + self.moved.written_bytes);
        let due_ns = bytes * 1_000_000_000 / u128::from(self.bytes_per_second_max);
        due_ns.saturating_sub(u128::from(self.elapsed_ns())) as u64
    }
}
