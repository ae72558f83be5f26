//! Replication of a partition: a quorum agrees on the order of its batches, and the partition's log *is* the agreed log.
//!
//! Consensus is TiKV's `raft` crate; [`Replica`] is one replica of one partition around it, and [`Node`] steps all those of a
//! shard in a turn. Sans I/O: messages, ticks and completed writes go in, and [`Turn`] says what to write, send and tell. Time
//! enters as a number, randomness as a seed (raft's own draw of election timeouts is replaced). Not hosted by the broker yet.
//!
//! # Entries, offsets and epochs
//!
//! ```text
//! raft entry   2 EpochStart  3 Batch   4 Batch   5 EpochStart  6 Batch   7 Voters   8 Batch
//! epoch (term) 2             2         2         3             3         3          3
//! offsets      -             0..4      5         -             6..9      -          10
//! lives in     journal       log       log       journal       log       journal    log
//! ```
//!
//! - Leader epoch = term. High watermark = the end of the last committed entry, seen as an offset: an exclusive bound.
//! - An entry is the *descriptor* of one record batch (24 bytes). The batch's bytes go beside the message and are written once,
//!   into the partition's log, where the epoch and the offset in their header say all that an entry says.
//! - The rest are *control entries*, which take no offset: the first entry of each epoch, and changes of replicas. They live in a
//!   journal beside the logs, one a shard, together with term and vote ([`QuorumState`]).
//! - Raft counts entries without gaps and Kafka counts records, so an index means nothing outside: it is the position of an entry
//!   behind the [`Anchor`], an entry with index, epoch and offset in the journal that everything below is settled with. After a
//!   restart the batches behind the anchor are counted again ([`merge`]).
//!
//! Why not KRaft's way, a LeaderChange control batch in the log? It would take an offset: the first record of a topic would have
//! offset 1, and each change of leaders, also each restart of a single node, would leave a gap and write to every log.
//! OffsetForLeaderEpoch needs no more than the epochs of the batches, which are those of today. With one journal a shard, a node
//! that takes over 3,000 partitions makes 3,000 starts of epochs durable in a write. The price is that two files must be put
//! together after a crash, which `recovery.rs` does and the simulator tries.
//!
//! - *Retention and compaction* stay below the anchor ([`Event::Settled`]): above it batches are counted. The anchor follows what
//!   all replicas have, or, if one lags by more than [`limits::ENTRIES_KEPT_MAX`], what is committed.
//! - *A follower behind the anchor* gets a copy of the log from its own committed end, or from where the leader's log starts
//!   (`copy.rs`). While it copies it has no vote.
//! - *Divergence*: raft finds the first entry that differs, and the log is cut there; what is committed is never cut.
//!
//! # What is served
//!
//! - acks=1 when the leader has the batch on its disk ([`Event::Durable`]); acks=all when it is committed and on the disks of
//!   `min.insync.replicas` ([`Event::Acknowledged`]). Fewer in sync than that: refused before the append.
//! - A leader serves nothing before an entry of its own epoch is committed, and then under a lease (`lease.rs`), or, without
//!   one, when a quorum has confirmed it ([`Read::Later`]).
//! - In sync is who answers and has what is committed, but for what may be under way.
//! - Elections: pre-vote, check-quorum, and silence for one election timeout after a restart, since a promise to a leader is not
//!   written down. A drain hands leadership over ([`Replica::transfer`]). Replicas change one at a time ([`Replica::change`]).
//!
//! # Cost
//!
//! One disk submit and one frame a peer for all groups of a turn, heartbeats among it. Groups without work sleep (`sleep.rs`) and
//! cost nothing but memory. A leader's write and its followers' go on at the same time.
//!
//! # What a host must bring
//!
//! Of `store/`, there already, for a log that is told that it is replicated: `Log::append_replicated` ([`Write::Append`]),
//! `Log::truncate` ([`Write::TruncateLog`]), `Log::reset` ([`Write::ResetLog`]), `Log::batch_heads` for [`merge`], `Log::settle` for
//! [`Event::Settled`], reads by offset for followers.
//!
//! Of `store/`, missing: the snapshot of the producers that a copy must bring along to a log that is reset; and the journal: one file
//! a shard with checkpoints, each [`Write`] a checksummed record. A torn tail of it is cut. A log whose journal is gone is not cut but
//! refused, and copied from the quorum.
//!
//! Of `net/`: a task a shard that turns its [`Node`] with the poller; connections core to core that send a frame and its batches in
//! one vectored send, and check [`BatchDescriptor::check`] before [`Node::receive`]; `high_watermark` moved by
//! [`Event::HighWatermark`] in place of `Log::durable_end`; purgatory woken by [`Event::Durable`] and [`Event::Acknowledged`]
//! under the epoch of the append; metadata from [`Event::Leadership`] and [`Event::InSync`].

mod admit;
mod copy;
mod drain;
mod entry;
mod entry_log;
mod event;
pub mod frame;
mod frame_body;
mod lease;
pub mod limits;
mod message;
mod node;
mod pending;
mod random;
mod recovery;
mod replica;
mod settings;
mod shown;
mod sleep;
mod split;
mod state;

pub use entry::{BatchDescriptor, Body, Entry, VoterChange, WrongBatch};
pub use event::{Event, Read, Refused};
pub use message::{GroupId, Message, MessageBody};
pub use node::{Node, Turn};
pub use random::Random;
pub use recovery::{LoggedBatch, Recovered, merge};
pub use replica::Replica;
pub use settings::Settings;
pub use state::{
    Anchor, BOOTSTRAP_EPOCH, BOOTSTRAP_INDEX, BytesAt, Control, Copying, HardState, QuorumState, Replicas,
    Write,
};
