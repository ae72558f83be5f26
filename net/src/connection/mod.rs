//! One client connection: frames in, responses out in the order of their requests.
//!
//! Requests start in the order in which they came, and run concurrently after that; a response waits for those before it.
//! What a connection may have in flight is bounded, in requests and in bytes; beyond it the socket is not read. A connection
//! that waits for its next request holds no memory but its task's, and the places in which its last requests ran.

mod call;
mod frame;
mod held;
mod log_limit;
mod memory;
mod pipeline;
mod response;
mod state;

use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use futures_util::stream::{Stream as _, unfold};
use tautline_core::socket::Stream;
use tautline_core::task::{Queue, spawn};
use tautline_core::time::monotonic_ns;

use self::pipeline::{Pipeline, Started};
use crate::broker::Broker;
use crate::dispatch::dispatch;

pub use call::{Answer, Call, Reply};
pub use frame::{Frame, FrameError, FrameReader};
pub use held::Held;
pub use log_limit::LogLimit;
pub use memory::RequestMemory;
pub use response::Response;
pub use state::{Activity, ConnectionState, Entrance};

/// Serves a connection from now on.
pub fn serve(broker: &Rc<Broker>, stream: Stream, entrance: Entrance) {
    let state = Rc::new(ConnectionState::new(stream, entrance));
    let slot = broker.connections.borrow_mut().insert(state.clone());
    broker.node.connections.fetch_add(1, Ordering::Relaxed);
    broker.metrics.connections_opened.add(1);
    let open = Open {
        broker: broker.clone(),
        slot,
    };
    let connection = state.clone();
    let task = spawn(Queue::Produce, async move {
        let Open { broker, .. } = &open;
        if let Err(reason) = run(broker, &connection).await {
            broker.metrics.connections_failed.add(1);
            if broker.log_limit.allows(monotonic_ns()) {
                tracing::warn!(client = %connection.peer, "connection closed: {reason}");
            }
        }
    });
    let _ = state.task.set(task);
}

/// A connection's place among the open ones, left when its task ends in whatever way.
struct Open {
    broker: Rc<Broker>,
    slot: usize,
}

impl Drop for Open {
    fn drop(&mut self) {
        let gone = self.broker.connections.borrow_mut().remove(self.slot);
        self.broker.node.connections.fetch_sub(1, Ordering::Relaxed);
        self.broker.metrics.connections_closed.add(1);
        drop(gone);
    }
}

enum Event {
    Frame(Option<Result<Frame, FrameError>>),
    Reply(Started, Reply),
}

async fn run(broker: &Rc<Broker>, state: &Rc<ConnectionState>) -> Result<(), String> {
    let frame_bytes_max = broker.settings().request_bytes_max;
    let reader = FrameReader::new(state.clone(), broker.request_memory.clone(), frame_bytes_max);
    let mut frames = pin!(unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(frame)) => Some((Ok(frame), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }));
    let mut pipeline = Pipeline::new(broker.clone(), state.clone(), dispatch);
    let broke = |error: std::io::Error| {
        tracing::debug!(client = %state.peer, "connection broke: {error}");
        Ok(())
    };
    loop {
        if state.leaving.get() && pipeline.is_empty() {
            return Ok(());
        }
        let reads = !state.leaving.get() && pipeline.has_room();
        state.reading.set(reads);
        let event = std::future::poll_fn(|cx| {
            if let Poll::Ready((started, reply)) = pipeline.poll_reply(cx) {
                return Poll::Ready(Event::Reply(started, reply));
            }
            if reads && let Poll::Ready(frame) = frames.as_mut().poll_next(cx) {
                return Poll::Ready(Event::Frame(frame));
            }
            Poll::Pending
        })
        .await;
        match event {
            Event::Frame(Some(Ok(frame))) => {
                state.touch();
                pipeline.take(frame);
            }
            Event::Frame(None) => {
                state.touch();
                state.leaving.set(true);
                state.note_end();
            }
            Event::Frame(Some(Err(FrameError::Io(error)))) => return broke(error),
            Event::Frame(Some(Err(error))) => return Err(error.to_string()),
            Event::Reply(_, Reply::Close(reason)) => return Err(reason),
            Event::Reply(started, reply) => {
                state.sending.set(true);
                let sent = send(broker, &state.stream, reply).await;
                state.sending.set(false);
                if let Err(error) = sent {
                    return broke(error);
                }
                pipeline.answered(started, state.touch());
            }
        }
    }
}

async fn send(broker: &Broker, stream: &Stream, reply: Reply) -> std::io::Result<()> {
    let sent = &broker.metrics.bytes_out;
    match reply {
        Reply::SendOne(slice) => {
            sent.add(slice.len() as u64);
            stream.send_one(slice).await
        }
        Reply::Send(response) => {
            sent.add(response.size_bytes() as u64);
            response.send(stream).await
        }
        Reply::Nothing | Reply::Close(_) => Ok(()),
    }
}
