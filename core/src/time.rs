//! Clocks and timers. Timers are for milliseconds: while a core polls its ring they fire up to 0.5 ms late.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::{Either, select};

/// Milliseconds since the Unix epoch, by the wall clock: Kafka's timestamps.
pub fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}

/// Nanoseconds on a clock that never goes back; comparable between the cores of one machine.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

thread_local! {
    static TURN_NS: Cell<u64> = const { Cell::new(0) };
}

/// When this shard last looked for what had come in, on the clock of [`monotonic_ns`]: the moment of the completion, or of the
/// message, that let a task go on, however long that then waited for the core. Costs no look at the clock. Outside a shard it is
/// the time.
#[inline]
pub fn turn_ns() -> u64 {
    match TURN_NS.get() {
        0 => monotonic_ns(),
        turn_ns => turn_ns,
    }
}

/// The shard looks for what has come in; gives the time.
pub(crate) fn note_turn() -> u64 {
    let now_ns = monotonic_ns();
    TURN_NS.set(now_ns);
    now_ns
}

/// Completes after `duration`.
pub async fn sleep(duration: Duration) {
    glommio::timer::sleep(duration).await;
}

/// The time was up first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timed out")]
pub struct Elapsed;

/// `future`'s result if it comes within `duration`; the future is dropped otherwise.
///
/// # Errors
/// [`Elapsed`].
pub async fn timeout<T>(duration: Duration, future: impl Future<Output = T>) -> Result<T, Elapsed> {
    match select(pin!(future), pin!(sleep(duration))).await {
        Either::Left((value, _)) => Ok(value),
        Either::Right(_) => Err(Elapsed),
    }
}
