//! What a report is made from: the JSON that `compare`, `sweep`, `produce` and `e2e` wrote with --out, in one shape.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

use super::durability::Durability;
use super::machine::Machine;
use super::measured::Measured;
use super::percentiles::Percentiles;
use crate::compare::result::{Comparison, TargetResult};
use crate::limits::floor::FloorReport;
use crate::load::outcome::Outcome;
use crate::load::setup::Setup;

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    /// The file it was read from.
    pub file: String,
    /// The run.
    #[serde(flatten)]
    pub run: Comparison,
}

/// A report of `produce` or `e2e`, as far as it is drawn.
#[derive(Deserialize)]
struct Single {
    command: String,
    command_line: Vec<String>,
    machine: Machine,
    flags: SingleFlags,
    setup: Setup,
    durability: Durability,
    results: Vec<Measured>,
    floor: Option<FloorReport>,
    outcome: Outcome,
    received: Option<u64>,
}

#[derive(Deserialize)]
struct SingleFlags {
    target: SingleTarget,
}

#[derive(Deserialize)]
struct SingleTarget {
    bootstrap: String,
}

/// The commands whose reports can be drawn.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    command: String,
}

/// All runs of a directory, by file name, and the names of files that hold none.
pub fn read_all(dir: &Path) -> anyhow::Result<(Vec<Document>, Vec<String>)> {
    let entries = fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))?;
    let mut paths: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    let (mut documents, mut others) = (Vec::new(), Vec::new());
    for path in paths {
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if file == super::command::JSON_NAME {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        match read(&file, &text)
            .with_context(|| format!("{} is not a report of this version", path.display()))?
        {
            Some(document) => documents.push(document),
            None => others.push(file),
        }
    }
    ensure!(
        !documents.is_empty(),
        "{} holds no report: write some there with --out {}",
        dir.display(),
        dir.display()
    );
    Ok((documents, others))
}

/// None for a report of another command.
fn read(file: &str, text: &str) -> anyhow::Result<Option<Document>> {
    let head: Head = serde_json::from_str(text)?;
    let run = match head.command.as_str() {
        "compare" | "sweep" => serde_json::from_str::<Comparison>(text)?,
        "produce" | "e2e" => serde_json::from_str::<Single>(text)?.into_comparison(),
        _ => return Ok(None),
    };
    Ok(Some(Document {
        file: file.into(),
        run,
    }))
}

impl Document {
    /// The machine's floor in the same run, by name.
    pub fn floor(&self) -> Vec<(&'static str, &Percentiles)> {
        self.run.floor.as_ref().map_or(Vec::new(), |floor| {
            vec![
                ("loopback round trip", &floor.round_trip),
                ("durable 4 KiB overwrite", &floor.durable_write),
                (FLOOR, &floor.round_trip_and_durable_write),
            ]
        })
    }
}

/// The floor's name on a plot.
pub const FLOOR: &str = "round trip + durable write";

impl Single {
    fn into_comparison(self) -> Comparison {
        let address = self.flags.target.bootstrap;
        Comparison {
            command: self.command,
            command_line: self.command_line,
            at_unix_s: 0,
            machine: self.machine,
            setup: self.setup,
            broker_cores: String::new(),
            method: Vec::new(),
            differences: Vec::new(),
            floor: self.floor,
            targets: vec![TargetResult {
                name: address.clone(),
                product: address,
                started: String::new(),
                durability: self.durability,
                topic_configs: Vec::new(),
                frozen_between: false,
                results: self.results,
                outcome: self.outcome,
                received: self.received,
                broker_cpu: None,
                broker_memory_mib: None,
                stages: Vec::new(),
                sweep: None,
            }],
        }
    }
}
