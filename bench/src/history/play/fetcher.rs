//! Fetch requests of one reader, with a fetch session (KIP-227) or without, and what their answers show.

use bytes::Bytes;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse};
use tautline_core::error::ErrorCode;

use crate::client::admin::{Topic, topic_name};
use crate::client::batch::{self, Batches};
use crate::errors;
use crate::history::event::{Aborted, Batch, Isolation, Marker, Poll, Polled, Producer, Value};
use crate::random::Random;
use crate::verify::record::Mark;

/// From this version on topics go by their id.
const BY_ID: i16 = 13;
const NO_SESSION: (i32, i32) = (0, -1);
const NEW_SESSION: (i32, i32) = (0, 0);

/// How a reader asks.
#[derive(Clone, Copy)]
pub struct Manner {
    /// Fetch version, from 7.
    pub version: i16,
    /// What it asks to see.
    pub isolation: Isolation,
    /// Whether it opens a fetch session.
    pub session: bool,
    /// Bytes of one partition.
    pub partition_bytes_max: i32,
    /// Bytes of an answer.
    pub bytes_max: i32,
    /// How long the broker may wait for news.
    pub wait_ms_max: i32,
    /// Whether it is the full read at the end.
    pub last: bool,
}

/// Where a reader is in a partition.
#[derive(Clone, Copy)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset it reads next.
    pub offset: i64,
    /// Whether it chose that offset anew and hasn't been answered since.
    pub sought: bool,
    /// The offset that the session knows.
    told: Option<i64>,
}

/// A reader's positions and session.
pub struct Fetcher {
    /// How it asks.
    pub manner: Manner,
    /// All partitions.
    pub positions: Vec<Position>,
    session: (i32, i32),
}

impl Fetcher {
    /// Begins at these offsets, by partition.
    pub fn new(manner: Manner, starts: &[i64]) -> Fetcher {
        let positions = (0..).zip(starts).map(|(partition, &offset)| Position {
            partition,
            offset,
            sought: true,
            told: None,
        });
        Fetcher {
            manner,
            positions: positions.collect(),
            session: if manner.session { NEW_SESSION } else { NO_SESSION },
        }
    }

    /// Goes to another offset.
    pub fn seek(&mut self, partition: i32, offset: i64) {
        let position = &mut self.positions[partition as usize];
        (position.offset, position.sought) = (offset, true);
    }

    /// Begins anew, as after a broken connection.
    pub fn forget_session(&mut self) {
        if self.manner.session {
            self.session = NEW_SESSION;
        }
        for position in &mut self.positions {
            position.told = None;
        }
    }

    /// The next request: in a session only what has changed, otherwise all partitions, in a random order so that each gets its turn
    /// where little is asked for.
    pub fn request(&mut self, topic: &Topic, random: &mut Random) -> FetchRequest {
        let mut asked: Vec<FetchPartition> = Vec::new();
        for position in &mut self.positions {
            if position.told == Some(position.offset) {
                continue;
            }
            if self.session != NO_SESSION {
                position.told = Some(position.offset);
            }
            asked.push(
                FetchPartition::default()
                    .with_partition(position.partition)
                    .with_fetch_offset(position.offset)
                    .with_partition_max_bytes(self.manner.partition_bytes_max),
            );
        }
        for at in (1..asked.len()).rev() {
            asked.swap(at, random.below(at as u64 + 1) as usize);
        }
        let topics = FetchTopic::default().with_partitions(asked);
        let topics = if self.manner.version >= BY_ID {
            topics.with_topic_id(topic.id)
        } else {
            topics.with_topic(topic_name(&topic.name))
        };
        let topics = if topics.partitions.is_empty() {
            Vec::new()
        } else {
            vec![topics]
        };
        FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_wait_ms(self.manner.wait_ms_max)
            .with_min_bytes(1)
            .with_max_bytes(self.manner.bytes_max)
            .with_isolation_level(i8::from(self.manner.isolation == Isolation::ReadCommitted))
            .with_session_id(self.session.0)
            .with_session_epoch(self.session.1)
            .with_topics(topics)
    }

    /// Reads an answer and moves on; none if the session was refused, and begins anew.
    pub fn take(&mut self, answer: FetchResponse) -> anyhow::Result<Option<Poll>> {
        let lost = [
            ErrorCode::FetchSessionIdNotFound,
            ErrorCode::InvalidFetchSessionEpoch,
            ErrorCode::FetchSessionTopicIdError,
        ];
        if lost.iter().any(|&error| errors::is(answer.error_code, error)) {
            self.forget_session();
            return Ok(None);
        }
        errors::check(answer.error_code, "Fetch")?;
        let incremental = self.session.1 > 0;
        if self.manner.session {
            match answer.session_id {
                // The broker has no room for one: every request is a full one.
                0 => self.forget_session(),
                id => self.session = (id, self.session.1 + 1),
            }
        }
        let mut partitions = Vec::new();
        for data in answer.responses.into_iter().flat_map(|topic| topic.partitions) {
            let Some(position) = usize::try_from(data.partition_index)
                .ok()
                .and_then(|at| self.positions.get_mut(at))
            else {
                anyhow::bail!("the answer to Fetch has partition {}", data.partition_index);
            };
            partitions.push(position.take(data));
        }
        Ok(Some(Poll {
            isolation: self.manner.isolation,
            incremental,
            last: self.manner.last,
            partitions,
        }))
    }
}

impl Position {
    fn take(&mut self, data: PartitionData) -> Polled {
        let batches = parse(&data.records.unwrap_or_default());
        let aborted = data.aborted_transactions.unwrap_or_default();
        let polled = Polled {
            partition: self.partition,
            from: self.offset,
            sought: self.sought,
            error: data.error_code,
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start: data.log_start_offset,
            aborted: aborted
                .into_iter()
                .map(|aborted| Aborted {
                    producer_id: aborted.producer_id.0,
                    first_offset: aborted.first_offset,
                })
                .collect(),
            batches,
        };
        self.sought = false;
        if polled.error == 0 {
            let ends = polled.batches.iter().map(|batch| batch.last_offset + 1);
            self.offset = ends.fold(self.offset, i64::max);
        }
        polled
    }
}

/// Batches as a reader meets them; one that is cut short at the end is left for the next answer.
fn parse(records: &Bytes) -> Vec<Batch> {
    let mut seen = Vec::new();
    for batch in Batches(records) {
        let Ok(batch) = batch else {
            seen.push(unreadable());
            break;
        };
        seen.push(read(&batch));
    }
    seen
}

fn read(batch: &batch::Batch<'_>) -> Batch {
    let mut seen = Batch {
        base_offset: batch.base_offset,
        last_offset: batch.next_offset() - 1,
        leader_epoch: batch.leader_epoch,
        producer: Producer {
            id: batch.producer_id,
            epoch: batch.producer_epoch,
        },
        transactional: batch.is_transactional(),
        marker: None,
        values: Vec::new(),
        damage: None,
    };
    seen.damage = read_records(batch, &mut seen).err();
    seen
}

fn read_records(batch: &batch::Batch<'_>, seen: &mut Batch) -> Result<(), &'static str> {
    if !batch.crc_matches() {
        return Err("its CRC doesn't match");
    }
    if batch.is_compressed() {
        return Err("it is compressed, nobody sent it so");
    }
    let mut expected = seen.base_offset;
    for record in batch.records() {
        let record = record.map_err(|_| "a record is malformed")?;
        if record.offset != expected {
            return Err("its offsets have gaps");
        }
        expected += 1;
        if batch.is_control() {
            // A control record's key: version, then 0 to abort and 1 to commit.
            seen.marker = match record.key {
                [_, _, 0, 0] => Some(Marker::Abort),
                [_, _, 0, 1] => Some(Marker::Commit),
                _ => return Err("an unknown control record"),
            };
        } else {
            let mark = Mark::read(record.value).ok_or("a value is damaged")?;
            seen.values.push(Value {
                writer: mark.writer,
                sequence: mark.sequence,
            });
        }
    }
    if expected != batch.next_offset() {
        return Err("it has fewer records than offsets");
    }
    Ok(())
}

fn unreadable() -> Batch {
    Batch {
        base_offset: -1,
        last_offset: -1,
        leader_epoch: -1,
        producer: Producer { id: -1, epoch: -1 },
        transactional: false,
        marker: None,
        values: Vec::new(),
        damage: Some("it isn't a batch"),
    }
}
