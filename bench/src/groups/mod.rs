//! `groups`: many consumer groups that heartbeat and commit at a steady pace, and how long the broker takes to answer.
//!
//! Open loop: each member's heartbeats are due at times fixed beforehand, and latency counts from then, so that a broker that
//! stalls shows it in every heartbeat that was due meanwhile.

mod member;
mod slowest;

use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use serde::Serialize;

use self::member::{Group, Topic};
use self::slowest::{Answer, Slowest};
use crate::affinity::{Cores, on_core};
use crate::client::admin::Admin;
use crate::clock::{SECOND_NS, nanos, now_ns, sleep_until, wake_precisely};
use crate::options::seconds;
use crate::report::machine::Machine;
use crate::report::percentiles::{Percentiles, histogram};
use crate::report::table;
use crate::stop::Stop;

/// Flags of `groups`.
#[derive(Args, Debug, Clone, Serialize)]
pub struct GroupsArgs {
    /// Kafka addresses of the broker, comma-separated
    #[arg(long, default_value = "127.0.0.1:9092", value_name = "HOST:PORT,...")]
    bootstrap: String,
    /// The topic that all groups consume; created if it is missing
    #[arg(long, default_value = "tautline-bench-groups")]
    topic: String,
    /// Partitions of the topic: each group shares them and commits an offset of each
    #[arg(long, default_value_t = 20)]
    partitions: i32,
    /// Groups (KIP-848 consumer groups)
    #[arg(long, default_value_t = 1000)]
    groups: usize,
    /// Members of a group
    #[arg(long, default_value_t = 5)]
    members: usize,
    /// Seconds between two heartbeats of a member, and two commits of a group
    #[arg(long, value_parser = seconds, default_value = "3", value_name = "SECONDS")]
    interval: Duration,
    /// Connections, a thread each; members are spread over them
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Seconds that are measured, after all groups are stable and one interval has passed
    #[arg(long, value_parser = seconds, default_value = "15", value_name = "SECONDS")]
    duration: Duration,
    /// Cores of the client's threads [default: the last allowed core]
    #[arg(long)]
    cores: Option<Cores>,
    /// Lists so many of the slowest answers, with their times
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    slowest: usize,
}

/// What the threads of a run have measured.
struct Measured {
    heartbeats: Histogram<u64>,
    commits: Histogram<u64>,
    slowest: Slowest,
}

/// Runs the command; fails when the broker refuses anything.
pub fn run(args: &GroupsArgs, stop: &Stop) -> anyhow::Result<()> {
    ensure!(
        args.groups > 0 && args.members > 0 && args.connections > 0,
        "groups, members and connections are at least one"
    );
    let cores = match &args.cores {
        Some(cores) => cores.clone(),
        None => Cores(Cores::allowed()?.0.into_iter().next_back().into_iter().collect()),
    };
    cores.check()?;
    println!("{}", Machine::here());
    let mut admin = Admin::connect(&args.bootstrap)?;
    admin.create_topic(&args.topic, args.partitions, -1, &[])?;
    let id = admin
        .topic(&args.topic)?
        .context("the topic was just created")?
        .id;
    let topic = Topic {
        name: args.topic.clone(),
        id,
        partitions: args.partitions,
    };
    println!(
        "{} groups of {} members on {} partitions, a heartbeat a member and a commit of all partitions a group every {} s",
        args.groups,
        args.members,
        args.partitions,
        args.interval.as_secs_f64()
    );
    let run = uuid::Uuid::new_v4().simple().to_string();
    let measured: Vec<Measured> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..args.connections)
            .map(|thread| {
                let (topic, run, core) = (&topic, &run[..8], cores.of(thread));
                scope.spawn(move || on_core(core, || drive(args, topic, run, thread, stop)))
            })
            .collect();
        let results = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        results.collect::<anyhow::Result<_>>()
    })?;
    let (mut heartbeats, mut commits) = (histogram(), histogram());
    let mut slowest = Slowest::new(args.slowest);
    for one in measured {
        heartbeats.add(&one.heartbeats)?;
        commits.add(&one.commits)?;
        slowest.add(one.slowest);
    }
    println!("{}", table::heading("latency, us"));
    println!("{}", table::row("heartbeat", &Percentiles::of(&heartbeats)));
    println!(
        "{}",
        table::row(
            &format!("commit of {} offsets", args.partitions),
            &Percentiles::of(&commits)
        )
    );
    slowest.in_time().iter().for_each(|answer| println!("{answer}"));
    Ok(())
}

/// Forms this thread's groups, then keeps them alive for the duration.
fn drive(
    args: &GroupsArgs,
    topic: &Topic,
    run: &str,
    thread: usize,
    stop: &Stop,
) -> anyhow::Result<Measured> {
    wake_precisely();
    let mut broker = Admin::connect(&args.bootstrap)?;
    let mut groups = Vec::new();
    let began_ns = now_ns();
    for n in (thread..args.groups).step_by(args.connections) {
        if stop.is_set() {
            break;
        }
        let mut group = Group::new(format!("bench-{run}-{n}"), args.members);
        group.form(&mut broker, topic)?;
        groups.push(group);
        // Those that are formed stay alive while others are.
        for group in &mut groups {
            group.keep_alive(&mut broker, args.interval)?;
        }
    }
    eprintln!(
        "connection {thread}: {} groups stable after {:.1} s",
        groups.len(),
        (now_ns() - began_ns) as f64 / SECOND_NS as f64
    );
    let mut measured = Measured {
        heartbeats: histogram(),
        commits: histogram(),
        slowest: Slowest::new(args.slowest),
    };
    let (interval_ns, steps) = (nanos(args.interval), groups.len() * (args.members + 1));
    let start_ns = now_ns();
    let rounds = 1 + nanos(args.duration).div_ceil(interval_ns);
    for round in 0..rounds {
        for step in 0..steps {
            if stop.is_set() {
                return Ok(measured);
            }
            let due_ns = start_ns + round * interval_ns + interval_ns * step as u64 / steps as u64;
            sleep_until(due_ns);
            let group = &mut groups[step / (args.members + 1)];
            let member = step % (args.members + 1);
            let sent_ns = now_ns();
            let (kind, into) = if member == args.members {
                group.commit(&mut broker, topic, round as i64)?;
                ("commit", &mut measured.commits)
            } else {
                group.heartbeat(&mut broker, topic, member)?;
                ("heartbeat", &mut measured.heartbeats)
            };
            if round > 0 {
                let answered_ns = now_ns();
                into.saturating_record(answered_ns - due_ns);
                if measured.slowest.takes(answered_ns - due_ns) {
                    measured.slowest.note(Answer {
                        due_ns,
                        sent_ns,
                        answered_ns,
                        kind,
                        group: group.id().to_owned(),
                    });
                }
            }
        }
    }
    Ok(measured)
}
