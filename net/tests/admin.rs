//! Metrics and health, from outside: /metrics in Prometheus' text format 0.0.4, /healthz, /readyz.

mod common;

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

use common::{
    HANGS, Metrics, TestBroker, ask_http, ask_http_once, create, fetch_error, get, produce, within,
};
use tautline_net::admin::{Look, Slow};

#[test]
fn metrics_say_what_happened() {
    let broker = TestBroker::start(2, &[]);
    let mut client = broker.connect();
    create(&mut client, "durable", 4, &[]);
    create(&mut client, "relaxed", 2, &[("flush.messages", "1000000")]);
    for partition in 0..4 {
        produce(&mut client, "durable", partition, 10);
    }
    produce(&mut client, "relaxed", 0, 3);
    assert_eq!(fetch_error(&mut client, "durable", 0, 0), 0);
    assert_eq!(fetch_error(&mut client, "durable", 0, 1_000), 1);

    let expected = [
        ("tautline_requests_total", "request=\"Produce\"", 5.0),
        ("tautline_requests_total", "request=\"Fetch\"", 2.0),
        (
            "tautline_request_errors_total",
            "request=\"Fetch\",error=\"OffsetOutOfRange\"",
            1.0,
        ),
        (
            "tautline_request_latency_seconds_count",
            "request=\"produce\"",
            5.0,
        ),
        (
            "tautline_request_latency_seconds_bucket",
            "request=\"produce\",le=\"+Inf\"",
            5.0,
        ),
        ("tautline_topic_records_in_total", "topic=\"durable\"", 40.0),
        ("tautline_topic_batches_in_total", "topic=\"durable\"", 4.0),
        ("tautline_topic_records_in_total", "topic=\"relaxed\"", 3.0),
        ("tautline_topic_partitions", "topic=\"durable\"", 4.0),
        ("tautline_topic_flush_messages", "topic=\"durable\"", 1.0),
        ("tautline_topic_flush_messages", "topic=\"relaxed\"", 1_000_000.0),
        ("tautline_topic_records_not_durable", "topic=\"durable\"", 0.0),
        ("tautline_topics", "", 2.0),
        ("tautline_topics_relaxed", "", 1.0),
        ("tautline_storage_relaxed_acks_total", "", 1.0),
        ("tautline_partitions", "", 6.0),
        ("tautline_partitions_offline", "", 0.0),
        ("tautline_connections", "", 1.0),
        ("tautline_requests_in_flight", "", 0.0),
        ("tautline_config_flush_messages", "", 1.0),
        ("tautline_ready", "", 1.0),
        ("tautline_build_info", "version=", 1.0),
    ];
    // A request is counted a moment after its client has the response.
    let began = Instant::now();
    let metrics = loop {
        let metrics = Metrics::scrape(broker.admin(), "/metrics");
        let differs = |&&(name, label, value): &&(_, _, f64)| metrics.sum(name, label) != value;
        let Some((name, label, value)) = expected.iter().find(differs) else {
            break metrics;
        };
        let found = metrics.sum(name, label);
        assert!(began.elapsed() < HANGS, "{name} {label}: {found}, not {value}");
    };
    for name in [
        "tautline_request_bytes_total",
        "tautline_response_bytes_total",
        "tautline_memory_used_bytes",
    ] {
        assert!(metrics.sum(name, "") > 0.0, "{name}");
    }
    assert!(metrics.sum("tautline_storage_write_latency_seconds_count", "") >= 4.0);
    assert!(metrics.sum("tautline_shard_up", "") >= 1.0);
    assert!(
        !metrics.has("tautline_partition_"),
        "partitions were not asked for"
    );

    let metrics = Metrics::scrape(broker.admin(), "/metrics?partitions=1");
    let of = "topic=\"durable\",partition=\"3\"";
    assert_eq!(metrics.sum("tautline_partition_high_watermark", of), 10.0);
    assert_eq!(metrics.sum("tautline_partition_durable_offset", of), 10.0);
    // Histograms are exchanged at a scrape, and nothing is lost.
    assert_eq!(
        metrics.sum("tautline_request_latency_seconds_count", "request=\"produce\""),
        5.0
    );
    broker.stop();
}

#[test]
fn the_slowest_requests_are_told_once_with_the_stages_that_made_them_slow() {
    let broker = TestBroker::start(2, &[]);
    let mut client = broker.connect();
    create(&mut client, "orders", 2, &[]);
    // On two shards one of the partitions is another core's.
    for partition in 0..2 {
        produce(&mut client, "orders", partition, 10);
        assert_eq!(fetch_error(&mut client, "orders", partition, 0), 0);
    }
    // A request is noted a moment after its client has the response.
    let mut slowest: Vec<Slow> = Vec::new();
    within(HANGS, "all requests are told, by all shards", || {
        let (status, response) = get(broker.admin(), "/trace");
        assert_eq!(status, 200);
        let (_, body) = response.split_once("\r\n\r\n").expect("a head and a body");
        let look: Look = serde_json::from_str(body).expect("a look");
        assert_eq!(look.requests as usize, look.slowest.len(), "{look:?}");
        assert!(look.slowest.is_sorted_by(|a, b| a.own_us >= b.own_us), "{look:?}");
        slowest.extend(look.slowest);
        slowest.len() == 5 && look.silent.is_empty()
    });
    for slow in &slowest {
        let sum: f64 = slow.stages_us.values().sum();
        assert!((sum - slow.total_us).abs() < 1.0, "{slow:?}");
        assert!(slow.stages_us[&slow.slowest_stage] > 0.0, "{slow:?}");
    }
    let produced = slowest.iter().filter(|slow| slow.request == "Produce");
    let mut partitions: Vec<_> = produced
        .inspect(|slow| {
            assert_eq!(slow.topic.as_deref(), Some("orders"));
            assert!(
                slow.stages_us["durable"] > 0.0 && slow.stages_us["respond"] > 0.0,
                "{slow:?}"
            );
        })
        .map(|slow| slow.partition)
        .collect();
    partitions.sort_unstable();
    assert_eq!(partitions, [Some(0), Some(1)]);

    produce(&mut client, "orders", 0, 1);
    let trace = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tautline"))
            .args(["trace", "--admin", &broker.admin().to_string()])
            .args(more)
            .output()
            .expect("the program runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    within(HANGS, "the table has the request", || {
        let text = trace(&[]);
        text.starts_with("1 requests in ") && text.contains("orders-0")
    });
    let json: Look = serde_json::from_str(&trace(&["--json"])).expect("a look");
    assert_eq!((json.requests, json.slowest.len()), (0, 0), "{json:?}");

    let metrics = Metrics::scrape(broker.admin(), "/metrics");
    let stage = |name: &str| {
        let label = format!("request=\"produce\",stage=\"{name}\"");
        metrics.sum("tautline_request_stage_seconds_count", &label)
    };
    // It stands in the table because it was counted.
    assert_eq!(
        (stage("parse"), stage("durable"), stage("respond")),
        (3.0, 3.0, 3.0)
    );
    assert!(metrics.has("tautline_stalls_total{shard=\"0\",queue=\"produce\"}"));
    broker.stop();
}

#[test]
fn health() {
    let broker = TestBroker::start(2, &[]);
    assert_eq!(get(broker.admin(), "/readyz").0, 200);
    within(HANGS, "all shards answer", || {
        get(broker.admin(), "/healthz").0 == 200
    });
    assert_eq!(get(broker.admin(), "/elsewhere").0, 404);
    broker.stop();
}

#[test]
fn bad_http_is_refused_and_hangs_nobody() {
    let broker = TestBroker::start(1, &[]);
    let ask = |request: &[u8]| ask_http(broker.admin(), request);
    assert!(ask(b"POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(ask(b"HELLO\r\n\r\n").starts_with("HTTP/1.1 400 "));
    assert!(ask_http_once(broker.admin(), b"GET /readyz HTTP/1.1\r\n").starts_with("HTTP/1.1 408 "));
    let head = ask(b"HEAD /readyz HTTP/1.1\r\n\r\n");
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let mut long = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
    long.resize(1 << 20, b'x');
    let refused = ask(&long);
    assert!(
        refused.is_empty() || refused.starts_with("HTTP/1.1 431 "),
        "{refused}"
    );
    let silent: Vec<TcpStream> = (0..3)
        .map(|_| TcpStream::connect(broker.admin()).unwrap())
        .collect();
    let began = Instant::now();
    assert_eq!(get(broker.admin(), "/readyz").0, 200);
    assert!(
        began.elapsed() < HANGS,
        "silent clients are cut off one after another"
    );
    drop(silent);
    broker.stop();
}

#[test]
fn a_busy_admin_port_is_a_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tautline"))
        .args([
            "start",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            &address,
            "--data-dir",
        ])
        .arg(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains(&address) && said.contains("choose another --admin address"),
        "{said}"
    );
}
