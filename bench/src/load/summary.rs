//! What a load run found, as JSON and as tables on standard output.

use serde::Serialize;

use super::job::Lane;
use super::outcome::Outcome;
use super::run::{Kind, RunArgs};
use super::setup::Setup;
use super::slice::AllSeries;
use super::target::Target;
use crate::limits::floor::FloorReport;
use crate::report::durability::Durability;
use crate::report::machine::Machine;
use crate::report::measured::{Measured, measured};
use crate::report::series::Series;
use crate::report::table;

/// Part of its time for which a client thread may be busy before the report says so.
pub const CLIENT_BUSY_WARNING: f64 = 0.9;

/// The JSON report.
#[derive(Serialize)]
#[allow(missing_docs)]
pub struct Report<'a> {
    pub command: Kind,
    pub command_line: Vec<String>,
    pub machine: Machine,
    pub flags: &'a RunArgs,
    pub setup: Setup,
    pub durability: &'a Durability,
    pub connections: Vec<&'a Lane>,
    pub results: Vec<Measured>,
    pub floor: Option<FloorReport>,
    pub outcome: Outcome,
    pub received: Option<u64>,
}

/// Each series of all repeats, with its ratios to the floor.
pub fn results(repeats: &[AllSeries], seconds: f64, floor: Option<&FloorReport>) -> Vec<Measured> {
    let mut results = Vec::new();
    for which in 0..3 {
        let series: Vec<&Series> = repeats.iter().map(|all| all.each()[which]).collect();
        let mut measured = measured(&series, seconds);
        if measured.latency.samples == 0 {
            continue;
        }
        if let Some(floor) = floor {
            let latency = &measured.latency;
            measured.ratio_to_durable = latency.ratio_to(&floor.round_trip_and_durable_write);
            measured.ratio_to_round_trip = latency.ratio_to(&floor.round_trip);
        }
        results.push(measured);
    }
    results
}

/// What is about to be measured.
pub fn print_heading(machine: &Machine, bootstrap: &str, target: &Target, setup: &Setup) {
    println!("{machine}");
    println!(
        "topic {} on {bootstrap}: {}",
        target.topic.name, target.durability.statement
    );
    println!(
        "{}: {setup}",
        if setup.kind == Kind::E2e { "e2e" } else { "produce" }
    );
    let times = if setup.repeats > 1 {
        format!(", {} times", setup.repeats)
    } else {
        String::new()
    };
    println!(
        "{:.1} s measured after {:.1} s of warm-up{times}\n",
        setup.duration_s, setup.warmup_s
    );
}

/// The rows of the floor.
pub fn print_floor(floor: &FloorReport) {
    println!("{}", table::row("floor: loopback round trip", &floor.round_trip));
    println!(
        "{}",
        table::row("floor: durable 4 KiB overwrite", &floor.durable_write)
    );
    let both = &floor.round_trip_and_durable_write;
    println!("{}", table::row("floor: both, as one sample", both));
}

/// What was measured.
pub fn print_results(report: &Report<'_>) {
    println!("{}", table::heading("latency, us"));
    if let Some(floor) = &report.floor {
        print_floor(floor);
    }
    for measured in &report.results {
        println!("{}", table::row(&measured.name, &measured.latency));
        if measured.repeats.len() > 1 {
            println!("{}", table::spread_rows(&measured.repeats));
        }
        if measured.minutes.len() > 1 {
            println!("{}", table::minute_rows(&measured.minutes));
        }
        if measured.name == "send-lateness" {
            continue;
        }
        for (name, ratios) in [
            ("  / floor (both)", measured.ratio_to_durable),
            ("  / floor (round trip)", measured.ratio_to_round_trip),
        ] {
            if let Some(ratios) = ratios {
                println!("{}", table::ratio_row(name, &ratios));
            }
        }
    }
    println!();
    for measured in report
        .results
        .iter()
        .filter(|measured| measured.messages_per_second > 0.0)
    {
        println!(
            "{:<8} {:>10.0} msg/s {:>9.1} MB/s (values only)",
            measured.name, measured.messages_per_second, measured.mb_per_second
        );
    }
    if let Some(received) = report.received {
        println!(
            "{received} messages received of {} acknowledged",
            report.outcome.acknowledged
        );
    }
    if let Some(busy) = report
        .outcome
        .client_busy
        .filter(|&busy| busy > CLIENT_BUSY_WARNING)
    {
        println!(
            "note: a thread of the harness was busy for {:.0} % of the time; give it more --cores, or the figures are its own",
            busy * 100.0
        );
    }
    if report.outcome.unanswered > 0 {
        println!("{} messages were never answered", report.outcome.unanswered);
    }
    for (error, count) in &report.outcome.errors {
        println!("{count} requests answered with {error}");
    }
}
