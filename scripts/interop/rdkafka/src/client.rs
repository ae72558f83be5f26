//! What the checks ask of librdkafka: producers, consumers assigned by hand, and the admin client.

use std::time::{Duration, Instant};

use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedMessage, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tokio::runtime::Runtime;

use crate::harness::{DEADLINE, Outcome, Record, expect, refused};

pub struct Client {
    bootstrap: String,
    pub runtime: Runtime,
    pub admin: AdminClient<DefaultClientContext>,
    /// Consumers by their reset policy: closing one takes most of a second, so they are kept.
    pub strict: BaseConsumer,
    resetting: BaseConsumer,
}

/// How records are sent.
pub struct Producing<'a> {
    pub codec: &'a str,
    pub acks: &'a str,
    pub idempotent: bool,
    pub message_bytes_max: usize,
}

impl Default for Producing<'_> {
    fn default() -> Self {
        Producing {
            codec: "none",
            acks: "all",
            idempotent: false,
            message_bytes_max: 1_100_000,
        }
    }
}

impl Client {
    pub fn new(bootstrap: &str) -> Outcome<Client> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let admin = ClientConfig::new().set("bootstrap.servers", bootstrap).create()?;
        Ok(Client {
            bootstrap: bootstrap.into(),
            runtime,
            admin,
            strict: consumer(bootstrap, "error")?,
            resetting: consumer(bootstrap, "earliest")?,
        })
    }

    pub fn produce(&self, topic: &str, records: &[Record], how: &Producing) -> Outcome {
        let mut config = self.config();
        config
            .set("compression.type", how.codec)
            .set("acks", how.acks)
            .set("enable.idempotence", how.idempotent.to_string())
            .set("message.max.bytes", how.message_bytes_max.to_string());
        self.send(&config, records.iter().map(|r| (topic, r)))
    }

    pub fn produce_to_all(&self, records: &[(String, Record)]) -> Outcome {
        self.send(
            &self.config(),
            records.iter().map(|(topic, r)| (topic.as_str(), r)),
        )
    }

    fn send<'a>(
        &self,
        config: &ClientConfig,
        records: impl Iterator<Item = (&'a str, &'a Record)>,
    ) -> Outcome {
        let producer: FutureProducer = config.create()?;
        let mut sent = Vec::new();
        for (topic, record) in records {
            let headers = record
                .headers
                .iter()
                .fold(OwnedHeaders::new(), |headers, (key, value)| {
                    headers.insert(Header {
                        key,
                        value: value.as_ref(),
                    })
                });
            let mut wire = FutureRecord::to(topic)
                .partition(record.partition)
                .headers(headers);
            wire.payload = record.value.as_ref();
            wire.key = record.key.as_ref();
            wire.timestamp = record.timestamp_ms;
            sent.push(producer.send_result(wire).map_err(|(error, _)| refused(error))?);
        }
        producer.flush(DEADLINE).map_err(refused)?;
        for delivery in sent {
            self.runtime
                .block_on(delivery)?
                .map_err(|(error, _)| refused(error))?;
        }
        Ok(())
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("linger.ms", "5");
        config
    }

    pub fn read(
        &self,
        topic: &str,
        partition: i32,
        from: Offset,
        count: usize,
        reset: &str,
    ) -> Outcome<Vec<Record>> {
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, partition, from)?;
        Ok(self
            .read_all(&assignment, count, reset)?
            .into_iter()
            .map(|(_, record)| record)
            .collect())
    }

    pub fn read_all(
        &self,
        assignment: &TopicPartitionList,
        count: usize,
        reset: &str,
    ) -> Outcome<Vec<(String, Record)>> {
        let consumer = if reset == "error" {
            &self.strict
        } else {
            &self.resetting
        };
        consumer.assign(assignment)?;
        let got = take(consumer, count);
        consumer.unassign()?;
        got
    }

    pub fn bounds(&self, topic: &str, partition: i32) -> Outcome<(i64, i64)> {
        self.strict
            .fetch_watermarks(topic, partition, DEADLINE)
            .map_err(refused)
    }

    pub fn offset_for_time(&self, topic: &str, timestamp_ms: i64) -> Outcome<Offset> {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset(topic, 0, Offset::Offset(timestamp_ms))?;
        Ok(self
            .strict
            .offsets_for_times(wanted, DEADLINE)
            .map_err(refused)?
            .elements()[0]
            .offset())
    }
}

fn consumer(bootstrap: &str, reset: &str) -> Outcome<BaseConsumer> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "none")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "100")
        .set("auto.offset.reset", reset);
    Ok(config.create()?)
}

fn take(consumer: &BaseConsumer, count: usize) -> Outcome<Vec<(String, Record)>> {
    let (mut got, start) = (Vec::new(), Instant::now());
    while got.len() < count {
        let so_far = format!("got {} of {count} records within {DEADLINE:?}", got.len());
        expect(start.elapsed() < DEADLINE, so_far)?;
        match consumer.poll(Duration::from_secs(1)) {
            Some(Ok(message)) => got.push((message.topic().to_string(), to_record(&message))),
            Some(Err(error)) => return Err(refused(error)),
            None => {}
        }
    }
    Ok(got)
}

fn to_record(message: &BorrowedMessage) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|h| (h.key.to_string(), h.value.map(<[u8]>::to_vec)))
            .collect()
    });
    Record {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers,
        timestamp_ms: message.timestamp().to_millis(),
        partition: message.partition(),
        offset: message.offset(),
    }
}

/// librdkafka reports an offset out of range without a reset policy under a code of its own.
pub const NO_RESET_POLICY: RDKafkaErrorCode = RDKafkaErrorCode::AutoOffsetReset;
