//! A bound on how many tasks of one core do the same thing at a time. Those who wait go on in the order in which they came, each
//! woken once.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_channel::oneshot;

/// See the module. A clone is the same gate.
#[derive(Clone)]
pub struct Gate(Rc<Inner>);

struct Inner {
    free: Cell<usize>,
    /// Nobody waits while a turn is free.
    waiting: RefCell<VecDeque<oneshot::Sender<Turn>>>,
}

impl Gate {
    /// Lets `count` pass at a time.
    pub fn new(count: usize) -> Gate {
        Gate(Rc::new(Inner {
            free: Cell::new(count),
            waiting: RefCell::default(),
        }))
    }

    /// Waits for a turn, which lasts until it is dropped.
    pub async fn enter(&self) -> Turn {
        if let Some(left) = self.0.free.get().checked_sub(1) {
            self.0.free.set(left);
            return Turn(Some(self.0.clone()));
        }
        let (sender, turn) = oneshot::channel();
        self.0.waiting.borrow_mut().push_back(sender);
        turn.await
            .expect("the gate of those who wait is kept by this future")
    }
}

/// A turn. One that was handed to somebody who is gone is handed on.
pub struct Turn(Option<Rc<Inner>>);

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(gate) = self.0.take() else { return };
        let mut turn = Turn(Some(gate.clone()));
        loop {
            let Some(next) = gate.waiting.borrow_mut().pop_front() else {
                break;
            };
            match next.send(turn) {
                Ok(()) => return,
                // Whoever waited is gone.
                Err(back) => turn = back,
            }
        }
        turn.0 = None;
        gate.free.set(gate.free.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use futures_util::FutureExt;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn turns_go_to_those_who_wait_in_their_order() {
        let gate = Gate::new(1);
        let first = gate.enter().now_or_never().expect("it is free");
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let mut cx = Context::from_waker(&waker);
        let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(gate.enter())).collect();
        for one in &mut waiting {
            assert!(one.as_mut().poll(&mut cx).is_pending());
        }
        // The first one gives up before its turn, the second when it has it.
        drop(waiting.remove(0));
        drop(first);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "a turn wakes one");
        assert!(waiting[1].as_mut().poll(&mut cx).is_pending());
        drop(waiting.remove(0));
        let Poll::Ready(turn) = waiting.remove(0).as_mut().poll(&mut cx) else {
            panic!("the turn is handed on");
        };
        assert!(gate.enter().now_or_never().is_none());
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        drop(turn);
        assert!(gate.enter().now_or_never().is_none(), "the last one has it");
        drop(waiting);
        assert!(gate.enter().now_or_never().is_some());
    }
}
