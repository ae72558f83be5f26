//! The stall detector: who held a core beyond its quota, so that all others waited.
//!
//! The poller reads the clock once a turn anyway: between two turns every ready task has run, and when that took longer than
//! [`STALL_QUOTA`] somebody did not give way. Each poll of a task notes what runs, two stores and no clock; the thread that looks
//! after sleeping shards (`nudge`) finds a shard that does not turn and keeps what was noted there. A core that others took
//! (the kernel ran something else on it, or a call blocked) is told from one that was worked on, by the thread's CPU time.

#![expect(
    unsafe_code,
    reason = "the CPU clock of another thread, and a pointer that two threads see"
)]

use std::cell::Cell;
use std::panic::Location;
use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::task::{QUEUES, Queue};

/// How long the tasks of a core may hold it between two turns of its poller.
pub const STALL_QUOTA: Duration = Duration::from_millis(10);
/// A shard writes one line about stalls in that time; the others are counted.
const LINE_EVERY_NS: u64 = 1_000_000_000;

/// What runs on a core.
pub(crate) struct Running {
    /// Where the task was spawned.
    spawned_at: AtomicPtr<Location<'static>>,
    queue: AtomicU8,
}

/// Set beside the queue while no task runs: then it is that of the last one.
const AT_REST: u8 = 0x80;

static NOBODY: Running = Running::new();

thread_local! {
    static RUNNING: Cell<&'static Running> = const { Cell::new(&NOBODY) };
    static COUNTS: Cell<StallCounts> = const { Cell::new(StallCounts::NONE) };
}

/// A task: its queue, and where it was spawned.
pub(crate) type Site = (Queue, &'static Location<'static>);

impl Running {
    const fn new() -> Running {
        Running {
            spawned_at: AtomicPtr::new(std::ptr::null_mut()),
            queue: AtomicU8::new(AT_REST),
        }
    }

    fn site(&self) -> Option<Site> {
        let queue = QUEUES[usize::from(self.queue.load(Ordering::Relaxed) & !AT_REST)].0;
        // SAFETY: only addresses of locations that live as long as the program are ever stored.
        let spawned_at = unsafe { self.spawned_at.load(Ordering::Relaxed).as_ref() };
        spawned_at.map(|at| (queue, at))
    }
}

/// Notes that a task of this thread runs.
#[inline]
pub(crate) fn runs(queue: Queue, spawned_at: &'static Location<'static>) {
    let running = RUNNING.get();
    running
        .spawned_at
        .store(std::ptr::from_ref(spawned_at).cast_mut(), Ordering::Relaxed);
    running.queue.store(queue as u8, Ordering::Relaxed);
}

/// Notes that no task of this thread runs any more.
#[inline]
pub(crate) fn rests() {
    let queue = &RUNNING.get().queue;
    queue.store(queue.load(Ordering::Relaxed) | AT_REST, Ordering::Relaxed);
}

/// Whether a task of this thread runs, and not the executor.
pub(crate) fn is_in_a_task() -> bool {
    RUNNING
        .try_with(|running| running.get().queue.load(Ordering::Relaxed) & AT_REST == 0)
        .unwrap_or(false)
}

/// Stalls of one shard since it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StallCounts {
    /// By queue, in the order of [`QUEUES`]: how many, and nanoseconds.
    pub by_queue: [(u64, u64); QUEUES.len()],
    /// Those in which the thread worked less than the quota on its core: how many, and nanoseconds.
    pub away: (u64, u64),
}

impl StallCounts {
    const NONE: StallCounts = StallCounts {
        by_queue: [(0, 0); QUEUES.len()],
        away: (0, 0),
    };

    /// Those of the shard of this thread.
    pub fn here() -> StallCounts {
        COUNTS.get()
    }
}

/// What two threads know of a shard that may stall.
pub(crate) struct Suspect {
    running: &'static Running,
    clock: libc::clockid_t,
    /// CPU time of the shard's thread when it was last looked at.
    cpu_ns: AtomicU64,
    /// What ran when the shard was found not to turn, and at which turn that was.
    caught: Running,
    caught_turn: AtomicU64,
}

impl Suspect {
    /// The shard of this thread.
    pub fn here() -> Suspect {
        // A few bytes a shard, which tasks that outlive the poller still write to.
        let running: &'static Running = Box::leak(Box::new(Running::new()));
        RUNNING.set(running);
        let mut clock = libc::CLOCK_THREAD_CPUTIME_ID;
        // SAFETY: the thread is this one, and the clock's id is written before the call returns. If the call fails the id stays.
        unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) };
        Suspect {
            running,
            clock,
            cpu_ns: AtomicU64::new(0),
            caught: Running::new(),
            caught_turn: AtomicU64::new(u64::MAX),
        }
    }

    /// Looked at from another thread: `turned` says whether it has turned since the last time.
    pub fn look(&self, turned: bool, turn: u64) {
        if turned {
            self.cpu_ns.store(self.cpu_now_ns(), Ordering::Relaxed);
        } else if let Some((queue, spawned_at)) = self.running.site() {
            let spawned_at = std::ptr::from_ref(spawned_at).cast_mut();
            self.caught.spawned_at.store(spawned_at, Ordering::Relaxed);
            self.caught.queue.store(queue as u8, Ordering::Relaxed);
            self.caught_turn.store(turn, Ordering::Release);
        }
    }

    fn cpu_now_ns(&self) -> u64 {
        // SAFETY: an all-zero timespec is valid.
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        // SAFETY: the time is written to a place of ours. The clock of a thread that is gone is refused.
        match unsafe { libc::clock_gettime(self.clock, &raw mut time) } {
            0 => time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64,
            _ => 0,
        }
    }

    /// The shard's own thread has found that it did not turn for `held_ns` before `turn`.
    #[cold]
    pub fn report(&self, held_ns: u64, turn: u64, limit: &LineLimit, now_ns: u64) {
        // The time that was looked up before lies a little before the stall: what ran between is counted as well.
        let on_core_ns = (self
            .cpu_now_ns()
            .saturating_sub(self.cpu_ns.load(Ordering::Relaxed)))
        .min(held_ns);
        let caught = self.caught_turn.load(Ordering::Acquire) == turn;
        let site = if caught {
            self.caught.site()
        } else {
            self.running.site()
        };
        let mut counts = COUNTS.get();
        let away = on_core_ns < STALL_QUOTA.as_nanos() as u64;
        let count = match site {
            Some((queue, _)) if !away => &mut counts.by_queue[queue as usize],
            _ => &mut counts.away,
        };
        *count = (count.0 + 1, count.1 + held_ns);
        COUNTS.set(counts);
        let Some(left_out) = limit.allows(now_ns) else {
            return;
        };
        let (held, on_core) = (Duration::from_nanos(held_ns), Duration::from_nanos(on_core_ns));
        let Some((queue, at)) = site else { return };
        let queue = queue.name();
        if away {
            tracing::debug!(
                "the core was away for {held:?} (worked {on_core:?} of it) while a task of the queue {queue}, \
                 spawned at {at}, ran or had run: another program, or a call that blocks; {left_out} more left out"
            );
        } else if caught {
            tracing::warn!(
                "the core was held for {held:?} (worked {on_core:?} of it) by a task of the queue {queue}, spawned at {at}; \
                 {left_out} more left out"
            );
        } else {
            tracing::warn!(
                "the core was held for {held:?} (worked {on_core:?} of it); the last of its tasks was of the queue {queue}, \
                 spawned at {at}; {left_out} more left out"
            );
        }
    }
}

/// Lets one line a second through.
#[derive(Default)]
pub(crate) struct LineLimit {
    last_ns: Cell<u64>,
    left_out: Cell<u64>,
}

impl LineLimit {
    /// How many were left out before, if one may be written.
    fn allows(&self, now_ns: u64) -> Option<u64> {
        if self.last_ns.get() > 0 && now_ns < self.last_ns.get() + LINE_EVERY_NS {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        self.last_ns.set(now_ns);
        Some(self.left_out.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::test_on_shard;
    use crate::task::{spawn, yield_now};
    use crate::time::sleep;

    fn worked_ns() -> u64 {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }

    /// Holds the core again and again until the detector says so: on a loaded machine its thread may come too late to see.
    #[test]
    fn a_task_that_does_not_give_way_is_named_by_its_queue() {
        let (held, all) = test_on_shard(|| async {
            let queue = Queue::Background as usize;
            while StallCounts::here().by_queue[queue].0 == 0 {
                spawn(Queue::Background, async {
                    let until_ns = worked_ns() + 5 * STALL_QUOTA.as_nanos() as u64;
                    while worked_ns() < until_ns {
                        std::hint::spin_loop();
                    }
                })
                .await;
                sleep(Duration::from_millis(1)).await;
                yield_now().await;
            }
            (StallCounts::here().by_queue[queue], StallCounts::here())
        });
        assert!(held.1 >= STALL_QUOTA.as_nanos() as u64, "{all:?}");
    }

    #[test]
    fn lines_are_few() {
        let limit = LineLimit::default();
        let said = (1..=3_000u64).filter_map(|ms| limit.allows(ms * 1_000_000));
        assert_eq!(said.collect::<Vec<_>>(), [0, 999, 999]);
    }
}
