//! The verifier against a broker that keeps its promise, and one that doesn't.

use std::path::Path;

use crate::broker::{Fault, Produced, bench, bench_until, start_counted};

/// The request at which a fault strikes.
const STRIKES: u64 = 3;

/// Writes until some requests more than a fault needs have come.
fn produce((broker, produced): &(String, Produced), out: &Path, idempotent: bool) {
    let out = out.to_str().unwrap();
    let mut args = vec![
        "verify",
        "produce",
        "--bootstrap",
        broker,
        "--partitions",
        "2",
        "--connections",
        "3",
        "--out",
        out,
    ];
    if idempotent {
        args.push("--idempotent");
    }
    let end = produced.count() + 10 * STRIKES;
    let output = bench_until(&args, || produced.count() >= end);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn check(broker: &str, out: &Path) -> (Option<i32>, String) {
    let output = bench(&[
        "verify",
        "check",
        "--bootstrap",
        broker,
        "--out",
        out.to_str().unwrap(),
    ]);
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn a_faithful_broker_passes() {
    for fault in [Fault::None, Fault::Hangup { request: STRIKES }] {
        let (broker, out) = (start_counted(fault), tempfile::tempdir().unwrap());
        // A lost acknowledgement makes the idempotent writer send again, and the broker must find the duplicate.
        produce(&broker, out.path(), true);
        produce(&broker, out.path(), false);
        let (status, text) = check(&broker.0, out.path());
        assert_eq!(status, Some(0), "{text}");
        assert!(text.contains(" 0 violations"), "{text}");
    }
}

#[test]
fn a_lost_acknowledged_batch_is_found() {
    for idempotent in [true, false] {
        let broker = start_counted(Fault::Lose { request: STRIKES });
        let out = tempfile::tempdir().unwrap();
        produce(&broker, out.path(), idempotent);
        let (status, text) = check(&broker.0, out.path());
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains("VIOLATION partition"), "{text}");
    }
}
