//! The verifier against a broker that keeps its promise, and one that doesn't.

use std::path::Path;

use crate::broker::{Fault, bench, start};

fn produce(broker: &str, out: &Path, idempotent: bool) {
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
        "--duration",
        "300ms",
        "--out",
        out,
    ];
    if idempotent {
        args.push("--idempotent");
    }
    let output = bench(&args);
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
    for fault in [Fault::None, Fault::Hangup { request: 3 }] {
        let (broker, out) = (start(fault), tempfile::tempdir().unwrap());
        // A lost acknowledgement makes the idempotent writer send again, and the broker must find the duplicate.
        produce(&broker, out.path(), true);
        produce(&broker, out.path(), false);
        let (status, text) = check(&broker, out.path());
        assert_eq!(status, Some(0), "{text}");
        assert!(text.contains(" 0 violations"), "{text}");
    }
}

#[test]
fn a_lost_acknowledged_batch_is_found() {
    for idempotent in [true, false] {
        let (broker, out) = (start(Fault::Lose { request: 3 }), tempfile::tempdir().unwrap());
        produce(&broker, out.path(), idempotent);
        let (status, text) = check(&broker, out.path());
        assert_eq!(status, Some(1), "{text}");
        assert!(text.contains("VIOLATION partition"), "{text}");
    }
}
