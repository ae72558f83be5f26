//! Pre-written segment files, made before they are needed: all zeros, synced, so that a log's durable writes are overwrites of
//! written extents and never change a file's size.
//!
//! Shared by the shards of a process and used on helper threads only (its lock is never taken on a core's thread). A class is
//! kept stocked once somebody has asked for it. Writing zeros costs the disk as much as the data itself, so stocking is slow on
//! purpose: a load that outruns it gets files whose extents are only reserved. Their writes are as durable, and each costs a
//! journal commit more (105 against 59 us for 64 KiB), which such a load does not notice; waiting for zeros it would.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::FallocateFlags;
use tautline_core::buffer::BLOCK_SIZE;
use tautline_core::file::{File, OpenMode};
use zerocopy::IntoBytes;

use crate::atomic_file::{create_dirs, sync_dir};
use crate::fault::FaultPlan;
use crate::format::SegmentHeader;
use crate::limits::{BLOCK_BYTES, POOL_READY, POOL_STEP_BYTES, SEGMENT_CLASSES};

const CLASSES: usize = SEGMENT_CLASSES.len();

/// See the module.
pub(crate) struct SegmentPool {
    dir: PathBuf,
    direct: bool,
    stock: Mutex<Stock>,
    names: AtomicU64,
    refilling: AtomicBool,
}

#[derive(Default)]
struct Stock {
    ready: [Vec<PathBuf>; CLASSES],
    wanted: [bool; CLASSES],
}

/// A file in its log's directory, with its header written and all of it durable.
pub(crate) struct Taken {
    pub file: File,
    pub capacity: u64,
    /// None was ready.
    pub waited: bool,
}

/// The class that holds `bytes`; `None` if it is larger than all.
pub(crate) fn class_for(bytes: u64) -> Option<usize> {
    SEGMENT_CLASSES.iter().position(|&class| class >= bytes)
}

impl SegmentPool {
    /// Opens the pool's directory: whole files left there by an earlier start are used, unfinished ones removed.
    pub fn open(dir: PathBuf, direct: bool) -> io::Result<SegmentPool> {
        create_dirs(&dir)?;
        let mut stock = Stock::default();
        let mut highest = 0;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            if let Some(rest) = name.strip_prefix("ready-")
                && let Some((class, number)) = rest.split_once('-')
                && let (Ok(class), Ok(number)) = (class.parse::<u64>(), number.parse::<u64>())
                && let Some(class) = SEGMENT_CLASSES.iter().position(|&c| c == class)
                && entry.metadata()?.len() == SEGMENT_CLASSES[class]
            {
                highest = highest.max(number);
                stock.ready[class].push(entry.path());
                stock.wanted[class] = true;
            } else if name.starts_with("making-") {
                fs::remove_file(entry.path())?;
            } else {
                tracing::warn!(path = %entry.path().display(), "unknown file in the segment pool, left alone");
            }
        }
        let names = AtomicU64::new(highest + 1);
        Ok(SegmentPool {
            dir,
            direct,
            stock: Mutex::new(stock),
            names,
            refilling: AtomicBool::new(false),
        })
    }

    /// Puts a file of at least `bytes` at `path`, with `header` in front. Blocks.
    pub fn take(
        &self,
        bytes: u64,
        header: &SegmentHeader,
        path: &Path,
        faults: Option<&FaultPlan>,
    ) -> io::Result<Taken> {
        faults.map_or(Ok(()), |faults| faults.check_new_file(bytes))?;
        let class = class_for(bytes);
        let ready = class.and_then(|class| {
            let mut stock = self.stock.lock().expect("no panic under the lock");
            stock.wanted[class] = true;
            stock.ready[class].pop()
        });
        let waited = ready.is_none();
        let capacity = class.map_or(bytes.next_multiple_of(POOL_STEP_BYTES as u64), |class| {
            SEGMENT_CLASSES[class]
        });
        let source = match ready {
            Some(source) => source,
            None => self.make(capacity, |file| {
                Ok(rustix::fs::fallocate(file, FallocateFlags::empty(), 0, capacity)?)
            })?,
        };
        let installed = self.install(&source, header, path);
        if installed.is_err() {
            // Not put back: what failed on it once is not trusted.
            let _ = fs::remove_file(&source);
        }
        Ok(Taken {
            file: installed?,
            capacity,
            waited,
        })
    }

    fn install(&self, source: &Path, header: &SegmentHeader, path: &Path) -> io::Result<File> {
        let mut block = Zeros::new(BLOCK_SIZE);
        block.bytes_mut()[..size_of::<SegmentHeader>()].copy_from_slice(header.as_bytes());
        let raw = self.open_for_filling(source, false)?;
        raw.write_all_at(block.bytes(), 0)?;
        raw.sync_data()?;
        let dir = path.parent().expect("a segment lies in a directory");
        create_dirs(dir)?;
        let mode = if self.direct {
            OpenMode::ReadWriteDirect
        } else {
            OpenMode::ReadWriteBuffered
        };
        let file = File::open_blocking(source, mode)?;
        fs::rename(source, path)?;
        sync_dir(dir)?;
        Ok(file)
    }

    /// Makes one file that is missing, resting for `pause` after each step; false if none is missing, or another thread is at
    /// it. Blocks.
    pub fn refill_one(&self, pause: Duration) -> io::Result<bool> {
        let missing = {
            let stock = self.stock.lock().expect("no panic under the lock");
            (0..CLASSES).find(|&class| stock.wanted[class] && stock.ready[class].len() < POOL_READY[class])
        };
        let Some(class) = missing else {
            return Ok(false);
        };
        if self.refilling.swap(true, Ordering::Acquire) {
            return Ok(false);
        }
        let made = self.make(SEGMENT_CLASSES[class], |file| {
            write_zeros(file, SEGMENT_CLASSES[class], pause)
        });
        self.refilling.store(false, Ordering::Release);
        let path = made?;
        self.stock.lock().expect("no panic under the lock").ready[class].push(path);
        Ok(true)
    }

    /// Removes the smallest file that is ready, for its space; gives its size. Blocks.
    pub fn give_back(&self) -> io::Result<u64> {
        let mut stock = self.stock.lock().expect("no panic under the lock");
        let Some((class, path)) = (0..CLASSES).find_map(|class| Some((class, stock.ready[class].pop()?)))
        else {
            return Ok(0);
        };
        fs::remove_file(path)?;
        Ok(SEGMENT_CLASSES[class])
    }

    /// Asks for stock of the smallest class before anybody needs it.
    pub fn want_smallest(&self) {
        self.stock.lock().expect("no panic under the lock").wanted[0] = true;
    }

    /// A new file of zeros that `fill` makes so large, synced, under its `ready` name.
    fn make(&self, capacity: u64, fill: impl FnOnce(&fs::File) -> io::Result<()>) -> io::Result<PathBuf> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let making = self.dir.join(format!("making-{number}"));
        let filled = (|| {
            let file = self.open_for_filling(&making, true)?;
            fill(&file)?;
            file.sync_all()?;
            let ready = self.dir.join(format!("ready-{capacity}-{number}"));
            fs::rename(&making, &ready)?;
            Ok(ready)
        })();
        if filled.is_err() {
            let _ = fs::remove_file(&making);
        }
        filled
    }

    fn open_for_filling(&self, path: &Path, create: bool) -> io::Result<fs::File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(create);
        if self.direct {
            options.custom_flags(rustix::fs::OFlags::DIRECT.bits() as i32);
        }
        options.open(path)
    }
}

fn write_zeros(file: &fs::File, capacity: u64, pause: Duration) -> io::Result<()> {
    let step = Zeros::new(POOL_STEP_BYTES.min(capacity as usize));
    let mut at = 0;
    while at < capacity {
        let len = (capacity - at).min(step.bytes().len() as u64) as usize;
        file.write_all_at(&step.bytes()[..len], at)?;
        at += len as u64;
        std::thread::sleep(pause);
    }
    Ok(())
}

/// Zeros at an address that direct I/O accepts.
struct Zeros {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Zeros {
    fn new(len: usize) -> Zeros {
        let memory = vec![0; len + BLOCK_SIZE];
        let start = memory.as_ptr().align_offset(BLOCK_SIZE);
        Zeros { memory, start, len }
    }

    fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

const _: () = assert!(SEGMENT_CLASSES[0].is_multiple_of(BLOCK_BYTES));

#[cfg(test)]
mod tests {
    use super::*;
    use tautline_core::ids::{PartitionIndex, TopicId};

    #[test]
    fn files_are_whole_and_reused_after_a_restart() {
        let dir = tempfile::tempdir_in(".").unwrap();
        let pool = SegmentPool::open(dir.path().join("pool"), true).unwrap();
        pool.want_smallest();
        assert!(pool.refill_one(Duration::ZERO).unwrap());
        fs::write(dir.path().join("pool/making-77"), b"x").unwrap();
        drop(pool);
        let pool = SegmentPool::open(dir.path().join("pool"), true).unwrap();
        assert!(!dir.path().join("pool/making-77").exists());
        let header = SegmentHeader::new(TopicId::ZERO, PartitionIndex(0), 5, 1);
        let path = dir.path().join("topics/t/0/0000000005.log");
        let taken = pool.take(1, &header, &path, None).unwrap();
        assert!(!taken.waited && taken.capacity == SEGMENT_CLASSES[0]);
        let bytes = fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, SEGMENT_CLASSES[0]);
        assert_eq!(SegmentHeader::parse(&bytes).unwrap().sequence(), 5);
        assert!(bytes[BLOCK_SIZE..].iter().all(|&b| b == 0));
        let large = pool
            .take(70 << 20, &header, &dir.path().join("large.log"), None)
            .unwrap();
        assert!(large.waited && large.capacity == 70 << 20);
    }
}
