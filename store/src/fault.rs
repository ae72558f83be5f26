//! Faults that tests and the crash test inject under the log: lost unsynced writes, torn writes, EIO, a full disk.
//!
//! With [`FaultPlan::lose_unsynced`] a write that did not ask to be durable stays in this process's memory until the file is
//! synced, so that killing the process loses what a power cut could lose: the page cache of a living kernel can't hide a missing
//! flush. A durable write carries only itself to the disk, not what was written before it, as the device does.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Mutex;

use rustc_hash::FxHashMap;
use tautline_core::buffer::{BLOCK_SIZE, Buffer, Pool, Slice};
use tautline_core::file::{Durability, File};

const SECTOR_BYTES: usize = 512;

/// What happens when a plan's bytes are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Writes and syncs fail with EIO.
    Io,
    /// New files fail with ENOSPC; writes go to files made before.
    NoSpace,
    /// The write that crosses the bound leaves a random choice of its sectors, and nothing reaches the disk any more.
    PowerCut {
        /// Chooses the sectors.
        seed: u64,
    },
}

/// What to inject. Shared by everything it applies to; can be changed while the store runs.
#[derive(Debug, Default)]
pub struct FaultPlan {
    lose_unsynced: bool,
    armed: Mutex<Option<Armed>>,
    cleaning: Mutex<CleaningStop>,
}

/// A place where a cleaning of a log can be made to end as by a crash, before what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are what comes next")]
pub enum Stop {
    Create,
    Write,
    Sync,
    Rename,
    SyncName,
    Swap,
    Checkpoint,
    Trash,
}

#[derive(Debug, Default)]
struct CleaningStop {
    after: Option<u64>,
    stopped_at: Option<Stop>,
}

#[derive(Debug, Clone, Copy)]
struct Armed {
    bytes_left: u64,
    fault: Fault,
}

impl FaultPlan {
    /// Keeps what was not made durable in memory only.
    pub fn lose_unsynced() -> FaultPlan {
        FaultPlan {
            lose_unsynced: true,
            ..FaultPlan::default()
        }
    }

    /// From now on, `fault` happens once `bytes` more have been written (or made, for [`Fault::NoSpace`]).
    pub fn fail_after(&self, bytes: u64, fault: Fault) {
        *self.armed.lock().expect("no panic under the lock") = Some(Armed {
            bytes_left: bytes,
            fault,
        });
    }

    /// From now on, cleanings end as by a crash once they have passed so many places where they can.
    pub fn stop_cleaning_after(&self, places: u64) {
        *self.cleaning.lock().expect("no panic under the lock") = CleaningStop {
            after: Some(places),
            stopped_at: None,
        };
    }

    /// Where a cleaning was stopped.
    pub fn stopped_at(&self) -> Option<Stop> {
        self.cleaning.lock().expect("no panic under the lock").stopped_at
    }

    /// Passes a place where a cleaning can be stopped.
    pub(crate) fn stop(&self, at: Stop) -> io::Result<()> {
        let mut cleaning = self.cleaning.lock().expect("no panic under the lock");
        match cleaning.after {
            None => Ok(()),
            Some(0) => {
                cleaning.stopped_at.get_or_insert(at);
                Err(Fault::Io.error())
            }
            Some(left) => {
                cleaning.after = Some(left - 1);
                Ok(())
            }
        }
    }

    /// Faults end.
    pub fn heal(&self) {
        *self.cleaning.lock().expect("no panic under the lock") = CleaningStop::default();
        *self.armed.lock().expect("no panic under the lock") = None;
    }

    /// Counts a write; the fault if it may not happen.
    fn spend(&self, bytes: u64) -> Result<(), (Fault, bool)> {
        let mut armed = self.armed.lock().expect("no panic under the lock");
        let Some(armed) = armed.as_mut().filter(|armed| armed.fault != Fault::NoSpace) else {
            return Ok(());
        };
        match armed.bytes_left.checked_sub(bytes) {
            Some(left) if left > 0 || bytes == 0 && armed.bytes_left > 0 => {
                armed.bytes_left = left;
                Ok(())
            }
            _ => {
                let first = armed.bytes_left > 0;
                armed.bytes_left = 0;
                Err((armed.fault, first))
            }
        }
    }

    /// There is that much more room on a full disk.
    pub(crate) fn freed(&self, bytes: u64) {
        if let Some(armed) = self.armed.lock().expect("no panic under the lock").as_mut() {
            armed.bytes_left += if armed.fault == Fault::NoSpace { bytes } else { 0 };
        }
    }

    /// Counts a new file; the error it meets.
    pub(crate) fn check_new_file(&self, bytes: u64) -> io::Result<()> {
        match self.armed.lock().expect("no panic under the lock").as_mut() {
            Some(Armed {
                bytes_left,
                fault: Fault::NoSpace,
            }) if *bytes_left >= bytes => {
                *bytes_left -= bytes;
                Ok(())
            }
            Some(Armed { bytes_left, fault }) if *bytes_left == 0 || *fault == Fault::NoSpace => {
                Err(fault.error())
            }
            _ => Ok(()),
        }
    }
}

impl Fault {
    fn error(self) -> io::Error {
        let errno = match self {
            Fault::Io | Fault::PowerCut { .. } => rustix::io::Errno::IO,
            Fault::NoSpace => rustix::io::Errno::NOSPC,
        };
        errno.into()
    }
}

/// Blocks written and not synced, by their position.
#[derive(Debug, Default)]
struct Overlay {
    blocks: BTreeMap<u64, Vec<u8>>,
}

/// Device and inode.
type FileKey = (u64, u64);

/// The plan and what it holds back, of one store.
#[derive(Debug)]
pub(crate) struct Faults {
    plan: std::sync::Arc<FaultPlan>,
    overlays: RefCell<FxHashMap<FileKey, Rc<RefCell<Overlay>>>>,
}

/// One file's share of it. All descriptors of the file share the held-back blocks.
#[derive(Clone, Debug)]
pub(crate) struct FileFaults {
    faults: Rc<Faults>,
    overlay: Rc<RefCell<Overlay>>,
}

impl Faults {
    pub fn new(plan: std::sync::Arc<FaultPlan>) -> Faults {
        Faults {
            plan,
            overlays: RefCell::default(),
        }
    }

    pub fn of(self: &Rc<Faults>, file: &File) -> io::Result<FileFaults> {
        let stat = rustix::fs::fstat(file)?;
        let overlay = self
            .overlays
            .borrow_mut()
            .entry((stat.st_dev, stat.st_ino))
            .or_default()
            .clone();
        Ok(FileFaults {
            faults: self.clone(),
            overlay,
        })
    }
}

impl FileFaults {
    pub async fn write_at(
        &self,
        file: &File,
        parts: &[Slice],
        at: u64,
        durability: Durability,
    ) -> io::Result<()> {
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        if let Err((fault, first)) = self.faults.plan.spend(bytes.len() as u64) {
            if let (Fault::PowerCut { seed }, true) = (fault, first) {
                self.leave_some_unsynced(file, seed).await?;
                tear(file, &bytes, at, seed).await?;
            }
            return Err(fault.error());
        }
        if self.faults.plan.lose_unsynced && durability == Durability::Cached {
            let mut overlay = self.overlay.borrow_mut();
            for (i, block) in bytes.chunks(BLOCK_SIZE).enumerate() {
                overlay
                    .blocks
                    .insert(at + (i * BLOCK_SIZE) as u64, block.to_vec());
            }
            return Ok(());
        }
        self.overlay
            .borrow_mut()
            .blocks
            .retain(|&block, _| block < at || block >= at + bytes.len() as u64);
        put(file, &bytes, at, durability).await
    }

    /// What was written and not synced may have reached the disk all the same, block by block, in any order.
    async fn leave_some_unsynced(&self, file: &File, seed: u64) -> io::Result<()> {
        let blocks = std::mem::take(&mut self.overlay.borrow_mut().blocks);
        let mut random = Random(seed ^ 0x9e37_79b9);
        for (at, bytes) in blocks {
            if random.coin() {
                put(file, &bytes, at, Durability::Cached).await?;
            }
        }
        Ok(())
    }

    pub async fn read_at(
        &self,
        file: &File,
        buffer: Buffer,
        at: u64,
        len: usize,
    ) -> io::Result<(Buffer, usize)> {
        let (mut buffer, got) = file.read_at(buffer, at, len).await?;
        for (&block, bytes) in self.overlay.borrow().blocks.range(..at + got as u64) {
            let end = block + bytes.len() as u64;
            let (from, to) = (block.max(at), end.min(at + got as u64));
            if from < to {
                buffer[(from - at) as usize..(to - at) as usize]
                    .copy_from_slice(&bytes[(from - block) as usize..(to - block) as usize]);
            }
        }
        Ok((buffer, got))
    }

    pub async fn sync_data(&self, file: &File) -> io::Result<()> {
        self.faults.plan.spend(0).map_err(|(fault, _)| fault.error())?;
        let blocks = std::mem::take(&mut self.overlay.borrow_mut().blocks);
        for (at, bytes) in blocks {
            put(file, &bytes, at, Durability::Cached).await?;
        }
        file.sync_data().await
    }
}

async fn put(file: &File, bytes: &[u8], at: u64, durability: Durability) -> io::Result<()> {
    let mut buffer = Pool::current().take(bytes.len()).map_err(io::Error::other)?;
    buffer[..bytes.len()].copy_from_slice(bytes);
    file.write_at(vec![buffer.freeze().slice(..bytes.len())], at, durability)
        .await
}

/// Writes a random choice of the sectors.
async fn tear(file: &File, bytes: &[u8], at: u64, seed: u64) -> io::Result<()> {
    let pool = Pool::current();
    let buffer = pool.take(bytes.len()).map_err(io::Error::other)?;
    let (buffer, got) = file.read_at(buffer, at, bytes.len()).await?;
    let mut torn = buffer[..got].to_vec();
    torn.resize(bytes.len(), 0);
    let mut random = Random(seed);
    for (sector, new) in torn.chunks_mut(SECTOR_BYTES).zip(bytes.chunks(SECTOR_BYTES)) {
        if random.coin() {
            sector.copy_from_slice(new);
        }
    }
    put(file, &torn, at, Durability::Durable).await
}

/// Xorshift: the same seed, the same choices.
struct Random(u64);

impl Random {
    fn coin(&mut self) -> bool {
        self.0 |= 1;
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) & 1 == 0
    }
}
