//! Faults for tests, from the environment: `TAUTLINE_FAULT` makes the file layer behave like a machine that fails.
//!
//! `lose-unsynced` keeps what was never made durable in the process only, so that `kill -9` loses it as a power cut would.
//! `eio:N`, `enospc:N` and `power-cut:N:SEED` let N more bytes be written before writes fail. Not for operators: a broker that
//! runs with it says so in its log.

use std::sync::Arc;

use anyhow::{Context, bail};
use tautline_store::{Fault, FaultPlan};

/// The environment variable.
const VARIABLE: &str = "TAUTLINE_FAULT";

/// What the environment asks for; None where it says nothing.
///
/// # Errors
/// It says something unknown.
pub fn from_environment() -> anyhow::Result<Option<Arc<FaultPlan>>> {
    let Ok(text) = std::env::var(VARIABLE) else {
        return Ok(None);
    };
    let plan = parse(&text).with_context(|| format!("{VARIABLE}={text}"))?;
    tracing::warn!("{VARIABLE}={text}: this broker fails on purpose");
    Ok(Some(Arc::new(plan)))
}

fn parse(text: &str) -> anyhow::Result<FaultPlan> {
    if text == "lose-unsynced" {
        return Ok(FaultPlan::lose_unsynced());
    }
    let mut words = text.split(':');
    let name = words.next().unwrap_or_default();
    let mut number =
        |what: &'static str| -> anyhow::Result<u64> { words.next().context(what)?.parse().context(what) };
    let bytes = number("how many bytes may still be written")?;
    let fault = match name {
        "eio" => Fault::Io,
        "enospc" => Fault::NoSpace,
        "power-cut" => Fault::PowerCut {
            seed: number("the seed of the sectors that are lost")?,
        },
        _ => bail!("unknown fault: lose-unsynced, eio:N, enospc:N or power-cut:N:SEED"),
    };
    let plan = FaultPlan::default();
    plan.fail_after(bytes, fault);
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn known_faults_and_others() {
        for text in ["lose-unsynced", "eio:4096", "enospc:0", "power-cut:100:7"] {
            parse(text).unwrap();
        }
        for text in ["", "eio", "eio:x", "power-cut:1", "flood:1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
