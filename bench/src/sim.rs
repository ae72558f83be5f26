//! `sim`: whole clusters of the broker's real replication state machines under a simulated clock, network and disk.
//!
//! The one command here that is no black box: it drives `tautline-replica`'s simulator and knows nothing of how that works.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use tautline_replica::sim::{self, KINDS, Kind, Outcome, Plan};

use crate::stop::Stop;

/// Flags of `sim`
#[derive(Args, Debug)]
pub struct SimArgs {
    /// The first seed; a seed gives the same run on every machine
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
    /// How many seeds, one after the other
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    seeds: u64,
    /// What may go wrong, comma-separated: crash, pause, partition, one-way, lossy, slow-disk, full-disk, transfer, membership,
    /// trim; everything by default, or none
    #[arg(long, value_delimiter = ',', value_name = "FAULT,...")]
    faults: Vec<String>,
    /// Print what happened also when nothing is wrong
    #[arg(long)]
    trace: bool,
}

/// How often the progress line is written.
const PROGRESS: Duration = Duration::from_secs(1);

/// False when a line of what must hold does not, which is printed with what led to it.
pub fn run(args: &SimArgs, stop: &Stop) -> anyhow::Result<bool> {
    ensure!(args.seeds > 0, "--seeds must be at least 1");
    let kinds = kinds(&args.faults)?;
    let (begun, mut told) = (Instant::now(), Instant::now());
    let (mut acked, mut leaders, mut done) = (0, 0, 0);
    for seed in args.seed..args.seed.saturating_add(args.seeds) {
        if stop.is_set() {
            break;
        }
        let plan = Plan::new(seed, &kinds);
        let outcome = sim::run(&plan);
        if outcome.violation.is_some() {
            report(&plan, &outcome);
            return Ok(false);
        }
        if args.trace {
            println!(
                "{}\nseed {seed}: hash {:08x}",
                outcome.trace.join("\n"),
                outcome.hash
            );
        }
        (acked, leaders, done) = (acked + outcome.acked, leaders + outcome.leaders, done + 1);
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            eprint!(
                "\r{done} of {} seeds, {acked} acknowledged, {leaders} elections ",
                args.seeds
            );
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    eprint!("\r");
    println!(
        "{done} seeds from {}: nothing violated; {acked} acknowledged, {leaders} elections, {seconds:.1} s",
        args.seed
    );
    Ok(true)
}

fn kinds(names: &[String]) -> anyhow::Result<Vec<Kind>> {
    match names {
        [] => Ok(KINDS.to_vec()),
        [none] if none == "none" => Ok(Vec::new()),
        names => {
            let known = || KINDS.map(Kind::name).join(", ");
            let named = |name: &String| {
                Kind::named(name).with_context(|| format!("--faults: {name} is none of {}", known()))
            };
            names.iter().map(named).collect()
        }
    }
}

/// A violation, with as few faults as lead to it and the end of what happened.
fn report(plan: &Plan, outcome: &Outcome) {
    let violation = outcome.violation.as_ref().expect("it is what is reported");
    println!("\nseed {}: VIOLATED {violation}", plan.seed);
    let least = sim::minimize(plan, violation);
    let again = sim::run(&least);
    println!(
        "{} of {} faults are enough:",
        least.faults.len(),
        plan.faults.len()
    );
    for fault in &least.faults {
        println!("  {fault}");
    }
    println!("{}", again.trace.join("\n"));
    if let Some(violation) = &again.violation {
        println!("VIOLATED {violation}");
    }
}
