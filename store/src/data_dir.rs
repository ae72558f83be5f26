//! The data directory of a broker: its lock, its properties, and the directories in it.
//!
//! ```text
//! DIR/.lock             held while a broker runs, names its process
//! DIR/meta.properties   format version, cluster id, node id
//! DIR/clean             there after a clean shutdown, until the next start
//! DIR/metadata/         the metadata log
//! DIR/topics/T/P/       one partition's log: {sequence}.log, {sequence}.index, checkpoint
//! DIR/pool/             pre-written segment files
//! DIR/trash/            what is deleted, until its delay is over
//! DIR/stray/            logs of a deleted topic found under the name of a new one: reported, never removed
//! ```
//!
//! Opened once, on the starting thread, and shared by all shards. Calls block.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tautline_core::buffer::BLOCK_SIZE;

use crate::atomic_file::{self, create_dirs, sync_dir};
use crate::config::LogIdentity;
use crate::error::StoreError;
use crate::fault::FaultPlan;
use crate::limits::BLOCK_BYTES;
use crate::pool::SegmentPool;
use crate::properties::{Properties, open_properties};
use crate::trash::Trash;

/// Version of the directory's layout and of the files in it.
pub const FORMAT_VERSION: u32 = 1;

const LOCK: &str = ".lock";
const PROPERTIES: &str = "meta.properties";
const CLEAN: &str = "clean";
const PROBE: &str = ".probe";
const DIRS: [&str; 5] = ["metadata", "topics", "pool", "trash", "stray"];
const FILES: [&str; 5] = [LOCK, PROPERTIES, "meta.tmp", CLEAN, PROBE];

/// An open data directory. The lock is held until it is dropped.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
    properties: Properties,
    direct_io: bool,
    clean_start: bool,
    unknown: Vec<PathBuf>,
    /// Directories of logs opened since the start, and whether each is closed: a checkpoint of a clean shutdown is taken at its
    /// word once.
    opened: Mutex<HashMap<PathBuf, bool>>,
    pool: SegmentPool,
    trash: Trash,
    /// Logs being cleaned now.
    cleanings: AtomicUsize,
}

/// A place among the logs being cleaned, until it is dropped.
pub(crate) struct CleaningPlace(Arc<DataDir>);

impl Drop for CleaningPlace {
    fn drop(&mut self) {
        self.0.cleanings.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A log's directory found on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundLog {
    /// Name of the topic.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
}

impl DataDir {
    /// Creates or opens a directory; `new` says whose it shall be if it is new.
    ///
    /// # Errors
    /// [`StoreError`], each with what to do about it.
    pub fn open(path: &Path, new: &Properties) -> Result<DataDir, StoreError> {
        create_dirs(path).map_err(StoreError::io(path))?;
        let lock = lock(path)?;
        let properties = open_properties(&path.join(PROPERTIES), path, new)?;
        for dir in DIRS {
            create_dirs(&path.join(dir)).map_err(StoreError::io(path.join(dir)))?;
        }
        let clean_start = take_clean_mark(path).map_err(StoreError::io(path))?;
        // What an earlier process wrote and recovery will find shall not be lost by a power cut after we have served it.
        let dir = File::open(path).map_err(StoreError::io(path))?;
        rustix::fs::syncfs(&dir).map_err(|e| StoreError::io(path)(e.into()))?;
        let direct_io = probe_direct_io(path).map_err(StoreError::io(path))?;
        let unknown = unknown_entries(path).map_err(StoreError::io(path))?;
        for entry in &unknown {
            tracing::warn!(path = %entry.display(), "unknown entry in the data directory, left alone");
        }
        let pool =
            SegmentPool::open(path.join("pool"), direct_io).map_err(StoreError::io(path.join("pool")))?;
        let trash = Trash::open(path.join("trash")).map_err(StoreError::io(path.join("trash")))?;
        Ok(DataDir {
            path: path.to_owned(),
            _lock: lock,
            properties,
            direct_io,
            clean_start,
            unknown,
            opened: Mutex::default(),
            pool,
            trash,
            cleanings: AtomicUsize::new(0),
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the metadata log and its snapshot are.
    pub fn metadata_dir(&self) -> PathBuf {
        self.path.join("metadata")
    }

    /// Whose it is.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Whether its filesystem has O_DIRECT; without it files are buffered, and writes synced all the same.
    pub fn direct_io(&self) -> bool {
        self.direct_io
    }

    /// Whether the last broker ended cleanly, so that logs are as their checkpoints say.
    pub fn clean_start(&self) -> bool {
        self.clean_start
    }

    /// Entries nobody knows: reported, never removed.
    pub fn unknown(&self) -> &[PathBuf] {
        &self.unknown
    }

    /// The logs that have a directory, to compare with what the metadata knows.
    ///
    /// # Errors
    /// The directories can't be read.
    pub fn logs(&self) -> Result<Vec<FoundLog>, StoreError> {
        let topics = self.path.join("topics");
        let mut found = Vec::new();
        for topic in fs::read_dir(&topics).map_err(StoreError::io(&topics))? {
            let topic = topic.map_err(StoreError::io(&topics))?;
            if !topic.file_type().map_err(StoreError::io(topic.path()))?.is_dir() {
                tracing::warn!(path = %topic.path().display(), "not a topic's directory, left alone");
                continue;
            }
            for partition in fs::read_dir(topic.path()).map_err(StoreError::io(topic.path()))? {
                let partition = partition.map_err(StoreError::io(topic.path()))?;
                match (
                    topic.file_name().to_str(),
                    partition.file_name().to_str().and_then(|name| name.parse().ok()),
                ) {
                    (Some(topic), Some(partition)) => found.push(FoundLog {
                        topic: topic.to_owned(),
                        partition,
                    }),
                    _ => {
                        tracing::warn!(path = %partition.path().display(), "not a partition's directory, left alone");
                    }
                }
            }
        }
        Ok(found)
    }

    /// Notes that every log was closed and nothing was written since. Call it once, when all shards have ended.
    ///
    /// # Errors
    /// The next start will then read the logs' ends, as after a crash. Also when a log could not be opened: there may be more in
    /// it than its checkpoint says.
    pub fn mark_clean(&self) -> Result<(), StoreError> {
        let open = {
            let opened = self.opened.lock().expect("no panic under the lock");
            let open = opened.iter().find(|(_, closed)| !**closed);
            open.map(|(dir, _)| dir.clone())
        };
        if let Some(dir) = open {
            let never_closed = io::Error::other("the log was not opened, or not closed");
            return Err(StoreError::io(dir)(never_closed));
        }
        let mark = || {
            rustix::fs::syncfs(File::open(&self.path)?)?;
            File::create(self.path.join(CLEAN))?.sync_all()?;
            sync_dir(&self.path)
        };
        mark().map_err(StoreError::io(self.path.join(CLEAN)))
    }

    /// True for the first caller that opens that log since the start, whether or not it can be.
    pub(crate) fn is_first_open(&self, dir: &Path) -> bool {
        let mut opened = self.opened.lock().expect("no panic under the lock");
        opened.insert(dir.to_owned(), false).is_none()
    }

    /// The log is as its checkpoint says, or gone.
    pub(crate) fn note_closed(&self, dir: &Path) {
        let mut opened = self.opened.lock().expect("no panic under the lock");
        opened.insert(dir.to_owned(), true);
    }

    /// A place for the cleaning of a log, if fewer than `max` are taken.
    pub(crate) fn clean_one_more(self: &Arc<Self>, max: usize) -> Option<CleaningPlace> {
        let more = |cleanings: usize| (cleanings < max).then_some(cleanings + 1);
        let taken = self
            .cleanings
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.is_ok().then(|| CleaningPlace(self.clone()))
    }

    /// Frees space for a small file of so many bytes on a full disk, of what the broker can do without: a little of the trash, also
    /// of what is not due, and if that is not enough a file of the pool. Blocks.
    pub(crate) fn make_room(&self, wanted_bytes: u64, faults: Option<&FaultPlan>) -> io::Result<()> {
        let mut freed_bytes = self.trash.free_some()?;
        if freed_bytes < wanted_bytes + 2 * BLOCK_BYTES {
            freed_bytes += self.pool.give_back()?;
        }
        if let Some(faults) = faults {
            faults.freed(freed_bytes);
        }
        tracing::warn!(freed_bytes, "the disk is full: made room for a checkpoint");
        Ok(())
    }

    pub(crate) fn pool(&self) -> &SegmentPool {
        &self.pool
    }

    pub(crate) fn trash(&self) -> &Trash {
        &self.trash
    }

    pub(crate) fn log_dir(&self, identity: &LogIdentity) -> PathBuf {
        self.path
            .join("topics")
            .join(&identity.topic)
            .join(identity.partition.to_string())
    }

    /// Moves a log's directory out of the way of another of the same name.
    pub(crate) fn set_aside(&self, dir: &Path, identity: &LogIdentity) -> io::Result<PathBuf> {
        let name = format!(
            "{}-{}-{}",
            identity.topic,
            identity.partition,
            uuid::Uuid::new_v4().simple()
        );
        let stray = self.path.join("stray").join(name);
        fs::rename(dir, &stray)?;
        atomic_file::sync_parent(dir)?;
        atomic_file::sync_parent(&stray)?;
        Ok(stray)
    }
}

fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(StoreError::io(&path))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut text = String::new();
            // Only for the message.
            let _ = file.read_to_string(&mut text);
            return Err(StoreError::InUse {
                dir: dir.to_owned(),
                pid: text.trim().parse().ok(),
            });
        }
        Err(e) => return Err(StoreError::io(&path)(e.into())),
    }
    let note = |file: &mut File| {
        file.set_len(0)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes())
    };
    note(&mut file).map_err(StoreError::io(&path))?;
    Ok(file)
}

/// Whether the last shutdown was clean. The mark is gone, durably, before anything is written.
fn take_clean_mark(dir: &Path) -> io::Result<bool> {
    match fs::remove_file(dir.join(CLEAN)) {
        Ok(()) => {
            sync_dir(dir)?;
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn probe_direct_io(dir: &Path) -> io::Result<bool> {
    let path = dir.join(PROBE);
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(rustix::fs::OFlags::DIRECT.bits() as i32);
    let direct = match options.open(&path) {
        Ok(file) => {
            let memory = vec![0u8; 2 * BLOCK_SIZE];
            let start = memory.as_ptr().align_offset(BLOCK_SIZE);
            match file.write_all_at(&memory[start..start + BLOCK_SIZE], 0) {
                Ok(()) => true,
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => false,
                Err(e) => return Err(e),
            }
        }
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::INVAL.raw_os_error()) => false,
        Err(e) => return Err(e),
    };
    match fs::remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(direct),
    }
}

fn unknown_entries(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let known = |name: &str| DIRS.contains(&name) || FILES.contains(&name) || name == "lost+found";
    let mut unknown = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(known) {
            unknown.push(entry.path());
        }
    }
    for entry in fs::read_dir(dir.join("stray"))? {
        unknown.push(entry?.path());
    }
    Ok(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties() -> Properties {
        Properties {
            cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned(),
            node_id: 3,
        }
    }

    #[test]
    fn a_second_broker_is_told_who_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::open(dir.path(), &properties()).unwrap();
        let error = DataDir::open(dir.path(), &properties()).err().unwrap();
        assert!(
            matches!(error, StoreError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
            "{error}"
        );
        drop(first);
        let other = Properties {
            cluster_id: "other".to_owned(),
            node_id: 9,
        };
        let again = DataDir::open(dir.path(), &other).unwrap();
        assert_eq!(
            *again.properties(),
            properties(),
            "a directory keeps its identity"
        );
    }

    #[test]
    fn a_newer_format_is_refused_and_unknown_entries_stay() {
        let dir = tempfile::tempdir().unwrap();
        drop(DataDir::open(dir.path(), &properties()).unwrap());
        fs::write(dir.path().join("mystery"), b"?").unwrap();
        let open = DataDir::open(dir.path(), &properties()).unwrap();
        assert_eq!(open.unknown(), [dir.path().join("mystery")]);
        assert!(!open.clean_start());
        open.mark_clean().unwrap();
        drop(open);
        let open = DataDir::open(dir.path(), &properties()).unwrap();
        assert!(open.clean_start());
        drop(open);
        fs::write(
            dir.path().join(PROPERTIES),
            "version=2\ncluster.id=x\nnode.id=1\n",
        )
        .unwrap();
        let error = DataDir::open(dir.path(), &properties()).err().unwrap();
        assert!(error.to_string().contains("newer release"), "{error}");
        assert!(dir.path().join("mystery").exists());
    }
}
