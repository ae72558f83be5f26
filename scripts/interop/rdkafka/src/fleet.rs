//! The members of one group on one topic, and their load.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::Arc;

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};

use crate::client::Client;
use crate::harness::{DEADLINE, Outcome, Run, eventually, expect, expect_equal, refused};
use crate::ledger::{Ledger, Partition, Positions};
use crate::load::Load;
use crate::member::{Joining, Member, SESSION_MS};

pub const PARTITIONS: i32 = 10;

pub struct Fleet {
    pub how: Joining,
    pub ledger: Arc<Ledger>,
    pub members: Vec<Member>,
    partitions: BTreeSet<Partition>,
    load: Load,
    made: usize,
}

impl Fleet {
    pub fn start(run: &Run, client: &Client, name: &str, flavour: &str, count: i32) -> Outcome<Fleet> {
        let topic = run.topic(&format!("{name}-{flavour}"));
        client.create_topic(&topic, count)?;
        Ok(Fleet {
            how: joining(run, &topic, &topic, flavour),
            ledger: Arc::default(),
            members: Vec::new(),
            partitions: (0..count).map(|p| (topic.clone(), p)).collect(),
            load: Load::start(&run.bootstrap, &topic, count),
            made: 0,
        })
    }

    pub fn join(&mut self, count: usize) -> Vec<Member> {
        for _ in 0..count {
            self.made += 1;
            let name = format!("member-{}", self.made);
            self.members
                .push(Member::start(&name, self.ledger.clone(), self.how.clone()));
        }
        self.members[self.members.len() - count..].to_vec()
    }

    pub fn leave(&mut self, leaving: &[Member]) {
        leaving.iter().for_each(Member::begin_leaving);
        leaving.iter().for_each(Member::join);
        self.members
            .retain(|member| !leaving.iter().any(|gone| gone.is(member)));
    }

    /// Waits until every partition has one owner, and the shares differ by one at most.
    pub fn settle(&self) -> Outcome {
        let what = format!("{} members share the partitions", self.members.len());
        eventually(&what, || {
            let owned: Vec<BTreeSet<Partition>> = self.members.iter().map(Member::owned).collect();
            let sizes = || owned.iter().map(BTreeSet::len);
            let settled = sizes().sum::<usize>() == self.partitions.len()
                && owned.iter().flatten().cloned().collect::<BTreeSet<_>>() == self.partitions
                && sizes().max().unwrap_or(0) - sizes().min().unwrap_or(0) <= 1;
            expect(settled, told(&self.members)).map(|()| true)
        })
    }

    /// Waits until every member has processed something more.
    pub fn progress(&self) -> Outcome {
        let before: Vec<usize> = self.members.iter().map(Member::processed).collect();
        eventually("every member goes on", || {
            let all = self.members.iter().zip(&before);
            expect(
                all.clone().all(|(member, count)| member.processed() > *count),
                told(&self.members),
            )
            .map(|()| true)
        })
    }

    /// Ends the load, waits until all of it is committed, lets all leave, and judges.
    pub fn finish(self) -> Outcome<String> {
        let Fleet {
            how,
            ledger,
            members,
            partitions,
            load,
            ..
        } = self;
        let ends = load.stop()?;
        eventually("all that was produced is committed", || {
            expect(ledger.covers(&ends), told(&members)).map(|()| true)
        })?;
        members.iter().for_each(Member::begin_leaving);
        members.iter().for_each(Member::join);
        let note = ledger.verify(&ends)?;
        let stored = committed(&how, &how.subscription, partitions.len() as i32)?;
        expect_equal(stored, ends, "the group's committed offsets")?;
        Ok(note)
    }
}

fn told(members: &[Member]) -> String {
    let told: Vec<String> = members.iter().map(Member::told).collect();
    told.join("; ")
}

pub fn joining(run: &Run, group: &str, subscription: &str, flavour: &str) -> Joining {
    Joining {
        bootstrap: run.bootstrap.clone(),
        group: group.into(),
        flavour: flavour.into(),
        subscription: subscription.into(),
        instance: None,
        session_ms: SESSION_MS,
    }
}

/// What a group has committed of a topic, asked for without being its member.
pub fn committed(how: &Joining, topic: &str, count: i32) -> Outcome<Positions> {
    let alone: rdkafka::consumer::BaseConsumer = how.config().create()?;
    let mut wanted = TopicPartitionList::new();
    wanted.add_partition_range(topic, 0, count - 1);
    let found = alone.committed_offsets(wanted, DEADLINE).map_err(refused)?;
    let found = found.elements();
    Ok(found
        .iter()
        .filter_map(|at| match at.offset() {
            Offset::Offset(offset) => Some(((at.topic().to_string(), at.partition()), offset)),
            _ => None,
        })
        .collect())
}

/// Runs RESTART_COMMAND, which returns when the broker is ready again.
pub fn restart_broker(signal: &str) -> Outcome {
    let done = Command::new("sh")
        .args(["-c", &std::env::var("RESTART_COMMAND")?])
        .env("RESTART_SIGNAL", signal)
        .output()?;
    let said = String::from_utf8_lossy(&done.stdout);
    expect(
        done.status.success(),
        format_args!("RESTART_COMMAND failed: {said}"),
    )
}
