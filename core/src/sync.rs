//! Waiting for something to happen on the same core, without locks.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use slab::Slab;

/// A bell that tasks of one core wait for. Cheap to ring when nobody waits.
#[derive(Default)]
pub struct Signal {
    rings: Cell<u64>,
    waiters: RefCell<Slab<Waker>>,
}

impl Signal {
    /// A signal that nobody waits for.
    pub fn new() -> Signal {
        Signal::default()
    }

    /// Completes every wait that began before this call.
    pub fn notify_all(&self) {
        self.rings.set(self.rings.get().wrapping_add(1));
        if self.waiters.borrow().is_empty() {
            return;
        }
        // Wakers only schedule; they never run a task in place, so the borrow can't be re-entered.
        for waker in self.waiters.borrow_mut().drain() {
            waker.wake();
        }
    }

    /// Completes at the next [`Signal::notify_all`] after this call (not after its first poll).
    pub fn wait(&self) -> Wait<'_> {
        Wait {
            signal: self,
            seen: self.rings.get(),
            slot: None,
        }
    }

    /// How many tasks wait.
    pub fn waiters(&self) -> usize {
        self.waiters.borrow().len()
    }
}

/// The future of [`Signal::wait`].
pub struct Wait<'a> {
    signal: &'a Signal,
    seen: u64,
    slot: Option<usize>,
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.signal.rings.get() != self.seen {
            self.slot = None;
            return Poll::Ready(());
        }
        let mut waiters = self.signal.waiters.borrow_mut();
        match self.slot {
            Some(slot) => waiters[slot].clone_from(cx.waker()),
            None => {
                let slot = waiters.insert(cx.waker().clone());
                drop(waiters);
                self.slot = Some(slot);
            }
        }
        Poll::Pending
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        // After a ring the slots were drained, and may belong to others by now.
        if let Some(slot) = self.slot
            && self.signal.rings.get() == self.seen
        {
            self.signal.waiters.borrow_mut().remove(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[test]
    fn rings_reach_waits_begun_before_and_not_after() {
        let signal = Signal::new();
        let early = signal.wait();
        signal.notify_all();
        let late = signal.wait();
        assert!(early.now_or_never().is_some());
        assert!(late.now_or_never().is_none());
        assert_eq!(signal.waiters(), 0, "a dropped wait leaves no waker behind");
    }
}
