//! Setting what was found to be wrong, with the way back written down first.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde::Serialize;

use super::finding::{Finding, Step, Verdict};
use super::tree::Tree;

/// What became of a step.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    pub check: &'static str,
    pub command: String,
    /// Why it could not be done.
    pub error: Option<String>,
}

/// What became of all steps.
#[derive(Debug, Serialize)]
pub(super) struct Applied {
    pub undo_script: Option<PathBuf>,
    pub outcomes: Vec<Outcome>,
}

impl Applied {
    /// How many steps could not be done.
    pub fn failed(&self) -> usize {
        self.outcomes
            .iter()
            .filter(|outcome| outcome.error.is_some())
            .count()
    }
}

/// Takes the steps of all that should be changed. Each is tried, whatever became of those before it.
///
/// # Errors
/// When the undo script can't be written; nothing has been set then.
pub(super) fn apply(tree: &Tree, findings: &[Finding], undo_script: &Path) -> anyhow::Result<Applied> {
    let steps: Vec<(&'static str, &Step)> = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Change)
        .flat_map(|finding| finding.steps.iter().map(|step| (finding.check, step)))
        .collect();
    if steps.is_empty() {
        return Ok(Applied {
            undo_script: None,
            outcomes: Vec::new(),
        });
    }
    write_undo(undo_script, &steps)?;
    let outcomes = steps.iter().map(|(check, step)| Outcome {
        check,
        command: step.does(),
        error: take(tree, step).err(),
    });
    Ok(Applied {
        outcomes: outcomes.collect(),
        undo_script: Some(undo_script.to_owned()),
    })
}

fn take(tree: &Tree, step: &Step) -> Result<(), String> {
    match step {
        Step::Write { path, after, .. } => tree.write(path, after).map_err(|error| error.to_string()),
        Step::Run { .. } if !tree.is_machine() => {
            Err("commands are run on the machine itself only".to_owned())
        }
        Step::Run { command, .. } => {
            let (program, arguments) = command.split_first().expect("a command has a program");
            let ended = Command::new(program).args(arguments).output();
            let ended = ended.map_err(|error| format!("{program}: {error}"))?;
            if ended.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&ended.stderr);
            Err(format!("{}: {}", ended.status, said.trim()))
        }
    }
}

/// The last step is undone first. What is there already is another run's way back, and is kept.
fn write_undo(path: &Path, steps: &[(&'static str, &Step)]) -> anyhow::Result<()> {
    let mut text =
        "#!/bin/sh\n# Undoes what `tautline tune --apply` has set. Run it as root.\nstatus=0\n".to_owned();
    for (check, step) in steps.iter().rev() {
        text.push_str(&format!("{} || status=1 # {check}\n", step.undoes()));
    }
    text.push_str("exit $status\n");
    let shown = path.display();
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(path);
    let mut file = match file {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!(
            "{shown} is there already: it undoes an earlier --apply. Run it and remove it, or name another with --undo-script"
        ),
        opened => opened.with_context(|| format!("--undo-script {shown}"))?,
    };
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(|| format!("--undo-script {shown}"))
}
