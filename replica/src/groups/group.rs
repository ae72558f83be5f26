//! A group, whichever protocol its members speak, and what the rest of the coordinator asks of both kinds.

use super::classic::ClassicGroup;
use super::consumer::ConsumerGroup;
use super::record::GroupMetadata;
use crate::coordinator::CoordinatorRecord;

/// One group of a coordinator.
#[derive(Debug)]
pub(crate) enum Group {
    /// Its members assign among themselves.
    Classic(ClassicGroup),
    /// The coordinator assigns (KIP-848).
    Consumer(ConsumerGroup),
}

/// Who someone claims to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemberClaim<'a> {
    /// The member, empty for none.
    pub member_id: &'a str,
    /// Set for a static member.
    pub group_instance_id: Option<&'a str>,
    /// Generation or member epoch, -1 for none.
    pub generation: i32,
}

/// Which kind of commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitKind {
    /// OffsetCommit.
    Plain {
        /// Whether the client knows GROUP_ID_NOT_FOUND and STALE_MEMBER_EPOCH: version 9 and later.
        knows_member_epochs: bool,
    },
    /// TxnOffsetCommit, whose older versions tell neither member nor generation.
    Transactional,
}

/// From when on offsets age (KIP-211).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Each from its own commit.
    SinceCommit,
    /// All from the time the group lost its members, milliseconds since the epoch.
    Since(i64),
}

impl Group {
    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// Whether it may be forgotten once it has no offsets.
    pub fn is_deletable(&self) -> bool {
        match self {
            Self::Classic(group) => group.is_empty() && !group.has_pending_members(),
            Self::Consumer(group) => group.is_empty(),
        }
    }

    /// Whether its members subscribe to a topic, or may do so.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        match self {
            Self::Classic(group) => group.is_subscribed(topic),
            Self::Consumer(group) => group.is_subscribed(topic),
        }
    }

    /// From when on its offsets age; None while they don't.
    pub fn retention(&self) -> Option<Retention> {
        match self {
            Self::Classic(group) => group.retention(),
            Self::Consumer(_) => Some(Retention::SinceCommit),
        }
    }

    /// Its state by name.
    pub fn state_name(&self) -> &'static str {
        match self {
            Self::Classic(group) => group.state().name(),
            Self::Consumer(group) => group.state_name(),
        }
    }

    /// Adds the records that forget it; its offsets are forgotten apart from it.
    pub fn append_tombstones(&self, id: &str, records: &mut Vec<CoordinatorRecord>) {
        match self {
            Self::Classic(_) => records.push(GroupMetadata::tombstone(id)),
            Self::Consumer(group) => group.append_tombstones(id, records),
        }
    }
}
