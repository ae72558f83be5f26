//! A group of the classic protocol: its members elect a leader, and the leader assigns.
//!
//! ```text
//!             first member joins               all have joined, or time is up
//!   Empty ------------------------> Preparing ------------------------------> Completing
//!     ^                               ^  |                                      |     |
//!     |      nobody has joined        |  |   a member comes, goes, changes      |     | the leader's assignment
//!     +-------------------------------|--+         <----------------------------+     v
//!                                     +------------------------------------------- Stable
//! ```
//!
//! What is in the log: a group when it is made, when it becomes Stable or Empty, and when a static member gets another id. So
//! a replay finds the last of those, and what happened since happens again: members that are gone stay silent until their
//! session times out, the others go on. No member has an assignment of a generation that is not in the log.
//!
//! `pending` ids were given out and are no members yet (KIP-394). Static members are known by instance ids (KIP-345).

mod describe;
mod heartbeat;
mod join;
mod leave;
mod member;
mod members;
mod migrate;
mod pending;
mod protocols;
mod rebalance;
mod replay;
mod static_member;
mod sync;
mod timeouts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tautline_core::error::ErrorCode;

pub(crate) use heartbeat::heartbeat;
pub(crate) use join::join;
pub(crate) use leave::leave;
pub(crate) use member::Member;
use pending::PendingMembers;
use protocols::Votes;
use rebalance::InitialDelay;
pub(crate) use sync::sync;
pub(crate) use timeouts::timer;

use super::group::{CommitKind, MemberClaim, Retention};
use super::limits::{GROUP_MEMORY_BYTES, MEMBER_MEMORY_BYTES, NAME_MEMORY_BYTES};
use super::turn::Turn;
use crate::memory::{Charge, CoordinatorMemory};

/// The protocol type of consumers.
pub(crate) const CONSUMER: &str = "consumer";

/// Where a group is between two generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no members.
    Empty,
    /// Members are to join.
    Preparing,
    /// They have joined, and the leader is to assign.
    Completing,
    /// They have their assignments.
    Stable,
}

impl State {
    /// Kafka's name of it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::Preparing => "PreparingRebalance",
            Self::Completing => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct ClassicGroup {
    id: Arc<str>,
    state: State,
    /// Since when it is in this state, milliseconds since the epoch; None if the log doesn't tell.
    since_ms: Option<i64>,
    /// Set while the first members of an empty group are waited for.
    initial_delay: Option<InitialDelay>,
    generation: i32,
    protocol_type: Option<Arc<str>>,
    protocol: Option<Arc<str>>,
    leader: Option<Arc<str>>,
    members: BTreeMap<Arc<str>, Member>,
    /// Member ids by instance ids.
    instances: BTreeMap<Arc<str>, Arc<str>>,
    pending: PendingMembers,
    votes: Votes,
    /// Topics that members of the chosen protocol subscribe to; None where that is not known.
    subscribed: Option<BTreeSet<String>>,
    /// How many members wait in JoinGroup.
    joining: usize,
    /// How many members have not sent SyncGroup in this generation.
    unsynced: usize,
    /// Bytes of all members in a record.
    bytes: usize,
    /// What it holds in memory but for the pending.
    charge: Charge,
}

impl ClassicGroup {
    /// A group without members, made by a commit or by the first member.
    pub fn simple(memory: &CoordinatorMemory, id: Arc<str>, now_ms: i64) -> Self {
        Self {
            charge: Charge::new(memory, GROUP_MEMORY_BYTES + id.len()),
            id,
            state: State::Empty,
            since_ms: Some(now_ms),
            initial_delay: None,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            instances: BTreeMap::new(),
            pending: PendingMembers::new(memory),
            votes: Votes::default(),
            subscribed: None,
            joining: 0,
            unsynced: 0,
            bytes: 0,
        }
    }

    /// Its state.
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.state == State::Empty
    }

    /// Whether ids were given out and not used.
    pub fn has_pending_members(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Whether its members are consumers.
    pub fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Whether a member subscribes to the topic, or may do so for all one knows.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        self.subscribed
            .as_ref()
            .map_or_else(|| self.is_of_consumers(), |topics| topics.contains(topic))
    }

    /// From when on its offsets age (KIP-211).
    pub fn retention(&self) -> Option<Retention> {
        match self.state {
            _ if self.protocol_type.is_none() => Some(Retention::SinceCommit),
            State::Empty => Some(self.since_ms.map_or(Retention::SinceCommit, Retention::Since)),
            State::Stable if self.is_of_consumers() && self.subscribed.is_some() => {
                Some(Retention::SinceCommit)
            }
            _ => None,
        }
    }

    /// Notes what it holds in memory, after that has changed.
    fn recharge(&mut self) {
        let subscribed = self.subscribed.as_ref().map_or(0, BTreeSet::len);
        let members = self.members.len() * MEMBER_MEMORY_BYTES + self.bytes;
        self.charge
            .set(GROUP_MEMORY_BYTES + self.id.len() + members + subscribed * NAME_MEMORY_BYTES);
    }

    /// Remembers what its members subscribe to.
    fn note_subscribed(&mut self) {
        self.subscribed = self.find_subscribed();
        self.recharge();
    }

    fn enter(&mut self, state: State, now_ms: i64) {
        self.state = state;
        self.since_ms = Some(now_ms);
    }

    fn is_leader(&self, member_id: &str) -> bool {
        self.leader.as_deref() == Some(member_id)
    }

    /// Whether there is such a member, and it is the one its instance id stands for.
    fn validate_member(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.instances.get(instance_id) {
                None => return Err(ErrorCode::UnknownMemberId),
                Some(current) if **current != *member_id => return Err(ErrorCode::FencedInstanceId),
                Some(_) => {}
            }
        }
        if self.members.contains_key(member_id) {
            Ok(())
        } else {
            Err(ErrorCode::UnknownMemberId)
        }
    }

    /// Whether someone may commit offsets.
    pub fn validate_commit(&self, claim: MemberClaim<'_>, kind: CommitKind) -> Result<(), ErrorCode> {
        let is_plain = matches!(kind, CommitKind::Plain { .. });
        if claim.generation < 0 && self.is_empty() {
            return Ok(());
        }
        if claim.generation >= 0 || !claim.member_id.is_empty() || claim.group_instance_id.is_some() {
            self.validate_member(claim.member_id, claim.group_instance_id)?;
            if claim.generation != self.generation {
                return Err(ErrorCode::IllegalGeneration);
            }
        } else if is_plain {
            // Who is no member may commit only while there are none.
            return Err(ErrorCode::UnknownMemberId);
        }
        if is_plain && self.state == State::Completing {
            return Err(ErrorCode::RebalanceInProgress);
        }
        Ok(())
    }

    /// A member that commits lives.
    pub fn note_commit(&mut self, turn: &mut Turn<'_>, member_id: &str) {
        if matches!(self.state, State::Stable | State::Preparing) {
            self.restart_session(turn, member_id);
        }
    }
}
