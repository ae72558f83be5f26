//! One round: a new topic, clients at work while the broker is killed and started again, full reads at the end, and the check.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, anyhow};

use super::HistoryArgs;
use super::check::{Violation, check};
use super::event::{Event, History, Isolation, Outcome, What};
use super::play::client::{Client, Field};
use super::play::{consumer, producer, transactional, trimmer};
use crate::client::admin::Admin;
use crate::clock::{nanos, now_ns};
use crate::crash::process::BrokerProcess;
use crate::crash::starts::Starts;
use crate::load::target;
use crate::stop::Stop;

const LOOK_UP_EVERY: Duration = Duration::from_millis(2);
/// The least that is legal, so that short logs have several segments too, and the default.
const SEGMENT_BYTES: [&str; 2] = ["1048576", "1073741824"];
const LONG_TIMEOUT: Duration = Duration::from_secs(30);

/// What a round saw.
pub struct Played {
    /// Everything that happened.
    pub history: History,
    /// What is wrong with it.
    pub violations: Vec<Violation>,
    kills: u32,
}

/// What a client does.
#[derive(Clone, Copy)]
enum Role {
    Plain,
    Idempotent,
    Transactional,
    Consumer,
    Trimmer,
}

/// Plays one round; returns the running broker.
pub fn play(
    number: u32,
    args: &HistoryArgs,
    starts: &mut Starts,
    broker: BrokerProcess,
    stop: &Stop,
) -> anyhow::Result<(BrokerProcess, Played)> {
    let listen = starts.launch.listen.clone();
    let name = format!("history-{}-{number}", std::process::id());
    let mut admin = Admin::connect(&listen)?;
    let segment = SEGMENT_BYTES[starts.random.below(SEGMENT_BYTES.len() as u64) as usize];
    let configs = [
        ("segment.bytes", segment),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
    ];
    let configs: Vec<_> = configs
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect();
    admin.create_topic(&name, args.partitions, -1, &configs)?;
    let topic = target::ready_topic(&mut admin, &name)?;
    // Two for every three producers, so that they fence each other.
    let ids = (0..args.transactional.div_ceil(3) * 2).map(|id| format!("{name}-{id}"));
    let field = Field::new(listen, topic, ids.collect());

    let mut history = History::default();
    let (broker, kills) = work(args, starts, broker, stop, &field, &mut history)?;
    let seed = starts.random.next_u64();
    let read = finish(&field, &mut history, seed);
    let mut broker = broker;
    broker.check_alive()?;
    read.context("the reads at the end")?;
    admin = Admin::connect(&field.listen)?;
    admin.delete_topic(&name)?;

    history.events.sort_by_key(|event| event.completed_ns);
    let violations = check(&history);
    let played = Played {
        history,
        violations,
        kills,
    };
    Ok((broker, played))
}

fn roles(args: &HistoryArgs) -> Vec<(String, Role)> {
    let mut roles = Vec::new();
    for (role, name, count) in [
        (Role::Plain, "plain", args.plain),
        (Role::Idempotent, "idempotent", args.idempotent),
        (Role::Transactional, "transactional", args.transactional),
        (Role::Consumer, "consumer", args.consumers),
        (Role::Trimmer, "trimmer", 1),
    ] {
        roles.extend((0..count).map(|nth| (format!("{name}-{nth}"), role)));
    }
    roles
}

/// Lets all clients work for the round's time, and kills the broker meanwhile.
fn work(
    args: &HistoryArgs,
    starts: &mut Starts,
    broker: BrokerProcess,
    stop: &Stop,
    field: &Field,
    history: &mut History,
) -> anyhow::Result<(BrokerProcess, u32)> {
    let roles = roles(args);
    history.processes = roles.iter().map(|(name, _)| name.clone()).collect();
    history.processes.extend(["killer".into(), "reader".into()]);
    let killer = roles.len();
    let seeds: Vec<u64> = roles.iter().map(|_| starts.random.next_u64()).collect();
    std::thread::scope(|scope| {
        let threads: Vec<_> = roles
            .iter()
            .zip(seeds)
            .enumerate()
            .map(|(process, (&(ref name, role), seed))| {
                let client = Client::new(field, process, seed);
                let thread = std::thread::Builder::new().name(name.clone());
                thread.spawn_scoped(scope, move || live(client, role))
            })
            .collect();
        let killed = kill(args, starts, broker, stop, history, killer);
        field.over.store(true, Ordering::Relaxed);
        let mut failed = None;
        for thread in threads {
            let lived = thread?
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let (events, ended) = lived;
            history.events.extend(events);
            if let Err(error) = ended {
                failed = Some(error);
            }
        }
        match (killed, failed) {
            (Err(error), _) => Err(error),
            (Ok(_), Some(error)) => Err(error.context("a client can't go on")),
            (Ok(killed), None) => Ok(killed),
        }
    })
}

fn live(mut client: Client<'_>, role: Role) -> (Vec<Event>, anyhow::Result<()>) {
    let ended = match role {
        Role::Plain => producer::run(&mut client, false),
        Role::Idempotent => producer::run(&mut client, true),
        Role::Transactional => transactional::run(&mut client),
        Role::Consumer => consumer::run(&mut client),
        Role::Trimmer => trimmer::run(&mut client),
    };
    (client.events, ended)
}

fn kill(
    args: &HistoryArgs,
    starts: &mut Starts,
    mut broker: BrokerProcess,
    stop: &Stop,
    history: &mut History,
    process: usize,
) -> anyhow::Result<(BrokerProcess, u32)> {
    let mut kills = 0;
    let parts = 1 + starts.random.below(u64::from(args.kills) + 1) as u32;
    for part in 0..parts {
        wait(starts.random.between(Duration::ZERO, args.load * 2 / parts), stop);
        if part + 1 == parts {
            break;
        }
        let mut note = |invoked_ns, what| {
            history.events.push(Event {
                process,
                invoked_ns,
                completed_ns: now_ns(),
                what,
            });
        };
        let began_ns = now_ns();
        broker.kill()?;
        note(began_ns, What::Kill);
        let (again, _, more) = starts.start()?;
        note(began_ns, What::Ready);
        (broker, kills) = (again, kills + 1 + more);
    }
    broker.check_alive()?;
    Ok((broker, kills))
}

fn wait(duration: Duration, stop: &Stop) {
    let deadline = now_ns() + nanos(duration);
    while now_ns() < deadline && !stop.is_set() {
        std::thread::sleep(LOOK_UP_EVERY);
    }
}

/// Ends every transaction that is open by taking its id over, then reads all that there is in both isolations.
fn finish(field: &Field, history: &mut History, seed: u64) -> anyhow::Result<()> {
    let mut reader = Client::new(field, history.processes.len() - 1, seed);
    for id in &field.transactional_ids {
        transactional::init(&mut reader, id, LONG_TIMEOUT)?
            .ok_or_else(|| anyhow!("{id} can't be taken over at the end"))?;
    }
    let session = reader.random.once_in(2);
    consumer::read_all(&mut reader, Isolation::ReadUncommitted, session)?;
    consumer::read_all(&mut reader, Isolation::ReadCommitted, !session)?;
    history.events.append(&mut reader.events);
    Ok(())
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut records, mut writes, mut unknown, mut polls, mut committed, mut aborted, mut trims) =
            (0, 0, 0, 0, 0, 0, 0);
        for event in &self.history.events {
            match &event.what {
                What::Write(write) => match write.outcome {
                    Outcome::Ok(_) => {
                        writes += 1;
                        records += write.count;
                    }
                    Outcome::Unknown => unknown += 1,
                    Outcome::Fail(_) => {}
                },
                What::End(end) if end.outcome == Outcome::Ok(()) && end.commit => committed += 1,
                What::End(_) => aborted += 1,
                What::Poll(_) => polls += 1,
                What::Trim(_) => trims += 1,
                _ => {}
            }
        }
        write!(
            f,
            "{} kills; {writes} batches ({records} records) acknowledged, {unknown} unknown; {committed} transactions committed, \
             {aborted} not; {trims} deletions; {polls} polls; {}",
            self.kills,
            match self.violations.len() {
                0 => "all well".into(),
                count => format!("{count} VIOLATIONS"),
            }
        )
    }
}
