//! A log's checkpoint: what recovery does not have to find out by reading batches.
//!
//! It describes a prefix of the log that is durable: segments, epochs and producers up to its *recovery point*, and never more
//! than was acknowledged. Written off the core. At a clean shutdown it is written lazily under a second name, so that the durable
//! one stays until the filesystem has been synced; the one with the higher generation counts.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tautline_core::ids::{Offset, PartitionIndex, TopicId};

use crate::aborted::Aborted;
use crate::atomic_file::{self, Replace};
use crate::checkpoint_v1;
use crate::damage::Damage;
use crate::leader_epochs::LeaderEpochs;
use crate::limits::CHECKPOINT_BYTES_MAX;
use crate::producers::Producers;
use crate::segment::SegmentId;

const MAGIC: [u8; 8] = *b"TAUTCKPT";
const VERSION: u32 = 3;
/// As today, without the number behind it.
const VERSION_2: u32 = 2;
/// The durable checkpoint.
pub(crate) const FILE: &str = "checkpoint";
/// The one of a clean shutdown.
pub(crate) const CLOSING_FILE: &str = "checkpoint-closing";

/// Whether a log's directory has a file of that name because of its checkpoints.
pub(crate) fn is_ours(name: &str) -> bool {
    let name = name.strip_suffix(".tmp").unwrap_or(name);
    name == FILE || name == CLOSING_FILE
}

/// A segment that takes no more batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedSegment {
    pub sequence: u64,
    /// Above 0 for a cleaned file.
    pub generation: u64,
    pub base_offset: Offset,
    pub end_offset: Offset,
    pub end_position: u64,
    pub max_timestamp_ms: i64,
    /// Wall clock of the first append.
    pub opened_ms: i64,
    /// No transaction that was open when the segment began, or began later, began before this offset.
    pub open_from: Offset,
    /// Aborted transactions whose markers it has; they are in a file beside it.
    pub aborted: u32,
}

impl SealedSegment {
    pub fn id(&self) -> SegmentId {
        SegmentId {
            sequence: self.sequence,
            generation: self.generation,
        }
    }
}

/// Where reading begins at recovery: a batch boundary of the segment that was active.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecoveryPoint {
    pub sequence: u64,
    pub base_offset: Offset,
    pub opened_ms: i64,
    pub max_timestamp_ms: i64,
    pub position: u64,
    /// As of a sealed segment.
    pub open_from: Offset,
    /// Aborted transactions whose markers are before the point.
    pub aborted: Vec<Aborted>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checkpoint {
    pub generation: u64,
    pub topic_id: TopicId,
    pub partition: PartitionIndex,
    pub start_offset: Offset,
    pub high_watermark: Offset,
    /// Offset at the recovery point: everything below was durable.
    pub end_offset: Offset,
    /// `None` if the next batch goes to a new segment.
    pub active: Option<RecoveryPoint>,
    pub next_sequence: u64,
    pub sealed: Vec<SealedSegment>,
    pub epochs: LeaderEpochs,
    pub producers: Producers,
    pub damage: Vec<Damage>,
    /// Compaction has seen all below.
    pub cleaned_to: Offset,
    /// Generation of the next cleaned segment.
    pub next_generation: u64,
    /// Recovery found damage that producers' sequences can't be followed across.
    pub read_only: bool,
    /// Files behind the sealed segments with lower numbers were cut off the log. Behind all else in the file: format 2 has not got it.
    #[serde(skip)]
    pub live_from: u64,
}

/// What was found of a log's checkpoints.
#[derive(Debug)]
pub(crate) enum Found {
    None,
    Damaged,
    NewerVersion(u32),
    Sound(Box<Checkpoint>),
}

impl Checkpoint {
    /// The bytes of its file.
    pub fn to_file(&self) -> io::Result<Vec<u8>> {
        let payload = postcard::to_stdvec(&(self, self.live_from)).map_err(io::Error::other)?;
        Ok(atomic_file::seal(MAGIC, VERSION, &payload))
    }

    /// Puts such bytes into `dir`, on a helper thread.
    pub fn write(bytes: &[u8], dir: &Path, how: Replace) -> io::Result<()> {
        let name = match how {
            Replace::Durably | Replace::Wholly => FILE,
            Replace::Lazily => CLOSING_FILE,
        };
        atomic_file::replace(&dir.join(name), bytes, how)
    }

    /// The newest sound checkpoint in `dir`, on a helper thread.
    pub fn read(dir: &Path) -> io::Result<Found> {
        let newest = |one, other| match (one, other) {
            (Found::Sound(a), Found::Sound(b)) => {
                Found::Sound(if a.generation >= b.generation { a } else { b })
            }
            (newer @ Found::NewerVersion(_), _) | (_, newer @ Found::NewerVersion(_)) => newer,
            (sound @ Found::Sound(_), _) | (_, sound @ Found::Sound(_)) => sound,
            (Found::None, other) | (other, Found::None) => other,
            (Found::Damaged, Found::Damaged) => Found::Damaged,
        };
        Ok(newest(
            read_one(&dir.join(FILE))?,
            read_one(&dir.join(CLOSING_FILE))?,
        ))
    }
}

fn read_one(path: &Path) -> io::Result<Found> {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::None),
        Err(e) => return Err(e),
        Ok(metadata) if metadata.len() > CHECKPOINT_BYTES_MAX => return Ok(Found::Damaged),
        Ok(_) => {}
    }
    let bytes = fs::read(path)?;
    Ok(match atomic_file::unseal(MAGIC, &bytes) {
        Some((VERSION, payload)) => {
            postcard::from_bytes(payload).map_or(Found::Damaged, |(checkpoint, live_from)| {
                Found::Sound(Box::new(Checkpoint {
                    live_from,
                    ..checkpoint
                }))
            })
        }
        Some((VERSION_2, payload)) => {
            postcard::from_bytes(payload).map_or(Found::Damaged, |c| Found::Sound(Box::new(c)))
        }
        Some((checkpoint_v1::VERSION, payload)) => {
            checkpoint_v1::read(payload).map_or(Found::Damaged, |c| Found::Sound(Box::new(c)))
        }
        Some((version, _)) if version > VERSION => Found::NewerVersion(version),
        _ => Found::Damaged,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(generation: u64) -> Checkpoint {
        Checkpoint {
            generation,
            topic_id: TopicId::ZERO,
            partition: PartitionIndex(1),
            start_offset: Offset(3),
            high_watermark: Offset(9),
            end_offset: Offset(10),
            active: None,
            next_sequence: 2,
            sealed: Vec::new(),
            epochs: LeaderEpochs::default(),
            producers: Producers::default(),
            damage: Vec::new(),
            cleaned_to: Offset(0),
            next_generation: 1,
            read_only: false,
            live_from: 0,
        }
    }

    /// A file that the build before transactions has written: two producer's records behind a sealed segment.
    #[test]
    fn format_1_is_read() {
        const FORMAT_1: [u8; 76] = [
            84, 65, 85, 84, 67, 75, 80, 84, 1, 0, 0, 0, 56, 0, 0, 0, 18, 57, 151, 226, 6, 16, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 6, 18, 84, 1, 1, 80, 6, 8, 232, 32, 2, 1, 0, 0, 80, 136, 39,
            18, 0, 1, 14, 4, 12, 208, 15, 160, 31, 0, 1, 10, 12, 80, 82, 208, 15, 0, 0,
        ];
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), FORMAT_1).unwrap();
        let Found::Sound(read) = Checkpoint::read(dir.path()).unwrap() else {
            panic!("it is sound");
        };
        assert_eq!(
            (read.generation, read.start_offset, read.end_offset),
            (6, Offset(3), Offset(42))
        );
        let active = read.active.as_ref().unwrap();
        assert_eq!((active.position, active.open_from), (4_200, Offset(40)));
        assert_eq!((read.sealed[0].end_position, read.sealed[0].aborted), (5_000, 0));
        let producer = read.producers.active()[0];
        assert_eq!(
            (producer.id.0, producer.epoch.0, producer.last_sequence),
            (7, 2, 6)
        );
        assert_eq!(
            (producer.transaction_start, producer.coordinator_epoch),
            (None, -1)
        );
        let mut bytes = FORMAT_1.to_vec();
        bytes[8] = 2;
        fs::write(dir.path().join(FILE), bytes).unwrap();
        assert!(matches!(Checkpoint::read(dir.path()).unwrap(), Found::Damaged));
    }

    #[test]
    fn format_2_is_read_and_nothing_was_cut_off_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let payload = postcard::to_stdvec(&sample(4)).unwrap();
        let bytes = atomic_file::seal(MAGIC, VERSION_2, &payload);
        fs::write(dir.path().join(FILE), bytes).unwrap();
        assert!(matches!(Checkpoint::read(dir.path()).unwrap(), Found::Sound(read) if *read == sample(4)));
        let cut = Checkpoint {
            live_from: 7,
            ..sample(5)
        };
        write(&cut, dir.path(), Replace::Durably);
        assert!(matches!(Checkpoint::read(dir.path()).unwrap(), Found::Sound(read) if *read == cut));
    }

    fn write(checkpoint: &Checkpoint, dir: &Path, how: Replace) {
        Checkpoint::write(&checkpoint.to_file().unwrap(), dir, how).unwrap();
    }

    fn generation(dir: &Path) -> Option<u64> {
        match Checkpoint::read(dir).unwrap() {
            Found::Sound(c) => Some(c.generation),
            _ => None,
        }
    }

    #[test]
    fn the_newest_sound_one_counts() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(Checkpoint::read(dir.path()).unwrap(), Found::None));
        write(&sample(1), dir.path(), Replace::Durably);
        write(&sample(2), dir.path(), Replace::Lazily);
        assert_eq!(generation(dir.path()), Some(2));
        write(&sample(3), dir.path(), Replace::Durably);
        assert_eq!(generation(dir.path()), Some(3));
        let path = dir.path().join(FILE);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - 3;
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert_eq!(generation(dir.path()), Some(2), "the damaged one is passed over");
        fs::remove_file(dir.path().join(CLOSING_FILE)).unwrap();
        assert!(matches!(Checkpoint::read(dir.path()).unwrap(), Found::Damaged));
    }
}
