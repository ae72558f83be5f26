//! What the ring remembers of an operation in flight, and what a completion does to it.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::task::Waker;

use io_uring::cqueue;

use super::{Ring, TAG_IGNORE};

/// What an operation in flight is waiting for.
pub(super) enum Slot {
    /// Submitted; the task to wake.
    Waiting(Option<Waker>),
    /// Completed, not yet seen by its future.
    Done(Completion),
    /// Its future is gone; what it borrowed to the kernel is kept here until the completion.
    Orphan(#[expect(dead_code, reason = "held until the kernel lets go")] Option<Box<dyn Any>>),
    /// A multishot operation: completions so far.
    Stream {
        ready: VecDeque<Completion>,
        waker: Option<Waker>,
        ended: bool,
    },
}

/// Result and flags of a completion.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub result: i32,
    pub flags: u32,
}

impl Completion {
    pub fn into_result(self) -> io::Result<usize> {
        if self.result < 0 {
            Err(io::Error::from_raw_os_error(-self.result))
        } else {
            Ok(self.result as usize)
        }
    }
}

impl Ring {
    /// Takes note of a completion, and wakes who waits for it.
    pub(super) fn complete(&self, entry: &cqueue::Entry) {
        let tag = entry.user_data();
        if tag >= TAG_IGNORE {
            return;
        }
        let completion = Completion {
            result: entry.result(),
            flags: entry.flags(),
        };
        let more = cqueue::more(entry.flags());
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(tag as usize) else {
            debug_assert!(false, "completion of an unknown operation");
            return;
        };
        match slot {
            Slot::Waiting(waker) => {
                let waker = waker.take();
                *slot = Slot::Done(completion);
                drop(slots);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Slot::Stream { ready, waker, ended } => {
                ready.push_back(completion);
                *ended = !more;
                let waker = waker.take();
                drop(slots);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Slot::Orphan(_) => {
                // A late accept hands over a descriptor nobody will use; a late receive a buffer of the ring.
                if !more {
                    let gone = slots.remove(tag as usize);
                    drop(slots);
                    drop(gone);
                }
                if let Some(id) = cqueue::buffer_select(completion.flags)
                    && let Some(buffers) = self.receive_buffers.borrow_mut().as_mut()
                {
                    buffers.put_back(id);
                }
            }
            Slot::Done(_) => debug_assert!(false, "a single-shot operation completed twice"),
        }
    }
}
