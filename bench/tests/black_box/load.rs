//! The load generator against a broker that stalls: coordinated omission must not hide it.

use std::time::Duration;

use crate::broker::{Fault, bench, report, start};

const RATE: u64 = 1000;
const SECONDS: u64 = 2;
const STALL: Duration = Duration::from_millis(100);

/// A stall of 100 ms holds up the 100 messages meant for that time. Counted from their intended send, 1 % of the
/// run's messages took 80 ms or more; a harness that waits for the broker before it sends would report one of them.
fn a_stall_shows(client_poll: &str) {
    let broker = start(Fault::Stall {
        request: RATE * SECONDS / 2,
        lasts: STALL,
    });
    let out = tempfile::tempdir().unwrap();
    let (rate, seconds) = (RATE.to_string(), SECONDS.to_string());
    let output = bench(&[
        "produce",
        "--bootstrap",
        &broker,
        "--rate",
        &rate,
        "--duration",
        &seconds,
        "--warmup",
        "0",
        "--size",
        "100",
        "--client-poll",
        client_poll,
        "--out",
        out.path().to_str().unwrap(),
    ]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("durable before acknowledged (flush.messages=1"),
        "{text}"
    );

    let report = report(out.path(), "produce.json");
    let latency = &report["results"][0]["latency"];
    let nanos = |name: &str| latency[name].as_u64().unwrap();
    // Open loop: every message of the schedule was sent, whatever the broker did.
    assert_eq!(latency["samples"], RATE * SECONDS, "{text}");
    assert!(nanos("max_ns") >= STALL.as_nanos() as u64, "{text}");
    assert!(nanos("p99_ns") >= 70_000_000, "{text}");
    assert!(out.path().join("produce.hlog").exists());
}

#[test]
fn a_stall_shows_to_a_blocking_client() {
    a_stall_shows("block");
}

#[test]
fn a_stall_shows_to_a_spinning_client() {
    a_stall_shows("busy");
}

#[test]
fn end_to_end_receives_what_was_acknowledged() {
    let broker = start(Fault::None);
    let out = tempfile::tempdir().unwrap();
    let output = bench(&[
        "e2e",
        "--bootstrap",
        &broker,
        "--partitions",
        "3",
        "--connections",
        "2",
        "--rate",
        "500",
        "--duration",
        "1",
        "--warmup",
        "0",
        "--batch-bytes",
        "1000",
        "--size",
        "100",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report = report(out.path(), "e2e.json");
    assert_eq!(report["received"], report["outcome"]["acknowledged"]);
    assert_eq!(report["setup"]["records_per_batch"], 8);
    assert!(report["received"].as_u64().unwrap() >= 496, "{report}");
}

/// The same for the receipt of messages, with keys, batches that linger, and many connections: each message that was
/// meant for the time of the stall shows it.
#[test]
fn a_stall_shows_from_end_to_end() {
    let broker = start(Fault::Stall {
        request: RATE * SECONDS / 4,
        lasts: STALL,
    });
    let out = tempfile::tempdir().unwrap();
    let (rate, seconds) = (RATE.to_string(), SECONDS.to_string());
    let mut args = vec![
        "e2e",
        "--bootstrap",
        &broker,
        "--partitions",
        "20",
        "--consumers",
        "3",
    ];
    args.extend([
        "--connections",
        "50",
        "--keys",
        "1000",
        "--linger",
        "60ms",
        "--rate",
        &rate,
    ]);
    args.extend(["--duration", &seconds, "--warmup", "0", "--size", "100"]);
    args.extend(["--out", out.path().to_str().unwrap()]);
    let output = bench(&args);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");

    let report = report(out.path(), "e2e.json");
    // 50 ms lie between the messages of a connection, so a linger of 60 ms gathers two.
    assert_eq!(report["setup"]["records_per_batch"], 2, "{report}");
    assert_eq!(report["received"], report["outcome"]["acknowledged"]);
    assert_eq!(report["received"], RATE * SECONDS, "{report}");
    for result in &report["results"].as_array().unwrap()[..2] {
        let at = |name: &str| result["latency"][name].as_u64().unwrap();
        assert_eq!(at("samples"), RATE * SECONDS, "{text}");
        assert!(at("max_ns") >= STALL.as_nanos() as u64, "{text}");
        assert!(at("p99_ns") >= 70_000_000, "{text}");
        assert!(!result["curve"].as_array().unwrap().is_empty());
        assert!(result["timeline"].as_array().unwrap().len() >= SECONDS as usize);
    }
}

/// Three repeats are three of everything, and the spread is printed.
#[test]
fn repeats_are_told_apart() {
    let broker = start(Fault::None);
    let out = tempfile::tempdir().unwrap();
    let mut args = vec![
        "produce",
        "--bootstrap",
        &broker,
        "--rate",
        "1000",
        "--repeat",
        "3",
    ];
    args.extend([
        "--duration",
        "500ms",
        "--warmup",
        "100ms",
        "--out",
        out.path().to_str().unwrap(),
    ]);
    let output = bench(&args);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("of its repeats"), "{text}");
    let report = report(out.path(), "produce.json");
    let repeats = report["results"][0]["repeats"].as_array().unwrap();
    assert_eq!(repeats.len(), 3);
    for repeat in repeats {
        assert_eq!(repeat["latency"]["samples"], 500);
    }
}

/// What a reader began with is gone when it begins again, and at times what it would read next: it begins at what is there.
#[test]
fn a_reader_outlives_what_retention_deletes() {
    let broker = start(Fault::Retain { batches: 20 });
    let args = ["--bootstrap", &broker, "--duration", "1"];
    let write = |seconds| {
        bench(&[
            "produce",
            "--bootstrap",
            &broker,
            "--duration",
            seconds,
            "--warmup",
            "0",
        ])
    };
    assert!(write("100ms").status.success());
    let out = tempfile::tempdir().unwrap();
    let (written, read) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| write("1"));
        let out = out.path().to_str().unwrap();
        let read = bench(&[&["consume", "--repeat", "--out", out], args.as_slice()].concat());
        (writer.join().unwrap(), read)
    });
    assert!(written.status.success());
    let text = String::from_utf8_lossy(&read.stdout);
    let errors = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{text}{errors}");
    let report = report(out.path(), "consume.json");
    assert!(report["messages"].as_u64() > Some(0), "{text}");
    assert!(report["passes"]["ended"].as_u64() > Some(1), "{text}");
}

#[test]
fn what_is_wrong_is_said_with_its_cure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = listener.local_addr().unwrap().to_string();
    drop(listener);
    let broker = start(Fault::None);
    for (args, status, words) in [
        (vec!["produce", "--bootstrap", &nobody], 1, "is it running"),
        (vec!["produce", "--cores", "1023"], 1, "taskset"),
        (
            vec!["produce", "--rate", "5", "--in-flight", "2"],
            2,
            "cannot be used with",
        ),
        (vec!["produce", "--acks", "2"], 2, "acks are 0, 1 or all"),
        (
            vec!["produce", "--linger", "5ms", "--bootstrap", &broker],
            1,
            "give a --rate",
        ),
        (vec!["limits", "--block", "1000"], 1, "a multiple of 4096"),
    ] {
        let output = bench(&args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{args:?}: {text}");
        assert!(text.contains(words), "{args:?}: {text}");
    }
}
