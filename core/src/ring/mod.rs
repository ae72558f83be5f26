//! The core's own `io_uring`: sockets and segment I/O as futures.
//!
//! One ring a shard, made with SINGLE_ISSUER and DEFER_TASKRUN, so completions run only when this thread asks. The
//! shard's poller calls [`Ring::turn`], which submits all that was queued since the last turn in one system call and
//! wakes the tasks whose operations completed. Waiting is through an eventfd that a glommio task reads.
//!
//! Promises: an operation owns its memory until its completion, also when its future is dropped (it is then cancelled,
//! and the memory is kept until the kernel answers); completions only wake, they never run a task in place.
#![expect(unsafe_code, reason = "io_uring submission entries carry raw pointers")]

mod op;
mod slot;
mod stream;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::sync::atomic::{Ordering, fence};

use io_uring::{IoUring, opcode, squeue, types};
use slab::Slab;

use self::slot::Slot;
use crate::buffer_ring::BufferRing;
use crate::right_of_way::DurableWrites;
use crate::{cpu, limits};

pub(crate) use op::Op;
pub(crate) use stream::OpStream;

/// Completions with this tag only wake the core.
const TAG_WAKE: u64 = u64::MAX;
/// Completions with this tag are nobody's (cancellations, messages sent).
const TAG_IGNORE: u64 = u64::MAX - 1;
/// `IORING_ENTER_GETEVENTS`.
const ENTER_GETEVENTS: u32 = 1;
/// Deferred completions that one call runs (`IO_LOCAL_TW_DEFAULT_MAX` in the kernel's `io_uring.c`).
const DEFERRED_RUN_MAX: usize = 20;

const _: () = assert!(limits::RING_ENTRIES.is_power_of_two());

thread_local! {
    static CURRENT: RefCell<Option<Rc<Ring>>> = const { RefCell::new(None) };
}

/// One core's ring. Lives on its core's thread only.
pub struct Ring {
    uring: RefCell<IoUring>,
    slots: RefCell<Slab<Slot>>,
    /// Set while the poller sleeps: then nobody but the pusher submits.
    parked: Cell<bool>,
    eventfd: OwnedFd,
    pub(crate) receive_buffers: RefCell<Option<BufferRing>>,
    pub(crate) durable_writes: DurableWrites,
}

/// Keeps the kernel's helper threads of a ring off the shards' cores. A kernel that refuses runs them anywhere.
fn keep_workers_on(uring: &IoUring, core: usize) {
    // SAFETY: a set of no cores is all zeros, and CPU_SET writes inside it: cores come from the affinity set of this process.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        set
    };
    let _ = uring.submitter().register_iowq_aff(&set);
}

impl Ring {
    /// Sets up a ring with its eventfd.
    ///
    /// # Errors
    /// What `io_uring_setup(2)` says: ENOSYS or EPERM where it is switched off, EINVAL on kernels before 6.1, ENOMEM
    /// with too little memlock.
    pub fn new() -> io::Result<Ring> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(limits::RING_COMPLETIONS)
            .build(limits::RING_ENTRIES)?;
        let eventfd = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?;
        uring.submitter().register_eventfd(eventfd.as_raw_fd())?;
        // Punted operations (buffered reads, opens) get few helper threads, so that they can't crowd the shard's core.
        let mut workers = limits::IO_WORKERS_MAX;
        let _ = uring.submitter().register_iowq_max_workers(&mut workers);
        if let Some(core) = cpu::helper_core() {
            keep_workers_on(&uring, core);
        }
        Ok(Ring {
            uring: RefCell::new(uring),
            slots: RefCell::new(Slab::with_capacity(1024)),
            parked: Cell::new(false),
            eventfd,
            receive_buffers: RefCell::new(None),
            durable_writes: DurableWrites::default(),
        })
    }

    /// The ring of the shard that runs on this thread.
    ///
    /// # Panics
    /// Outside a shard.
    pub fn current() -> Rc<Ring> {
        CURRENT
            .with_borrow(|ring| ring.clone())
            .expect("Ring::current is called on a shard's thread")
    }

    pub(crate) fn install(self: &Rc<Self>) {
        CURRENT.set(Some(self.clone()));
    }

    pub(crate) fn eventfd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.eventfd.as_fd()
    }

    pub(crate) fn raw_fd(&self) -> RawFd {
        self.uring.borrow().as_raw_fd()
    }

    pub(crate) fn with_submitter<R>(&self, run: impl FnOnce(&io_uring::Submitter<'_>) -> R) -> R {
        run(&self.uring.borrow().submitter())
    }

    /// The features that are in use, by the kernel's names.
    pub fn features() -> &'static [&'static str] {
        &[
            "SINGLE_ISSUER",
            "DEFER_TASKRUN",
            "TASKRUN_FLAG",
            "MULTISHOT_ACCEPT",
            "BUF_RING",
            "MSG_RING",
        ]
    }

    /// Operations in flight.
    pub fn in_flight(&self) -> usize {
        self.slots.borrow().len()
    }

    /// Submits what was queued and handles what completed; returns how many completions there were.
    pub(crate) fn turn(&self) -> usize {
        let pending = {
            let mut uring = self.uring.borrow_mut();
            let submission = uring.submission();
            let queued = submission.len();
            let taskrun = submission.taskrun() || submission.cq_overflow();
            drop(submission);
            (queued, taskrun)
        };
        if pending.0 > 0 || pending.1 {
            self.enter(pending.0 as u32);
        }
        let count = self.reap();
        if count >= DEFERRED_RUN_MAX {
            // The kernel runs only so many deferred completions a call, and its flag does not tell of those left.
            self.enter(0);
            return count + self.reap();
        }
        count
    }

    fn enter(&self, to_submit: u32) {
        let uring = self.uring.borrow();
        // SAFETY: no argument structure is passed; the entries were checked when they were pushed.
        let result = unsafe {
            uring
                .submitter()
                .enter::<libc::sigset_t>(to_submit, 0, ENTER_GETEVENTS, None)
        };
        match result {
            Ok(_) => {}
            // EINTR, EAGAIN and EBUSY leave the entries queued for the next turn.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)) => {}
            Err(e) => panic!("io_uring_enter failed: {e}"),
        }
    }

    fn reap(&self) -> usize {
        let mut count = 0;
        loop {
            // One entry at a time: waking and dropping what orphans held must not happen under the ring's borrow.
            let Some(entry) = self.uring.borrow_mut().completion().next() else {
                return count;
            };
            count += 1;
            self.complete(&entry);
        }
    }

    fn push(&self, entry: squeue::Entry) {
        loop {
            {
                let mut uring = self.uring.borrow_mut();
                // SAFETY: whatever the entry points to is owned by the operation's slot or future until completion.
                if unsafe { uring.submission().push(&entry) }.is_ok() {
                    break;
                }
            }
            self.flush();
        }
        if self.parked.get() {
            self.flush();
        }
    }

    fn flush(&self) {
        let queued = self.uring.borrow_mut().submission().len();
        let uring = self.uring.borrow();
        // SAFETY: as in `enter`; flags are empty, completions are left for the poller.
        let _ = unsafe {
            uring
                .submitter()
                .enter::<libc::sigset_t>(queued as u32, 0, 0, None)
        };
    }

    /// Starts an operation whose memory is `resource`.
    ///
    /// # Safety
    /// `entry` points only into memory that `resource` owns behind a stable address, and names only descriptors that stay
    /// open as long as `resource` lives.
    pub(crate) unsafe fn start<T: 'static>(self: &Rc<Self>, entry: squeue::Entry, resource: T) -> Op<T> {
        let index = self.slots.borrow_mut().insert(Slot::Waiting(None));
        self.push(entry.user_data(index as u64));
        Op {
            ring: self.clone(),
            index,
            resource: Some(resource),
            finished: false,
        }
    }

    /// Starts a multishot operation.
    ///
    /// # Safety
    /// As for [`Ring::start`], with `keep` for `resource`.
    pub(crate) unsafe fn start_stream<T: 'static>(
        self: &Rc<Self>,
        entry: squeue::Entry,
        keep: T,
    ) -> OpStream<T> {
        let slot = Slot::Stream {
            ready: VecDeque::new(),
            waker: None,
            ended: false,
        };
        let index = self.slots.borrow_mut().insert(slot);
        self.push(entry.user_data(index as u64));
        OpStream {
            ring: self.clone(),
            index,
            keep: Some(keep),
        }
    }

    /// Wakes another core's ring (`IORING_OP_MSG_RING`).
    pub(crate) fn wake_ring(&self, ring_fd: RawFd) {
        let entry = opcode::MsgRingData::new(types::Fd(ring_fd), 0, TAG_WAKE, None)
            .build()
            .user_data(TAG_IGNORE)
            .flags(squeue::Flags::SKIP_SUCCESS);
        self.push(entry);
    }

    fn cancel(&self, index: usize) {
        self.push(
            opcode::AsyncCancel::new(index as u64)
                .build()
                .user_data(TAG_IGNORE),
        );
    }

    /// Prepares to sleep: completions ring the eventfd from here on. False when there is something to do first.
    pub(crate) fn begin_park(&self) -> bool {
        self.parked.set(true);
        self.uring.borrow_mut().completion().enable_eventfd();
        // The kernel sets its flag and then looks whether the eventfd is enabled; we enable it and then look at the flag. Without
        // a full barrier between, both may look too early, and nothing would ever wake this core.
        fence(Ordering::SeqCst);
        // Deferred completions that an earlier call left over show in no flag: asking is the only way to know.
        self.enter(0);
        let mut uring = self.uring.borrow_mut();
        let submission = uring.submission();
        let busy = !submission.is_empty() || submission.taskrun() || submission.cq_overflow();
        drop(submission);
        !busy && uring.completion().is_empty()
    }

    /// Back to polling.
    pub(crate) fn end_park(&self) {
        self.uring.borrow_mut().completion().disable_eventfd();
        self.parked.set(false);
        // Deferred completions of operations submitted while parked run now.
        self.enter(0);
    }
}
