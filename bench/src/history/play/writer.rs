//! Batches on their way: encoded by a foreign encoder, sent until their outcome is known or their producer gives up.

use anyhow::Context;
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, TransactionalId};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use tautline_core::error::ErrorCode;

use super::client::{Client, Patience, Verdict, verdict};
use crate::client::admin::{Topic, topic_name};
use crate::clock::{now_ns, wall_ms};
use crate::errors;
use crate::history::check::is_sequence_error;
use crate::history::event::{Outcome, Producer, Value, What, Write};
use crate::verify::record::{Mark, VALUE_BYTES_MIN};

/// From this version on topics go by their id.
const BY_ID: i16 = 13;
const TIMEOUT_MS: i32 = 10_000;
/// Records of a batch are at most so many.
const COUNT_MAX: u64 = 4;
/// Values are longer than the least by at most this.
const FILLER_MAX: u64 = 300;
/// One batch in so many has longer ones, so that segments fill up.
const LONG: u64 = 10;
const LONG_FILLER_MAX: u64 = 10_000;

/// One life of a producer: what it writes is numbered from 0, and so are its sequences.
pub struct Writer {
    /// Its name in values.
    pub number: u64,
    /// As whom it writes, if it is idempotent.
    pub producer: Option<Producer>,
    /// In whose name, if it is transactional.
    pub transactional_id: Option<String>,
    /// Produce version.
    pub version: i16,
    /// 1 or -1.
    pub acks: i16,
    next_value: u64,
    next_sequence: Vec<i32>,
}

/// A batch that can be sent.
pub struct Parcel {
    records: Bytes,
    /// What the history says of it so far.
    write: Write,
    /// Whether an attempt may have stored it.
    unsure: bool,
}

impl Parcel {
    /// Records that nobody knows what became of it.
    pub fn abandon(self, client: &mut Client<'_>, began_ns: u64) {
        client.record(began_ns, What::Write(self.write));
    }
}

impl Writer {
    /// A new life.
    pub fn new(client: &mut Client<'_>, version: i16) -> Writer {
        Writer {
            number: client.field.number(),
            producer: None,
            transactional_id: None,
            version,
            acks: -1,
            next_value: 0,
            next_sequence: vec![0; client.field.partitions() as usize],
        }
    }

    /// Goes on as another producer, or with another epoch: sequences begin anew.
    pub fn become_producer(&mut self, producer: Producer) {
        if self.producer != Some(producer) {
            self.producer = Some(producer);
            self.next_sequence.fill(0);
        }
    }

    /// The next batch for a partition. Its sequences count as used.
    pub fn pack(
        &mut self,
        client: &mut Client<'_>,
        partition: i32,
        transaction: Option<u64>,
    ) -> anyhow::Result<Parcel> {
        let count = 1 + client.random.below(COUNT_MAX) as u32;
        let first = Value {
            writer: self.number,
            sequence: self.next_value,
        };
        let write = Write {
            partition,
            first,
            count,
            producer: self.producer,
            transaction,
            outcome: Outcome::Unknown,
        };
        let sequence = &mut self.next_sequence[partition as usize];
        let filler_max = if client.random.once_in(LONG) {
            LONG_FILLER_MAX
        } else {
            FILLER_MAX
        };
        let fillers = (0..count).map(|_| client.random.below(filler_max) as usize);
        let records = encode(&write, *sequence, &fillers.collect::<Vec<_>>())?;
        self.next_value += u64::from(count);
        *sequence += count as i32;
        Ok(Parcel {
            records,
            write,
            unsure: false,
        })
    }

    /// One request for batches of different partitions.
    pub fn request(&self, topic: &Topic, parcels: &[Parcel]) -> ProduceRequest {
        let partitions = parcels.iter().map(|parcel| {
            PartitionProduceData::default()
                .with_index(parcel.write.partition)
                .with_records(Some(parcel.records.clone()))
        });
        let data = TopicProduceData::default().with_partition_data(partitions.collect());
        let data = if self.version >= BY_ID {
            data.with_topic_id(topic.id)
        } else {
            data.with_name(topic_name(&topic.name))
        };
        let id = self.transactional_id.clone().map(StrBytes::from_string);
        ProduceRequest::default()
            .with_transactional_id(id.map(TransactionalId))
            .with_acks(self.acks)
            .with_timeout_ms(TIMEOUT_MS)
            .with_topic_data(vec![data])
    }

    /// Packs a batch for each of these partitions, and sends them in one request until the outcome of all is known or the producer
    /// gives up. An idempotent one sends again what may not have come, and now and then dies instead. True if all are
    /// acknowledged; everything is recorded.
    pub fn write(&self, client: &mut Client<'_>, mut waiting: Vec<Parcel>) -> anyhow::Result<bool> {
        const DIE_SENDING: u64 = 60;
        const DIE_WAITING: u64 = 4;
        let topic = client.field.topic.clone();
        let began_ns = now_ns();
        if client.random.once_in(DIE_SENDING) {
            client.send_and_die(&self.request(&topic, &waiting), self.version)?;
            give_up(client, began_ns, waiting, None);
            return Ok(false);
        }
        let (mut all, mut patience) = (true, Patience::new());
        while !waiting.is_empty() {
            let answer = client.ask(&self.request(&topic, &waiting), self.version)?;
            let mut gives_up = false;
            let mut last_code = None;
            match answer {
                None => {
                    waiting.iter_mut().for_each(|parcel| parcel.unsure = true);
                    gives_up = client.random.once_in(DIE_WAITING);
                }
                Some(answer) => {
                    for mut parcel in std::mem::take(&mut waiting) {
                        let (code, base_offset) = answer_for(&answer, parcel.write.partition)?;
                        match settle(&mut parcel, code, base_offset) {
                            Some(outcome) => {
                                all &= matches!(outcome, Outcome::Ok(_));
                                parcel.write.outcome = outcome;
                                client.record(began_ns, What::Write(parcel.write));
                            }
                            None => {
                                last_code = Some(code);
                                waiting.push(parcel);
                            }
                        }
                    }
                }
            }
            let sends_once = self.producer.is_none() && waiting.iter().any(|parcel| parcel.unsure);
            if !waiting.is_empty() && (gives_up || sends_once || !client.may_retry(&mut patience)) {
                give_up(client, began_ns, waiting, last_code);
                return Ok(false);
            }
        }
        Ok(all)
    }
}

/// Records batches whose outcome isn't known, or that were refused with this code to the last.
fn give_up(client: &mut Client<'_>, began_ns: u64, parcels: Vec<Parcel>, code: Option<i16>) {
    for mut parcel in parcels {
        parcel.write.outcome = match code {
            Some(code) if !parcel.unsure => Outcome::Fail(code),
            _ => Outcome::Unknown,
        };
        client.record(began_ns, What::Write(parcel.write));
    }
}

/// What the answer says of a partition: error code and offset.
fn answer_for(answer: &ProduceResponse, partition: i32) -> anyhow::Result<(i16, i64)> {
    let mut told = answer
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses);
    let told = told.find(|told| told.index == partition);
    let told = told.context("the answer to Produce leaves a partition out")?;
    Ok((told.error_code, told.base_offset))
}

/// The outcome; none if it is to be sent again.
fn settle(parcel: &mut Parcel, code: i16, base_offset: i64) -> Option<Outcome<Option<i64>>> {
    if errors::is(code, ErrorCode::DuplicateSequenceNumber) {
        return Some(Outcome::Ok(None));
    }
    match verdict(code) {
        Verdict::Done => Some(Outcome::Ok((base_offset >= 0).then_some(base_offset))),
        Verdict::Again => None,
        Verdict::Unsure => {
            parcel.unsure = true;
            None
        }
        // That the broker has forgotten a sequence is a finding, whatever came before.
        Verdict::Refused if parcel.unsure && !is_sequence_error(code) => Some(Outcome::Unknown),
        Verdict::Refused => Some(Outcome::Fail(code)),
    }
}

fn encode(write: &Write, base_sequence: i32, fillers: &[usize]) -> anyhow::Result<Bytes> {
    let timestamp = wall_ms();
    let records = (0..)
        .zip(write.values())
        .zip(fillers)
        .map(|((nth, value), filler)| {
            let mut bytes = vec![0; VALUE_BYTES_MIN + filler];
            let mark = Mark {
                writer: value.writer,
                sequence: value.sequence,
                idempotent: write.producer.is_some(),
            };
            mark.write(&mut bytes);
            Record {
                transactional: write.transaction.is_some(),
                control: false,
                delete_horizon: false,
                partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
                producer_id: write.producer.map_or(-1, |producer| producer.id),
                producer_epoch: write.producer.map_or(-1, |producer| producer.epoch),
                timestamp_type: TimestampType::Creation,
                offset: i64::from(nth),
                // The encoder starts a new batch where offsets and sequences don't go together.
                sequence: if write.producer.is_some() {
                    base_sequence + nth
                } else {
                    nth - 1
                },
                timestamp,
                key: None,
                value: Some(bytes.into()),
                headers: Default::default(),
            }
        });
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records.collect::<Vec<_>>(), &options)?;
    Ok(bytes.freeze())
}
