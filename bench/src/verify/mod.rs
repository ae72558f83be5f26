//! `verify`: what was acknowledged must be there, once, in order, unharmed.
//!
//! `verify produce` writes records that carry their writer, sequence number and checksum, and journals every
//! acknowledgement; `verify check` reads everything back and holds it against the journals.

pub mod check;
pub mod journal;
pub mod produce;
pub mod read;
pub mod record;
pub mod writer;

use clap::Subcommand;

/// The two halves.
#[derive(Subcommand)]
pub enum VerifyCommand {
    /// Write at full load and journal every acknowledgement, through broker restarts, until --duration or SIGTERM
    Produce(produce::ProduceArgs),
    /// Read everything back and compare it with the journals
    Check(read::CheckArgs),
}
