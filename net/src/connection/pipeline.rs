//! The requests of one connection that have started and are not answered yet, in the order of their arrival.
//!
//! Produce requests run ahead of their answers, as many as the bounds allow; of all others, whose answers may be large, one at a
//! time: so a client that asks and does not read pins the memory of one answer.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::future::LocalBoxFuture;
use tautline_core::buffer::Slice;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_core::stage::{Flight, Stage, Stamps};
use tautline_core::time::monotonic_ns;

use super::held::Holding;
use super::{Answer, ConnectionState, Frame, Held, Reply};
use crate::broker::Broker;
use crate::dispatch::Begun;
use crate::metrics::ApiGroup;

/// Requests of one connection that may run at a time; Kafka's clients send at most 5 produces ahead by default.
const REQUESTS_IN_FLIGHT_MAX: usize = 64;
/// Request bytes of one connection that may be in flight, beyond the first request.
const REQUEST_BYTES_IN_FLIGHT_MAX: usize = 16 << 20;
/// Places of Produce requests that a connection keeps for the next ones.
const SPARE_PLACES_MAX: usize = 8;

/// What is remembered of a request until it is answered.
pub struct Started {
    /// What it is counted with.
    group: ApiGroup,
    api: i16,
    stamps: Stamps,
    correlation_id: i32,
    partition: Option<(TopicId, PartitionIndex)>,
    frame_bytes: usize,
    holding: Option<Holding>,
    _counted: Counted,
}

/// Counts a request as in flight for as long as it lives.
struct Counted(Rc<Broker>);

impl Counted {
    fn new(broker: Rc<Broker>) -> Counted {
        broker.metrics.in_flight.add(1);
        Counted(broker)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.metrics.in_flight.add(-1);
    }
}

/// The place of a Produce or Fetch request, used for one after the other.
type Place<T> = Pin<Box<Option<T>>>;

/// A request on its way to its answer.
enum Running<P, F> {
    Produce(Place<P>),
    Fetch(Place<F>),
    Other(LocalBoxFuture<'static, Answer>),
    /// Answered before those that came first.
    Done(Option<Answer>),
}

impl<P: Future<Output = Answer>, F: Future<Output = Answer>> Running<P, F> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        match self {
            Running::Produce(place) => poll_in(place, cx),
            Running::Fetch(place) => poll_in(place, cx),
            Running::Other(other) => other.as_mut().poll(cx),
            Running::Done(answer) => Poll::Ready(answer.take().expect("an answer is taken once")),
        }
    }
}

fn poll_in<T: Future<Output = Answer>>(place: &mut Place<T>, cx: &mut Context<'_>) -> Poll<Answer> {
    let request = place.as_mut().as_pin_mut();
    request.expect("it is not answered yet").poll(cx)
}

/// How requests are started.
type Start<P, F> = fn(&Rc<Broker>, &Rc<ConnectionState>, Slice, Option<Rc<Held>>, Stamps) -> Begun<P, F>;

/// See the module.
pub struct Pipeline<P, F> {
    broker: Rc<Broker>,
    state: Rc<ConnectionState>,
    start: Start<P, F>,
    requests: VecDeque<(Started, Running<P, F>)>,
    /// How many of them are not Produce: 0 or 1.
    others: usize,
    places: Vec<Place<P>>,
    /// The place of a Fetch request, of which there is one at a time.
    fetch_place: Option<Place<F>>,
    bytes: usize,
    /// A request that may not start yet.
    held: Option<Frame>,
}

impl<P: Future<Output = Answer>, F: Future<Output = Answer>> Pipeline<P, F> {
    /// An empty one.
    pub fn new(broker: Rc<Broker>, state: Rc<ConnectionState>, start: Start<P, F>) -> Pipeline<P, F> {
        Pipeline {
            broker,
            state,
            start,
            requests: VecDeque::new(),
            others: 0,
            places: Vec::new(),
            fetch_place: None,
            bytes: 0,
            held: None,
        }
    }

    /// Whether nothing is left to be answered.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.held.is_none()
    }

    /// Whether another request can be taken.
    pub fn has_room(&self) -> bool {
        self.held.is_none()
            && self.requests.len() < REQUESTS_IN_FLIGHT_MAX
            && (self.requests.is_empty() || self.bytes < REQUEST_BYTES_IN_FLIGHT_MAX)
    }

    /// Takes a request, and starts it unless it must wait for those before it.
    pub fn take(&mut self, frame: Frame) {
        self.held = Some(frame);
        self.start_held();
    }

    fn start_held(&mut self) {
        let waits = |frame: &Frame| frame.group() != ApiGroup::Produce && self.others > 0;
        let Some(frame) = self.held.take_if(|frame| !waits(frame)) else {
            return;
        };
        let (group, api) = (frame.group(), frame.api());
        let Frame {
            mut bytes,
            charge,
            work,
            mut stamps,
        } = frame;
        stamps.lap(Stage::Queue, monotonic_ns());
        let is_in_receive_buffer = charge.is_none();
        // Those of Produce that fit one hold nothing else.
        let holds = group != ApiGroup::Produce || !is_in_receive_buffer;
        let mut holding = holds.then(|| Holding::new(charge, work));
        if let Some(holding) = holding.as_mut().filter(|_| is_in_receive_buffer) {
            // It may wait for long, and would keep a whole receive buffer.
            bytes = holding.copy(&bytes);
        }
        let held = holding.as_ref().map(Holding::held);
        let frame_bytes = bytes.len();
        self.broker.metrics.bytes_in.add(frame_bytes as u64);
        self.bytes += frame_bytes;
        let started = Started {
            group,
            api,
            stamps,
            correlation_id: 0,
            partition: None,
            frame_bytes,
            holding,
            _counted: Counted::new(self.broker.clone()),
        };
        self.state.in_flight.set(self.requests.len() + 1);
        let running = match (self.start)(&self.broker, &self.state, bytes, held, stamps) {
            Begun::Produce(produce) => {
                let mut place = self.places.pop().unwrap_or_else(|| Box::pin(None));
                place.set(Some(produce));
                Running::Produce(place)
            }
            Begun::Fetch(fetch) => {
                self.others += 1;
                let mut place = self.fetch_place.take().unwrap_or_else(|| Box::pin(None));
                place.set(Some(fetch));
                Running::Fetch(place)
            }
            Begun::Other(other) => {
                self.others += 1;
                Running::Other(other)
            }
        };
        self.requests.push_back((started, running));
    }

    /// The next answer, in the order of the requests. Pending while there is none.
    pub fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<(Started, Reply)> {
        let Some((_, first)) = self.requests.front_mut() else {
            return Poll::Pending;
        };
        if let Poll::Ready(answer) = first.poll(cx) {
            return Poll::Ready(self.pop(answer));
        }
        // Produce requests get on by themselves. Any other has to be polled, whoever is before it.
        for (_, running) in self.requests.iter_mut().skip(1) {
            if matches!(running, Running::Fetch(_) | Running::Other(_))
                && let Poll::Ready(answer) = running.poll(cx)
            {
                let done = std::mem::replace(running, Running::Done(Some(answer)));
                if let Running::Fetch(mut place) = done {
                    place.set(None);
                    self.fetch_place = Some(place);
                }
            }
        }
        Poll::Pending
    }

    fn pop(&mut self, answer: Answer) -> (Started, Reply) {
        let (mut started, running) = self.requests.pop_front().expect("it was just polled");
        match running {
            Running::Produce(mut place) => {
                place.set(None);
                if self.places.len() < SPARE_PLACES_MAX {
                    self.places.push(place);
                }
            }
            Running::Fetch(mut place) => {
                place.set(None);
                self.fetch_place = Some(place);
                self.others -= 1;
            }
            Running::Other(_) | Running::Done(_) => self.others -= 1,
        }
        self.bytes -= started.frame_bytes;
        // The request's bytes, and what was made of them, are gone by now.
        started.holding = None;
        started.stamps = answer.stamps;
        started.correlation_id = answer.correlation_id;
        started.partition = answer.partition;
        (started, answer.reply)
    }

    /// The answer is with the system, or there is none: what waited for it may start.
    pub fn answered(&mut self, mut started: Started, now_ns: u64) {
        started.stamps.lap(Stage::Respond, now_ns);
        let Started {
            group,
            api,
            stamps,
            correlation_id,
            partition,
            frame_bytes,
            ..
        } = started;
        let client = self.state.peer_address;
        self.broker.metrics.answered(group, &stamps, || Flight {
            api,
            correlation_id,
            client,
            bytes: frame_bytes as u32,
            partition,
            stamps,
        });
        drop(started);
        self.state.in_flight.set(self.requests.len());
        self.start_held();
    }
}
