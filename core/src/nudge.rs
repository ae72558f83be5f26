//! A thread that keeps shards from sleeping while they have something to do.
//!
//! A trap of glommio's: it looks at its task queues only while the time slice lasts, and takes them to be empty when the slice is
//! over before the first look, because the thread was descheduled meanwhile. It then parks with tasks ready to run. Timers wake
//! it, but each wake-up can end in the same trap, and a timer that fired is armed again only by a task; on a machine with more to
//! do than cores all timers get lost that way within minutes, and the shard sleeps for ever. What wakes it must therefore not
//! depend on its tasks: this thread does, when a shard does not turn.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use crate::stall::Suspect;

/// How often a shard is looked at that says it is awake. It is nudged when it has not turned since.
const AWAKE: Duration = Duration::from_millis(5);
/// How often a shard is nudged that says it sleeps and has turned since the last time: what it left undone waits that long.
const ASLEEP: Duration = Duration::from_millis(25);
/// How often one is nudged in the end that does not turn between nudges, the pause doubling until then: a nudge costs some 70 us,
/// and an idle broker shall cost nothing to speak of.
const LONG_ASLEEP: Duration = Duration::from_millis(100);
/// How often the thread looks at all when every shard is long asleep: whether one woke up.
const LOOK: Duration = Duration::from_millis(50);

/// What a shard's poller says of itself.
pub(crate) struct Pulse {
    turns: AtomicU64,
    asleep: AtomicBool,
    ended: AtomicBool,
    /// Looked at as well: whether the shard stalls.
    pub suspect: Suspect,
}

impl Pulse {
    /// That of the shard of this thread.
    pub fn here() -> Pulse {
        Pulse {
            turns: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            suspect: Suspect::here(),
        }
    }

    /// The poller turns. It alone writes the count; gives what it was.
    pub fn turn(&self) -> u64 {
        let turns = self.turns.load(Ordering::Relaxed);
        self.turns.store(turns.wrapping_add(1), Ordering::Relaxed);
        turns
    }

    /// The poller is about to sleep, or has woken up.
    pub fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Ordering::Relaxed);
    }
}

/// Says that the shard ends, also when its future is dropped.
pub(crate) struct Watched(Arc<Pulse>);

impl Drop for Watched {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

struct Patient {
    pulse: Arc<Pulse>,
    waker: Waker,
    seen_turns: u64,
    nudged: Instant,
    /// After how long it is nudged again while it sleeps.
    patience: Duration,
}

static PATIENTS: OnceLock<Mutex<Vec<Patient>>> = OnceLock::new();

/// Has the shard watched until the result is dropped, from the first poll of the future on, which never completes. Nudges run the
/// task that polled it last.
pub(crate) fn watch(pulse: Arc<Pulse>) -> (Watched, impl Future<Output = ()>) {
    let watched = Watched(pulse.clone());
    let mut registered: Option<Waker> = None;
    let task = poll_fn(move |cx| {
        let waker = cx.waker();
        if registered.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return Poll::Pending;
        }
        let mut all = patients().lock().expect("nobody panics with the lock");
        match all.iter_mut().find(|patient| Arc::ptr_eq(&patient.pulse, &pulse)) {
            Some(patient) => patient.waker.clone_from(waker),
            None => all.push(Patient {
                pulse: pulse.clone(),
                waker: waker.clone(),
                seen_turns: 0,
                nudged: Instant::now(),
                patience: ASLEEP,
            }),
        }
        registered = Some(waker.clone());
        Poll::Pending
    });
    (watched, task)
}

fn patients() -> &'static Mutex<Vec<Patient>> {
    PATIENTS.get_or_init(|| {
        let run = || {
            crate::cpu::leave_shard_core();
            loop {
                std::thread::sleep(look());
            }
        };
        std::thread::Builder::new()
            .name("nudge".to_owned())
            .spawn(run)
            .expect("a helper thread can be started");
        Mutex::default()
    })
}

/// Nudges who needs it; gives how long it can wait until the next time.
fn look() -> Duration {
    let mut pause = LOOK;
    let mut all = patients().lock().expect("nobody panics with the lock");
    all.retain_mut(|patient| {
        if patient.pulse.ended.load(Ordering::Acquire) {
            // Its executor is gone, and a waker that is dropped asks it to destroy the task: some bytes are left instead.
            std::mem::forget(patient.waker.clone());
            return false;
        }
        let asleep = patient.pulse.asleep.load(Ordering::Relaxed);
        let turns = patient.pulse.turns.load(Ordering::Relaxed);
        let turned = std::mem::replace(&mut patient.seen_turns, turns) != turns;
        if turned {
            patient.patience = ASLEEP;
        }
        if !asleep {
            patient.pulse.suspect.look(turned, turns);
        }
        let due = if asleep {
            patient.nudged.elapsed() >= patient.patience
        } else {
            !turned
        };
        if due {
            patient.nudged = Instant::now();
            patient.waker.wake_by_ref();
            patient.patience = (2 * patient.patience).min(LONG_ASLEEP);
        }
        pause = pause.min(if asleep { patient.patience } else { AWAKE });
        true
    });
    pause
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use crate::ids::ShardId;
    use crate::mailbox::Mailbox;
    use crate::shard::{PollMode, RuntimeOptions, start};
    use crate::sync::Signal;
    use std::time::Duration;

    /// Shards that fight for one core pass tokens on. Without timers or I/O of their own nothing else wakes one that fell asleep
    /// with a token in its hands: without nudges this hangs within seconds.
    #[test]
    fn shards_that_fight_for_a_core_do_not_oversleep() {
        const SHARDS: u16 = 12;
        const TOKENS: u16 = 3;
        const LAPS: u32 = 2_000;
        let core = crate::cpu::allowed_cores().unwrap()[0];
        let options = RuntimeOptions {
            cores: vec![core; SHARDS as usize],
            control_core: None,
            poll: PollMode::Park,
            spin: Duration::ZERO,
            memory_bytes: SHARDS as usize * (16 << 20),
        };
        let shards = start(&options, |mailbox: Mailbox<u32>| async move {
            let (ended, done) = (Rc::new(Cell::new(0)), Rc::new(Signal::new()));
            let next = ShardId((mailbox.shard().0 + 1) % SHARDS);
            let (count, bell, sender) = (ended.clone(), done.clone(), mailbox.clone());
            mailbox.on_message(move |_, laps| {
                if laps > 0 {
                    let is_last = next.0 == 0;
                    sender.post(next, laps - u32::from(is_last));
                } else {
                    count.set(count.get() + 1);
                    bell.notify_all();
                    // The other shards shall end as well.
                    if next.0 != 0 {
                        sender.post(next, 0);
                    }
                }
            });
            if mailbox.shard().0 == 0 {
                (0..TOKENS).for_each(|_| mailbox.post(next, LAPS));
            }
            while ended.get() < TOKENS {
                done.wait().await;
            }
        });
        shards.unwrap().join().unwrap();
    }
}
