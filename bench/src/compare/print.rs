//! `compare` on a terminal: a line a turn, then the table.

use super::result::{Comparison, TargetResult};
use crate::load::slice::AllSeries;
use crate::load::summary::{CLIENT_BUSY_WARNING, print_floor};
use crate::report::percentiles::Percentiles;
use crate::report::table::{self, micros};

/// What a turn showed.
pub fn turn(round: u32, name: &str, series: &AllSeries) {
    let shown = if series.e2e.total.is_empty() {
        &series.produce
    } else {
        &series.e2e
    };
    let latency = Percentiles::of(&shown.total);
    eprintln!(
        "round {} {name:<16} {:<8} p50 {} us  p99 {} us  p99.9 {} us  max {} us",
        round + 1,
        shown.name,
        micros(latency.p50_ns),
        micros(latency.p99_ns),
        micros(latency.p99_9_ns),
        micros(latency.max_ns)
    );
}

/// The tables, each series of all targets together.
pub fn comparison(comparison: &Comparison) {
    for name in ["e2e", "produce", "send-lateness"] {
        let targets = comparison.targets.iter();
        let shown: Vec<_> = targets
            .filter_map(|target| Some((target, target.series(name)?)))
            .collect();
        if shown.is_empty() {
            continue;
        }
        println!("\n{}", table::heading(&format!("{name}, us")));
        if let Some(floor) = comparison.floor.as_ref().filter(|_| name != "send-lateness") {
            print_floor(floor);
        }
        let first = &shown[0].1.latency;
        for (at, (target, measured)) in shown.iter().enumerate() {
            println!("{}", table::row(&target.name, &measured.latency));
            if measured.repeats.len() > 1 {
                println!("{}", table::spread_rows(&measured.repeats));
            }
            if at > 0
                && name != "send-lateness"
                && let Some(ratios) = measured.latency.ratio_to(first)
            {
                println!(
                    "{}",
                    table::ratio_row(&format!("  / {}", shown[0].0.name), &ratios)
                );
            }
        }
    }
    println!();
    comparison.targets.iter().for_each(target);
    for difference in &comparison.differences {
        println!("{difference}");
    }
}

fn target(target: &TargetResult) {
    println!(
        "{}: {}, {}",
        target.name, target.product, target.durability.statement
    );
    println!("  {}", target.started);
    let mut line = String::new();
    if let Some(produce) = target.series("produce") {
        line += &format!("{:.0} msg/s acknowledged", produce.messages_per_second);
    }
    if let Some(received) = target.received {
        line += &format!(
            ", {received} received of {} acknowledged with all warm-ups",
            target.outcome.acknowledged
        );
    }
    if let Some(cpu) = target.broker_cpu {
        line += &format!(", {cpu:.2} cores used");
    }
    if let Some(memory) = target.broker_memory_mib {
        line += &format!(", {memory} MiB resident");
    }
    println!("  {line}");
    if target.outcome.unanswered > 0 {
        println!("  {} messages were never answered", target.outcome.unanswered);
    }
    for (error, count) in &target.outcome.errors {
        println!("  {count} requests answered with {error}");
    }
    if let Some(busy) = target.outcome.client_busy {
        let much = if busy > CLIENT_BUSY_WARNING {
            ": TOO MUCH, the figures are the harness's own"
        } else {
            ""
        };
        println!(
            "  the harness's thread was busy for {:.0} % of the time{much}",
            busy * 100.0
        );
    }
}
