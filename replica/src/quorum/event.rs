//! What a replica tells its host, and why it refuses.

use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, NodeId, Offset};

use super::message::{GroupId, Message};
use super::state::{Replicas, Write};

/// Something has changed that producers, consumers or metadata wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Who leads, if anybody is known to. Producers that wait under an earlier epoch get NOT_LEADER_OR_FOLLOWER: what became of
    /// their batches is not known.
    Leadership {
        /// The epoch.
        epoch: LeaderEpoch,
        /// The leader, when it is known.
        leader: Option<NodeId>,
    },
    /// Everything below is committed: an exclusive bound that only grows.
    HighWatermark(Offset),
    /// Everything below is durable here: answers acks=1, under the epoch of the append.
    Durable(Offset),
    /// Everything below is committed and durable on `min.insync.replicas`: answers acks=all, under the epoch of the append.
    Acknowledged(Offset),
    /// Who is in sync, as the leader sees it.
    InSync(Vec<NodeId>),
    /// Who replicates: a change is committed.
    Replicas(Replicas),
    /// A read that waited may go on, up to this high watermark.
    ReadReady(u64, Offset),
    /// All below is settled: retention and compaction may go so far.
    Settled(Offset),
    /// A follower copies the log: look up committed batches and give them to [`Node::copied`](super::Node::copied).
    CopyAsked {
        /// The follower.
        peer: NodeId,
        /// From here.
        from: Offset,
        /// To there, if they fit.
        to: Offset,
    },
}

/// Whether a read may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// Up to this high watermark.
    Now(Offset),
    /// When [`Event::ReadReady`] with this number comes; never, if leadership changes before.
    Later(u64),
    /// Not here, or not yet.
    Refused(Refused),
}

/// Why something was not done. Nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another replica leads, or nobody.
    #[error("this replica does not lead")]
    NotLeader,
    /// It leads and does not know yet what is committed.
    #[error("the leader has not committed an entry of its epoch")]
    NotYet,
    /// Leadership is on its way to another replica.
    #[error("leadership is being transferred")]
    Transferring,
    /// Too much waits for the followers.
    #[error("too much is not committed")]
    Backlog,
    /// A change of replicas is under way, or this one makes no sense.
    #[error("this change of replicas is not possible now")]
    Change,
    /// The disk has failed.
    #[error("the replica's disk has failed")]
    Failed,
}

impl Refused {
    /// What a client is told: all but the last are worth another try.
    #[must_use]
    pub fn error_code(self) -> ErrorCode {
        match self {
            Self::NotLeader | Self::NotYet | Self::Transferring => ErrorCode::NotLeaderOrFollower,
            Self::Backlog => ErrorCode::NotEnoughReplicas,
            Self::Change => ErrorCode::ReassignmentInProgress,
            Self::Failed => ErrorCode::KafkaStorageError,
        }
    }
}

/// What replicas want done, collected over a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// To the disk.
    pub writes: Vec<(GroupId, Write)>,
    /// To other nodes.
    pub messages: Vec<(NodeId, Message)>,
    /// To the host.
    pub events: Vec<(GroupId, Event)>,
}
