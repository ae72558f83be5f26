//! The checks of what the admin client changes.

use rdkafka::Offset;
use rdkafka::error::RDKafkaErrorCode;

use crate::client::{Client, Producing};
use crate::harness::{Run, eventually, expect_equal, expect_refused, expect_same};
use crate::{filled, round_trip};

pub fn checks(run: &mut Run, client: &Client) {
    run.check(
        "create_partitions",
        "2 grow to 5, all usable; shrinking is refused",
        |run| {
            let topic = run.topic("grow");
            client.create_topic(&topic, 2)?;
            client.create_partitions(&topic, 5)?;
            eventually("five partitions in metadata", || {
                Ok(client.describe_topic(&topic)? == 5)
            })?;
            round_trip(client, &topic, 5, &run.records(50, 5), &Producing::default())?;
            expect_refused(
                client.create_partitions(&topic, 3),
                RDKafkaErrorCode::InvalidPartitions,
                "fewer partitions",
            )
        },
    );
    run.check(
        "delete_records",
        "the log starts at 40 after deleting up to 40",
        |run| {
            let (topic, sent) = filled(run, client, "truncate", 100)?;
            expect_equal(
                client.delete_records(&topic, 40)?,
                40,
                "low watermark in the answer",
            )?;
            expect_equal(client.bounds(&topic, 0)?, (40, 100), "earliest and latest offset")?;
            expect_same(
                &client.read(&topic, 0, Offset::Beginning, 60, "error")?,
                &sent[40..],
            )?;
            expect_refused(
                client.delete_records(&topic, 101),
                RDKafkaErrorCode::OffsetOutOfRange,
                "beyond the end",
            )
        },
    );
    run.check(
        "describe_alter_configs",
        "created, replaced, and back to the default",
        |run| {
            let topic = run.topic("configs");
            client.create_topics(std::slice::from_ref(&topic), 1, &[("retention.ms", "86400000")])?;
            let becomes = |value: &str, is_default: bool| {
                eventually(&format!("retention.ms becomes {value}"), || {
                    Ok(client.describe_config(&topic, "retention.ms")?
                        == (Some(value.to_string()), is_default))
                })
            };
            becomes("86400000", false)?;
            client.replace_configs(
                &topic,
                &[("retention.ms", "3600000"), ("max.message.bytes", "65536")],
            )?;
            becomes("3600000", false)?;
            client.replace_configs(&topic, &[("max.message.bytes", "65536")])?;
            becomes("604800000", true)?;
            // The binding drops the resource's error, so the refusal shows in what did not change.
            client.replace_configs(
                &topic,
                &[("max.message.bytes", "70000"), ("retention.ms", "soon")],
            )?;
            let kept = client.describe_config(&topic, "max.message.bytes")?;
            expect_equal(
                kept,
                (Some("65536".to_string()), false),
                "max.message.bytes after a refused change",
            )
        },
    );
    run.check(
        "delete_topic",
        "gone, and can be made anew with offsets from 0",
        |run| {
            let (topic, _) = filled(run, client, "deleted", 10)?;
            client.delete_topics(std::slice::from_ref(&topic))?;
            eventually("gone from metadata", || {
                Ok(!client.list_topics()?.contains_key(&topic))
            })?;
            let again = client.delete_topics(std::slice::from_ref(&topic));
            expect_refused(again, RDKafkaErrorCode::UnknownTopicOrPartition, "delete again")?;
            client.create_topic(&topic, 1)?;
            round_trip(client, &topic, 1, &run.records(10, 1), &Producing::default())
        },
    );
}
