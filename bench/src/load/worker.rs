//! One pinned thread that drives any number of connections, producers and consumers together, over one epoll.
//!
//! Open loop keeps its schedule whatever the broker does: a request that is due is written when the socket takes it, and
//! its latency counts from when its messages were *meant* to be sent. Nothing is allocated for a message.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::job::{Job, Lane, Pace, Window};
use super::link::{Link, Sending};
use super::outcome::{ANSWER_TIMEOUT, Answers, Outcome};
use super::reader::Reader;
use super::requests::Requests;
use crate::client::connection::Poll;
use crate::clock::{SECOND_NS, nanos, now_ns, sleep_until, wake_precisely};
use crate::report::recorder::Recorder;
use crate::stop::Stop;

/// Longest sleep, so that a stop is noticed.
const LOOK_UP_EVERY: Duration = Duration::from_millis(20);
/// Events taken at once.
const EVENTS_MAX: usize = 256;
/// Requests sent before answers are looked at, when many are due.
const SENDS_MAX: usize = 64;

/// What the threads of a run tell each other.
#[derive(Default)]
pub struct Shared {
    /// Threads that still produce.
    pub producing: AtomicUsize,
    /// Messages acknowledged to those that no longer do.
    pub acknowledged: AtomicU64,
    /// Messages that readers have received.
    pub received: AtomicU64,
    /// Tells readers to end.
    pub stop_reading: Stop,
}

/// Where a worker's latencies go.
pub struct Recorders {
    /// Of answers, from the intended send.
    pub produce: Recorder,
    /// From the intended send to receipt.
    pub e2e: Recorder,
    /// How late requests were begun.
    pub lateness: Recorder,
}

/// The thread's connections.
pub struct Worker<'a> {
    job: &'a Job,
    links: Vec<Link<'a>>,
    readers: Vec<Reader>,
    epoll: OwnedFd,
    /// The lane whose request is due next, in an open loop, and which of its requests.
    next: (usize, u64),
    /// Whether lanes have anything to send or to be answered; later answers are of what was given up.
    producing: bool,
}

impl<'a> Worker<'a> {
    /// Connects the lanes; readers are connected already.
    pub fn open(job: &'a Job, lanes: &[&'a Lane], readers: Vec<Reader>) -> anyhow::Result<Worker<'a>> {
        let epoll = epoll::create(CreateFlags::CLOEXEC).context("create an epoll")?;
        let links = lanes.iter().map(|lane| Link::open(job, lane));
        let links = links.collect::<anyhow::Result<Vec<_>>>()?;
        let sockets = links.iter().map(|link| link.connection().receiver.socket());
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        for (at, socket) in sockets.chain(readers.iter().map(Reader::socket)).enumerate() {
            epoll::add(&epoll, socket, EventData::new_u64(at as u64), flags).context("watch a socket")?;
        }
        Ok(Worker {
            job,
            producing: !links.is_empty(),
            links,
            readers,
            epoll,
            next: (0, 0),
        })
    }

    /// Whether it has anything to send.
    pub fn produces(&self) -> bool {
        self.producing
    }

    /// Drives them until the window ends and every answer is in, and readers are told to end.
    pub fn run(
        mut self,
        window: &'a Window,
        recorders: Recorders,
        shared: &Shared,
        stop: &Stop,
    ) -> anyhow::Result<Outcome> {
        let mut e2e = recorders.e2e;
        let mut sending = self.sending(window, recorders.produce, recorders.lateness);
        let mut events = Vec::with_capacity(EVENTS_MAX);
        wake_precisely();
        self.readers.iter_mut().try_for_each(Reader::ask)?;
        sleep_until(window.start_ns);
        let (began, mut busy_ns) = (now_ns(), 0);
        if let Pace::Closed { .. } = self.job.pace {
            self.links
                .iter_mut()
                .try_for_each(|link| link.send_due(&mut sending))?;
        }
        while !stop.is_set() {
            let turned = now_ns();
            let sent = self.send_due(turned, window, &mut sending)?;
            if self.producing && self.has_ended(turned, window, &sending) {
                self.links.iter_mut().for_each(|link| link.give_up(&mut sending));
                shared
                    .acknowledged
                    .fetch_add(sending.answers.outcome.acknowledged, Ordering::Relaxed);
                shared.producing.fetch_sub(1, Ordering::Release);
                sending.answers.outcome.client_busy = Some(busy_ns as f64 / (turned - began).max(1) as f64);
                self.producing = false;
            }
            if !self.producing && (self.readers.is_empty() || shared.stop_reading.is_set()) {
                break;
            }
            let wait = self.wait(window);
            let sleeps = wait.tv_sec != 0 || wait.tv_nsec != 0;
            let until_sleep = if sleeps && sent { now_ns() - turned } else { 0 };
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&wait),
            ) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("wait for sockets"),
            }
            let woke = now_ns();
            for event in &events {
                self.handle(event, window, &mut sending, &mut e2e, shared)?;
            }
            // The wait itself counts as work where it found something without sleeping.
            if sent || !events.is_empty() {
                busy_ns += until_sleep + now_ns() - if sleeps { woke } else { turned };
            }
        }
        let busy = busy_ns as f64 / (now_ns() - began).max(1) as f64;
        sending.answers.outcome.client_busy.get_or_insert(busy);
        if self.producing {
            shared.producing.fetch_sub(1, Ordering::Release);
        }
        e2e.finish();
        sending.lateness.finish();
        Ok(sending.answers.finish())
    }

    fn sending(&self, window: &'a Window, produce: Recorder, lateness: Recorder) -> Sending<'a> {
        let (job, shape) = (self.job, &self.job.shape);
        let spacing_ns = match job.pace {
            Pace::Open { rate } => job.spacing_ns(rate),
            Pace::Closed { .. } => 0,
        };
        let seed = self.links.first().map_or(0, |link| link.index() as u64);
        Sending {
            requests: Requests::new(job, spacing_ns, seed),
            answers: Answers {
                outcome: Outcome::default(),
                recorder: produce,
                window,
                records: shape.records as u64,
                value_bytes: shape.value_bytes as u64,
                spacing_ns,
            },
            lateness,
            under_way: 0,
        }
    }

    /// When the next request of the schedule goes out; None when there is none.
    fn next_due(&self, window: &Window) -> Option<u64> {
        let Pace::Open { rate } = self.job.pace else {
            return None;
        };
        let index = self.links.get(self.next.0)?.index();
        let intended = self.job.intended_ns(window, index, self.next.1, rate);
        (intended < window.end_ns).then(|| intended + self.job.held_ns(rate))
    }

    /// Lets the lanes whose time has come send; whether there was one. A lane whose socket is full sends what it owes when
    /// there is room.
    fn send_due(&mut self, now: u64, window: &Window, sending: &mut Sending<'a>) -> anyhow::Result<bool> {
        let mut sent = 0;
        while sent < SENDS_MAX && self.next_due(window).is_some_and(|due| due <= now) {
            self.links[self.next.0].send_due(sending)?;
            self.next.0 += 1;
            if self.next.0 == self.links.len() {
                self.next = (0, self.next.1 + 1);
            }
            sent += 1;
        }
        Ok(sent > 0)
    }

    /// Whether all is sent and answered, or no answer is to be waited for any longer.
    fn has_ended(&self, now: u64, window: &Window, sending: &Sending<'_>) -> bool {
        now >= window.end_ns
            && self.next_due(window).is_none()
            && (sending.under_way == 0 || now > window.end_ns + nanos(ANSWER_TIMEOUT))
    }

    fn wait(&self, window: &Window) -> Timespec {
        let nanos = match self.job.poll {
            Poll::Busy => 0,
            Poll::Block => {
                let longest = nanos(LOOK_UP_EVERY);
                let due = self.next_due(window);
                due.map_or(longest, |due| due.saturating_sub(now_ns()).min(longest))
            }
        };
        Timespec {
            tv_sec: (nanos / SECOND_NS) as i64,
            tv_nsec: (nanos % SECOND_NS) as i64,
        }
    }

    fn handle(
        &mut self,
        event: &Event,
        window: &Window,
        sending: &mut Sending<'a>,
        e2e: &mut Recorder,
        shared: &Shared,
    ) -> anyhow::Result<()> {
        let at = event.data.u64() as usize;
        let flags = event.flags;
        if let Some(link) = self.links.get_mut(at) {
            if !self.producing {
                return Ok(());
            }
            link.receive(sending)?;
            // Room in the socket again, or in a closed loop an answer: both may let it send.
            return link.send_due(sending);
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            let reader = &mut self.readers[at - self.links.len()];
            let received = reader.take(window, e2e)?;
            shared.received.fetch_add(received, Ordering::Relaxed);
        }
        Ok(())
    }
}
