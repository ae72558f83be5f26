//! A shard: one pinned thread with a glommio executor, a ring, a buffer pool and a mailbox.
//!
//! The *poller* is the heart of a shard: a task that turns the ring, drains the mailboxes and, when nothing has come for
//! `spin`, sleeps on the ring's eventfd. It yields after every turn, so woken tasks run between two turns, and what they
//! submit goes to the kernel in one call at the next.

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use glommio::{Latency, LocalExecutorBuilder, Placement, Shares, executor};

use crate::buffer::Pool;
use crate::buffer_ring::BufferRing;
use crate::eventfd::Eventfd;
use crate::mailbox::{Mailbox, Peer, Seat, mesh};
use crate::nudge::Pulse;
use crate::remote::Remote;
use crate::ring::Ring;
use crate::stall::{LineLimit, STALL_QUOTA};
use crate::time::{self, monotonic_ns};
use crate::{blocking, cpu, nudge, task};

/// What a core does when it has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollMode {
    /// Never sleeps: the lowest latency, a whole core.
    Busy,
    /// Spins for a while, then sleeps until something comes.
    Adaptive,
    /// Sleeps at once.
    Park,
}

/// How the shards run.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// One shard is pinned to each of these cores, in this order.
    pub cores: Vec<usize>,
    /// A core for all that is not to disturb the others: one more shard, the first, which sleeps at once when it has nothing
    /// to do, and every helper thread.
    pub control_core: Option<usize>,
    /// What an idle core does.
    pub poll: PollMode,
    /// How long an idle core spins before it sleeps, with [`PollMode::Adaptive`].
    pub spin: Duration,
    /// Memory for buffers, of all shards together, in bytes.
    pub memory_bytes: usize,
}

impl RuntimeOptions {
    /// The core of each shard.
    #[must_use]
    pub fn pins(&self) -> Vec<usize> {
        self.control_core
            .into_iter()
            .chain(self.cores.iter().copied())
            .collect()
    }

    /// How many shards there are.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        self.cores.len() + usize::from(self.control_core.is_some())
    }
}

/// Time slice of glommio's default queue, which only starts the shard. (While the poller spins, glommio looks at its own rings
/// and timers as often as the latency of the poller's queue says.) It is long because of the trap that [`crate::nudge`] is about.
const PREEMPT_TIMER: Duration = Duration::from_millis(100);
/// Submission entries of glommio's own rings, which carry only the eventfd and timers.
const GLOMMIO_RING_ENTRIES: usize = 64;
/// Memory that glommio registers for its own file I/O, which we don't use.
const GLOMMIO_IO_MEMORY_BYTES: usize = 64 << 10;

/// Running shards.
pub struct Shards<T: Send + 'static> {
    threads: Vec<glommio::ExecutorJoinHandle<io::Result<T>>>,
}

impl<T: Send + 'static> Shards<T> {
    /// Waits until all have ended; the first error, if any shard could not start.
    ///
    /// # Errors
    /// A shard's ring could not be set up, or its thread could not be pinned.
    pub fn join(self) -> io::Result<Vec<T>> {
        let join = |thread: glommio::ExecutorJoinHandle<io::Result<T>>| match thread.join() {
            Ok(result) => result,
            Err(e) => Err(io::Error::other(format!("a shard ended abnormally: {e}"))),
        };
        self.threads.into_iter().map(join).collect()
    }
}

/// Starts one shard a core; each runs `main` to its end.
///
/// # Errors
/// When a thread can't be started or its executor can't be set up (memlock, affinity).
pub fn start<M, T, F, Fut>(options: &RuntimeOptions, main: F) -> io::Result<Shards<T>>
where
    M: Send + 'static,
    T: Send + 'static,
    F: Fn(Mailbox<M>) -> Fut + Send + Clone + 'static,
    Fut: Future<Output = T> + 'static,
{
    if let Some(core) = options.control_core {
        cpu::keep_helpers_on(core);
    }
    blocking::start_threads();
    let seats = mesh::<M>(options.shard_count());
    let memory_bytes = options.memory_bytes / options.shard_count();
    let mut threads = Vec::new();
    for (seat, core) in seats.into_iter().zip(options.pins()) {
        let main = main.clone();
        let (poll, spin) = match options.control_core {
            // Helper threads want the core too.
            Some(control) if control == core => (PollMode::Park, Duration::ZERO),
            _ => (options.poll, options.spin),
        };
        let thread = LocalExecutorBuilder::new(Placement::Fixed(core))
            .name(&format!("shard-{core}"))
            .spin_before_park(Duration::ZERO)
            .preempt_timer(PREEMPT_TIMER)
            .ring_depth(GLOMMIO_RING_ENTRIES)
            .io_memory(GLOMMIO_IO_MEMORY_BYTES)
            .spawn(move || run_shard(seat, poll, spin, memory_bytes, main))
            .map_err(|e| io::Error::other(format!("core {core}: {e}")))?;
        threads.push(thread);
    }
    Ok(Shards { threads })
}

/// Runs a future on a private, unpinned shard: for tests.
///
/// # Panics
/// When the shard can't be set up.
pub fn test_on_shard<T, F, Fut>(main: F) -> T
where
    T: Send + 'static,
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
{
    blocking::start_threads();
    let mut seats = mesh::<()>(1);
    let seat = seats.remove(0);
    LocalExecutorBuilder::new(Placement::Unbound)
        .spin_before_park(Duration::ZERO)
        .preempt_timer(PREEMPT_TIMER)
        .ring_depth(GLOMMIO_RING_ENTRIES)
        .io_memory(GLOMMIO_IO_MEMORY_BYTES)
        .spawn(move || {
            run_shard(
                seat,
                PollMode::Adaptive,
                Duration::from_micros(50),
                256 << 20,
                |_| main(),
            )
        })
        .expect("a test shard's thread starts")
        .join()
        .expect("a test shard does not panic")
        .expect("a test shard's ring can be set up")
}

async fn run_shard<M, T, Fut>(
    seat: Seat<M>,
    poll: PollMode,
    spin: Duration,
    memory_bytes: usize,
    main: impl FnOnce(Mailbox<M>) -> Fut,
) -> io::Result<T>
where
    M: 'static,
    Fut: Future<Output = T> + 'static,
    T: 'static,
{
    task::install();
    let pool = Pool::new(memory_bytes);
    let ring = Rc::new(Ring::new()?);
    let buffers = BufferRing::register(&ring, &pool)?;
    *ring.receive_buffers.borrow_mut() = Some(buffers);
    let remote = Remote::new(ring.eventfd().try_clone_to_owned()?);
    let mailbox = Mailbox::take_seat(
        seat,
        Peer {
            remote: remote.clone(),
            ring_fd: ring.raw_fd(),
        },
    );
    pool.install();
    let last_turn = ring.clone();
    ring.install();
    remote.clone().install();
    let pulse = Arc::new(Pulse::here());
    let poller = Poller {
        eventfd: Eventfd::new(ring.eventfd().try_clone_to_owned()?),
        ring,
        remote,
        mailbox: mailbox.clone(),
        poll,
        spin,
        pulse: pulse.clone(),
        stall_lines: LineLimit::default(),
    };
    let queue = executor().create_task_queue(
        Shares::Static(1000),
        Latency::Matters(Duration::from_micros(200)),
        "ring",
    );
    let poller = glommio::spawn_local_into(poller.run(), queue)
        .map_err(|e| io::Error::other(e.to_string()))?
        .detach();
    let (watched, nudged) = nudge::watch(pulse);
    let mut nudged = Box::pin(nudged);
    // The executor may oversleep before the task of the nudges has run for the first time: until then they run this one.
    std::future::poll_fn(|cx| {
        let _ = nudged.as_mut().poll(cx);
        std::task::Poll::Ready(())
    })
    .await;
    let idle = executor().create_task_queue(Shares::Static(1), Latency::NotImportant, "nudge");
    let nudged = glommio::spawn_local_into(nudged, idle)
        .map_err(|e| io::Error::other(e.to_string()))?
        .detach();
    let result = task::spawn(task::Queue::Produce, main(mailbox)).await;
    poller.cancel();
    drop(watched);
    nudged.cancel();
    // What was queued last (a wake-up of another core) still goes out.
    last_turn.turn();
    Ok(result)
}

struct Poller<M: 'static> {
    ring: Rc<Ring>,
    remote: Remote,
    mailbox: Mailbox<M>,
    eventfd: Eventfd,
    poll: PollMode,
    spin: Duration,
    pulse: Arc<Pulse>,
    stall_lines: LineLimit,
}

impl<M: 'static> Poller<M> {
    async fn run(self) {
        let spin_ns = match self.poll {
            PollMode::Busy => u64::MAX,
            PollMode::Adaptive => self.spin.as_nanos() as u64,
            PollMode::Park => 0,
        };
        let mut last_event_ns = monotonic_ns();
        loop {
            let (came, now_ns) = self.turn();
            if came {
                last_event_ns = now_ns;
            } else if now_ns.saturating_sub(last_event_ns) >= spin_ns {
                self.sleep().await;
                last_event_ns = time::note_turn();
            }
            if !came && self.ring.durable_writes.any() {
                // The kernel's own threads carry a write on to its flush. On a core that spins they would wait for the scheduler's
                // next tick, milliseconds, instead of for this call.
                rustix::thread::sched_yield();
            }
            executor().yield_task_queue_now().await;
        }
    }

    /// Looks whether something came in, and when it looked.
    fn turn(&self) -> (bool, u64) {
        let turn = self.pulse.turn();
        let before_ns = time::turn_ns();
        let completed = self.ring.turn();
        // What completed has its time before messages are handled, which can take some.
        let mut now_ns = time::note_turn();
        if now_ns.saturating_sub(before_ns) > STALL_QUOTA.as_nanos() as u64 {
            let suspect = &self.pulse.suspect;
            suspect.report(now_ns - before_ns, turn, &self.stall_lines, now_ns);
        }
        let handled = self.mailbox.drain() + self.remote.drain();
        if handled > 0 {
            now_ns = time::note_turn();
        }
        (completed + handled > 0, now_ns)
    }

    /// Sleeps until the ring, a mailbox or another thread has something.
    async fn sleep(&self) {
        // Tasks woken by the last turn may submit once more; what they submit while parked goes out at once.
        self.remote.begin_sleep();
        if self.ring.begin_park() && !self.mailbox.has_messages() && !self.remote.has_calls() {
            self.pulse.set_asleep(true);
            self.eventfd.read().await;
            self.pulse.set_asleep(false);
        }
        self.ring.end_park();
        self.remote.end_sleep();
    }
}
