//! The interop checks through librdkafka's Rust binding. But for those of groups, partitions are assigned by hand.

mod admin;
mod client;
mod doomed;
mod fleet;
mod group_positions;
mod groups;
mod harness;
mod ledger;
mod load;
mod member;
mod refusals;
mod topics;

use std::collections::BTreeMap;

use rand::Rng;
use rdkafka::{Offset, TopicPartitionList};

use client::{Client, Producing};
use harness::{Outcome, Record, Run, expect, expect_equal, expect_same};

const PARTITIONS: i32 = 3;
const MANY_TOPICS: usize = 200;
const MANY_PARTITIONS: i32 = 8;
const MEGABYTE: usize = 1_000_000;

fn main() {
    if let Some(how) = doomed::wanted() {
        doomed::run(how);
    }
    let mut run = Run::new();
    let client = Client::new(&run.bootstrap).expect("a bootstrap address");
    basics(&mut run, &client);
    positions(&mut run, &client);
    payloads(&mut run, &client);
    refusals::checks(&mut run, &client);
    admin::checks(&mut run, &client);
    groups::checks(&mut run, &client);
    std::process::exit(i32::from(!run.finish())) // at once: a check that failed may have left members behind
}

/// Produces, then reads every partition from its start and compares byte for byte.
fn round_trip(client: &Client, topic: &str, partitions: i32, sent: &[Record], how: &Producing) -> Outcome {
    client.produce(topic, sent, how)?;
    for partition in 0..partitions {
        let wanted: Vec<Record> = sent
            .iter()
            .filter(|r| r.partition == partition)
            .cloned()
            .collect();
        let got = client.read(topic, partition, Offset::Beginning, wanted.len(), "error")?;
        expect_same(&got, &wanted)?;
        expect(
            got.iter().map(|r| r.offset).eq(0..wanted.len() as i64),
            "offsets have gaps",
        )?;
    }
    Ok(())
}

/// A topic of one partition with `count` records one second apart.
fn filled(run: &mut Run, client: &Client, name: &str, count: usize) -> Outcome<(String, Vec<Record>)> {
    let (topic, sent) = (run.topic(name), run.records(count, 1));
    client.create_topic(&topic, 1)?;
    client.produce(&topic, &sent, &Producing::default())?;
    Ok((topic, sent))
}

fn basics(run: &mut Run, client: &Client) {
    run.check(
        "create_topic",
        "a topic of 3 partitions appears in metadata",
        |run| {
            let topic = run.topic("create");
            client.create_topic(&topic, PARTITIONS)?;
            expect_equal(client.describe_topic(&topic)?, 3, "partitions")
        },
    );
    run.check("idempotent_producer", "500 records in order, none twice", |run| {
        let topic = run.topic("idempotent");
        client.create_topic(&topic, PARTITIONS)?;
        let how = Producing {
            idempotent: true,
            ..Producing::default()
        };
        round_trip(client, &topic, PARTITIONS, &run.records(500, PARTITIONS), &how)
    });
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        for acks in ["0", "1", "all"] {
            run.check(
                &format!("produce_{codec}_acks_{acks}"),
                "120 records come back byte-exact",
                |run| {
                    let topic = run.topic(&format!("{codec}-{acks}"));
                    client.create_topic(&topic, PARTITIONS)?;
                    let how = Producing {
                        codec,
                        acks,
                        ..Producing::default()
                    };
                    round_trip(client, &topic, PARTITIONS, &run.records(120, PARTITIONS), &how)
                },
            );
        }
    }
}

fn positions(run: &mut Run, client: &Client) {
    run.check(
        "consume_from_start",
        "all records, in order, from earliest",
        |run| {
            let (topic, sent) = filled(run, client, "start", 200)?;
            expect_same(
                &client.read(&topic, 0, Offset::Beginning, sent.len(), "error")?,
                &sent,
            )?;
            expect_equal(
                client.bounds(&topic, 0)?,
                (0, sent.len() as i64),
                "earliest and latest offset",
            )
        },
    );
    run.check("consume_from_offset", "all records from a random offset", |run| {
        let (topic, sent) = filled(run, client, "offset", 200)?;
        let from = run.random.random_range(1..sent.len() - 1);
        let got = client.read(&topic, 0, Offset::Offset(from as i64), sent.len() - from, "error")?;
        expect_equal(got[0].offset, from as i64, "first offset")?;
        expect_same(&got, &sent[from..])
    });
    run.check(
        "consume_from_time",
        "offsets for times before, between, at and after",
        |run| {
            let (topic, sent) = filled(run, client, "time", 200)?;
            let near = run.random.random_range(1..sent.len() - 1);
            let (time_ms, last_ms) = (
                sent[near].timestamp_ms.unwrap(),
                sent[sent.len() - 1].timestamp_ms.unwrap(),
            );
            let near = near as i64;
            for (wanted_ms, wanted) in [
                (time_ms, near),
                (time_ms - 500, near),
                (time_ms + 1, near + 1),
                (last_ms, sent.len() as i64 - 1),
                (0, 0),
            ] {
                expect_equal(
                    client.offset_for_time(&topic, wanted_ms)?,
                    Offset::Offset(wanted),
                    format_args!("offset for {wanted_ms}"),
                )?;
            }
            expect_equal(
                client.offset_for_time(&topic, last_ms + 1)?,
                Offset::End,
                "offset for a time after all",
            )
        },
    );
    run.check("consume_replay", "two readings are the same", |run| {
        let (topic, sent) = filled(run, client, "replay", 200)?;
        let first = client.read(&topic, 0, Offset::Beginning, sent.len(), "error")?;
        let second = client.read(&topic, 0, Offset::Beginning, sent.len(), "error")?;
        expect(first == second, "the readings differ")
    });
}

fn payloads(run: &mut Run, client: &Client) {
    run.check(
        "headers_null_keys_null_values",
        "absent, empty and repeated are told apart",
        |run| {
            let topic = run.topic("headers");
            client.create_topic(&topic, 1)?;
            let bytes = |text: &[u8]| Some(text.to_vec());
            let headers = [
                ("a", bytes(b"1")),
                ("a", bytes(b"2")),
                ("empty", bytes(b"")),
                ("null", None),
                ("utf-8 \u{e9}", bytes(b"\x00\xff")),
            ];
            let sent = [
                Record {
                    value: bytes(b"no key"),
                    ..Record::default()
                },
                Record {
                    key: bytes(b"tombstone"),
                    ..Record::default()
                },
                Record::default(),
                Record {
                    key: bytes(b""),
                    value: bytes(b""),
                    ..Record::default()
                },
                Record {
                    key: bytes(b"k"),
                    value: bytes(b"v"),
                    headers: headers.map(|(k, v)| (k.to_string(), v)).to_vec(),
                    ..Record::default()
                },
                Record {
                    headers: vec![("only".into(), bytes(b"header"))],
                    ..Record::default()
                },
            ];
            round_trip(client, &topic, 1, &sent, &Producing::default())
        },
    );
    run.check("one_megabyte_messages", "5 records of 1000000 bytes", |run| {
        let topic = run.topic("megabyte");
        client.create_topic(&topic, 1)?;
        let sent: Vec<Record> = (0..5)
            .map(|_| Record {
                value: Some(run.bytes(MEGABYTE)),
                ..Record::default()
            })
            .collect();
        round_trip(client, &topic, 1, &sent, &Producing::default())
    });
    run.check(
        "many_topics",
        "200 topics x 8 partitions written and read by one consumer",
        |run| {
            let topics: Vec<String> = (0..MANY_TOPICS)
                .map(|i| run.topic(&format!("many-{i}")))
                .collect();
            client.create_topics(&topics, MANY_PARTITIONS, &[])?;
            let mut sent = Vec::new();
            let mut assignment = TopicPartitionList::new();
            for topic in &topics {
                for partition in 0..MANY_PARTITIONS {
                    let value = Some(format!("{topic}/{partition}").into_bytes());
                    sent.push((
                        topic.clone(),
                        Record {
                            value,
                            partition,
                            ..Record::default()
                        },
                    ));
                    assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
                }
            }
            client.produce_to_all(&sent)?;
            let by_partition = |records: Vec<(String, Record)>| -> BTreeMap<(String, i32), Option<Vec<u8>>> {
                records
                    .into_iter()
                    .map(|(topic, r)| ((topic, r.partition), r.value))
                    .collect()
            };
            let got = client.read_all(&assignment, sent.len(), "error")?;
            expect(
                by_partition(got) == by_partition(sent),
                "a partition holds something else",
            )?;
            client.delete_topics(&topics)
        },
    );
}
