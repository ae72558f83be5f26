//! The checks of what the broker refuses.

use rdkafka::Offset;
use rdkafka::error::RDKafkaErrorCode;

use crate::client::{Client, NO_RESET_POLICY, Producing};
use crate::harness::{Record, Run, expect, expect_refused, expect_same};
use crate::{filled, round_trip};

pub fn checks(run: &mut Run, client: &Client) {
    run.check(
        "error_unknown_topic",
        "describe answers UNKNOWN_TOPIC_OR_PARTITION and creates nothing",
        |run| {
            let topic = run.topic("nowhere");
            expect_refused(
                client.describe_topic(&topic),
                RDKafkaErrorCode::UnknownTopicOrPartition,
                "describe",
            )?;
            expect(
                !client.list_topics()?.contains_key(&topic),
                "describing a topic must not create it",
            )
        },
    );
    run.check(
        "error_record_too_large",
        "MESSAGE_TOO_LARGE, and the next produce works",
        |run| {
            let topic = run.topic("too-large");
            client.create_topic(&topic, 1)?;
            let large = Record {
                value: Some(run.bytes(1_500_000)),
                ..Record::default()
            };
            let how = Producing {
                message_bytes_max: 4_000_000,
                ..Producing::default()
            };
            expect_refused(
                client.produce(&topic, &[large], &how),
                RDKafkaErrorCode::MessageSizeTooLarge,
                "a record of 1.5 MB",
            )?;
            round_trip(
                client,
                &topic,
                1,
                &[Record {
                    value: Some(b"still works".to_vec()),
                    ..Record::default()
                }],
                &Producing::default(),
            )
        },
    );
    run.check(
        "error_offset_out_of_range",
        "reset to earliest, or an error without a policy",
        |run| {
            let (topic, sent) = filled(run, client, "out-of-range", 20)?;
            let beyond = Offset::Offset(1000);
            expect_same(&client.read(&topic, 0, beyond, sent.len(), "earliest")?, &sent)?;
            expect_refused(
                client.read(&topic, 0, beyond, 1, "error"),
                NO_RESET_POLICY,
                "no reset policy",
            )
        },
    );
    run.check("error_topic_exists", "TOPIC_ALREADY_EXISTS", |run| {
        let topic = run.topic("twice");
        client.create_topic(&topic, 1)?;
        expect_refused(
            client.create_topic(&topic, 1),
            RDKafkaErrorCode::TopicAlreadyExists,
            "create again",
        )
    });
    run.check(
        "error_invalid_config",
        "INVALID_CONFIG, and no topic is made",
        |run| {
            let topic = [run.topic("invalid")];
            for config in [("no.such.config", "1"), ("retention.ms", "soon")] {
                expect_refused(
                    client.create_topics(&topic, 1, &[config]),
                    RDKafkaErrorCode::InvalidConfig,
                    config.0,
                )?;
            }
            expect(
                !client.list_topics()?.contains_key(&topic[0]),
                "a refused topic must not exist",
            )
        },
    );
}
