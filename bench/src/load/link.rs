//! A lane's connection as its worker drives it: nothing here waits.

use std::collections::VecDeque;

use anyhow::Context;

use super::job::{Job, Lane, Pace, Window};
use super::outcome::Answers;
use super::requests::Requests;
use crate::client::connection::{Connection, Poll};
use crate::client::produce;
use crate::clock::now_ns;
use crate::report::recorder::Recorder;

/// What the links of a worker share.
pub struct Sending<'a> {
    /// Makes requests.
    pub requests: Requests,
    /// Takes answers.
    pub answers: Answers<'a>,
    /// How late requests were begun, in an open loop.
    pub lateness: Recorder,
    /// Requests begun and not answered, of all links.
    pub under_way: usize,
}

/// One connection.
pub struct Link<'a> {
    job: &'a Job,
    lane: &'a Lane,
    connection: Connection,
    /// When the first messages of the requests under way were meant to be sent, oldest first.
    stamps: VecDeque<u64>,
    /// What the socket has not taken yet of the request begun last.
    unsent: Vec<u8>,
    /// Requests begun.
    turn: u64,
}

impl<'a> Link<'a> {
    /// Connects.
    pub fn open(job: &'a Job, lane: &'a Lane) -> anyhow::Result<Link<'a>> {
        Ok(Link {
            job,
            lane,
            connection: Connection::open(&lane.address, Poll::Busy)?,
            stamps: VecDeque::with_capacity(16),
            unsent: Vec::new(),
            turn: 0,
        })
    }

    /// The number of its lane.
    pub fn index(&self) -> usize {
        self.lane.index
    }

    /// Its connection.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends what is due and the socket takes.
    pub fn send_due(&mut self, sending: &mut Sending<'a>) -> anyhow::Result<()> {
        let context = || format!("send to {}", self.lane.address);
        if !self.unsent.is_empty() {
            let sent = self
                .connection
                .sender
                .try_send(&self.unsent)
                .with_context(context)?;
            self.unsent.drain(..sent);
            if !self.unsent.is_empty() {
                return Ok(());
            }
            self.sent(sending);
        }
        while let Some(intended) = self.due(sending.answers.window, sending) {
            let frame = sending.requests.prepare(self.lane, self.turn, intended);
            self.turn += 1;
            sending.under_way += 1;
            self.stamps.push_back(intended);
            let sent = self
                .connection
                .sender
                .try_send(frame)
                .with_context(|| format!("send to {}", self.lane.address))?;
            if sent < frame.len() {
                self.unsent.extend_from_slice(&frame[sent..]);
                return Ok(());
            }
            self.sent(sending);
        }
        Ok(())
    }

    /// The stamp of the next request if it is to go out now.
    fn due(&self, window: &Window, sending: &mut Sending<'_>) -> Option<u64> {
        let now = now_ns();
        match self.job.pace {
            Pace::Closed { in_flight } => {
                (self.stamps.len() < in_flight && now < window.end_ns).then_some(now)
            }
            Pace::Open { rate } => {
                let intended = self.job.intended_ns(window, self.lane.index, self.turn, rate);
                let due = intended + self.job.held_ns(rate);
                if due > now || intended >= window.end_ns {
                    return None;
                }
                let measured = window.measures(intended);
                sending.lateness.record(now - due, now, 0, 0, measured);
                Some(intended)
            }
        }
    }

    /// acks=0: nothing is answered; a message counts when the socket has taken it.
    fn sent(&mut self, sending: &mut Sending<'_>) {
        if self.job.shape.acks == 0
            && let Some(stamp) = self.stamps.pop_front()
        {
            sending.under_way -= 1;
            sending.answers.take(stamp, 0);
        }
    }

    /// Takes the answers that have come.
    pub fn receive(&mut self, sending: &mut Sending<'_>) -> anyhow::Result<()> {
        while let Some(body) = self
            .connection
            .receiver
            .try_receive()
            .with_context(|| format!("receive from {}", self.lane.address))?
        {
            let answer = produce::parse(body, self.job.shape.version)?;
            let stamp = self.stamps.pop_front().context("an answer without a request")?;
            sending.under_way -= 1;
            sending.answers.take(stamp, answer.error_code);
        }
        Ok(())
    }

    /// Gives up on what is not answered.
    pub fn give_up(&mut self, sending: &mut Sending<'_>) {
        while let Some(stamp) = self.stamps.pop_front() {
            sending.under_way -= 1;
            sending.answers.give_up(stamp);
        }
    }
}
