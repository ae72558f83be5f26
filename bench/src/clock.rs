//! The one clock of the harness: CLOCK_MONOTONIC in nanoseconds, the same for every thread of the process,
//! so that a producer's stamp and a consumer's reading of it can be subtracted.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::thread::{ClockId, clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{Timespec, clock_gettime};

/// One second in nanoseconds.
pub const SECOND_NS: u64 = 1_000_000_000;

/// Nanoseconds of CLOCK_MONOTONIC.
#[inline]
pub fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * SECOND_NS + time.tv_nsec as u64
}

/// Milliseconds since the epoch, for record timestamps.
pub fn wall_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// A duration in nanoseconds; 584 years fit.
pub fn nanos(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// Sleeps until `deadline_ns`; returns at once if it has passed.
pub fn sleep_until(deadline_ns: u64) {
    let deadline = Timespec {
        tv_sec: (deadline_ns / SECOND_NS) as i64,
        tv_nsec: (deadline_ns % SECOND_NS) as i64,
    };
    while now_ns() < deadline_ns && clock_nanosleep_absolute(ClockId::Monotonic, &deadline).is_err() {}
}

/// Asks the kernel to wake the calling thread when it said, instead of up to 50 µs later (the default slack).
pub fn wake_precisely() {
    // A refusal only costs precision, and the report shows the sender's own lateness.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
}
