//! Task queues by purpose: what a task is for decides its share of the core and how soon it runs.
//!
//! Compaction, retention, recovery and cold reads live in [`Queue::Background`] and can slow each other, never an
//! acknowledgement. Every queue has a latency, because a task woken in a queue without one can wait for 100 ms.

use std::cell::RefCell;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use glommio::{Latency, Shares, TaskQueueHandle, executor};

use crate::stall;

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queue {
    /// Client connections and the log's writes: the path of an acknowledgement.
    Produce,
    /// Reads for consumers that wait.
    Fetch,
    /// Traffic between brokers.
    Replication,
    /// Group and transaction coordinators, metadata.
    Coordination,
    /// Compaction, retention, recovery, pool refill.
    Background,
}

impl Queue {
    /// As a label.
    pub const fn name(self) -> &'static str {
        QUEUES[self as usize].1
    }
}

/// All queues by number: name, shares, and how soon a task that is ready runs.
pub const QUEUES: [(Queue, &str, usize, Duration); 5] = [
    (Queue::Produce, "produce", 1000, Duration::from_micros(500)),
    (Queue::Fetch, "fetch", 800, Duration::from_micros(500)),
    (Queue::Replication, "replication", 800, Duration::from_micros(500)),
    (Queue::Coordination, "coordination", 300, Duration::from_millis(1)),
    (Queue::Background, "background", 100, Duration::from_millis(5)),
];

thread_local! {
    static HANDLES: RefCell<Vec<TaskQueueHandle>> = const { RefCell::new(Vec::new()) };
}

pub(crate) fn install() {
    let handles = QUEUES
        .iter()
        .map(|(_, name, shares, latency)| {
            executor().create_task_queue(Shares::Static(*shares), Latency::Matters(*latency), name)
        })
        .collect();
    HANDLES.set(handles);
}

/// A running task. Dropping the handle lets it run on; awaiting it gives its result.
pub struct Task<T> {
    handle: glommio::task::JoinHandle<T>,
}

impl<T> Task<T> {
    /// Stops the task at its next suspension.
    pub fn cancel(&self) {
        self.handle.cancel();
    }
}

impl<T> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.handle).poll(cx) {
            Poll::Ready(Some(value)) => Poll::Ready(value),
            // A cancelled task has no result; whoever cancelled it does not wait for one.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// A task that says that it runs whenever it does.
struct Noted<F> {
    queue: Queue,
    spawned_at: &'static Location<'static>,
    future: F,
}

impl<F: Future> Future for Noted<F> {
    type Output = F::Output;

    #[expect(unsafe_code, reason = "a pinned field")]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        stall::runs(self.queue, self.spawned_at);
        // SAFETY: the future is pinned whenever this is, is moved by nobody, and nothing here is dropped by hand.
        let polled = unsafe { self.map_unchecked_mut(|noted| &mut noted.future) }.poll(cx);
        stall::rests();
        polled
    }
}

/// Runs `future` on this core, in the queue named.
///
/// # Panics
/// Outside a shard.
#[track_caller]
pub fn spawn<T: 'static>(queue: Queue, future: impl Future<Output = T> + 'static) -> Task<T> {
    let future = Noted {
        queue,
        spawned_at: Location::caller(),
        future,
    };
    let handle = HANDLES.with_borrow(|handles| handles[queue as usize]);
    let task = glommio::spawn_local_into(future, handle).expect("the queues live as long as the shard");
    Task {
        handle: task.detach(),
    }
}

/// Lets the other tasks of this queue, and the other queues, run first.
pub async fn yield_now() {
    executor().yield_now().await;
}

/// Lets others run if this queue has used up its time slice. Long loops call it.
pub async fn yield_if_needed() {
    glommio::yield_if_needed().await;
}
