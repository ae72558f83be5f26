//! `tautline-bench`: measures any broker that speaks Kafka's protocol, and checks what it promised.
//!
//! A black box: it knows the protocol and nothing of the broker behind it. There are two exceptions: `crash` and `history` start
//! and kill the broker's process, and `sim` runs the simulator of its replication, without a broker.

mod affinity;
mod client;
mod clock;
mod compare;
mod crash;
mod errors;
mod groups;
mod history;
mod limits;
mod load;
mod options;
mod random;
mod report;
mod sim;
mod stop;
mod sweep;
mod verify;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use load::run::Kind;
use stop::Stop;
use verify::VerifyCommand;

/// Latency harness and verifiers for brokers that speak Kafka's protocol
#[derive(Parser)]
#[command(name = "tautline-bench", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure this machine's floor: loopback round trip, durable write, cross-core hop, sequential writes
    Limits(limits::LimitsArgs),
    /// Measure the latency of acknowledgements, open loop (--rate) or closed loop (--in-flight)
    Produce(load::run::RunArgs),
    /// Measure the latency from the intended send to the consumer's receipt
    E2e(load::run::RunArgs),
    /// The same load on several brokers in turn, interleaved, on the same cores and disk
    Compare(compare::CompareArgs),
    /// Raise the rate until the tail breaks, and find the knee, of one broker or several
    Sweep(sweep::SweepArgs),
    /// Draw what runs have written with --out as one HTML page, and as one JSON
    Report(report::command::ReportCommandArgs),
    /// Read a topic as fast as the broker gives it
    Consume(load::consume::ConsumeArgs),
    /// Measure heartbeats and commits of many consumer groups
    Groups(groups::GroupsArgs),
    /// Check that what was acknowledged is there, once, in order
    #[command(subcommand)]
    Verify(verify::VerifyCommand),
    /// Kill a broker at random moments under load, over and over, and check that nothing acknowledged is lost
    Crash(crash::CrashArgs),
    /// Let clients of every kind work while the broker is killed, and check all they saw: isolation, order, offsets
    History(history::HistoryArgs),
    /// Run simulated clusters from seeds, with everything that can go wrong, and check what must hold
    Sim(sim::SimArgs),
}

fn main() -> ExitCode {
    match run(&Cli::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("tautline-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// False when it ran but what it found is a failure, which it has printed.
fn run(command: &Command) -> anyhow::Result<bool> {
    let stop = Stop::on_signals()?;
    match command {
        Command::Limits(args) => limits::run(args).map(|()| true),
        Command::Produce(args) => load::run::run(Kind::Produce, args, &stop),
        Command::E2e(args) => load::run::run(Kind::E2e, args, &stop),
        Command::Compare(args) => compare::run(args, &stop),
        Command::Sweep(args) => sweep::run(args, &stop).map(|()| true),
        Command::Report(args) => report::command::run(args).map(|()| true),
        Command::Consume(args) => load::consume::run(args, &stop).map(|()| true),
        Command::Groups(args) => groups::run(args, &stop).map(|()| true),
        Command::Verify(VerifyCommand::Produce(args)) => verify::produce::run(args, &stop).map(|()| true),
        Command::Crash(args) => crash::run(args, &stop),
        Command::History(args) => history::run(args, &stop),
        Command::Sim(args) => sim::run(args, &stop),
        Command::Verify(VerifyCommand::Check(args)) => verify::read::run(args),
    }
}
