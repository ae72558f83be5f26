//! Opening a log: from its checkpoint forward, batch by batch, to where it ends. Blocks; runs on a helper thread.
//!
//! The checkpoint describes a durable prefix and is taken at its word (batches below are verified when they are read). Behind it
//! each batch must carry the next offset, an epoch that does not go back and a sound checksum. Where one does not, `tail_end.rs`
//! decides whether the log was torn there, or is damaged (see [`Damage`]).
//!
//! Cleaned segments belong to the log once a checkpoint names them; then what they replaced does not. Both kinds of leftovers of
//! a compaction that was interrupted are put in the trash (`files.rs`). Without a checkpoint, see `cleaned.rs`.

mod cleaned;
mod files;
mod replay;
mod scan;
mod tail_end;

use std::io;

use tautline_core::ids::Offset;

use self::files::Listed;

use crate::aborted::Aborted;
use crate::checkpoint::{Checkpoint, SealedSegment};
use crate::config::{LogDir, LogIdentity};
use crate::damage::Damage;
use crate::data_dir::DataDir;
use crate::error::StoreError;
use crate::index::SparseIndex;
use crate::leader_epochs::LeaderEpochs;
use crate::producers::Producers;
use crate::segment::SegmentId;

/// What the log is to be opened with.
pub(crate) struct Recovery<'a> {
    pub data: &'a DataDir,
    pub identity: &'a LogIdentity,
    pub dir: &'a LogDir,
    pub index_interval_bytes: u64,
    pub relaxed: bool,
    /// See [`LogConfig::replicated`](crate::LogConfig): batches may lie behind gaps, which compaction has left in the leader's log.
    pub replicated: bool,
    /// The last shutdown was clean: the log ends where its checkpoint says.
    pub trust_checkpoint: bool,
    /// All that is found is on stable storage: the filesystem was synced since it was last written.
    pub synced: bool,
    pub now_ms: i64,
}

/// A log as it was found.
pub(crate) struct Recovered {
    pub start_offset: Offset,
    /// The start offset of the checkpoint, if that is on stable storage.
    pub durable_start: Offset,
    pub high_watermark: Offset,
    pub end_offset: Offset,
    pub sealed: Vec<SealedSegment>,
    pub active: Option<RecoveredActive>,
    pub next: Option<EmptySegment>,
    pub next_sequence: u64,
    pub epochs: LeaderEpochs,
    pub producers: Producers,
    pub damage: Vec<Damage>,
    pub cleaned_to: Offset,
    pub next_generation: u64,
    pub read_only: bool,
    pub live_from: u64,
    /// When its newest file was last written.
    pub last_append_ms: i64,
    pub generation: u64,
    /// It differs from its checkpoint.
    pub dirty: bool,
}

/// The segment that goes on.
pub(crate) struct RecoveredActive {
    pub segment: SealedSegment,
    pub capacity: u64,
    pub salt: u64,
    pub index: SparseIndex,
    /// Aborted transactions whose markers it has.
    pub aborted: Vec<Aborted>,
    /// The bytes of its last block.
    pub partial: Vec<u8>,
}

/// A segment file that never held a batch.
pub(crate) struct EmptySegment {
    pub sequence: u64,
    pub capacity: u64,
    pub salt: u64,
}

impl Recovery<'_> {
    /// See the module.
    pub fn run(self) -> Result<Recovered, StoreError> {
        let dir = self.dir.path.clone();
        self.recover().map_err(StoreError::io(dir))
    }

    fn recover(&self) -> io::Result<Recovered> {
        let Listed {
            segments: mut files,
            beside,
        } = self.list()?;
        let mut checkpoint = self.read_checkpoint(files.len())?;
        if self.is_foreign(&files, checkpoint.as_ref())? {
            let stray = self.data.set_aside(&self.dir.path, self.identity)?;
            let path = stray.display();
            tracing::warn!(log = %self.identity, %path, "a deleted topic's log had this name; it was set aside, not removed");
            (files, checkpoint) = (Vec::new(), None);
        }
        match &checkpoint {
            Some(checkpoint) => self.remove_leftovers(&mut files, checkpoint)?,
            None => self.remove_replaced(&mut files)?,
        }
        self.remove_orphans(beside, &files)?;
        let checkpoint = checkpoint.unwrap_or_else(|| self.blank(&files));
        self.replay(files, checkpoint)
    }

    /// What is known without a checkpoint: nothing; the log begins with its first segment's first batch.
    fn blank(&self, files: &[SegmentId]) -> Checkpoint {
        Checkpoint {
            generation: 0,
            topic_id: self.identity.topic_id,
            partition: self.identity.partition,
            start_offset: Offset(0),
            high_watermark: Offset(0),
            end_offset: Offset(0),
            active: None,
            next_sequence: files.first().map_or(0, |first| first.sequence),
            sealed: Vec::new(),
            epochs: LeaderEpochs::default(),
            producers: Producers::default(),
            damage: Vec::new(),
            cleaned_to: Offset(0),
            next_generation: files.iter().map(|file| file.generation).max().unwrap_or(0) + 1,
            read_only: false,
            live_from: 0,
        }
    }

    fn found(&self, out: &mut Recovered, damage: Damage) {
        tracing::error!(log = %self.identity, %damage, "damage: nothing is removed, the log opens for reading only");
        out.read_only = true;
        if !out.damage.contains(&damage) {
            out.damage.push(damage);
        }
    }
}

/// A log as its checkpoint has it.
impl From<Checkpoint> for Recovered {
    fn from(checkpoint: Checkpoint) -> Recovered {
        Recovered {
            start_offset: checkpoint.start_offset,
            durable_start: checkpoint.start_offset,
            high_watermark: checkpoint.high_watermark,
            end_offset: checkpoint.end_offset,
            sealed: checkpoint.sealed,
            active: None,
            next: None,
            next_sequence: checkpoint.next_sequence,
            epochs: checkpoint.epochs,
            producers: checkpoint.producers,
            damage: checkpoint.damage,
            cleaned_to: checkpoint.cleaned_to,
            next_generation: checkpoint.next_generation,
            read_only: checkpoint.read_only,
            live_from: checkpoint.live_from,
            last_append_ms: 0,
            generation: checkpoint.generation,
            dirty: false,
        }
    }
}
