//! `tautline tune`: what the machine should be like for latency to be predictable, and making it so.
//!
//! ```text
//!  Tree (/sys, /proc) + Plan (which cores, which directory) --look--> Findings --report--> text or JSON
//!                                                                        '-----apply--> undo script, then writes
//! ```
//!
//! Runs on the main thread of its own process; no broker needs to run. Checking only reads. Applying writes the undo script
//! first, so that also what was set before a crash can be undone, and changes nothing that is not listed. All is read below one
//! root, which tests and copies of other machines set.

mod apply;
mod clock;
mod cores;
mod disk;
mod finding;
mod flags;
mod irqs;
mod limits;
mod masks;
mod memory;
mod mounts;
mod network;
mod plan;
mod report;
#[cfg(test)]
mod tests;
mod tree;

use std::process::ExitCode;

use anyhow::{Context, bail};

pub use self::flags::TuneFlags;

use self::apply::Applied;
use self::finding::{Finding, Verdict};
use self::plan::Plan;
use self::tree::Tree;

/// Something is not as it should be.
const EXIT_CHANGES: u8 = 3;
/// Something could not be set.
const EXIT_NOT_SET: u8 = 4;

/// Checks, and with `--apply` sets.
///
/// # Errors
/// What keeps it from looking, or from beginning to set.
pub fn run(flags: &TuneFlags) -> anyhow::Result<ExitCode> {
    let tree = Tree::new(&flags.root);
    let plan = Plan::new(flags, &tree)?;
    let findings = look(&tree, &plan);
    let applied = if flags.apply {
        if tree.is_machine() && !rustix::process::geteuid().is_root() {
            bail!("--apply needs root: run it with sudo, or look with --check");
        }
        Some(apply::apply(&tree, &findings, &flags.undo_script)?)
    } else {
        None
    };
    let text = if flags.json {
        report::json(&plan, &findings, applied.as_ref())?
    } else {
        report::text(&plan, &findings, applied.as_ref())
    };
    use std::io::Write;
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("standard output")?;
    Ok(exit_code(&findings, applied.as_ref()))
}

/// Everything that is looked at.
fn look(tree: &Tree, plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    for look in [
        cores::look,
        irqs::look,
        network::look,
        disk::look,
        memory::look,
        clock::look,
        limits::look,
    ] {
        look(tree, plan, &mut findings);
    }
    findings
}

/// 0: all is as it should be. See the constants for the others; errors are 1, wrong flags 2.
fn exit_code(findings: &[Finding], applied: Option<&Applied>) -> ExitCode {
    let changes = |finding: &&Finding| finding.verdict == Verdict::Change;
    let left = findings
        .iter()
        .filter(changes)
        .any(|finding| applied.is_none() || finding.steps.is_empty());
    match applied {
        Some(applied) if applied.failed() > 0 => ExitCode::from(EXIT_NOT_SET),
        _ if left => ExitCode::from(EXIT_CHANGES),
        _ => ExitCode::SUCCESS,
    }
}
