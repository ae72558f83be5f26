//! Several brokers in one run, and the page drawn of it.

use std::time::Duration;

use crate::broker::{Fault, bench, report, start};

const STALL: Duration = Duration::from_millis(100);

/// Of two brokers one stalls: the comparison shows it of that one, and the page is whole in itself.
#[test]
fn a_comparison_tells_who_stalls() {
    let (steady, stalls) = (
        start(Fault::None),
        start(Fault::Stall {
            // In the middle of the second of two rounds, of 600 requests each, 100 of them warm-up.
            request: 900,
            lasts: STALL,
        }),
    );
    let out = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let directory = out.path().to_str().unwrap();
    let (steady, stalls) = (format!("steady={steady}"), format!("stalls={stalls}"));
    let mut args = vec![
        "compare", "--target", &steady, "--target", &stalls, "--rate", "1000",
    ];
    args.extend([
        "--duration",
        "500ms",
        "--warmup",
        "100ms",
        "--settle",
        "0",
        "--repeat",
        "2",
    ]);
    args.extend(["--data-dir", data.path().to_str().unwrap(), "--out", directory]);
    let output = bench(&args);
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert!(
        text.contains("could not be stopped while others were measured"),
        "{text}"
    );

    let comparison = report(out.path(), "compare.json");
    let targets = comparison["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 2);
    for target in targets {
        for name in ["produce", "e2e"] {
            let results = target["results"].as_array().unwrap();
            let series = results.iter().find(|series| series["name"] == name).unwrap();
            assert_eq!(series["latency"]["samples"], 1000, "{text}");
            assert_eq!(series["repeats"].as_array().unwrap().len(), 2);
            if target["name"] == "stalls" {
                assert!(
                    series["latency"]["max_ns"].as_u64().unwrap() >= STALL.as_nanos() as u64,
                    "{text}"
                );
                assert!(
                    series["latency"]["p99_ns"].as_u64().unwrap() >= 70_000_000,
                    "{text}"
                );
            }
        }
    }
    // What it made for itself is gone.
    assert_eq!(std::fs::read_dir(data.path()).unwrap().count(), 0);

    let output = bench(&["report", directory, "--title", "Steady & <stalling>"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let page = std::fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(page.contains("<h1>Steady &amp; &lt;stalling&gt;</h1>"));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    assert!(page.matches("<svg").count() >= 6, "{page}");
    // The command line in it names directories with random names.
    let page = page
        .replace(directory, "")
        .replace(data.path().to_str().unwrap(), "");
    for outside in ["http", "<script", "src=", "href=", "@import", "NaN", "inf"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let json = report(out.path(), "report.json");
    assert_eq!(json["runs"][0]["targets"], comparison["targets"]);
}

/// A sweep tries rates, judges them and draws them. Which of them hold is the machine's affair.
#[test]
fn a_sweep_tries_rates() {
    let broker = start(Fault::None);
    let out = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir().unwrap();
    let directory = out.path().to_str().unwrap();
    let target = format!("only={broker}");
    let mut args = vec![
        "sweep", "--target", &target, "--from", "200", "--to", "400", "--limit", "60", "--linger", "20ms",
    ];
    args.extend([
        "--duration",
        "500ms",
        "--warmup",
        "0",
        "--settle",
        "100ms",
        "--kind",
        "produce",
    ]);
    args.extend(["--data-dir", data.path().to_str().unwrap(), "--out", directory]);
    let output = bench(&args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let sweep = report(out.path(), "sweep.json");
    let steps = sweep["targets"][0]["sweep"]["steps"].as_array().unwrap();
    assert!(!steps.is_empty());
    assert_eq!(
        (&steps[0]["rate"], &steps[0]["latency"]["samples"]),
        (&200.0.into(), &100.into())
    );
    assert!(bench(&["report", directory]).status.success());
    let page = std::fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(page.contains("Throughput against p99.9"));
}

/// Runs of two machines are two parts of the page, and it says why.
#[test]
fn machines_are_kept_apart() {
    let broker = start(Fault::None);
    let out = tempfile::tempdir().unwrap();
    let directory = out.path().to_str().unwrap();
    let mut args = vec![
        "produce",
        "--bootstrap",
        &broker,
        "--duration",
        "200ms",
        "--warmup",
        "0",
    ];
    args.extend(["--out", directory]);
    assert!(bench(&args).status.success());
    let mut other = report(out.path(), "produce.json");
    other["machine"]["processor"] = "Another Processor".into();
    std::fs::write(out.path().join("other.json"), other.to_string()).unwrap();
    assert!(bench(&["report", directory]).status.success());
    let page = std::fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(page.contains("are not to be compared"));
    assert!(page.contains("Machine 1 of 2") && page.contains("Machine 2 of 2"));
    assert!(page.contains("Another Processor"));
}
