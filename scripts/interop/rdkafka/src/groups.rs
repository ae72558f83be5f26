//! The checks of consumer groups: classic (eager), cooperative (KIP-429) and consumer (KIP-848).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use rdkafka::admin::AdminOptions;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use crate::client::Client;
use crate::fleet::{Fleet, PARTITIONS, committed, joining, restart_broker};
use crate::group_positions as positions;
use crate::harness::{
    DEADLINE, Outcome, Refused, Run, eventually, expect, expect_equal, expect_refused, refused,
};
use crate::ledger::{Ledger, Partition, Positions};
use crate::load::Load;
use crate::member::{HEARTBEAT_WITHIN, Joining, Member};

const KILLED_SESSION: Duration = Duration::from_secs(6); // the least that brokers allow by default
const FLAVOURS: [&str; 3] = ["classic", "cooperative", "consumer"];

type Check = fn(&Run, &Client, &str) -> Outcome<String>;

#[rustfmt::skip]
const CHECKS: [(&str, &str, &[&str], Check); 11] = [
    ("scale", "1, 5, 2 members under load", &FLAVOURS, scale),
    ("kill", "a member is killed, its partitions move", &FLAVOURS, kill),
    ("static", "static members restart and nothing moves", &FLAVOURS, static_members),
    ("sticky", "only what must move moves", &["cooperative", "consumer"], sticky),
    ("regex", "a topic made later is consumed", &FLAVOURS, regex),
    ("reset", "earliest, latest, none, a commit, and seek", &["classic", "consumer"], positions::reset),
    ("at_most_once", "commit before processing: what a death interrupts is lost", &["classic", "consumer"], positions::at_most_once),
    ("at_least_once", "commit after processing: what a death interrupts is repeated", &["classic", "consumer"], positions::at_least_once),
    ("commit_metadata", "offsets come back with their metadata, too much of it is refused", &["classic"], positions::metadata),
    ("manual_assign", "commits without membership, refused while there are members", &["classic", "consumer"], positions::manual),
    ("list_delete", "listed and described, deleted only when empty", &["classic", "consumer"], list_delete),
];

pub fn checks(run: &mut Run, client: &Client) {
    let run = &*run;
    std::thread::scope(|threads| {
        for (name, what, flavours, body) in CHECKS {
            for flavour in flavours {
                threads.spawn(move || {
                    run.noted(&format!("group_{name}_{flavour}"), what, || {
                        body(run, client, flavour)
                    });
                });
            }
        }
    });
    if std::env::var("RESTART_COMMAND").unwrap_or_default().is_empty() {
        return run.dash("group_restart", "no RESTART_COMMAND");
    }
    let what = "groups and commits outlive the broker's restart and its kill -9";
    run.noted("group_restart", what, || restart(run, client));
}

fn scale(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let mut fleet = Fleet::start(run, client, "scale", flavour, PARTITIONS)?;
    for count in [1, 5, 2] {
        let now = fleet.members.len();
        if count > now {
            fleet.join(count - now);
        } else {
            let from = run.random.clone().random_range(0..=count);
            let leaving = fleet.members[from..from + now - count].to_vec();
            fleet.leave(&leaving);
        }
        fleet.settle()?;
        fleet.progress()?;
    }
    fleet.finish()
}

fn kill(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let mut fleet = Fleet::start(run, client, "kill", flavour, PARTITIONS)?;
    if flavour == "consumer" {
        let session = KILLED_SESSION.as_millis().to_string();
        client.configure_group(&fleet.how.group, "consumer.session.timeout.ms", &session)?;
    }
    fleet.join(2);
    let doomed = Member::start_doomed(
        fleet.ledger.clone(),
        &Joining {
            session_ms: KILLED_SESSION.as_millis() as u32,
            ..fleet.how.clone()
        },
    )?;
    fleet.members.push(doomed.clone());
    fleet.settle()?;
    fleet.progress()?;
    let (killed, stalled) = doomed.kill()?;
    fleet.members.retain(|member| !member.is(&doomed));
    fleet.settle()?;
    let moved = killed.elapsed();
    expect(
        moved + stalled > KILLED_SESSION - HEARTBEAT_WITHIN,
        format_args!(
            "moved {moved:?} after the kill, before the session timed out (stalled before for {stalled:?})"
        ),
    )?;
    fleet.progress()?;
    Ok(format!("{}, moved after {moved:.1?}", fleet.finish()?))
}

fn static_members(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let mut fleet = Fleet::start(run, client, "static", flavour, PARTITIONS)?;
    for i in 0..3 {
        fleet.how.instance = Some(format!("instance-{i}"));
        fleet.join(1);
    }
    fleet.settle()?;
    fleet.progress()?;
    for (i, member) in fleet.members.clone().iter().enumerate() {
        let others: Vec<Member> = fleet.members.iter().filter(|m| !m.is(member)).cloned().collect();
        let rebalances = || others.iter().map(Member::rebalances).collect::<Vec<_>>();
        let (owned, before) = (member.owned(), rebalances());
        fleet.leave(std::slice::from_ref(member));
        fleet.how.instance = Some(format!("instance-{i}"));
        let back = fleet.join(1).remove(0);
        eventually("the restarted member has its partitions again", || {
            expect(back.owned() == owned, back.told()).map(|()| true)
        })?;
        fleet.progress()?;
        expect_equal(rebalances(), before, "rebalances the other members saw")?;
    }
    fleet.finish()
}

fn revoked(members: &[Member]) -> Vec<Partition> {
    let taken = |member: &Member| std::mem::take(&mut member.shared.state.lock().unwrap().revoked);
    let mut all: Vec<Partition> = members.iter().flat_map(taken).collect();
    all.sort();
    all
}

fn sticky(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let mut fleet = Fleet::start(run, client, "sticky", flavour, PARTITIONS)?;
    let first = fleet.join(2);
    fleet.settle()?;
    revoked(&first);
    let third = fleet.join(1).remove(0);
    fleet.settle()?;
    expect_equal(
        revoked(&first),
        third.owned().into_iter().collect::<Vec<_>>(),
        "revoked from the first two, against what the third was given",
    )?;
    fleet.progress()?;
    fleet.leave(&[third]);
    fleet.settle()?;
    expect_equal(
        revoked(&first),
        vec![],
        "revoked from the others when the third left",
    )?;
    fleet.progress()?;
    fleet.finish()
}

fn regex(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let group = run.topic(&format!("regex-{flavour}"));
    let ledger = Arc::new(Ledger::default());
    client.create_topic(&run.topic(&format!("not-regex-{flavour}")), 1)?;
    client.create_topic(&format!("{group}-before"), 2)?;
    let how = joining(run, &group, &format!("^{group}-.*"), flavour);
    let members = ["member-1", "member-2"].map(|name| Member::start(name, ledger.clone(), how.clone()));
    let mut loads = Vec::new();
    for topic in [format!("{group}-before"), format!("{group}-after")] {
        if !loads.is_empty() {
            client.create_topic(&topic, 2)?;
        }
        loads.push(Load::start(&run.bootstrap, &topic, 2));
        eventually(&format!("{topic} is assigned"), || {
            let all: BTreeSet<Partition> = members.iter().flat_map(Member::owned).collect();
            expect(all.len() == 2 * loads.len(), format_args!("assigned: {all:?}")).map(|()| true)
        })?;
    }
    let mut ends = Positions::new();
    for load in loads {
        ends.extend(load.stop()?);
    }
    eventually("all of both topics is committed", || Ok(ledger.covers(&ends)))?;
    members.iter().for_each(Member::begin_leaving);
    members.iter().for_each(Member::join);
    ledger.verify(&ends)
}

fn list_delete(run: &Run, client: &Client, flavour: &str) -> Outcome<String> {
    let mut fleet = Fleet::start(run, client, "delete", flavour, 2)?;
    fleet.join(1);
    fleet.settle()?;
    fleet.progress()?;
    let (how, group) = (fleet.how.clone(), fleet.how.group.clone());
    let found = || -> Outcome<Option<(String, String, usize)>> {
        let list = client
            .strict
            .fetch_group_list(Some(&group), DEADLINE)
            .map_err(refused)?;
        let one = list
            .groups()
            .iter()
            .find(|one| one.name() == group && one.state() != "Dead");
        Ok(one.map(|one| (one.state().into(), one.protocol().into(), one.members().len())))
    };
    let delete = || -> Outcome {
        let names = [group.as_str()];
        let answers = client
            .runtime
            .block_on(client.admin.delete_groups(&names, &AdminOptions::new()));
        let refusal = |one: Result<String, (String, RDKafkaErrorCode)>| {
            one.map(drop).map_err(|(_, code)| Refused(code).into())
        };
        answers.map_err(refused)?.into_iter().try_for_each(refusal)
    };
    if flavour == "classic" {
        // DescribeGroups, which this call asks, does not know the members of consumer groups.
        expect_equal(
            found()?,
            Some(("Stable".into(), "range".into(), 1)),
            "state, assignor, members",
        )?;
    }
    expect_refused(delete(), RDKafkaErrorCode::NonEmptyGroup, "with a member there")?;
    let note = fleet.finish()?;
    delete()?;
    expect_equal(
        committed(&how, &how.subscription, 2)?,
        Positions::new(),
        "offsets of a deleted group",
    )?;
    expect_equal(found()?, None, "the deleted group")?;
    expect_refused(delete(), RDKafkaErrorCode::GroupIdNotFound, "again")?;
    Ok(note)
}

fn restart(run: &Run, client: &Client) -> Outcome<String> {
    let mut fleets = Vec::new();
    for flavour in FLAVOURS {
        let mut fleet = Fleet::start(run, client, "restart", flavour, PARTITIONS)?;
        fleet.join(2);
        fleet.settle()?;
        fleets.push(fleet);
    }
    let topic = &fleets[0].how.subscription;
    let idle = joining(run, &run.topic("restart-idle"), topic, "classic");
    let left = Positions::from([((topic.clone(), 1), 8)]);
    positions::commit_alone(&idle, &left, "left")?;
    for signal in ["TERM", "KILL"] {
        for fleet in &fleets {
            fleet.progress()?;
        }
        restart_broker(signal)?;
        eventually("what was committed before is committed", || {
            Ok(committed(&idle, topic, PARTITIONS)? == left)
        })?;
        for fleet in &fleets {
            fleet.progress()?;
            fleet.settle()?;
        }
    }
    let notes: Outcome<Vec<String>> = fleets.into_iter().map(Fleet::finish).collect();
    Ok(notes?.join("; "))
}
