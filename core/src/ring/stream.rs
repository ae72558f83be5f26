//! A multishot operation: one submission, many completions.

use std::any::Any;
use std::os::fd::{FromRawFd, OwnedFd};
use std::rc::Rc;
use std::task::Poll;

use super::Ring;
use super::slot::{Completion, Slot};

/// A multishot operation in flight.
pub(crate) struct OpStream<T: 'static> {
    pub(super) ring: Rc<Ring>,
    pub(super) index: usize,
    pub(super) keep: Option<T>,
}

impl<T: 'static> OpStream<T> {
    /// The next completion; None when the kernel ended the operation (start it again).
    pub async fn next(&mut self) -> Option<Completion> {
        std::future::poll_fn(|cx| {
            let mut slots = self.ring.slots.borrow_mut();
            let Slot::Stream { ready, waker, ended } = &mut slots[self.index] else {
                unreachable!("a live stream keeps its slot")
            };
            if let Some(completion) = ready.pop_front() {
                return Poll::Ready(Some(completion));
            }
            if *ended {
                return Poll::Ready(None);
            }
            *waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl<T> Drop for OpStream<T> {
    fn drop(&mut self) {
        let mut slots = self.ring.slots.borrow_mut();
        let Slot::Stream { ready, ended, .. } = &mut slots[self.index] else {
            return;
        };
        let ended = *ended;
        // Only accepts are streams: what arrived and was never taken is a connection to close.
        for completion in ready.drain(..).filter(|c| c.result >= 0) {
            // SAFETY: a non-negative result of an accept is a descriptor that nobody else owns.
            drop(unsafe { OwnedFd::from_raw_fd(completion.result) });
        }
        if ended {
            slots.remove(self.index);
        } else {
            let keep = self.keep.take().map(|k| Box::new(k) as Box<dyn Any>);
            slots[self.index] = Slot::Orphan(keep);
            drop(slots);
            self.ring.cancel(self.index);
        }
    }
}
