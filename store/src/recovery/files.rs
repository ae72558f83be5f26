//! What recovery finds and changes among a log's files.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use tautline_core::buffer::BLOCK_SIZE;

use super::scan::Scanner;
use super::{Recovered, Recovery};
use crate::checkpoint::{self, Checkpoint, Found, SealedSegment};
use crate::damage::Damage;
use crate::segment::SegmentId;

/// The files of a log.
#[derive(Default)]
pub(super) struct Listed {
    /// In order.
    pub segments: Vec<SegmentId>,
    /// What lies beside segments.
    pub beside: Vec<(SegmentId, PathBuf)>,
}

impl Recovery<'_> {
    /// The segment files, in order, and the files that lie beside segments. Unknown files are reported; cleaned ones that were
    /// not finished are put in the trash.
    pub(super) fn list(&self) -> io::Result<Listed> {
        let entries = match fs::read_dir(&self.dir.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Listed::default()),
            entries => entries?,
        };
        let mut listed = Listed::default();
        for entry in entries {
            let path = entry?.path();
            match (
                segment_file(&path),
                path.file_name().and_then(|name| name.to_str()),
            ) {
                (Some((id, "log")), _) => listed.segments.push(id),
                (Some((id, "index" | "aborted")), _) => listed.beside.push((id, path)),
                (Some((id, "cleaning")), _) if id.is_cleaned() => {
                    self.data.trash().put(&path, self.now_ms)?;
                }
                (_, Some(name)) if checkpoint::is_ours(name) => {}
                _ => tracing::warn!(path = %path.display(), "unknown file in a log's directory, left alone"),
            }
        }
        listed.segments.sort_unstable();
        Ok(listed)
    }

    /// Puts files in the trash that lay beside segments which are gone.
    pub(super) fn remove_orphans(
        &self,
        beside: Vec<(SegmentId, PathBuf)>,
        files: &[SegmentId],
    ) -> io::Result<()> {
        for (id, path) in beside {
            if files.binary_search(&id).is_err() {
                self.data.trash().put(&path, self.now_ms)?;
            }
        }
        Ok(())
    }

    pub(super) fn read_checkpoint(&self, segments: usize) -> io::Result<Option<Checkpoint>> {
        match Checkpoint::read(&self.dir.path)? {
            Found::Sound(checkpoint) => Ok(Some(*checkpoint)),
            Found::None => Ok(None),
            Found::NewerVersion(version) => Err(io::Error::other(format!(
                "the checkpoint has format {version}, which a newer release wrote: start that one"
            ))),
            Found::Damaged => {
                tracing::error!(log = %self.identity, segments, "the checkpoint is damaged; reading the whole log instead");
                Ok(None)
            }
        }
    }

    /// Whether the directory belongs to another topic that had this name.
    pub(super) fn is_foreign(
        &self,
        files: &[SegmentId],
        checkpoint: Option<&Checkpoint>,
    ) -> io::Result<bool> {
        if let Some(checkpoint) = checkpoint {
            return Ok(checkpoint.topic_id != self.identity.topic_id);
        }
        let Some(&first) = files.first() else {
            return Ok(false);
        };
        let header = Scanner::open(&self.dir.file(first))?.header()?;
        Ok(header.is_ok_and(|h| {
            (h.topic_id(), h.partition()) != (self.identity.topic_id, self.identity.partition)
        }))
    }

    /// Segments below those of the checkpoint, and between them, were deleted or replaced by cleaned ones: their files follow. So
    /// do cleaned files that did not make it into a checkpoint: what they would have replaced is still there; and files that were
    /// cut off the log's end.
    pub(super) fn remove_leftovers(
        &self,
        files: &mut Vec<SegmentId>,
        checkpoint: &Checkpoint,
    ) -> io::Result<()> {
        let ids = |s: &SealedSegment| SegmentId {
            sequence: s.sequence,
            generation: s.generation,
        };
        let listed: Vec<SegmentId> = checkpoint.sealed.iter().map(ids).collect();
        let active = checkpoint.active.as_ref().map(|a| a.sequence);
        let behind_last = || listed.last().map(|last| last.sequence + 1);
        let scan_from = active.or_else(behind_last).unwrap_or(0);
        let scan_from = scan_from.max(checkpoint.live_from);
        self.keep(files, |id| {
            id.sequence >= scan_from && !id.is_cleaned() || listed.binary_search(&id).is_ok()
        })
    }

    /// Puts the other files in the trash.
    pub(super) fn keep(
        &self,
        files: &mut Vec<SegmentId>,
        mut keep: impl FnMut(SegmentId) -> bool,
    ) -> io::Result<()> {
        let mut leftovers = Vec::new();
        files.retain(|&id| {
            let keep = keep(id);
            if !keep {
                leftovers.push(id);
            }
            keep
        });
        for id in leftovers {
            tracing::info!(log = %self.identity, segment = ?id, "removing a segment that was deleted or replaced before");
            self.data.trash().put(&self.dir.file(id), self.now_ms)?;
            self.data.trash().put(&self.dir.index(id), self.now_ms)?;
            self.data.trash().put(&self.dir.aborted(id), self.now_ms)?;
        }
        Ok(())
    }

    /// When the newest file with batches was last written, as far as its filesystem knows; never in the future.
    pub(super) fn last_write_ms(&self, out: &Recovered) -> io::Result<i64> {
        let active = out.active.as_ref().map(|active| &active.segment);
        let Some(newest) = active.or(out.sealed.last()) else {
            return Ok(self.now_ms);
        };
        let written = match fs::metadata(self.dir.file(newest.id())) {
            Ok(metadata) => metadata.modified()?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(self.now_ms),
            Err(e) => return Err(e),
        };
        let since_epoch = written.duration_since(UNIX_EPOCH).unwrap_or_default();
        // With `lazytime` a power cut takes the last day of it; the checkpoint knows at least when the file was begun.
        let written_ms = (since_epoch.as_millis() as i64).max(newest.opened_ms);
        Ok(written_ms.min(self.now_ms))
    }

    /// Sealed segments must be there in full.
    pub(super) fn check_sealed(&self, out: &mut Recovered) -> io::Result<()> {
        let mut missing = Vec::new();
        for segment in &out.sealed {
            let id = SegmentId {
                sequence: segment.sequence,
                generation: segment.generation,
            };
            let len = match fs::metadata(self.dir.file(id)) {
                Ok(metadata) => metadata.len(),
                Err(e) if e.kind() == io::ErrorKind::NotFound => 0,
                Err(e) => return Err(e),
            };
            if len < segment.end_position {
                let (sequence, to) = (segment.sequence, Some(segment.end_offset));
                missing.push(Damage {
                    sequence,
                    position: len,
                    from: segment.base_offset,
                    to,
                });
            }
        }
        for damage in missing {
            tracing::error!(log = %self.identity, %damage, "a sealed segment is missing or too short");
            // Its end is not in question: reads find out how far it goes, and the log goes on.
            if damage.position == 0 && !out.damage.contains(&damage) {
                out.damage.push(damage);
            }
        }
        Ok(())
    }
}

/// Which segment a file is of, and its kind.
fn segment_file(path: &Path) -> Option<(SegmentId, &str)> {
    let stem = path.file_stem()?.to_str()?;
    let number = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|_| plain)
    };
    let (sequence, generation) = match stem.split_once('-') {
        Some((sequence, generation)) => (sequence, number(generation).filter(|&g| g > 0)?),
        None => (stem, 0),
    };
    let id = SegmentId {
        sequence: number(sequence).filter(|_| sequence.len() >= 10)?,
        generation,
    };
    Some((id, path.extension()?.to_str()?))
}

/// Overwrites a range with zeros, durably, so that what was torn can't come back.
pub(super) fn cut(path: &Path, from: u64, to: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    let file = OpenOptions::new().write(true).open(path)?;
    let zeros = vec![0u8; 64 * BLOCK_SIZE];
    let mut at = from;
    while at < to {
        let len = (to - at).min(zeros.len() as u64) as usize;
        file.write_all_at(&zeros[..len], at)?;
        at += len as u64;
    }
    file.sync_data()
}
