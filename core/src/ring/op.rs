//! A single-shot operation as a future.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use io_uring::cqueue;

use super::Ring;
use super::slot::{Completion, Slot};

/// A single-shot operation in flight, with the memory it borrows to the kernel.
pub(crate) struct Op<T: 'static> {
    pub(super) ring: Rc<Ring>,
    pub(super) index: usize,
    pub(super) resource: Option<T>,
    pub(super) finished: bool,
}

impl<T: 'static> Unpin for Op<T> {}

impl<T> Future for Op<T> {
    type Output = (Completion, T);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut slots = this.ring.slots.borrow_mut();
        match &mut slots[this.index] {
            Slot::Done(completion) => {
                let completion = *completion;
                slots.remove(this.index);
                drop(slots);
                this.finished = true;
                Poll::Ready((
                    completion,
                    this.resource.take().expect("polled once after completion"),
                ))
            }
            Slot::Waiting(waker) => {
                match waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
            _ => unreachable!("a slot with a live future waits or is done"),
        }
    }
}

impl<T> Drop for Op<T> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let mut slots = self.ring.slots.borrow_mut();
        match &slots[self.index] {
            Slot::Done(completion) => {
                let flags = completion.flags;
                slots.remove(self.index);
                drop(slots);
                if let Some(id) = cqueue::buffer_select(flags)
                    && let Some(buffers) = self.ring.receive_buffers.borrow_mut().as_mut()
                {
                    buffers.put_back(id);
                }
            }
            _ => {
                let resource = self.resource.take().map(|r| Box::new(r) as Box<dyn Any>);
                slots[self.index] = Slot::Orphan(resource);
                drop(slots);
                self.ring.cancel(self.index);
            }
        }
    }
}
