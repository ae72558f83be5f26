//! Random schedules of clients of both protocols, topics and crashes. proptest prints the seed of a failure, and shrinks it.
//!
//! What holds at every step: no partition is owned by two members, neither by the coordinator's account nor by what living
//! clients work on; what a client works on is its own by the coordinator's account; a replay gives the same group. When
//! nothing changes any more, every partition comes to be owned, and a newcomer moves only its share.

mod client;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use client::{Client, Speaks, TOPICS, Wants};

const CLIENTS_MAX: usize = 7;
const DAY_MS: i64 = 86_400_000;
/// The wall clock of any day, far from the other clock.
const WALL_MS: i64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    Start(Speaks, Wants),
    Act(usize),
    /// It acts, but the answer is lost.
    Lose(usize),
    Apply(usize),
    Resubscribe(usize, Wants),
    Leave(usize),
    Die(usize),
    Pass(i64),
    /// The wall clock is set.
    Set(i64),
    Create(usize, u32),
    Grow(usize),
    Delete(usize),
    Restart,
    /// A step whose records never reach the log, and the restart that follows.
    Crash(usize),
    Compact,
}

fn wants(classic: bool) -> BoxedStrategy<Wants> {
    let names = proptest::sample::subsequence(TOPICS.to_vec(), 1..=3).prop_map(Wants::Names);
    let pattern = proptest::sample::select(vec!["t.*", "t[01]", "t3"]).prop_map(Wants::Pattern);
    if classic {
        names.boxed()
    } else {
        prop_oneof![3 => names, 1 => pattern].boxed()
    }
}

fn start(classic: bool) -> BoxedStrategy<Step> {
    let instance = proptest::option::weighted(0.3, proptest::sample::select(vec!["i0", "i1"]));
    let consumer = (instance, wants(false))
        .prop_map(|(instance, wants)| Step::Start(Speaks::Consumer { instance }, wants));
    if classic {
        let classic = (any::<bool>(), wants(true))
            .prop_map(|(is_cooperative, wants)| Step::Start(Speaks::Classic { is_cooperative }, wants));
        let dynamic = wants(false).prop_map(|wants| Step::Start(Speaks::Consumer { instance: None }, wants));
        prop_oneof![dynamic, classic].boxed()
    } else {
        consumer.boxed()
    }
}

fn step(classic: bool) -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS_MAX;
    let topic = 0..TOPICS.len();
    prop_oneof![
        5 => start(classic),
        50 => client.clone().prop_map(Step::Act),
        4 => client.clone().prop_map(Step::Lose),
        20 => client.clone().prop_map(Step::Apply),
        2 => (client.clone(), wants(true)).prop_map(|(client, wants)| Step::Resubscribe(client, wants)),
        2 => client.clone().prop_map(Step::Leave),
        2 => client.clone().prop_map(Step::Die),
        10 => (0..2_500i64).prop_map(Step::Pass),
        1 => (-DAY_MS..DAY_MS).prop_map(Step::Set),
        3 => (topic.clone(), 1..6u32).prop_map(|(topic, partitions)| Step::Create(topic, partitions)),
        2 => topic.clone().prop_map(Step::Grow),
        1 => topic.prop_map(Step::Delete),
        2 => Just(Step::Restart),
        2 => client.prop_map(Step::Crash),
        1 => Just(Step::Compact),
    ]
}

struct World {
    fixture: Fixture,
    clients: Vec<Client>,
    started: usize,
}

impl World {
    fn new(assignment_interval_ms: i64) -> Self {
        let mut fixture = Fixture::with(GroupConfig {
            consumer_assignment_interval_ms: assignment_interval_ms,
            ..GroupConfig::default()
        });
        fixture.ahead_ms = WALL_MS;
        fixture.create_topic("t0", 4);
        Self {
            fixture,
            clients: Vec::new(),
            started: 0,
        }
    }

    fn start(&mut self, speaks: Speaks, wants: Wants) {
        // One process an instance id.
        let is_taken = match &speaks {
            Speaks::Consumer { instance: Some(instance) } => self.clients.iter().any(
                |client| matches!(&client.speaks, Speaks::Consumer { instance: Some(other) } if other == instance),
            ),
            _ => false,
        };
        if self.clients.len() < CLIENTS_MAX && !is_taken {
            self.started += 1;
            let id = format!("m{}", self.started);
            self.clients
                .push(Client::new(id, speaks, wants, self.fixture.now_ms));
        }
    }

    fn client(&mut self, index: usize) -> Option<(&mut Fixture, &mut Client)> {
        let index = index.checked_rem(self.clients.len())?;
        Some((&mut self.fixture, &mut self.clients[index]))
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Start(speaks, wants) => self.start(speaks, wants),
            Step::Act(index) => {
                if let Some((fixture, client)) = self.client(index) {
                    client.act(fixture, false);
                }
            }
            Step::Lose(index) => {
                if let Some((fixture, client)) = self.client(index) {
                    client.act(fixture, true);
                }
            }
            Step::Apply(index) => {
                if let Some((_, client)) = self.client(index) {
                    client.apply();
                }
            }
            Step::Resubscribe(index, wants) => {
                if let Some((_, client)) = self.client(index) {
                    client.resubscribe(wants);
                }
            }
            Step::Leave(index) if !self.clients.is_empty() => {
                let index = index % self.clients.len();
                self.clients.remove(index).leave(&mut self.fixture);
            }
            Step::Die(index) if !self.clients.is_empty() => {
                let index = index % self.clients.len();
                self.clients.remove(index);
            }
            Step::Leave(_) | Step::Die(_) => {}
            Step::Set(by_ms) => self.fixture.ahead_ms += by_ms,
            Step::Pass(ms) => self.pass(ms),
            Step::Create(index, partitions) if self.fixture.image.topic(TOPICS[index]).is_none() => {
                self.fixture.create_topic(TOPICS[index], partitions);
            }
            Step::Grow(index) => {
                let topic = self.fixture.image.topic(TOPICS[index]);
                if let Some((id, count)) = topic.map(|topic| (topic.id, topic.partition_count)) {
                    self.fixture.grow_topic(id, count + 1);
                }
            }
            Step::Delete(index) => {
                if let Some(id) = self.fixture.image.topic(TOPICS[index]).map(|topic| topic.id) {
                    self.fixture.delete_topic(id);
                }
            }
            Step::Create(..) => {}
            Step::Restart => {
                self.fixture.restart();
                self.clients.iter_mut().for_each(Client::reconnect);
            }
            Step::Crash(index) => {
                let length = self.fixture.log.len();
                if let Some((fixture, client)) = self.client(index) {
                    // The one who asked is never answered.
                    client.clone().act(fixture, true);
                }
                self.fixture.log.truncate(length);
                self.fixture.replay_log();
                self.clients.iter_mut().for_each(Client::reconnect);
            }
            Step::Compact => self.fixture.compact(),
        }
    }

    /// Time passes, and nobody is silent for longer than three seconds.
    fn pass(&mut self, ms: i64) {
        let end = self.fixture.now_ms + ms;
        while self.fixture.now_ms < end {
            self.fixture.advance((end - self.fixture.now_ms).min(500));
            for client in &mut self.clients {
                if self.fixture.now_ms - client.acted_ms >= 3_000 {
                    client.apply();
                    client.act(&mut self.fixture, false);
                }
            }
            self.check();
        }
    }

    fn check(&self) {
        let mut works: BTreeSet<(TopicId, PartitionIndex)> = BTreeSet::new();
        for client in &self.clients {
            for partition in client.owned.iter() {
                assert!(
                    works.insert(partition),
                    "two clients work on {partition:?}: {:#?}",
                    self.clients
                );
            }
        }
        let Some(Group::Consumer(group)) = self.fixture.coordinator.groups().get(GROUP) else {
            return;
        };
        let mut owned = BTreeSet::new();
        for (id, member) in &group.members {
            for partition in member
                .current
                .assigned
                .iter()
                .chain(member.current.pending_revocation.iter())
            {
                assert!(owned.insert(partition), "{partition:?} is owned twice");
                assert_eq!(group.owners.get(&partition), Some(id));
            }
        }
        assert_eq!(owned.len(), group.owners.len());
        for client in &self.clients {
            if let Some(member) = group.members.get(client.id.as_str()) {
                let known = member.current.assigned.union(&member.current.pending_revocation);
                // Assignments of the classic protocol can't name a topic that was deleted.
                let owned = client
                    .owned
                    .filtered(|topic, _| self.fixture.image.topic_by_id(topic).is_some());
                assert!(owned.is_subset(&known), "{client:#?} {member:#?}");
            }
        }
    }

    /// Lets all come to rest, and checks that every partition somebody wants is worked on.
    fn settle(&mut self) {
        self.pass(180_000);
        let mut wanted: BTreeSet<(TopicId, PartitionIndex)> = BTreeSet::new();
        for name in TOPICS {
            let Some(topic) = self.fixture.image.topic(name) else {
                continue;
            };
            if self.clients.iter().any(|client| client.wants_topic(name)) {
                wanted.extend(topic.partitions().map(|partition| (topic.id, partition)));
            }
        }
        let works: BTreeSet<_> = self
            .clients
            .iter()
            .flat_map(|client| client.owned.iter())
            .collect();
        assert_eq!(works, wanted, "{:#?}", self.clients);
        if let Some(group) = self.fixture.coordinator.groups().get(GROUP) {
            let state = if self.clients.is_empty() {
                "Empty"
            } else {
                "Stable"
            };
            assert_eq!(group.state_name(), state, "{group:#?} {:#?}", self.clients);
        }
        let point = self.fixture.log.len();
        self.pass(30_000);
        assert_eq!(
            self.fixture.log.len(),
            point,
            "nothing changes, and so nothing is written"
        );
    }
}

/// Large groups are assigned with a pause between, most are not.
fn interval_ms() -> impl Strategy<Value = i64> {
    prop_oneof![2 => Just(0), 1 => 1..2_000i64]
}

/// 64 schedules each, or as many as PROPTEST_CASES says.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: cases.map_or(64, |cases| cases.parse().expect("a number")),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn consumers_share_and_settle(interval_ms in interval_ms(), steps in proptest::collection::vec(step(false), 1..120)) {
        let mut world = World::new(interval_ms);
        for step in steps {
            world.take(step);
            world.check();
        }
        world.settle();
    }

    #[test]
    fn members_of_both_protocols_share_and_settle(interval_ms in interval_ms(), steps in proptest::collection::vec(step(true), 1..120)) {
        let mut world = World::new(interval_ms);
        for step in steps {
            world.take(step);
            world.check();
        }
        world.settle();
    }

    /// KIP-848: a rebalance moves only what must move.
    #[test]
    fn a_newcomer_moves_its_share_and_takes_nothing_along_when_it_leaves(
        members in 1usize..6,
        partitions in 1u32..12,
    ) {
        let mut world = World::new(0);
        world.fixture.create_topic("t1", partitions);
        let wants = || Wants::Names(vec!["t0", "t1"]);
        for _ in 0..members {
            world.start(Speaks::Consumer { instance: None }, wants());
        }
        world.settle();
        let before: Vec<PartitionSet> = world.clients.iter().map(|client| client.owned.clone()).collect();
        world.start(Speaks::Consumer { instance: None }, wants());
        world.settle();
        let newcomer = world.clients.pop().unwrap();
        let share = (4 + partitions as usize) / (members + 1);
        prop_assert_eq!(newcomer.owned.len(), share);
        for (client, before) in world.clients.iter().zip(&before) {
            prop_assert!(client.owned.is_subset(before), "only the newcomer is given anything");
        }
        let kept: Vec<PartitionSet> = world.clients.iter().map(|client| client.owned.clone()).collect();
        newcomer.clone().leave(&mut world.fixture);
        world.settle();
        for (client, kept) in world.clients.iter().zip(&kept) {
            prop_assert!(kept.is_subset(&client.owned), "nobody gives up anything");
        }
    }
}
