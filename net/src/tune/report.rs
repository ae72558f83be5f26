//! Findings for a person, and for a script.

use std::fmt::Write;

use anyhow::Context;
use serde_json::json;
use tautline_core::shard::PollMode;

use super::apply::Applied;
use super::finding::{Finding, Step, Verdict};
use super::plan::Plan;
use crate::config::show_cores;

/// Steps of one finding that are shown one by one.
const STEPS_SHOWN: usize = 3;

/// For a person: one paragraph a finding, what should be changed last, where it is seen.
pub(super) fn text(plan: &Plan, findings: &[Finding], applied: Option<&Applied>) -> String {
    let mut text = format!("shards on cores {}", show_cores(&plan.shards));
    if let Some(control) = plan.control {
        let _ = write!(text, ", control on core {control}");
    }
    let _ = writeln!(text, ", data in {}\n", plan.data_dir.display());
    for (verdict, word) in [
        (Verdict::Good, "good"),
        (Verdict::Unknown, "unknown"),
        (Verdict::Consider, "consider"),
        (Verdict::Change, "CHANGE"),
    ] {
        for finding in findings.iter().filter(|finding| finding.verdict == verdict) {
            paragraph(&mut text, word, finding);
        }
    }
    if let Some(applied) = applied {
        outcomes(&mut text, applied);
    }
    let count = |verdict| {
        findings
            .iter()
            .filter(|finding| finding.verdict == verdict)
            .count()
    };
    let _ = writeln!(
        text,
        "{} good, {} to change, {} to consider, {} unknown",
        count(Verdict::Good),
        count(Verdict::Change),
        count(Verdict::Consider),
        count(Verdict::Unknown)
    );
    text
}

fn paragraph(text: &mut String, word: &str, finding: &Finding) {
    let _ = write!(
        text,
        "{word:<9} {}, {}: {}",
        finding.check, finding.subject, finding.is
    );
    let _ = match finding.verdict {
        Verdict::Good | Verdict::Unknown => writeln!(text),
        Verdict::Change | Verdict::Consider => writeln!(text, " -> {}", finding.should),
    };
    let mut row = |name: &str, line: &str| {
        let _ = writeln!(text, "{:10}{name:<5} {line}", "");
    };
    row("why", finding.why);
    let lines = |line: fn(&Step) -> String| finding.steps.iter().map(line).collect::<Vec<_>>();
    // What is only to be considered is never set.
    let set = match finding.verdict {
        Verdict::Consider => "hand",
        _ => "set",
    };
    for (name, lines) in [(set, lines(Step::does)), ("undo", lines(Step::undoes))] {
        let left = lines.len().saturating_sub(STEPS_SHOWN);
        for line in lines.iter().take(STEPS_SHOWN) {
            row(name, line);
        }
        if left > 0 {
            row(
                name,
                &format!("... and {left} more like it (--json has them all)"),
            );
        }
    }
    if let Some(by_hand) = &finding.by_hand {
        row("hand", &by_hand.how);
        row("undo", &by_hand.undo);
    }
}

fn outcomes(text: &mut String, applied: &Applied) {
    let failed = applied.failed();
    let _ = writeln!(text, "\nset: {}", applied.outcomes.len() - failed);
    if let Some(script) = &applied.undo_script {
        let _ = writeln!(text, "undone by: sh {}", script.display());
    }
    for outcome in &applied.outcomes {
        if let Some(error) = &outcome.error {
            let _ = writeln!(text, "NOT SET   {}: {}: {error}", outcome.check, outcome.command);
        }
    }
}

/// For a script: the same as one JSON object.
pub(super) fn json(plan: &Plan, findings: &[Finding], applied: Option<&Applied>) -> anyhow::Result<String> {
    let poll = match plan.poll {
        PollMode::Busy => "busy",
        PollMode::Adaptive => "adaptive",
        PollMode::Park => "park",
    };
    let report = json!({
        "shard_cores": plan.shards,
        "control_core": plan.control,
        "other_cores": plan.others,
        "poll": poll,
        "data_dir": plan.data_dir,
        "findings": findings,
        "applied": applied,
    });
    let mut text = serde_json::to_string_pretty(&report).context("the report as JSON")?;
    text.push('\n');
    Ok(text)
}
