//! What no client sends: each has a defined answer or closes its connection, with one line in the log, and nobody else notices.

mod common;

use std::io::Write;

use common::raw::{Random, connect, framed, is_closed_by, read_to_close, request, send_and_end};
use common::{
    HANGS, TestBroker, Witness, create, end_offset, produce_batch, produce_error, text, topic_name, within,
};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use tautline_core::batch::BatchBuilder;
use tautline_core::checksum::crc32c;

/// Where things are in a record batch.
const MAGIC_AT: usize = 16;
const CRC_AT: usize = 17;
const CRC_COVERS_FROM: usize = 21;
const LAST_OFFSET_DELTA_AT: usize = 23;
const RECORD_COUNT_AT: usize = 57;

/// Kafka's codes.
const CORRUPT_MESSAGE: i16 = 2;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_TOPIC: i16 = 17;
const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_RECORD: i16 = 87;

#[test]
fn frames_that_are_none_close_their_connection() {
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let mut truncated = framed(&request(3, 9, 1, b""));
    truncated[3] += 1;
    let cases: [(&str, Vec<u8>); 9] = [
        ("a negative length", (-1i32).to_be_bytes().to_vec()),
        ("the longest length", i32::MAX.to_be_bytes().to_vec()),
        (
            "a length beyond socket.request.max.bytes",
            (104_857_601i32).to_be_bytes().to_vec(),
        ),
        ("an empty frame", framed(b"")),
        ("half a header", framed(&[0, 3, 0])),
        ("an unknown API", framed(&request(9_999, 0, 1, b""))),
        ("a version that is not supported", framed(&request(3, 99, 1, b""))),
        (
            "a body that says too much",
            framed(&request(3, 1, 1, &i32::MAX.to_be_bytes())),
        ),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: broker\r\n\r\n".to_vec()),
    ];
    for (what, bytes) in &cases {
        assert!(is_closed_by(broker.address(), bytes), "{what}");
    }
    // Each has its line, none has two.
    within(HANGS, "a line for each", || {
        broker.log().lines_with("connection closed").len() == cases.len()
    });
    // A client that goes away within a frame is no news.
    assert!(send_and_end(broker.address(), &truncated).is_empty());
    witness.check();
    assert_eq!(broker.log().lines_with("connection closed").len(), cases.len());
    broker.stop();
}

#[test]
fn an_unknown_version_of_api_versions_is_answered_with_the_list() {
    let broker = TestBroker::start(1, &[]);
    let answer = send_and_end(broker.address(), &framed(&request(18, 99, 7, b"\0")));
    assert_eq!(answer[4..10], [0, 0, 0, 7, 0, UNSUPPORTED_VERSION as u8]);
    assert!(
        i32::from_be_bytes(answer[10..14].try_into().unwrap()) > 15,
        "the list follows"
    );
    broker.stop();
}

#[test]
fn bad_batches_have_an_error_code_and_are_not_appended() {
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let mut client = broker.connect();
    create(&mut client, "bad", 1, &[("max.message.bytes", "10000")]);
    let good = || {
        let mut builder = BatchBuilder::new(1_000);
        builder.push(1_000, None, Some(b"value"), &[]);
        builder.push(1_001, None, Some(b"value"), &[]);
        builder.build()
    };
    let with_crc = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut batch = good();
        change(&mut batch);
        let crc = crc32c(&batch[CRC_COVERS_FROM..]);
        batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        batch
    };
    let flipped = || {
        let mut batch = good();
        *batch.last_mut().unwrap() ^= 1;
        batch
    };
    let large = || {
        let mut builder = BatchBuilder::new(1_000);
        builder.push(1_000, None, Some(&[0; 20_000]), &[]);
        builder.build()
    };
    let cases: [(&str, Vec<u8>, &[i16]); 8] = [
        ("bad CRC", flipped(), &[CORRUPT_MESSAGE]),
        (
            "magic 1",
            with_crc(&|batch| batch[MAGIC_AT] = 1),
            &[INVALID_RECORD, CORRUPT_MESSAGE, 43, 76],
        ),
        (
            "magic 9",
            with_crc(&|batch| batch[MAGIC_AT] = 9),
            &[INVALID_RECORD, CORRUPT_MESSAGE, 43, 76],
        ),
        (
            "one record too many",
            with_crc(&|batch| batch[RECORD_COUNT_AT + 3] += 1),
            &[INVALID_RECORD],
        ),
        (
            "one offset too many",
            with_crc(&|batch| batch[LAST_OFFSET_DELTA_AT + 3] += 1),
            &[INVALID_RECORD],
        ),
        (
            "negative count",
            with_crc(&|batch| batch[RECORD_COUNT_AT] = 0x80),
            &[INVALID_RECORD],
        ),
        ("two batches", [good(), good()].concat(), &[INVALID_RECORD]),
        ("too large", large(), &[MESSAGE_TOO_LARGE]),
    ];
    for (what, batch, codes) in cases {
        let code = produce_error(&mut client, "bad", 0, batch);
        println!("{what}: {code}");
        assert!(codes.contains(&code), "{what}: {code}");
    }
    for cut in [0, 10, 60, good().len() - 1] {
        let code = produce_error(&mut client, "bad", 0, good()[..cut].to_vec());
        assert!(
            [CORRUPT_MESSAGE, INVALID_RECORD].contains(&code),
            "cut at {cut}: {code}"
        );
    }
    assert_eq!(end_offset(&mut client, "bad", 0), 0, "nothing was appended");
    assert_eq!(
        produce_batch(&mut client, "bad", 0, good()),
        0,
        "and the connection is as good as before"
    );
    witness.check();
    broker.stop();
}

#[test]
fn illegal_names_are_refused() {
    let broker = TestBroker::start(1, &[]);
    let mut client = broker.connect();
    for name in [
        "",
        ".",
        "..",
        "../../etc",
        "a/b",
        "a b",
        "nul\0",
        "ä",
        &"x".repeat(250),
    ] {
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(1)
            .with_replication_factor(1);
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(1_000);
        assert_eq!(
            client.ask(7, &request).topics[0].error_code,
            INVALID_TOPIC,
            "{name:?}"
        );
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(true);
        assert_eq!(
            client.ask(9, &request).topics[0].error_code,
            INVALID_TOPIC,
            "{name:?}"
        );
    }
    let name = text("legal");
    assert_eq!(name.len(), 5);
    broker.stop();
}

#[test]
fn a_flood_of_bad_clients_does_not_flood_the_log() {
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    for _ in 0..1_000 {
        let mut stream = connect(broker.address());
        let _ = stream.write_all(&framed(b"\xff\xff"));
        assert!(read_to_close(&mut stream).is_empty());
    }
    broker.log().wait_for("more log lines about connections");
    let written = broker.log().lines_with("connection closed").len();
    assert!(
        (1..500).contains(&written),
        "{written} lines for 1000 connections"
    );
    witness.check();
    broker.stop();
}

#[test]
fn random_frames_leave_the_broker_healthy() {
    const FRAMES: usize = 10_000;
    const THREADS: usize = 8;
    const FRAMES_PER_CONNECTION: usize = 10;
    let broker = TestBroker::start(2, &[]);
    let mut witness = Witness::new(&broker);
    let mut random = Random::from_seed();
    let corpus: Vec<Vec<u8>> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/frame"))
        .expect("the corpus is there")
        .map(|entry| std::fs::read(entry.expect("a file").path()).expect("a file"))
        .collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (mut random, corpus, address) = (random.split(), &corpus, broker.address());
                scope.spawn(move || {
                    for _ in 0..FRAMES / THREADS / FRAMES_PER_CONNECTION {
                        let bytes: Vec<u8> = (0..FRAMES_PER_CONNECTION)
                            .flat_map(|_| random_frame(&mut random, corpus))
                            .collect();
                        send_and_end(address, &bytes);
                    }
                })
            })
            .collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            witness.check();
        }
    });
    witness.check();
    broker.stop();
}

/// Bytes behind a length, a header with bytes behind it, or a sound request damaged in a few places.
fn random_frame(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    match random.below(4) {
        0 => {
            let len = random.below(300);
            framed(&random.bytes(len))
        }
        1 => {
            let (api, version, len) = (
                random.below(80) as i16,
                random.below(14) as i16,
                random.below(200),
            );
            framed(&request(api, version, 1, &random.bytes(len)))
        }
        _ => {
            let mut bytes = corpus[random.below(corpus.len())].clone();
            for _ in 0..1 + random.below(4) {
                // The length stays: a wrong one is the rest of the connection.
                let at = 4 + random.below(bytes.len().saturating_sub(4));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.next() as u8;
                }
            }
            bytes
        }
    }
}
