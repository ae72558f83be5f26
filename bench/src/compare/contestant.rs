//! A target while it takes part: started, its topic made, stopped while it is not its turn.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::peer::Peer;
use super::process::Process;
use super::result::TargetResult;
use super::spec::{Location, Spec};
use super::stages::{self, Reading};
use super::{ContestArgs, Cpus};
use crate::clock::now_ns;
use crate::load::job::Job;
use crate::load::outcome::Outcome;
use crate::load::run::Kind;
use crate::load::setup::Setup;
use crate::load::slice::{self, AllSeries, Readers, Show};
use crate::load::summary::results;
use crate::load::target::{self, Target};
use crate::options::LoadArgs;
use crate::stop::Stop;

/// For a process that has been stopped: its timers go off and it catches up before anything is measured.
const CATCH_UP: Duration = Duration::from_millis(300);

/// A target that takes part.
pub struct Contestant {
    /// As it was asked for.
    pub spec: Spec,
    bootstrap: String,
    process: Option<Process>,
    admin: Option<String>,
    target: Target,
    stages: Reading,
    cpu_seconds: f64,
    wall_seconds: f64,
    outcome: Outcome,
    received: u64,
    /// Last, so that its process goes on before it is told to end.
    peer: Option<Peer>,
}

impl Contestant {
    /// Starts it if a script does that, and makes its topic. It is left stopped.
    pub fn enter(
        spec: &Spec,
        args: &ContestArgs,
        cpus: &Cpus,
        data_dir: &Path,
    ) -> anyhow::Result<Contestant> {
        let context = || format!("target {}", spec.name);
        let (bootstrap, pid, peer) = match &spec.location {
            Location::Running { bootstrap, pid } => (bootstrap.clone(), *pid, None),
            Location::Script { path, environment } => {
                eprintln!("starting {} by {}", spec.name, path.display());
                let peer = Peer::start(path, environment, &data_dir.join(&spec.name), &cpus.broker)
                    .with_context(context)?;
                let pid = peer
                    .said("pid")
                    .map(str::parse)
                    .transpose()
                    .context("the pid that the script says")?;
                (
                    peer.said("address").unwrap_or_default().to_string(),
                    pid,
                    Some(peer),
                )
            }
        };
        let process = pid.map(Process::new).transpose()?;
        let target =
            target::prepare(&args.topic.at(&bootstrap, &spec.topic_configs)).with_context(context)?;
        let said = peer.as_ref().and_then(|peer| peer.said("admin"));
        let contestant = Contestant {
            admin: spec.admin.clone().or(said.map(String::from)),
            spec: spec.clone(),
            bootstrap,
            process,
            target,
            stages: Reading::default(),
            cpu_seconds: 0.0,
            wall_seconds: 0.0,
            outcome: Outcome::default(),
            received: 0,
            peer,
        };
        contestant.freeze()?;
        Ok(contestant)
    }

    fn freeze(&self) -> anyhow::Result<()> {
        self.process.map_or(Ok(()), Process::freeze)
    }

    fn thaw(&self) -> anyhow::Result<()> {
        let Some(process) = self.process else {
            return Ok(());
        };
        process.thaw()?;
        std::thread::sleep(CATCH_UP);
        Ok(())
    }

    /// The load laid out for it.
    pub fn plan(&self, load: &LoadArgs, cpus: &Cpus) -> anyhow::Result<Job> {
        Job::plan(load, &self.target, &cpus.client)
    }

    /// The words for it.
    pub fn setup(&self, args: &ContestArgs, cpus: &Cpus, repeats: u32) -> anyhow::Result<Setup> {
        let job = self.plan(&args.load, cpus)?;
        Ok(Setup::of(
            args.kind,
            &job,
            &args.load,
            &cpus.client,
            &self.target,
            repeats,
        ))
    }

    /// Load for a while that nobody looks at: one message at a time, so that no target falls behind.
    pub fn settle(&mut self, args: &ContestArgs, cpus: &Cpus, stop: &Stop) -> anyhow::Result<()> {
        let mut load = args.load.clone();
        (load.warmup, load.duration) = (args.settle, Duration::from_millis(1));
        (load.rate, load.linger, load.batch_bytes, load.in_flight) = (None, None, None, Some(1));
        let before = (self.outcome.clone(), self.received, self.stages.clone());
        self.turn(args.kind, &load, cpus, stop)?;
        (self.outcome, self.received, self.stages) = before;
        (self.cpu_seconds, self.wall_seconds) = (0.0, 0.0);
        Ok(())
    }

    /// One measurement: it runs, everything else is stopped.
    pub fn turn(
        &mut self,
        kind: Kind,
        load: &LoadArgs,
        cpus: &Cpus,
        stop: &Stop,
    ) -> anyhow::Result<AllSeries> {
        let job = self.plan(load, cpus)?;
        self.thaw()?;
        let readers = (kind == Kind::E2e).then_some(Readers {
            target: &self.target,
            connections: load.consumers,
            cores: &cpus.client,
        });
        let seconds = (load.warmup + load.duration).as_secs() + 1;
        let mut series = AllSeries::holding(seconds);
        let before = self.watch();
        let began = now_ns();
        let times = (load.warmup, load.duration);
        let slice = slice::run(&job, readers, times, &mut series, Show::Nothing, stop)
            .with_context(|| format!("target {}", self.spec.name))?;
        let wall_seconds = (now_ns() - began) as f64 / 1e9;
        let after = self.watch();
        self.freeze()?;
        if let (Some(before), Some(after)) = (before.0, after.0) {
            self.cpu_seconds += after - before;
            self.wall_seconds += wall_seconds;
        }
        if let (Some(before), Some(after)) = (before.1, after.1) {
            self.stages.add(&after.since(&before));
        }
        self.outcome.add(&slice.outcome);
        self.received += slice.received;
        Ok(series)
    }

    /// Processor time and stages so far.
    fn watch(&self) -> (Option<f64>, Option<Reading>) {
        let stages = self.admin.as_ref().and_then(|admin| stages::read(admin).ok());
        (self.process.and_then(Process::cpu_seconds), stages)
    }

    /// What happened in the turns since this was last taken.
    pub fn take_outcome(&mut self) -> Outcome {
        std::mem::take(&mut self.outcome)
    }

    /// What it has to show, given its rounds of `seconds` each.
    pub fn result(&self, rounds: &[AllSeries], seconds: f64, kind: Kind) -> TargetResult {
        let said = |name: &str| {
            self.peer
                .as_ref()
                .and_then(|peer| peer.said(name))
                .map(String::from)
        };
        let cpu = self.process.is_some() && self.wall_seconds > 0.0;
        TargetResult {
            name: self.spec.name.clone(),
            product: said("product").unwrap_or_else(|| self.bootstrap.clone()),
            started: said("command").unwrap_or_else(|| format!("not by us, at {}", self.bootstrap)),
            durability: self.target.durability.clone(),
            topic_configs: self.spec.topic_configs.clone(),
            frozen_between: self.process.is_some(),
            results: results(rounds, seconds, None),
            outcome: self.outcome.clone(),
            received: (kind == Kind::E2e).then_some(self.received),
            broker_cpu: cpu.then(|| self.cpu_seconds / self.wall_seconds),
            broker_memory_mib: self.process.and_then(Process::resident_mib),
            stages: self.stages.stages(),
            sweep: None,
        }
    }
}

impl Drop for Contestant {
    fn drop(&mut self) {
        // A stopped process couldn't end; one that has ended already is fine.
        let _ = self.process.map(Process::thaw);
        drop(self.peer.take());
    }
}
