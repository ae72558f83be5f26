//! What a fetch wants of partitions, and what it found.

use std::ops::Range;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{Offset, PartitionIndex, ShardId, TopicId};
use tautline_store::{AbortedTransaction, Part};

use super::moved::Watch;

/// What one partition is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The topic's id.
    pub topic: TopicId,
    /// The partition.
    pub index: PartitionIndex,
    /// Where to begin.
    pub offset: Offset,
    /// How much at most, but for a first batch.
    pub max_bytes: usize,
    /// The leader epoch that the client knows, or -1.
    pub known_epoch: i32,
    /// The shard that has it, or, found out on the connection's shard, why it can't be read.
    pub owner: Result<ShardId, ErrorCode>,
}

/// What it gave.
pub struct Found {
    /// Why it gave nothing.
    pub error: ErrorCode,
    /// The high watermark when it was read.
    pub high_watermark: Offset,
    /// The last stable offset when it was read.
    pub last_stable: Offset,
    /// Where the log starts.
    pub log_start: Offset,
    /// Whole batches: their places among the parts of all partitions.
    pub parts: Range<usize>,
    /// Their size.
    pub size_bytes: usize,
    /// Aborted transactions that overlap them, for those who see nothing undecided.
    pub aborted: Vec<AbortedTransaction>,
    /// Whether it is an answer; else the owner has still to be asked.
    pub(super) is_answer: bool,
}

impl Found {
    /// Nothing, for a reason.
    pub(super) fn error(error: ErrorCode) -> Found {
        Found {
            error,
            is_answer: true,
            ..Found::NOT_YET
        }
    }

    /// The place of an answer.
    const NOT_YET: Found = {
        let none = Offset(-1);
        Found {
            error: ErrorCode::None,
            high_watermark: none,
            last_stable: none,
            log_start: none,
            parts: 0..0,
            size_bytes: 0,
            aborted: Vec::new(),
            is_answer: false,
        }
    };
}

/// What a fetch found. The vectors are used by one fetch after the other.
#[derive(Default)]
pub struct Findings {
    /// One for each partition that is wanted, in that order.
    pub partitions: Vec<Found>,
    /// The batches of all of them, in the order in which they were read.
    pub parts: Vec<Part>,
    /// Who waits for more.
    pub(super) watch: Watch,
}

impl Findings {
    /// Room for what these give; those that can't be read have their error.
    pub(super) fn begin(&mut self, wanted: &[Wanted]) {
        self.clear();
        let place = |want: &Wanted| want.owner.err().map_or(Found::NOT_YET, Found::error);
        self.partitions.extend(wanted.iter().map(place));
    }

    /// Puts what another shard has found for some of the partitions to the rest.
    pub(super) fn add(&mut self, places: &[usize], (found, mut parts): (Vec<Found>, Vec<Part>)) {
        let behind = self.parts.len();
        self.parts.append(&mut parts);
        for (&place, mut found) in places.iter().zip(found) {
            found.parts = found.parts.start + behind..found.parts.end + behind;
            self.partitions[place] = found;
        }
    }

    /// Forgets all of it; capacity stays.
    pub fn clear(&mut self) {
        self.partitions.clear();
        self.parts.clear();
        self.watch.end();
    }

    /// Bytes that were found.
    pub(super) fn size_bytes(&self) -> usize {
        self.partitions.iter().map(|found| found.size_bytes).sum()
    }
}

/// The limits of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// How much at most, but for a first batch (KIP-74).
    pub max_bytes: usize,
    /// How much is worth an answer before the deadline.
    pub min_bytes: usize,
    /// Read up to the last stable offset, not the high watermark.
    pub committed_only: bool,
    /// When to answer with what there is, on the monotonic clock.
    pub deadline_ns: u64,
}
