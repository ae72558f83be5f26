//! AlterConfigs and IncrementalAlterConfigs against a real broker.

mod common;

use common::configs::*;
use common::{Client, TestBroker, create, on_one_and_two_shards, produce_batch, produce_error};
use tautline_core::batch::BatchBuilder;
use tautline_core::error::ErrorCode;

#[test]
fn single_configurations_change() {
    on_one_and_two_shards(|_, client| {
        create(client, "t", 2, &[("segment.bytes", "2097152")]);
        let get = |client: &mut Client, key: &str| value_and_source(client, TOPIC, "t", key);
        let set: &[_] = &[
            ("retention.ms", SET, Some("60000")),
            ("segment.bytes", DELETE, None),
        ];
        assert_eq!(change(client, &[(TOPIC, "t", set)], true), [0]);
        assert_eq!(
            get(client, "segment.bytes"),
            ("2097152".to_owned(), DYNAMIC_TOPIC),
            "it was only checked"
        );
        assert_eq!(change(client, &[(TOPIC, "t", set)], false), [0]);
        assert_eq!(get(client, "retention.ms"), ("60000".to_owned(), DYNAMIC_TOPIC));
        assert_eq!(get(client, "segment.bytes"), ("1073741824".to_owned(), DEFAULT));
        // Lists.
        assert_eq!(
            change(
                client,
                &[(TOPIC, "t", &[("cleanup.policy", APPEND, Some("delete"))])],
                false
            ),
            [0]
        );
        assert_eq!(get(client, "cleanup.policy").0, "delete");
        let invalid_config = ErrorCode::InvalidConfig.code();
        let invalid_request = ErrorCode::InvalidRequest.code();
        for (changes, code) in [
            (&[("cleanup.policy", APPEND, Some("squeeze"))][..], invalid_config),
            (&[("cleanup.policy", SUBTRACT, Some("delete"))], invalid_config),
            (&[("retention.ms", APPEND, Some("1"))], invalid_config),
            (&[("retention.ms", SET, Some("soon"))], invalid_config),
            (&[("no.such.config", SET, Some("1"))], invalid_config),
            (&[("remote.storage.enable", SET, Some("true"))], invalid_config),
            (&[("retention.ms", SET, None)], invalid_request),
            (&[("retention.ms", 9, Some("1"))], invalid_request),
            (
                &[("retention.ms", SET, Some("1")), ("retention.ms", DELETE, None)],
                invalid_request,
            ),
        ] {
            assert_eq!(
                change(client, &[(TOPIC, "t", changes)], false),
                [code],
                "{changes:?}"
            );
        }
        assert_eq!(
            get(client, "retention.ms").0,
            "60000",
            "nothing of a refused change is done"
        );
        // Each resource by itself.
        let good: &[_] = &[("retention.ms", SET, Some("70000"))];
        let found = change(
            client,
            &[
                (TOPIC, "absent", good),
                (TOPIC, "t", good),
                (TOPIC, "no/slash", good),
                (TOPIC, "", good),
                (BROKER, "2", &[]),
                (BROKER, "x", &[]),
                (BROKER_LOGGER, "1", &[]),
                (GROUP, "", &[]),
                (BROKER, "1", &[("log.dirs", SET, Some("/"))]),
                (BROKER, "", &[("num.partitions", SET, Some("5"))]),
            ],
            false,
        );
        let unknown = ErrorCode::UnknownTopicOrPartition.code();
        let illegal = ErrorCode::InvalidTopicException.code();
        let i = invalid_request;
        assert_eq!(found, [unknown, 0, illegal, i, i, i, i, i, i, i]);
        assert_eq!(get(client, "retention.ms").0, "70000");
        let twice = [(TOPIC, "t", good), (TOPIC, "t", good)];
        assert_eq!(change(client, &twice, false), [i, i]);
    });
}

#[test]
fn whole_configurations_are_replaced() {
    on_one_and_two_shards(|_, client| {
        create(client, "t", 1, &[("segment.bytes", "2097152")]);
        for version in 0..=2 {
            let retention = format!("{}", 1000 + version);
            assert_eq!(
                replace(client, version, TOPIC, "t", &[("retention.ms", Some(&retention))]),
                0
            );
            assert_eq!(
                value_and_source(client, TOPIC, "t", "retention.ms"),
                (retention, DYNAMIC_TOPIC)
            );
            assert_eq!(
                value_and_source(client, TOPIC, "t", "segment.bytes").1,
                DEFAULT,
                "it was not named"
            );
        }
        for (kind, name, configs, code) in [
            (
                TOPIC,
                "t",
                &[("retention.ms", None)][..],
                ErrorCode::InvalidRequest,
            ),
            (
                TOPIC,
                "t",
                &[("retention.ms", Some("x"))],
                ErrorCode::InvalidConfig,
            ),
            (TOPIC, "t", &[("no.such", Some("x"))], ErrorCode::InvalidConfig),
            (
                TOPIC,
                "t",
                &[("flush.ms", Some("1")), ("flush.ms", Some("2"))],
                ErrorCode::InvalidRequest,
            ),
            (TOPIC, "absent", &[], ErrorCode::UnknownTopicOrPartition),
            (TOPIC, "", &[], ErrorCode::InvalidRequest),
            (BROKER, "7", &[], ErrorCode::InvalidRequest),
            (BROKER_LOGGER, "1", &[], ErrorCode::InvalidRequest),
        ] {
            assert_eq!(
                replace(client, 2, kind, name, configs),
                code.code(),
                "{kind} {name} {configs:?}"
            );
        }
        assert_eq!(value_and_source(client, TOPIC, "t", "retention.ms").0, "1002");
        assert_eq!(replace(client, 2, TOPIC, "t", &[]), 0);
        assert_eq!(value_and_source(client, TOPIC, "t", "retention.ms").1, DEFAULT);
    });
}

/// KIP-226: this broker's own over all brokers' over what it was started with; topics inherit.
#[test]
fn brokers_are_configured_while_they_run() {
    on_one_and_two_shards(|_, client| {
        create(client, "inherits", 1, &[]);
        let set = |value| -> Vec<Change<'static>> { vec![("message.max.bytes", SET, Some(value))] };
        assert_eq!(change(client, &[(BROKER, "", &set("200000"))], false), [0]);
        assert_eq!(
            value_and_source(client, BROKER, "", "message.max.bytes").1,
            DYNAMIC_DEFAULT_BROKER
        );
        assert_eq!(one(client, BROKER, "", "message.max.bytes").synonyms.len(), 1);
        let inherited =
            |client: &mut Client| value_and_source(client, TOPIC, "inherits", "max.message.bytes");
        assert_eq!(inherited(client), ("200000".to_owned(), DYNAMIC_DEFAULT_BROKER));
        assert_eq!(change(client, &[(BROKER, "1", &set("1000"))], false), [0]);
        assert_eq!(inherited(client), ("1000".to_owned(), DYNAMIC_BROKER));
        let sources: Vec<_> = one(client, BROKER, "1", "message.max.bytes")
            .synonyms
            .iter()
            .map(|it| it.source)
            .collect();
        assert_eq!(sources, [DYNAMIC_BROKER, DYNAMIC_DEFAULT_BROKER, DEFAULT]);
        // Produce follows.
        let large = BatchBuilder::new(1).record(None, Some(&[b'x'; 2000])).build();
        let refused = produce_error(client, "inherits", 0, large.clone());
        assert_eq!(refused, ErrorCode::MessageTooLarge.code());
        assert_eq!(
            change(
                client,
                &[(BROKER, "1", &[("message.max.bytes", DELETE, None)])],
                false
            ),
            [0]
        );
        assert_eq!(produce_batch(client, "inherits", 0, large), 0);
    });
}

#[test]
fn configurations_survive_a_crash() {
    let mut broker = TestBroker::start(2, &[]);
    let client = &mut broker.connect();
    create(
        client,
        "t",
        2,
        &[("segment.bytes", "2097152"), ("flush.ms", "77")],
    );
    let changes: &[_] = &[("retention.ms", SET, Some("60000")), ("flush.ms", DELETE, None)];
    assert_eq!(change(client, &[(TOPIC, "t", changes)], false), [0]);
    assert_eq!(
        change(
            client,
            &[(BROKER, "", &[("message.max.bytes", SET, Some("5000"))])],
            false
        ),
        [0]
    );
    for shards in [1, 2] {
        let client = &mut broker.crash_and_restart(shards);
        let mut get = |key: &str| value_and_source(client, TOPIC, "t", key);
        assert_eq!(get("retention.ms"), ("60000".to_owned(), DYNAMIC_TOPIC));
        assert_eq!(get("segment.bytes"), ("2097152".to_owned(), DYNAMIC_TOPIC));
        assert_eq!(get("flush.ms").1, DEFAULT);
        assert_eq!(
            get("max.message.bytes"),
            ("5000".to_owned(), DYNAMIC_DEFAULT_BROKER)
        );
        let large = BatchBuilder::new(1).record(None, Some(&[b'x'; 6000])).build();
        assert_eq!(
            produce_error(client, "t", 1, large),
            ErrorCode::MessageTooLarge.code()
        );
    }
    broker.stop();
}
