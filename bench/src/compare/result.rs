//! What `compare` and `sweep` found, as JSON, and how the targets differ in what they promise.

use serde::{Deserialize, Serialize};

use super::stages::Stage;
use crate::limits::floor::FloorReport;
use crate::load::outcome::Outcome;
use crate::load::setup::Setup;
use crate::report::durability::Durability;
use crate::report::machine::Machine;
use crate::report::measured::Measured;
use crate::sweep::result::Swept;

/// One run over several targets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// compare or sweep.
    pub command: String,
    /// As it was typed.
    pub command_line: Vec<String>,
    /// When it ended, in seconds since the epoch.
    pub at_unix_s: u64,
    /// Where.
    pub machine: Machine,
    /// The load, the same for all.
    pub setup: Setup,
    /// Cores of the brokers that scripts started.
    pub broker_cores: String,
    /// What was done between measurements.
    pub method: Vec<String>,
    /// How the targets differ in what they promise.
    pub differences: Vec<String>,
    /// The machine's floor between the turns.
    #[serde(default)]
    pub floor: Option<FloorReport>,
    /// The targets, in the order of the command line.
    pub targets: Vec<TargetResult>,
}

/// One target of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetResult {
    /// Its name.
    pub name: String,
    /// What it is, as its script says, or its address.
    pub product: String,
    /// How it was started.
    pub started: String,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// Configurations of its topic that it was given.
    pub topic_configs: Vec<(String, String)>,
    /// Whether its process was stopped while others were measured.
    pub frozen_between: bool,
    /// The series, over all rounds.
    pub results: Vec<Measured>,
    /// Of all rounds.
    pub outcome: Outcome,
    /// Messages received.
    pub received: Option<u64>,
    /// Processor time of its process over wall-clock time, in the rounds.
    pub broker_cpu: Option<f64>,
    /// Its process's memory after the last round, in MiB.
    pub broker_memory_mib: Option<u64>,
    /// Where requests spent their time, by the broker's own account.
    pub stages: Vec<Stage>,
    /// What a sweep found.
    pub sweep: Option<Swept>,
}

impl TargetResult {
    /// The series of this name.
    pub fn series(&self, name: &str) -> Option<&Measured> {
        self.results.iter().find(|measured| measured.name == name)
    }
}

/// In a sentence each, where targets don't promise the same.
pub fn differences(targets: &[TargetResult]) -> Vec<String> {
    let mut differences = Vec::new();
    let named = |durable: Option<bool>| {
        let names = targets
            .iter()
            .filter(|target| target.durability.is_durable() == durable);
        names
            .map(|target| target.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (durable, relaxed, unknown) = (named(Some(true)), named(Some(false)), named(None));
    if !durable.is_empty() && !relaxed.is_empty() {
        differences.push(format!(
            "Durability differs: {durable} acknowledges what is on stable storage, {relaxed} acknowledges what is in memory, \
             where a power failure loses it."
        ));
    }
    if !unknown.is_empty() {
        differences.push(format!(
            "{unknown} does not say whether an acknowledgement is durable."
        ));
    }
    for target in targets.iter().filter(|target| !target.frozen_between) {
        differences.push(format!(
            "{} could not be stopped while others were measured: its process id is not known.",
            target.name
        ));
    }
    differences
}
