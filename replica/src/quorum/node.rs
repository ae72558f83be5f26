//! All groups of a shard, stepped together: one disk submit a turn, one list of messages a peer, and time only for those awake.
//!
//! A turn is: frames and completions in, proposals in, then [`Node::turn`]. The host makes all writes of a submit durable, in
//! the order of submits, and says so with [`Node::persisted`]; each message list becomes a frame.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tautline_core::ids::{NodeId, Offset};

use super::event::{Event, Output};
use super::limits::{ELECTION_TICKS, HEARTBEAT_TICKS, MESSAGES_PER_FRAME_MAX, TICK_NS};
use super::message::{GroupId, Message};
use super::recovery::LoggedBatch;
use super::replica::Replica;
use super::state::{BytesAt, Write};

/// What a turn has led to.
#[derive(Debug, Default)]
pub struct Turn {
    /// To be made durable together, before [`Node::persisted`] is called with the number.
    pub submit: Option<(u64, Vec<(GroupId, Write)>)>,
    /// A frame a peer, mostly; more if there are more messages than one holds. An empty one says "I am alive".
    pub frames: Vec<(NodeId, Vec<Message>)>,
    /// What has changed.
    pub events: Vec<(GroupId, Event)>,
}

/// How a peer is.
#[derive(Debug)]
struct Peer {
    silent_ticks: usize,
    sent_ticks: usize,
}

/// See the module.
pub struct Node {
    me: NodeId,
    groups: BTreeMap<GroupId, Replica>,
    awake: BTreeSet<GroupId>,
    dirty: BTreeSet<GroupId>,
    peers: BTreeMap<NodeId, Peer>,
    /// Submits that are not durable: their number, and the tickets in them.
    submits: VecDeque<(u64, Vec<(GroupId, u64)>)>,
    next_submit: u64,
    tickets: Vec<(GroupId, u64)>,
    out: Output,
    last_tick_ns: u64,
}

impl Node {
    /// A node that speaks to these peers.
    #[must_use]
    pub fn new(me: NodeId, peers: &[NodeId], now_ns: u64) -> Self {
        let peers = peers.iter().filter(|&&peer| peer != me);
        Self {
            me,
            groups: BTreeMap::new(),
            awake: BTreeSet::new(),
            dirty: BTreeSet::new(),
            peers: peers
                .map(|&peer| {
                    (
                        peer,
                        Peer {
                            silent_ticks: 0,
                            sent_ticks: 0,
                        },
                    )
                })
                .collect(),
            submits: VecDeque::new(),
            next_submit: 1,
            tickets: Vec::new(),
            out: Output::default(),
            last_tick_ns: now_ns,
        }
    }

    /// Takes a recovered replica in.
    pub fn add(&mut self, replica: Replica) {
        let group = replica.group;
        self.groups.insert(group, replica);
        self.awake.insert(group);
        self.dirty.insert(group);
    }

    /// A replica, to look at.
    #[must_use]
    pub fn group(&self, group: GroupId) -> Option<&Replica> {
        self.groups.get(&group)
    }

    /// A replica, to propose to or ask; the next turn says what came of it.
    pub fn group_mut(&mut self, group: GroupId) -> Option<&mut Replica> {
        self.dirty.insert(group);
        self.awake.insert(group);
        self.groups.get_mut(&group)
    }

    /// How many groups cost a tick.
    #[must_use]
    pub fn awake(&self) -> usize {
        self.awake.len()
    }

    /// A frame has come from `from`. `bytes` gives the place of each attached batch, in order; all were checked.
    pub fn receive(
        &mut self,
        from: NodeId,
        messages: &[Message],
        bytes: impl IntoIterator<Item = BytesAt>,
        now_ns: u64,
    ) {
        let mut bytes = bytes.into_iter();
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.silent_ticks = 0;
        }
        for message in messages {
            let places: Vec<_> = bytes.by_ref().take(message.body.attached().count()).collect();
            let Some(replica) = self.groups.get_mut(&message.group) else {
                continue;
            };
            if self.dirty.remove(&message.group) {
                Self::drain(replica, &mut self.tickets, now_ns, &mut self.out);
            }
            replica.step(from, message, places);
            Self::drain(replica, &mut self.tickets, now_ns, &mut self.out);
            Self::rest(replica, &mut self.awake);
        }
    }

    /// The host's answer to [`Event::CopyAsked`]: all batches from `from` to `end`, which are committed.
    pub fn copied(
        &mut self,
        group: GroupId,
        peer: NodeId,
        from: Offset,
        end: Offset,
        batches: Vec<LoggedBatch>,
    ) {
        if let Some(replica) = self.groups.get_mut(&group) {
            replica.give_copy(peer, from, end, batches);
            self.dirty.insert(group);
        }
    }

    /// Time has gone by. Call it at least once a [`TICK_NS`]; it ticks once at most, so that a node which was stopped does not
    /// believe that its leaders were.
    pub fn tick(&mut self, now_ns: u64) {
        if now_ns < self.last_tick_ns + TICK_NS {
            return;
        }
        self.last_tick_ns = now_ns;
        let mut lost = Vec::new();
        for (&id, peer) in &mut self.peers {
            peer.silent_ticks += 1;
            peer.sent_ticks += 1;
            if peer.silent_ticks == ELECTION_TICKS {
                lost.push(id);
            }
        }
        if !lost.is_empty() {
            self.wake_for(&lost);
        }
        let awake = std::mem::take(&mut self.awake);
        for group in awake {
            let Some(replica) = self.groups.get_mut(&group) else {
                continue;
            };
            replica.tick(now_ns);
            Self::drain(replica, &mut self.tickets, now_ns, &mut self.out);
            self.dirty.remove(&group);
            Self::rest(replica, &mut self.awake);
        }
    }

    fn wake_for(&mut self, lost: &[NodeId]) {
        for (&group, replica) in &mut self.groups {
            for &peer in lost {
                if replica.has_replica(peer) {
                    replica.lost(peer);
                }
            }
            Self::rest(replica, &mut self.awake);
            debug_assert_eq!(group, replica.group);
        }
    }

    /// A submit is durable, and so are all before it.
    pub fn persisted(&mut self, submit: u64, now_ns: u64) {
        while self.submits.front().is_some_and(|(number, _)| *number <= submit) {
            let (_, tickets) = self.submits.pop_front().expect("there is a first");
            for (group, ticket) in tickets {
                let Some(replica) = self.groups.get_mut(&group) else {
                    continue;
                };
                replica.persisted(ticket, &mut self.out);
                Self::drain(replica, &mut self.tickets, now_ns, &mut self.out);
            }
        }
    }

    /// A group's disk has failed.
    pub fn fail(&mut self, group: GroupId) {
        if let Some(replica) = self.groups.get_mut(&group) {
            replica.fail();
            self.dirty.insert(group);
        }
    }

    /// Collects what there is to do.
    pub fn turn(&mut self, now_ns: u64) -> Turn {
        for group in std::mem::take(&mut self.dirty) {
            if let Some(replica) = self.groups.get_mut(&group) {
                Self::drain(replica, &mut self.tickets, now_ns, &mut self.out);
                Self::rest(replica, &mut self.awake);
            }
        }
        let out = std::mem::take(&mut self.out);
        let submit = (!out.writes.is_empty()).then(|| {
            let number = self.next_submit;
            self.next_submit += 1;
            self.submits
                .push_back((number, std::mem::take(&mut self.tickets)));
            (number, out.writes)
        });
        Turn {
            submit,
            frames: self.frames(out.messages),
            events: out.events,
        }
    }

    /// One list a peer; peers that would hear nothing for a heartbeat get an empty one.
    fn frames(&mut self, messages: Vec<(NodeId, Message)>) -> Vec<(NodeId, Vec<Message>)> {
        let mut by_peer: BTreeMap<NodeId, Vec<Message>> = BTreeMap::new();
        for (to, message) in messages {
            by_peer.entry(to).or_default().push(message);
        }
        for (&id, peer) in &mut self.peers {
            if peer.sent_ticks >= HEARTBEAT_TICKS {
                by_peer.entry(id).or_default();
            }
            if by_peer.contains_key(&id) {
                peer.sent_ticks = 0;
            }
        }
        let mut frames = Vec::new();
        for (to, mut messages) in by_peer {
            debug_assert_ne!(to, self.me);
            while messages.len() > MESSAGES_PER_FRAME_MAX {
                let rest = messages.split_off(MESSAGES_PER_FRAME_MAX);
                frames.push((to, std::mem::replace(&mut messages, rest)));
            }
            frames.push((to, messages));
        }
        frames
    }

    fn drain(replica: &mut Replica, tickets: &mut Vec<(GroupId, u64)>, now_ns: u64, out: &mut Output) {
        if let Some(ticket) = replica.drain(now_ns, out) {
            tickets.push((replica.group, ticket));
        }
    }

    /// Counts a replica among those awake, or not.
    fn rest(replica: &Replica, awake: &mut BTreeSet<GroupId>) {
        if replica.is_asleep() {
            awake.remove(&replica.group);
        } else {
            awake.insert(replica.group);
        }
    }
}
