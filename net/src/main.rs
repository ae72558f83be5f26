//! The broker's command line.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tautline_net::config::{Cli, Command, Machine, StartFlags, StartOptions};
use tautline_net::{server, trace, tune};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let result = match command {
        Command::Start(flags) => start(flags).map(|()| ExitCode::SUCCESS),
        Command::Trace(flags) => trace::run(&flags).map(|()| ExitCode::SUCCESS),
        Command::Tune(flags) => tune::run(&flags),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tautline: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn start(flags: StartFlags) -> anyhow::Result<()> {
    let options = StartOptions::load(flags, &Machine::probe()?)?;
    server::start(&options)
}

/// The error with its causes, leaving out those that the one before has told already.
fn explain(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .fold(String::new(), |told, cause| match told.as_str() {
            "" => cause,
            _ if told.contains(&cause) => told,
            _ => format!("{told}: {cause}"),
        })
}
