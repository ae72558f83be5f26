//! A reader of some partitions of one broker: long-poll Fetch in a session, latency by the stamp in each message.
//!
//! It never waits: the worker that owns it calls it when its socket has something.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tautline_core::error::ErrorCode;

use super::job::{Job, Window};
use crate::client::admin::{Admin, LATEST};
use crate::client::batch::Batches;
use crate::client::connection::{Connection, Poll};
use crate::client::fetch::{self, FetchRequest, Fetched, Position, Session};
use crate::clock::now_ns;
use crate::errors;
use crate::report::recorder::Recorder;

/// How long the broker may hold a Fetch.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// Bytes of one partition in an answer.
pub const PARTITION_BYTES_MAX: i32 = 1 << 20;
/// Bytes of an answer.
pub const ANSWER_BYTES_MAX: i32 = 50 << 20;

/// A Fetch request for a topic, not yet encoded.
pub fn request(topic: &str, topic_id: uuid::Uuid, version: i16) -> FetchRequest {
    FetchRequest {
        version,
        topic: topic.into(),
        topic_id,
        wait_ms_max: FETCH_WAIT.as_millis() as i32,
        partition_bytes_max: PARTITION_BYTES_MAX,
        bytes_max: ANSWER_BYTES_MAX,
        frame: Vec::new(),
    }
}

/// One reader.
pub struct Reader {
    connection: Connection,
    address: String,
    request: FetchRequest,
    session: Session,
    correlation: i32,
    places: Places,
}

/// Where it reads on.
struct Places {
    positions: Vec<Position>,
    /// The place of each partition in `positions`; `u32::MAX` for those of others.
    index: Vec<u32>,
    /// Places that have moved since the last request.
    moved: Vec<u32>,
}

impl Reader {
    /// Connects to the leader of `partitions` and stands at their ends.
    pub fn at_end(
        job: &Job,
        fetch_version: i16,
        address: &str,
        partitions: &[i32],
    ) -> anyhow::Result<Reader> {
        let ends = Admin::connect(address)?.list_offsets(&job.shape.topic, partitions, LATEST)?;
        let mut index = vec![u32::MAX; ends.iter().map(|end| end.0 as usize + 1).max().unwrap_or(0)];
        for (at, &(partition, _)) in ends.iter().enumerate() {
            index[partition as usize] = at as u32;
        }
        let position = |(partition, offset)| Position { partition, offset };
        Ok(Reader {
            connection: Connection::open(address, Poll::Busy)?,
            address: address.into(),
            request: request(&job.shape.topic, job.shape.topic_id, fetch_version),
            session: Session::OPEN,
            correlation: 0,
            places: Places {
                moved: Vec::with_capacity(ends.len()),
                positions: ends.into_iter().map(position).collect(),
                index,
            },
        })
    }

    /// The socket, to wait for.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.connection.receiver.socket()
    }

    /// Sends the next Fetch: everything to open a session, then what has moved.
    pub fn ask(&mut self) -> anyhow::Result<()> {
        self.correlation = self.correlation.wrapping_add(1);
        let Places { positions, moved, .. } = &mut self.places;
        let frame = if self.session.is_full() {
            self.request
                .encode_in(self.session, self.correlation, positions.iter().copied())
        } else {
            let moved = moved.iter().map(|&at| positions[at as usize]);
            self.request.encode_in(self.session, self.correlation, moved)
        };
        moved.clear();
        self.connection
            .sender
            .send(frame)
            .with_context(|| format!("send to {}", self.address))
    }

    /// Takes the answers that have come and asks again; the number of messages received. Records the latency of those
    /// that the window measures.
    pub fn take(&mut self, window: &Window, recorder: &mut Recorder) -> anyhow::Result<u64> {
        let mut received = 0;
        while let Some(body) = self
            .connection
            .receiver
            .try_receive()
            .with_context(|| format!("receive from {}", self.address))?
        {
            let now = now_ns();
            let places = &mut self.places;
            let mut counted = Ok(0);
            let error = fetch::parse(body, self.request.version, |fetched| {
                if let Ok(sum) = &counted {
                    counted = places
                        .take(fetched, window, now, recorder)
                        .map(|count| sum + count);
                }
            })?;
            self.session = match ErrorCode::from_code(error) {
                Some(ErrorCode::None) => self.session.next(fetch::session_id(body)?),
                // The broker has forgotten the session: open another.
                Some(ErrorCode::FetchSessionIdNotFound | ErrorCode::InvalidFetchSessionEpoch) => {
                    Session::OPEN
                }
                _ => bail!("{} answers Fetch with {}", self.address, errors::name(error)),
            };
            received += counted.with_context(|| format!("fetch from {}", self.address))?;
            self.ask()?;
        }
        Ok(received)
    }
}

impl Places {
    fn take(
        &mut self,
        fetched: Fetched<'_>,
        window: &Window,
        now: u64,
        recorder: &mut Recorder,
    ) -> anyhow::Result<u64> {
        if fetched.error_code != 0 {
            bail!(
                "partition {}: {}",
                fetched.partition,
                errors::name(fetched.error_code)
            );
        }
        let at = self.index.get(fetched.partition as usize).copied();
        let at = at
            .filter(|&at| at != u32::MAX)
            .context("the broker answers for a partition that wasn't asked for")?;
        let position = &mut self.positions[at as usize];
        let before = position.offset;
        let mut received = 0;
        for batch in Batches(fetched.records) {
            let batch = batch?;
            if batch.next_offset() <= position.offset {
                continue;
            }
            ensure!(
                !batch.is_compressed(),
                "a compressed batch: something else writes to this topic"
            );
            for record in batch.records() {
                let record = record?;
                if record.offset < position.offset {
                    continue;
                }
                received += 1;
                let stamp = record
                    .value
                    .first_chunk::<8>()
                    .context("a message without a stamp: something else writes to this topic")?;
                let stamp = u64::from_be_bytes(*stamp);
                let latency = now.saturating_sub(stamp);
                recorder.record(latency, now, 1, record.value.len() as u64, window.measures(stamp));
            }
            position.offset = batch.next_offset();
        }
        if position.offset != before {
            self.moved.push(at);
        }
        Ok(received)
    }
}
