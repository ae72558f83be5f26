//! What replicas of a partition say to each other. [`frame`](super::frame) has the bytes.
//!
//! All but the copy and the sleep are raft's own messages with what raft needs of them, so that bytes from the network are never
//! parsed by raft's protobuf.

use raft::prelude::{Message as RaftMessage, MessageType};
use tautline_core::ids::{LeaderEpoch, NodeId, Offset, PartitionIndex, TopicId};

use super::entry::{Body, Entry, node_of, raft_id, term_of};
use super::recovery::LoggedBatch;
use super::state::{Anchor, Replicas};

/// A partition as the nodes of a cluster name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    /// The topic.
    pub topic: TopicId,
    /// The partition of it.
    pub partition: PartitionIndex,
}

/// One message of a group, from a node to another; the frame around it says which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The group.
    pub group: GroupId,
    /// The sender's term, or the one that it stands for.
    pub term: u64,
    /// The rest.
    pub body: MessageBody,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageBody {
    /// Leader to follower: these entries follow that one. The bytes of their batches lie beside the frame.
    Append {
        /// Index before the first entry.
        prev_index: u64,
        /// Its epoch.
        prev_epoch: LeaderEpoch,
        /// All up to it is committed.
        commit: u64,
        /// Consecutive entries.
        entries: Vec<Entry>,
    },
    /// Follower to leader, when the entries are durable.
    AppendResponse {
        /// The last index that is the same, or the refused `prev_index`.
        index: u64,
        /// What the follower knows to be committed.
        commit: u64,
        /// If it was refused: the last index that may be the same, and its epoch.
        hint: Option<(u64, LeaderEpoch)>,
    },
    /// Candidate to voter.
    Vote {
        /// Only asks, without a new term.
        pre: bool,
        /// The leader asked the candidate to stand.
        transfer: bool,
        /// The candidate's last entry.
        last_index: u64,
        /// Its epoch.
        last_epoch: LeaderEpoch,
        /// What the candidate knows to be committed, and its epoch.
        commit: (u64, LeaderEpoch),
    },
    /// Voter to candidate, when the vote is durable.
    VoteResponse {
        /// It was only asked.
        pre: bool,
        /// Yes.
        granted: bool,
        /// What the voter knows to be committed, and its epoch; zero with a yes.
        commit: (u64, LeaderEpoch),
    },
    /// Leader to follower.
    Heartbeat {
        /// All up to it is committed, as far as the follower has it.
        commit: u64,
        /// The leader's clock.
        sent_ns: u64,
        /// The read that waits for the answer; 0 for none.
        read: u64,
    },
    /// Follower to leader.
    HeartbeatResponse {
        /// What the follower knows to be committed.
        commit: u64,
        /// The leader's clock, as it came.
        sent_ns: u64,
        /// The read, as it came.
        read: u64,
    },
    /// Leader to follower: it is behind the entries that are kept, and is to copy the log up to here.
    Snapshot(Anchor),
    /// Leader to follower: stand for election at once.
    TimeoutNow,
    /// Leader to follower: nothing has happened for a while; sleep if you have all up to this index.
    Sleep(u64),
    /// To the source of a copy: send what follows from this offset on, and not beyond that one.
    CopyRequest {
        /// From here.
        from: Offset,
        /// To there.
        to: Offset,
    },
    /// From the source of a copy.
    Copied {
        /// From here: where it was asked, or where the source's log begins if that is later.
        from: Offset,
        /// To here there is nothing but these.
        end: Offset,
        /// Batches in order, with the gaps that compaction has left.
        batches: Vec<LoggedBatch>,
    },
}

impl MessageBody {
    /// The batches whose bytes lie beside the frame, in their order.
    pub fn attached(&self) -> impl Iterator<Item = LoggedBatch> + '_ {
        let (entries, copied): (&[Entry], &[LoggedBatch]) = match self {
            Self::Append { entries, .. } => (entries, &[]),
            Self::Copied { batches, .. } => (&[], batches),
            _ => (&[], &[]),
        };
        let appended = entries.iter().filter_map(|entry| match entry.body {
            Body::Batch(batch) => Some(LoggedBatch {
                epoch: entry.epoch,
                batch,
            }),
            _ => None,
        });
        appended.chain(copied.iter().copied())
    }
}

/// What raft calls a transfer of leadership in a request for a vote.
const TRANSFER: &[u8] = b"CampaignTransfer";

impl Message {
    /// As raft takes it. `None` for those that are not raft's.
    pub(super) fn to_raft(&self, from: NodeId, to: NodeId) -> Option<RaftMessage> {
        let (from, to, term) = (raft_id(from), raft_id(to), self.term);
        let mut message = RaftMessage {
            from,
            to,
            term,
            ..RaftMessage::default()
        };
        let kind = match &self.body {
            MessageBody::Append {
                prev_index,
                prev_epoch,
                commit,
                entries,
            } => {
                message.index = *prev_index;
                message.log_term = term_of(*prev_epoch);
                message.commit = *commit;
                message.set_entries(
                    entries
                        .iter()
                        .map(|entry| entry.to_raft())
                        .collect::<Vec<_>>()
                        .into(),
                );
                MessageType::MsgAppend
            }
            MessageBody::AppendResponse { index, commit, hint } => {
                message.index = *index;
                message.commit = *commit;
                if let Some((hint, epoch)) = hint {
                    message.reject = true;
                    message.reject_hint = *hint;
                    message.log_term = term_of(*epoch);
                }
                MessageType::MsgAppendResponse
            }
            MessageBody::Vote {
                pre,
                transfer,
                last_index,
                last_epoch,
                commit,
            } => {
                message.index = *last_index;
                message.log_term = term_of(*last_epoch);
                (message.commit, message.commit_term) = (commit.0, term_of(commit.1));
                if *transfer {
                    message.context = TRANSFER.into();
                }
                if *pre {
                    MessageType::MsgRequestPreVote
                } else {
                    MessageType::MsgRequestVote
                }
            }
            MessageBody::VoteResponse { pre, granted, commit } => {
                message.reject = !granted;
                (message.commit, message.commit_term) = (commit.0, term_of(commit.1));
                if *pre {
                    MessageType::MsgRequestPreVoteResponse
                } else {
                    MessageType::MsgRequestVoteResponse
                }
            }
            MessageBody::Heartbeat { commit, read, .. } => {
                message.commit = *commit;
                message.context = read_context(*read).into();
                MessageType::MsgHeartbeat
            }
            MessageBody::HeartbeatResponse { commit, read, .. } => {
                message.commit = *commit;
                message.context = read_context(*read).into();
                MessageType::MsgHeartbeatResponse
            }
            MessageBody::TimeoutNow => MessageType::MsgTimeoutNow,
            MessageBody::Snapshot(_)
            | MessageBody::Sleep(_)
            | MessageBody::CopyRequest { .. }
            | MessageBody::Copied { .. } => return None,
        };
        message.set_msg_type(kind);
        Some(message)
    }

    /// Of one that raft wants sent, with whom it is for. `None` for what raft forwards to a leader: a client is told who
    /// leads instead.
    pub(super) fn of_raft(group: GroupId, mut message: RaftMessage, sent_ns: u64) -> Option<(NodeId, Self)> {
        let epoch = |term| super::entry::epoch_of(term);
        let commit = (message.commit, epoch(message.commit_term));
        let kind = message.get_msg_type();
        let body = match kind {
            MessageType::MsgAppend => MessageBody::Append {
                prev_index: message.index,
                prev_epoch: epoch(message.log_term),
                commit: message.commit,
                entries: message.entries.iter().map(Entry::of_raft).collect(),
            },
            MessageType::MsgAppendResponse => MessageBody::AppendResponse {
                index: message.index,
                commit: message.commit,
                hint: message
                    .reject
                    .then(|| (message.reject_hint, epoch(message.log_term))),
            },
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => MessageBody::Vote {
                pre: kind == MessageType::MsgRequestPreVote,
                transfer: message.context == TRANSFER,
                last_index: message.index,
                last_epoch: epoch(message.log_term),
                commit,
            },
            MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse => {
                MessageBody::VoteResponse {
                    pre: kind == MessageType::MsgRequestPreVoteResponse,
                    granted: !message.reject,
                    commit,
                }
            }
            MessageType::MsgHeartbeat => MessageBody::Heartbeat {
                commit: message.commit,
                sent_ns,
                read: read_of(&message.context),
            },
            MessageType::MsgHeartbeatResponse => MessageBody::HeartbeatResponse {
                commit: message.commit,
                sent_ns,
                read: read_of(&message.context),
            },
            MessageType::MsgSnapshot => {
                let metadata = message.mut_snapshot().mut_metadata();
                MessageBody::Snapshot(Anchor {
                    index: metadata.index,
                    epoch: epoch(metadata.term),
                    // Put in by the replica, which knows it.
                    offset: Offset(0),
                    replicas: Replicas::of_raft(metadata.get_conf_state()),
                })
            }
            MessageType::MsgTimeoutNow => MessageBody::TimeoutNow,
            _ => return None,
        };
        Some((
            node_of(message.to)?,
            Self {
                group,
                term: message.term,
                body,
            },
        ))
    }
}

/// A read's number as raft carries it.
pub(super) fn read_context(read: u64) -> Vec<u8> {
    if read == 0 {
        Vec::new()
    } else {
        read.to_be_bytes().to_vec()
    }
}

/// The read's number in raft's context, 0 for none.
pub(super) fn read_of(context: &[u8]) -> u64 {
    context.try_into().map_or(0, u64::from_be_bytes)
}
