//! Cores talk only through these: one bounded lock-free SPSC ring for each ordered pair of cores.
//!
//! A message is pushed by the sending core and handled by the receiving core's poller, in batches, in order for each
//! pair. A receiver that sleeps is woken once, through its ring (MSG_RING).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use rtrb::{Consumer, Producer, RingBuffer};

use crate::ids::ShardId;
use crate::limits::MAILBOX_MESSAGES;
use crate::remote::Remote;
use crate::ring::Ring;

/// How to wake a core; known once its ring is up.
#[derive(Clone)]
pub(crate) struct Peer {
    pub remote: Remote,
    pub ring_fd: RawFd,
}

/// The peers of a mesh, filled in as the cores start.
type Peers = Arc<Vec<OnceLock<Peer>>>;

/// One core's ends of all its rings, before it runs on its thread.
pub(crate) struct Seat<M> {
    id: ShardId,
    outgoing: Vec<Option<Producer<M>>>,
    incoming: Vec<Option<Consumer<M>>>,
    peers: Peers,
}

/// Builds the rings between `count` cores.
pub(crate) fn mesh<M: Send>(count: usize) -> Vec<Seat<M>> {
    let peers: Peers = Arc::new((0..count).map(|_| OnceLock::new()).collect());
    let mut seats: Vec<Seat<M>> = (0..count)
        .map(|n| Seat {
            id: ShardId(n as u16),
            outgoing: (0..count).map(|_| None).collect(),
            incoming: (0..count).map(|_| None).collect(),
            peers: peers.clone(),
        })
        .collect();
    for from in 0..count {
        for to in (0..count).filter(|&to| to != from) {
            let (producer, consumer) = RingBuffer::new(MAILBOX_MESSAGES);
            seats[from].outgoing[to] = Some(producer);
            seats[to].incoming[from] = Some(consumer);
        }
    }
    seats
}

type Handler<M> = Box<dyn Fn(ShardId, M)>;

/// This core's end of the mesh. Clones are the same end.
pub struct Mailbox<M> {
    inner: Rc<Inner<M>>,
}

struct Inner<M> {
    id: ShardId,
    outgoing: RefCell<Vec<Option<Producer<M>>>>,
    incoming: RefCell<Vec<Option<Consumer<M>>>>,
    overflow: RefCell<Vec<VecDeque<M>>>,
    handler: RefCell<Option<Rc<Handler<M>>>>,
    peers: Peers,
}

impl<M> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Mailbox {
            inner: self.inner.clone(),
        }
    }
}

impl<M: 'static> Mailbox<M> {
    pub(crate) fn take_seat(seat: Seat<M>, me: Peer) -> Mailbox<M> {
        let _ = seat.peers[seat.id.0 as usize].set(me);
        let overflow = (0..seat.peers.len()).map(|_| VecDeque::new()).collect();
        Mailbox {
            inner: Rc::new(Inner {
                id: seat.id,
                outgoing: RefCell::new(seat.outgoing),
                incoming: RefCell::new(seat.incoming),
                overflow: RefCell::new(overflow),
                handler: RefCell::new(None),
                peers: seat.peers,
            }),
        }
    }

    /// This core.
    pub fn shard(&self) -> ShardId {
        self.inner.id
    }

    /// How many cores there are.
    pub fn shard_count(&self) -> usize {
        self.inner.peers.len()
    }

    /// Sets what is done with each message; it must not block, and spawns a task for what takes time.
    /// Messages that came earlier wait for it.
    pub fn on_message(&self, handler: impl Fn(ShardId, M) + 'static) {
        *self.inner.handler.borrow_mut() = Some(Rc::new(Box::new(handler)));
    }

    /// Queues a message for another core and wakes it if it sleeps.
    ///
    /// # Errors
    /// Gives the message back when [`MAILBOX_MESSAGES`] wait already.
    ///
    /// # Panics
    /// When `to` is this core: there is no ring to oneself.
    pub fn try_send(&self, to: ShardId, message: M) -> Result<(), M> {
        {
            let mut outgoing = self.inner.outgoing.borrow_mut();
            let ring = outgoing[to.0 as usize]
                .as_mut()
                .expect("a message goes to another core");
            if let Err(rtrb::PushError::Full(message)) = ring.push(message) {
                return Err(message);
            }
        }
        if let Some(peer) = self.inner.peers[to.0 as usize].get()
            && peer.remote.claim_wake()
        {
            Ring::current().wake_ring(peer.ring_fd);
        }
        Ok(())
    }

    /// Queues a message, in a queue of this core's own while the ring is full. Order is kept.
    ///
    /// What waits there is bounded by what the callers have in flight: the poller moves it on at every turn.
    pub fn post(&self, to: ShardId, message: M) {
        let mut waiting = self.inner.overflow.borrow_mut();
        let waiting = &mut waiting[to.0 as usize];
        if waiting.is_empty() {
            if let Err(message) = self.try_send(to, message) {
                waiting.push_back(message);
            }
        } else {
            waiting.push_back(message);
        }
    }

    /// Moves on what [`Mailbox::post`] had to keep; returns how many messages went.
    fn flush(&self) -> usize {
        let mut moved = 0;
        for (to, waiting) in self.inner.overflow.borrow_mut().iter_mut().enumerate() {
            while let Some(message) = waiting.pop_front() {
                if let Err(message) = self.try_send(ShardId(to as u16), message) {
                    waiting.push_front(message);
                    break;
                }
                moved += 1;
            }
        }
        moved
    }

    /// Whether something has arrived, or waits to be moved on: not the time to sleep.
    pub(crate) fn has_messages(&self) -> bool {
        let arrived = |ring: &Consumer<M>| !ring.is_empty();
        self.inner.incoming.borrow().iter().flatten().any(arrived)
            || self
                .inner
                .overflow
                .borrow()
                .iter()
                .any(|waiting| !waiting.is_empty())
    }

    /// Handles what has arrived; returns how many messages.
    pub(crate) fn drain(&self) -> usize {
        let Some(handler) = self.inner.handler.borrow().clone() else {
            return 0;
        };
        let mut count = self.flush();
        let peers = self.inner.peers.len();
        for from in 0..peers {
            loop {
                let message = match &mut self.inner.incoming.borrow_mut()[from] {
                    Some(ring) => ring.pop().ok(),
                    None => None,
                };
                let Some(message) = message else { break };
                handler(ShardId(from as u16), message);
                count += 1;
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::{PollMode, RuntimeOptions, start};
    use std::cell::Cell;
    use std::time::Duration;

    /// Two cores bounce a counter; more messages than a ring holds are posted at once, and none is lost or reordered.
    #[test]
    fn messages_arrive_in_order_also_when_the_ring_is_full_and_the_other_core_sleeps() {
        const COUNT: u64 = 3 * MAILBOX_MESSAGES as u64;
        let cores = crate::cpu::allowed_cores().unwrap();
        let options = RuntimeOptions {
            cores: vec![cores[0], cores[cores.len() - 1]],
            control_core: None,
            poll: PollMode::Park,
            spin: Duration::ZERO,
            memory_bytes: 64 << 20,
        };
        let shards = start(&options, |mailbox: Mailbox<u64>| async move {
            let expected = Rc::new(Cell::new(0));
            let done = Rc::new(crate::sync::Signal::new());
            let seen = (expected.clone(), done.clone());
            mailbox.on_message(move |_, value| {
                assert_eq!(value, seen.0.get());
                seen.0.set(value + 1);
                seen.1.notify_all();
            });
            let other = ShardId(1 - mailbox.shard().0);
            (0..COUNT).for_each(|value| mailbox.post(other, value));
            while expected.get() < COUNT {
                done.wait().await;
            }
            // Stay until what was posted here has left.
            while mailbox.has_messages() {
                crate::time::sleep(Duration::from_millis(1)).await;
            }
            expected.get()
        });
        assert_eq!(shards.unwrap().join().unwrap(), [COUNT, COUNT]);
    }
}
