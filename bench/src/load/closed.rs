//! Closed loop on one connection, blocking: keep `in_flight` requests under way, send the next when one is answered.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context, bail};

use super::job::{Job, Lane, Window};
use super::outcome::{ANSWER_TIMEOUT, Answers, Outcome};
use super::requests::Requests;
use crate::client::connection::{Connection, Poll, timed_out};
use crate::client::produce;
use crate::clock::{nanos, now_ns, sleep_until};
use crate::report::recorder::Recorder;
use crate::stop::Stop;

/// How often a blocked read looks up whether the run has been stopped.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);

/// A lane, connected.
pub struct Closed<'a> {
    job: &'a Job,
    lane: &'a Lane,
    in_flight: usize,
    connection: Connection,
}

impl<'a> Closed<'a> {
    /// Connects.
    pub fn open(job: &'a Job, lane: &'a Lane, in_flight: usize) -> anyhow::Result<Closed<'a>> {
        let mut connection = Connection::open(&lane.address, Poll::Block)?;
        connection.receiver.set_timeout(Some(LOOK_UP_EVERY))?;
        Ok(Closed {
            job,
            lane,
            in_flight,
            connection,
        })
    }

    /// Drives it until the window ends and every answer is in.
    pub fn run(mut self, window: &Window, recorder: Recorder, stop: &Stop) -> anyhow::Result<Outcome> {
        let (job, lane) = (self.job, self.lane);
        let answered = job.shape.acks != 0;
        let mut requests = Requests::new(job, 0, lane.index as u64);
        let mut answers = Answers {
            outcome: Outcome::default(),
            recorder,
            window,
            records: job.shape.records as u64,
            value_bytes: job.shape.value_bytes as u64,
            spacing_ns: 0,
        };
        let mut sent_at: VecDeque<u64> = VecDeque::with_capacity(self.in_flight);
        let mut turn = 0;
        sleep_until(window.start_ns);
        loop {
            while sent_at.len() < self.in_flight && now_ns() < window.end_ns && !stop.is_set() {
                let frame = requests.prepare(lane, turn, now_ns());
                turn += 1;
                let stamp = now_ns();
                let sent = self.connection.sender.send(frame);
                sent.with_context(|| format!("send to {}", lane.address))?;
                if answered {
                    sent_at.push_back(stamp);
                } else {
                    answers.take(stamp, 0);
                }
            }
            let Some(&oldest) = sent_at.front() else { break };
            match self.connection.receiver.receive() {
                Ok(body) => {
                    sent_at.pop_front();
                    answers.take(oldest, produce::parse(body, job.shape.version)?.error_code);
                }
                Err(error) if timed_out(&error) && stop.is_set() => break,
                Err(error) if timed_out(&error) => {
                    if now_ns() - oldest > nanos(ANSWER_TIMEOUT) {
                        bail!(
                            "{} has not answered a request for {ANSWER_TIMEOUT:?}",
                            lane.address
                        );
                    }
                }
                Err(error) => return Err(error).with_context(|| format!("receive from {}", lane.address)),
            }
        }
        sent_at.into_iter().for_each(|stamp| answers.give_up(stamp));
        Ok(answers.finish())
    }
}
