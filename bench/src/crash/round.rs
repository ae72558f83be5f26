//! One round: load, one or two kills, restart, the rest of the load, and the check.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;

use super::CrashArgs;
use super::process::BrokerProcess;
use super::starts::Starts;
use crate::client::admin::Admin;
use crate::clock::{nanos, now_ns, wall_ms};
use crate::load::target::{self, Target};
use crate::options::TargetArgs;
use crate::stop::Stop;
use crate::verify::produce::{Crew, Working};
use crate::verify::read::{self, Found};
use crate::verify::writer::{Counts, IN_FLIGHT_MAX};

/// Earliest kill after the load begins.
const KILL_AFTER: Duration = Duration::from_millis(20);
/// One round in so many has a second kill, soon after the first restart.
const KILL_TWICE: u64 = 4;
/// The load goes on for up to this after the last restart.
const AFTERWARDS: Duration = Duration::from_millis(200);
const LOOK_UP_EVERY: Duration = Duration::from_millis(2);
/// Writer ids of a round begin at multiples of this.
const IDS_PER_ROUND: u64 = 1 << 16;

/// What the rounds share.
pub struct Field<'a> {
    /// The flags.
    pub args: &'a CrashArgs,
    /// How to start the broker, and the moments.
    pub starts: Starts,
    /// Directory for journals and output.
    pub beside: PathBuf,
}

/// A topic and the rounds played on it.
pub struct Round {
    target: Target,
    journals: PathBuf,
    /// Rounds so far.
    pub rounds: u32,
    /// Bytes written so far, about.
    pub bytes: u64,
}

/// What a round saw.
pub struct Summary {
    kills: u32,
    killed_after: Duration,
    ready_after: Duration,
    counts: Arc<Counts>,
    /// What the check found.
    pub found: Found,
}

impl Round {
    /// Creates the topic of the rounds from `number` on.
    pub fn begin(field: &Field<'_>, number: u32) -> anyhow::Result<Round> {
        let args = field.args;
        let target = target::prepare(&TargetArgs {
            bootstrap: field.starts.launch.listen.clone(),
            topic: format!("crash-{}-{number}", std::process::id()),
            partitions: args.partitions,
            replication_factor: -1,
            topic_config: args.topic_config.clone(),
        })?;
        println!("topic {}: {}", target.topic.name, target.durability.statement);
        let journals = field.beside.join(&target.topic.name);
        Ok(Round {
            target,
            journals,
            rounds: 0,
            bytes: 0,
        })
    }

    /// Plays one round; returns the running broker.
    pub fn play(
        &mut self,
        number: u32,
        field: &mut Field<'_>,
        broker: BrokerProcess,
        stop: &Stop,
    ) -> anyhow::Result<(BrokerProcess, Summary)> {
        let args = field.args;
        let crew = Crew {
            first_id: (wall_ms() as u64).wrapping_add(u64::from(number)) * IDS_PER_ROUND,
            writers: args.connections,
            idempotent: |number| number % 2 == 0,
            shape: Crew::shape(&self.target, -1, args.size, args.batch_records),
            bootstrap: field.starts.launch.listen.clone(),
            in_flight: IN_FLIGHT_MAX,
            out: self.journals.clone(),
        };
        // The writers' own flag: one that fails must not pass for the end of all rounds.
        let end = Stop::default();
        let working = crew.start(self.target.topic.leaders.len(), &end)?;

        let killed_after = field.starts.random.between(KILL_AFTER, args.kill_within);
        let mut kills = 1;
        wait(killed_after, &working, stop);
        broker.kill()?;
        let (mut broker, mut ready_after, on_the_way) = field.starts.start()?;
        kills += on_the_way;
        if field.starts.random.once_in(KILL_TWICE) {
            wait(
                field.starts.random.between(Duration::ZERO, KILL_AFTER * 10),
                &working,
                stop,
            );
            broker.kill()?;
            let (again, took, on_the_way) = field.starts.start()?;
            (broker, ready_after, kills) = (again, took, kills + 1 + on_the_way);
        }
        wait(
            field.starts.random.between(Duration::ZERO, AFTERWARDS),
            &working,
            stop,
        );
        let counts = working.counts.clone();
        let finished = working.finish();
        broker.check_alive()?;

        self.target = target::existing(&field.starts.launch.listen, &self.target.topic.name)?;
        let mut found = read::check(&self.target, &self.journals).context("read back")?;
        broker.check_alive()?;
        if let Err(error) = finished {
            // A refused batch of an idempotent writer: the broker has forgotten what it acknowledged before.
            found.violations.put_first(format!("{error:#}"));
        }
        self.rounds += 1;
        self.bytes = found.records * args.size as u64;
        Ok((
            broker,
            Summary {
                kills,
                killed_after,
                ready_after,
                counts,
                found,
            },
        ))
    }

    /// Deletes the topic and its journals.
    pub fn remove(self, field: &Field<'_>) -> anyhow::Result<()> {
        Admin::connect(&field.starts.launch.listen)?.delete_topic(&self.target.topic.name)?;
        std::fs::remove_dir_all(&self.journals).with_context(|| format!("remove {}", self.journals.display()))
    }
}

/// Waits, unless the writers end or the run is stopped.
fn wait(duration: Duration, working: &Working, stop: &Stop) {
    let deadline = now_ns() + nanos(duration);
    while now_ns() < deadline && !working.ended() && !stop.is_set() {
        std::thread::sleep(LOOK_UP_EVERY.min(Duration::from_nanos(deadline.saturating_sub(now_ns()))));
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        write!(
            f,
            "killed after {:>4} ms ({} kills), ready in {:>4} ms; {:>6} acknowledged, {:>4} sent again, {:>4} unknown; {:>8} read back, {}",
            self.killed_after.as_millis(),
            self.kills,
            self.ready_after.as_millis(),
            count(&self.counts.acknowledged),
            count(&self.counts.retried),
            count(&self.counts.unknown),
            self.found.records,
            if self.found.violations.count == 0 {
                "all well"
            } else {
                "VIOLATIONS"
            }
        )
    }
}
