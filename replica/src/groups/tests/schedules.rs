//! Random schedules: clients that join, sync, commit, leave and die, transactions, time, and crashes that lose what was not
//! committed. proptest prints the seed of a failure, and shrinks it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use tautline_core::error::ErrorCode;

use super::lab::{Entry, Lab, committing, committing_in, producer};
use crate::coordinator::{Coordinator, Token};
use crate::groups::GroupConfig;
use crate::groups::record::{Key, OffsetValue};
use crate::groups::request::{GroupRequest, Heartbeat, JoinGroup, LeaveGroup, LeavingMember, SyncGroup};
use crate::groups::response::{GroupResponse, Joined};

const GROUPS: [&str; 2] = ["g", "h"];
const CLIENTS: usize = 8;
const TOPICS: [&str; 2] = ["t", "u"];
const DAY_MS: i64 = 86_400_000;
/// The wall clock of any day, far from the other clock.
const WALL_MS: i64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Step {
    /// A client does what is next for it.
    Act(usize),
    /// It asks again although it waits.
    Retry(usize),
    Commit(usize, usize),
    Leave(usize),
    /// It forgets all and begins anew.
    Die(usize),
    /// It stays away until the end.
    Vanish(usize),
    CommitIn(i64, usize, usize),
    End(i64, bool),
    Fetch(usize, usize),
    DeleteTopic(usize),
    Pass(i64),
    /// The wall clock is set.
    Set(i64),
    Hold,
    Release,
    Crash(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    let topic = 0..TOPICS.len();
    let group = 0..GROUPS.len();
    prop_oneof![
        30 => client.clone().prop_map(Step::Act),
        2 => client.clone().prop_map(Step::Retry),
        5 => (client.clone(), topic.clone()).prop_map(|(client, topic)| Step::Commit(client, topic)),
        1 => client.clone().prop_map(Step::Leave),
        1 => client.clone().prop_map(Step::Die),
        1 => client.prop_map(Step::Vanish),
        2 => (1..3i64, group.clone(), topic.clone()).prop_map(|(id, group, topic)| Step::CommitIn(id, group, topic)),
        2 => (1..3i64, any::<bool>()).prop_map(|(id, committed)| Step::End(id, committed)),
        2 => (group, topic.clone()).prop_map(|(group, topic)| Step::Fetch(group, topic)),
        1 => topic.prop_map(Step::DeleteTopic),
        8 => (0..4_000i64).prop_map(Step::Pass),
        1 => (-DAY_MS..DAY_MS).prop_map(Step::Set),
        2 => Just(Step::Hold),
        2 => Just(Step::Release),
        1 => (0..20usize).prop_map(Step::Crash),
    ]
}

/// Group, topic, partition.
type Place = (String, String, i32);

/// Where a client is.
#[derive(Clone, Debug)]
enum Phase {
    Idle,
    Joining,
    Joined(Joined),
    Syncing(Joined),
    Stable(Joined),
}

struct Client {
    group: &'static str,
    instance: Option<String>,
    requires_id: bool,
    member_id: String,
    /// Member ids that its instance id has had.
    ids: BTreeSet<String>,
    phase: Phase,
    has_vanished: bool,
}

impl Client {
    fn generation(&self) -> i32 {
        match &self.phase {
            Phase::Idle | Phase::Joining => -1,
            Phase::Joined(joined) | Phase::Syncing(joined) | Phase::Stable(joined) => joined.generation_id,
        }
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Join,
    Sync,
    Heartbeat,
    Commit(i64),
    Other,
}

struct World {
    lab: Lab,
    clients: Vec<Client>,
    asked: BTreeMap<Token, (usize, Asked)>,
    /// Highest generation that a group has told in the life of a coordinator.
    generations: BTreeMap<&'static str, i32>,
    /// Who leads each generation of a group in the life of a coordinator.
    leaders: BTreeMap<(&'static str, i32), String>,
    /// The number with which the assignments of a generation were made, for ever.
    assigned: BTreeMap<(&'static str, i32), String>,
    /// Grows.
    next: i64,
}

impl World {
    fn new() -> Self {
        let mut lab = Lab::with(GroupConfig {
            offsets_retention_check_interval_ms: 1 << 40,
            ..GroupConfig::default()
        });
        lab.ahead_ms = WALL_MS;
        let clients = (0..CLIENTS).map(|index| Client {
            group: GROUPS[index % GROUPS.len()],
            instance: (index % 4 >= 2).then(|| format!("i{index}")),
            requires_id: index >= CLIENTS / 2,
            member_id: String::new(),
            ids: BTreeSet::new(),
            phase: Phase::Idle,
            has_vanished: false,
        });
        Self {
            lab,
            clients: clients.collect(),
            asked: BTreeMap::new(),
            generations: BTreeMap::new(),
            leaders: BTreeMap::new(),
            assigned: BTreeMap::new(),
            next: 0,
        }
    }

    fn ask(&mut self, client: usize, asked: Asked, request: GroupRequest) {
        let token = self.lab.ask(request);
        self.asked.insert(token, (client, asked));
    }

    fn act(&mut self, index: usize) {
        let client = &self.clients[index];
        match client.phase.clone() {
            Phase::Idle => self.join(index),
            Phase::Joining | Phase::Syncing(_) => {}
            Phase::Joined(joined) => self.sync(index, joined),
            Phase::Stable(joined) => {
                let heartbeat = Heartbeat {
                    group_id: client.group.to_owned(),
                    generation_id: joined.generation_id,
                    member_id: client.member_id.clone(),
                    group_instance_id: client.instance.clone(),
                };
                self.ask(index, Asked::Heartbeat, GroupRequest::Heartbeat(heartbeat));
            }
        }
    }

    fn join(&mut self, index: usize) {
        let client = &self.clients[index];
        let request = JoinGroup {
            member_id: client.member_id.clone(),
            group_instance_id: client.instance.clone(),
            requires_known_member_id: client.requires_id,
            rebalance_timeout_ms: 20_000,
            ..self.lab.joining(client.group)
        };
        self.clients[index].phase = Phase::Joining;
        self.ask(index, Asked::Join, GroupRequest::JoinGroup(request));
    }

    fn sync(&mut self, index: usize, joined: Joined) {
        let client = &self.clients[index];
        self.next += 1;
        let assignments = joined.members.iter().filter(|_| !joined.skip_assignment);
        let request = SyncGroup {
            group_id: client.group.to_owned(),
            generation_id: joined.generation_id,
            member_id: client.member_id.clone(),
            group_instance_id: client.instance.clone(),
            protocol_type: Some("consumer".to_owned()),
            protocol_name: Some("range".to_owned()),
            assignments: assignments
                .map(|member| {
                    let assignment = format!("{}/{}", self.next, member.member_id);
                    (member.member_id.to_string(), Bytes::from(assignment))
                })
                .collect(),
        };
        self.clients[index].phase = Phase::Syncing(joined);
        self.ask(index, Asked::Sync, GroupRequest::SyncGroup(request));
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Act(client) if !self.clients[client].has_vanished => self.act(client),
            Step::Retry(client) if !self.clients[client].has_vanished => {
                match self.clients[client].phase.clone() {
                    Phase::Joining => self.join(client),
                    Phase::Syncing(joined) => self.sync(client, joined),
                    _ => {}
                }
            }
            Step::Act(_) | Step::Retry(_) => {}
            Step::Commit(client, topic) => {
                self.next += 1;
                let offset = self.next;
                let Client { group, member_id, .. } = &self.clients[client];
                let generation = self.clients[client].generation();
                let request = committing(group, member_id, generation, TOPICS[topic], offset);
                self.ask(client, Asked::Commit(offset), GroupRequest::OffsetCommit(request));
            }
            Step::Leave(client) => {
                let member = LeavingMember {
                    member_id: self.clients[client].member_id.clone(),
                    group_instance_id: self.clients[client].instance.clone(),
                    reason: None,
                };
                let request = LeaveGroup {
                    group_id: self.clients[client].group.to_owned(),
                    members: vec![member],
                };
                self.forget(client);
                self.ask(client, Asked::Other, GroupRequest::LeaveGroup(request));
            }
            Step::Die(client) => self.forget(client),
            Step::Vanish(client) => {
                self.forget(client);
                self.clients[client].has_vanished = true;
            }
            Step::CommitIn(id, group, topic) => {
                self.next += 1;
                let request = committing_in(producer(id), GROUPS[group], TOPICS[topic], self.next);
                self.ask(0, Asked::Other, GroupRequest::TxnOffsetCommit(request));
            }
            Step::End(id, committed) => self.lab.end_transaction(producer(id), committed),
            Step::Fetch(group, topic) => {
                let (group, topic) = (GROUPS[group], TOPICS[topic]);
                self.lab.commit();
                let expected = self.committed();
                let expected = expected.get(&(group.to_owned(), topic.to_owned(), 0));
                assert_eq!(
                    self.lab.offset(group, topic),
                    expected.map_or(-1, |value| value.offset.0)
                );
            }
            Step::DeleteTopic(topic) => {
                self.lab.delete_topic(TOPICS[topic]);
                self.lab.image_changed();
                self.lab.create_topic(TOPICS[topic]);
                self.lab.image_changed();
            }
            Step::Pass(ms) => self.lab.pass(ms),
            Step::Set(by_ms) => self.lab.ahead_ms += by_ms,
            Step::Hold => self.lab.hold(),
            Step::Release => self.lab.commit(),
            Step::Crash(kept) => self.crash(kept),
        }
        self.take_answers();
    }

    /// A client that knows nothing of what it was; its requests are abandoned.
    fn forget(&mut self, client: usize) {
        for token in self
            .asked
            .iter()
            .filter(|(_, (asker, _))| *asker == client)
            .map(|(token, _)| *token)
        {
            self.lab.coordinator.abandoned(token);
        }
        self.asked
            .retain(|_, (asker, asked)| *asker != client || matches!(asked, Asked::Other));
        self.clients[client].member_id.clear();
        self.clients[client].phase = Phase::Idle;
    }

    fn crash(&mut self, kept: usize) {
        self.take_answers();
        self.lab.crash(kept);
        self.asked.clear();
        self.generations.clear();
        self.leaders.clear();
        for client in &mut self.clients {
            if let Phase::Joining | Phase::Syncing(_) = client.phase {
                client.phase = Phase::Idle;
            }
        }
        self.check_offsets();
    }

    fn take_answers(&mut self) {
        for (token, response) in std::mem::take(&mut self.lab.answers) {
            if let Some((client, asked)) = self.asked.remove(&token) {
                self.answered(client, asked, response);
            }
        }
    }

    fn answered(&mut self, index: usize, asked: Asked, response: GroupResponse) {
        let error = match (asked, response) {
            (Asked::Join, GroupResponse::JoinGroup(joined)) => return self.joined(index, joined),
            (Asked::Sync, GroupResponse::SyncGroup(synced)) => {
                if synced.error == ErrorCode::None {
                    return self.synced(index, &synced.assignment);
                }
                synced.error
            }
            (Asked::Heartbeat, GroupResponse::Heartbeat(error)) => error,
            (Asked::Commit(offset), GroupResponse::OffsetCommit(committed)) => {
                let error = committed.topics[0].partitions[0].1;
                if error == ErrorCode::None {
                    self.check_logged(offset);
                }
                error
            }
            (Asked::Other, _) => return,
            (_, response) => panic!("{response:?}"),
        };
        let client = &mut self.clients[index];
        match error {
            ErrorCode::None => {}
            ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration => client.phase = Phase::Idle,
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                client.member_id.clear();
                client.phase = Phase::Idle;
            }
            error => panic!("{error}"),
        }
    }

    fn joined(&mut self, index: usize, joined: Joined) {
        let client = &mut self.clients[index];
        client.phase = Phase::Idle;
        match joined.error {
            ErrorCode::None => {}
            ErrorCode::MemberIdRequired => {
                client.member_id = joined.member_id.to_string();
                return;
            }
            ErrorCode::RebalanceInProgress => return,
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId => {
                client.member_id.clear();
                return;
            }
            error => panic!("{error}"),
        }
        let highest = self.generations.entry(client.group).or_default();
        assert!(*highest <= joined.generation_id, "generations grow");
        *highest = joined.generation_id;
        if !joined.members.is_empty() {
            assert_eq!(
                joined.leader, joined.member_id,
                "only the leader is told of the members"
            );
            assert!(
                joined
                    .members
                    .iter()
                    .any(|member| member.member_id == joined.leader)
            );
        }
        if joined.leader == joined.member_id && !joined.skip_assignment {
            let key = (client.group, joined.generation_id);
            let leader = self
                .leaders
                .entry(key)
                .or_insert_with(|| joined.leader.to_string());
            assert_eq!(**leader, *joined.leader, "one leads");
        }
        client.member_id = joined.member_id.to_string();
        client.ids.insert(client.member_id.clone());
        // Ids of those who died before they learnt them.
        for member in &joined.members {
            let has_it =
                |client: &&mut Client| client.instance.as_deref() == member.group_instance_id.as_deref();
            if let Some(client) = self
                .clients
                .iter_mut()
                .filter(|client| client.instance.is_some())
                .find(has_it)
            {
                client.ids.insert(member.member_id.to_string());
            }
        }
        self.clients[index].phase = Phase::Joined(joined);
    }

    fn synced(&mut self, index: usize, assignment: &Bytes) {
        let client = &mut self.clients[index];
        let Phase::Syncing(joined) = client.phase.clone() else {
            return;
        };
        let assignment = std::str::from_utf8(assignment).unwrap();
        let (number, member_id) = assignment
            .split_once('/')
            .expect("everyone is assigned something");
        assert!(
            client.ids.contains(member_id),
            "{member_id} is not {:?}",
            client.ids
        );
        let key = (client.group, joined.generation_id);
        let first = self.assigned.entry(key).or_insert_with(|| number.to_owned());
        assert_eq!(first, number, "a generation is assigned once, over all crashes");
        client.phase = Phase::Stable(joined);
    }

    /// What an independent reading of the log makes of it.
    fn committed(&self) -> BTreeMap<Place, OffsetValue> {
        let mut committed: BTreeMap<Place, (usize, OffsetValue)> = BTreeMap::new();
        let mut pending: Vec<(i64, Place, usize, OffsetValue)> = Vec::new();
        for (position, (_, entry)) in self.lab.log.iter().enumerate() {
            match entry {
                Entry::Batch(batch) => {
                    for record in &batch.records {
                        let Ok(Key::Offset(key)) = Key::read(&record.key) else {
                            continue;
                        };
                        let place = (key.group, key.topic, key.partition.0);
                        match (&record.value, batch.producer) {
                            (None, _) => {
                                committed.remove(&place);
                                pending.retain(|(_, other, ..)| *other != place);
                            }
                            (Some(value), None) => {
                                committed.insert(place, (position, OffsetValue::read(value).unwrap()));
                            }
                            (Some(value), Some(producer)) => {
                                let value = OffsetValue::read(value).unwrap();
                                pending.push((producer.id.0, place, position, value));
                            }
                        }
                    }
                }
                Entry::Ended(producer, is_commit) => {
                    for (_, place, at, value) in pending.extract_if(.., |(id, ..)| *id == producer.id.0) {
                        let is_later = committed.get(&place).is_none_or(|(other, _)| *other < at);
                        if *is_commit && is_later {
                            committed.insert(place, (at, value));
                        }
                    }
                }
            }
        }
        committed
            .into_iter()
            .map(|(place, (_, value))| (place, value))
            .collect()
    }

    fn check_offsets(&self) {
        let held: BTreeMap<_, _> = self
            .lab
            .coordinator
            .offsets()
            .all()
            .into_iter()
            .map(|(group, topic, partition, value)| ((group, topic, partition), value))
            .collect();
        assert_eq!(held, self.committed());
    }

    /// A commit that was acknowledged is in the part of the log that no crash takes away.
    fn check_logged(&self, offset: i64) {
        let end = self.lab.committed.unwrap_or(self.lab.log.len());
        let batches = self.lab.log[..end].iter().filter_map(|(_, entry)| match entry {
            Entry::Batch(batch) => Some(batch),
            Entry::Ended(..) => None,
        });
        let mut values = batches
            .flat_map(|batch| &batch.records)
            .filter(|record| matches!(Key::read(&record.key), Ok(Key::Offset(_))))
            .filter_map(|record| OffsetValue::read(record.value.as_ref()?).ok());
        assert!(values.any(|value| value.offset.0 == offset));
    }

    /// Everybody who is left does what clients do: the groups become Stable, and stay so over a crash.
    fn settle(&mut self) {
        self.step(Step::Release);
        for _ in 0..60 {
            for client in 0..CLIENTS {
                self.step(Step::Act(client));
            }
            self.step(Step::Pass(1_000));
        }
        for round in 0..2 {
            for group in GROUPS {
                let alive = self
                    .clients
                    .iter()
                    .filter(|client| client.group == group && !client.has_vanished);
                let alive: BTreeSet<String> = alive
                    .map(|client| {
                        assert!(
                            matches!(client.phase, Phase::Stable(_)),
                            "{group}: {:?}",
                            client.phase
                        );
                        client.member_id.clone()
                    })
                    .collect();
                let described = self.lab.describe(group);
                let members = described
                    .members
                    .iter()
                    .map(|member| member.member_id.to_string());
                assert_eq!(
                    members.collect::<BTreeSet<_>>(),
                    alive,
                    "{group} in round {round}"
                );
                assert_eq!(
                    described.state == "Stable",
                    !alive.is_empty(),
                    "{}",
                    described.state
                );
            }
            self.crash(0);
        }
        for client in 0..CLIENTS {
            self.step(Step::Vanish(client));
        }
        self.step(Step::Pass(60_000));
        assert_eq!(self.lab.coordinator.timer_count(), 0);
        assert!(self.lab.waiting.is_empty());
    }
}

proptest! {
    #[test]
    fn groups_recover_from_any_schedule(steps in proptest::collection::vec(step(), 0..300)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.check_offsets();
        world.settle();
    }
}
