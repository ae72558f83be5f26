//! The way into a shard from any thread: a queue of closures and a wake-up.
//!
//! Control plane only (blocking threads, admin, signals); cores talk to each other through mailboxes.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crossbeam_queue::SegQueue;

type Call = Box<dyn FnOnce() + Send>;

thread_local! {
    static CURRENT: RefCell<Option<Remote>> = const { RefCell::new(None) };
}

/// A handle to a shard that any thread may hold.
#[derive(Clone)]
pub struct Remote {
    shared: Arc<Shared>,
}

struct Shared {
    /// Bounded by what feeds it: one closure a blocking job in flight, one an admin request.
    calls: SegQueue<Call>,
    sleeping: AtomicBool,
    eventfd: OwnedFd,
}

impl Remote {
    pub(crate) fn new(eventfd: OwnedFd) -> Remote {
        Remote {
            shared: Arc::new(Shared {
                calls: SegQueue::new(),
                sleeping: AtomicBool::new(false),
                eventfd,
            }),
        }
    }

    /// The shard of this thread.
    ///
    /// # Panics
    /// Outside a shard.
    pub fn current() -> Remote {
        CURRENT
            .with_borrow(|remote| remote.clone())
            .expect("Remote::current is called on a shard's thread")
    }

    pub(crate) fn install(self) {
        CURRENT.set(Some(self));
    }

    /// Runs a short closure on the shard's thread, soon; it must not block.
    pub fn run_on_shard(&self, call: Box<dyn FnOnce() + Send>) {
        self.shared.calls.push(call);
        if self.claim_wake() {
            // The eventfd's counter can't overflow from wake-ups; an error would mean the shard is gone.
            let _ = rustix::io::write(&self.shared.eventfd, &1u64.to_ne_bytes());
        }
    }

    /// True for the one caller who must wake the sleeping shard.
    pub(crate) fn claim_wake(&self) -> bool {
        // Pairs with the fence in `begin_sleep`: either we see it asleep, or it sees what we queued.
        fence(Ordering::SeqCst);
        self.shared.sleeping.load(Ordering::Relaxed) && self.shared.sleeping.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn begin_sleep(&self) {
        self.shared.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    pub(crate) fn end_sleep(&self) {
        self.shared.sleeping.store(false, Ordering::Relaxed);
    }

    pub(crate) fn has_calls(&self) -> bool {
        !self.shared.calls.is_empty()
    }

    /// Runs what was queued; returns how many.
    pub(crate) fn drain(&self) -> usize {
        let mut count = 0;
        while let Some(call) = self.shared.calls.pop() {
            call();
            count += 1;
        }
        count
    }
}
