//! Clients as they are in the field: of the consumer protocol, and eager and cooperative ones of the classic protocol, whose
//! leader assigns while the group is a classic one.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::super::migration::{join_group, subscription, sync_group};
use super::super::*;
use crate::groups::consumer::embedded::{Assignment, Subscription};
use crate::groups::consumer::upgrade::by_id;
use crate::groups::request::{Heartbeat, JoinGroup, LeaveGroup, LeavingMember};
use crate::groups::response::Joined;

/// The topics that clients subscribe to, of which some exist.
pub const TOPICS: [&str; 4] = ["t0", "t1", "t2", "t3"];

/// What a client subscribes to.
#[derive(Clone, Debug)]
pub enum Wants {
    Names(Vec<&'static str>),
    Pattern(&'static str),
}

/// How a client takes part.
#[derive(Clone, Debug)]
pub enum Speaks {
    Consumer {
        instance: Option<&'static str>,
    },
    Classic {
        /// Keeps what it has while it joins; an eager one gives up all.
        is_cooperative: bool,
    },
}

/// Where a client of the classic protocol is.
#[derive(Clone, Debug)]
enum Stage {
    Join,
    Waits(Token),
    Sync(Vec<(String, Bytes)>),
    WaitsForSync(Token),
    Works,
}

#[derive(Clone, Debug)]
pub struct Client {
    pub id: String,
    pub speaks: Speaks,
    pub wants: Wants,
    /// Member epoch or generation; 0 for one that has to join.
    pub epoch: i32,
    /// What it works on.
    pub owned: PartitionSet,
    /// What it was told to own and does not yet.
    told: Option<PartitionSet>,
    /// Whether it has something to report, or lost an answer.
    full: bool,
    stage: Stage,
    /// Whether it was given its id (KIP-394).
    has_id: bool,
    /// The topics as it knew them when it joined.
    seen: Vec<(bool, Option<(TopicId, u32)>)>,
    pub acted_ms: i64,
}

impl Client {
    pub fn new(id: String, speaks: Speaks, wants: Wants, now_ms: i64) -> Self {
        Self {
            id,
            speaks,
            wants,
            epoch: 0,
            owned: PartitionSet::EMPTY,
            told: None,
            full: false,
            stage: Stage::Join,
            has_id: false,
            seen: Vec::new(),
            acted_ms: now_ms,
        }
    }

    /// Does what is next for it. `loses` its answer if it can.
    pub fn act(&mut self, fixture: &mut Fixture, loses: bool) {
        self.acted_ms = fixture.now_ms;
        match self.speaks.clone() {
            Speaks::Consumer { instance } => self.heartbeat(fixture, instance, loses),
            Speaks::Classic { .. } => {
                self.go_on(fixture);
                // It does not dawdle on the way to its assignment.
                for _ in 0..4 {
                    match self.stage {
                        Stage::Waits(_) | Stage::WaitsForSync(_) | Stage::Sync(_) => self.go_on(fixture),
                        Stage::Join | Stage::Works => break,
                    }
                }
            }
        }
    }

    /// Whether it subscribes to the topic.
    pub fn wants_topic(&self, name: &str) -> bool {
        match &self.wants {
            Wants::Names(names) => names.contains(&name),
            Wants::Pattern(pattern) => crate::groups::consumer::pattern::compile(pattern)
                .unwrap()
                .is_match(name.as_bytes()),
        }
    }

    /// Subscribes to other topics, from the next full request on.
    pub fn resubscribe(&mut self, wants: Wants) {
        // A client that has an expression keeps to it: names would come on top.
        if let (Wants::Names(_), Wants::Names(_)) = (&self.wants, &wants) {
            self.wants = wants;
            self.full = true;
        }
    }

    /// Takes on what it was told.
    pub fn apply(&mut self) {
        if let Some(told) = self.told.take() {
            self.owned = told;
            self.full = true;
        }
    }

    /// The coordinator is another one: who waits asks again.
    pub fn reconnect(&mut self) {
        match self.stage {
            Stage::Waits(_) | Stage::WaitsForSync(_) | Stage::Sync(_) => self.stage = Stage::Join,
            Stage::Join | Stage::Works => {}
        }
        self.full = true;
    }

    pub fn leave(&mut self, fixture: &mut Fixture) {
        self.owned = PartitionSet::EMPTY;
        match self.speaks {
            Speaks::Consumer { instance } => {
                let goodbye = ConsumerGroupHeartbeat {
                    instance_id: instance.map(str::to_owned),
                    ..quiet(&self.id, if instance.is_some() { -2 } else { -1 })
                };
                fixture.heartbeat(goodbye);
            }
            Speaks::Classic { .. } => {
                fixture.answer(GroupRequest::LeaveGroup(LeaveGroup {
                    group_id: GROUP.to_owned(),
                    members: vec![LeavingMember {
                        member_id: self.id.clone(),
                        group_instance_id: None,
                        reason: None,
                    }],
                }));
            }
        }
    }

    fn heartbeat(&mut self, fixture: &mut Fixture, instance: Option<&str>, loses: bool) {
        let full = self.full || self.epoch == 0;
        let mut request = if self.epoch == 0 {
            self.owned = PartitionSet::EMPTY;
            self.told = None;
            joining(&self.id, &[])
        } else if full {
            // What it says that it does not own it must not take on any more; it is told anew.
            self.told = None;
            ConsumerGroupHeartbeat {
                rebalance_timeout_ms: 30_000,
                ..owning(&self.id, self.epoch, &self.owned)
            }
        } else {
            quiet(&self.id, self.epoch)
        };
        if full {
            request.instance_id = instance.map(str::to_owned);
            match &self.wants {
                Wants::Names(names) => {
                    request.subscribed_topic_names =
                        Some(names.iter().map(|name| (*name).to_owned()).collect());
                }
                Wants::Pattern(pattern) => request.subscribed_topic_regex = Some((*pattern).to_owned()),
            }
        } else {
            request.instance_id = instance.map(str::to_owned);
        }
        let answer = fixture.heartbeat(request);
        if loses {
            self.full = true;
            return;
        }
        self.full = false;
        match answer.error {
            ErrorCode::None => {
                self.epoch = answer.member_epoch;
                if let Some(told) = assigned(&answer) {
                    self.told = (told != self.owned).then_some(told);
                }
            }
            ErrorCode::FencedMemberEpoch | ErrorCode::UnknownMemberId => {
                self.epoch = 0;
                self.owned = PartitionSet::EMPTY;
                self.told = None;
            }
            // Another is still to be found dead, or the group can't be upgraded now.
            ErrorCode::UnreleasedInstanceId | ErrorCode::GroupIdNotFound => {
                assert!(self.epoch == 0 || self.owned.is_empty(), "{answer:?}");
            }
            error => panic!("{error:?} {answer:?}"),
        }
    }

    fn go_on(&mut self, fixture: &mut Fixture) {
        match std::mem::replace(&mut self.stage, Stage::Join) {
            Stage::Join => self.join(fixture),
            Stage::Waits(token) => match fixture.answers.remove(&token) {
                Some(GroupResponse::JoinGroup(joined)) => self.joined(fixture, joined),
                _ => self.stage = Stage::Waits(token),
            },
            Stage::Sync(assignments) => {
                let assignments: Vec<(&str, Bytes)> = assignments
                    .iter()
                    .map(|(id, assignment)| (id.as_str(), assignment.clone()))
                    .collect();
                let request = sync_group(&self.id, self.epoch, &assignments);
                let token = fixture.ask(GroupRequest::SyncGroup(request));
                self.stage = Stage::WaitsForSync(token);
            }
            Stage::WaitsForSync(token) => match fixture.answers.remove(&token) {
                Some(GroupResponse::SyncGroup(synced)) if synced.error == ErrorCode::None => {
                    let topics = Assignment::decode(&synced.assignment).unwrap().partitions;
                    let given = by_id(&topics, &fixture.image);
                    // One that had to give up some joins again to say so.
                    self.stage = if self.owned.is_subset(&given) {
                        Stage::Works
                    } else {
                        Stage::Join
                    };
                    self.owned = given;
                }
                Some(GroupResponse::SyncGroup(synced)) => self.refused(synced.error),
                _ => self.stage = Stage::WaitsForSync(token),
            },
            // Its own subscription, or the topics that a leader assigns, are not what they were.
            Stage::Works if self.seen != self.sees(fixture) => self.join(fixture),
            Stage::Works => {
                let request = Heartbeat {
                    group_id: GROUP.to_owned(),
                    generation_id: self.epoch,
                    member_id: self.id.clone(),
                    group_instance_id: None,
                };
                match fixture.answer(GroupRequest::Heartbeat(request)) {
                    GroupResponse::Heartbeat(ErrorCode::None) => self.stage = Stage::Works,
                    GroupResponse::Heartbeat(error) => self.refused(error),
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn join(&mut self, fixture: &mut Fixture) {
        if self.is_eager() {
            self.owned = PartitionSet::EMPTY;
        }
        let Wants::Names(names) = &self.wants else {
            panic!("only consumers have expressions")
        };
        let owned: Vec<(Arc<str>, Vec<i32>)> = self
            .owned
            .topics()
            .filter_map(|(topic, partitions)| {
                let name = Arc::clone(&fixture.image.topic_by_id(topic)?.name);
                Some((name, partitions.iter().map(|partition| partition.0).collect()))
            })
            .collect();
        let owned: Vec<(&str, &[i32])> = owned
            .iter()
            .map(|(name, partitions)| (&**name, &partitions[..]))
            .collect();
        let request = JoinGroup {
            member_id: if self.has_id {
                self.id.clone()
            } else {
                String::new()
            },
            fresh_member_id: self.id.clone(),
            protocols: vec![("range".to_owned(), subscription(names, &owned))],
            ..join_group("", &[], &[])
        };
        let token = fixture.ask(GroupRequest::JoinGroup(request));
        self.stage = Stage::Waits(token);
        self.seen = self.sees(fixture);
    }

    /// What makes it join again: its own subscription, and the topics, as a leader watches those of all members.
    fn sees(&self, fixture: &Fixture) -> Vec<(bool, Option<(TopicId, u32)>)> {
        let known = |name| {
            fixture
                .image
                .topic(name)
                .map(|topic| (topic.id, topic.partition_count))
        };
        TOPICS
            .iter()
            .map(|name| (self.wants_topic(name), known(name)))
            .collect()
    }

    fn joined(&mut self, fixture: &Fixture, joined: Joined) {
        if joined.error != ErrorCode::None {
            return self.refused(joined.error);
        }
        self.epoch = joined.generation_id;
        let assignments = if *joined.leader == *self.id {
            assign(fixture, &joined)
        } else {
            Vec::new()
        };
        self.stage = Stage::Sync(assignments);
    }

    fn is_eager(&self) -> bool {
        matches!(
            self.speaks,
            Speaks::Classic {
                is_cooperative: false
            }
        )
    }

    fn refused(&mut self, error: ErrorCode) {
        if self.is_eager() || error != ErrorCode::RebalanceInProgress {
            self.owned = PartitionSet::EMPTY;
        }
        self.stage = Stage::Join;
        match error {
            ErrorCode::RebalanceInProgress | ErrorCode::IllegalGeneration => {}
            ErrorCode::MemberIdRequired => self.has_id = true,
            ErrorCode::UnknownMemberId => {
                self.has_id = false;
                // Its id is used up.
                self.id.push('\'');
            }
            error => panic!("{error:?}"),
        }
    }
}

/// What a leader gives to whom: each topic in turn to its subscribers, but nothing that another still has.
fn assign(fixture: &Fixture, joined: &Joined) -> Vec<(String, Bytes)> {
    let mut shares: BTreeMap<&str, BTreeMap<&str, Vec<PartitionIndex>>> = BTreeMap::new();
    let subscriptions: Vec<(&str, Subscription)> = joined
        .members
        .iter()
        .map(|member| {
            (
                &*member.member_id,
                Subscription::decode(&member.metadata).unwrap(),
            )
        })
        .collect();
    for name in TOPICS {
        let Some(topic) = fixture.image.topic(name) else {
            continue;
        };
        let subscribers: Vec<&str> = subscriptions
            .iter()
            .filter(|(_, subscription)| subscription.topics.iter().any(|topic| **topic == *name))
            .map(|(id, _)| *id)
            .collect();
        if subscribers.is_empty() {
            continue;
        }
        for (index, partition) in topic.partitions().enumerate() {
            let to = subscribers[index % subscribers.len()];
            let mut others = subscriptions.iter().filter(|(id, _)| *id != to);
            let others_have = others.any(|(_, subscription)| {
                let mut owned = subscription.owned.iter();
                owned.any(|(topic, partitions)| **topic == *name && partitions.contains(&partition))
            });
            if !others_have {
                let share = shares.entry(to).or_default();
                share.entry(name).or_default().push(partition);
            }
        }
    }
    let encode = |share: &BTreeMap<&str, Vec<PartitionIndex>>| -> Bytes {
        Assignment::encode(1, share.iter().map(|(name, partitions)| (*name, &partitions[..]))).into()
    };
    shares
        .iter()
        .map(|(id, share)| ((*id).to_owned(), encode(share)))
        .collect()
}
