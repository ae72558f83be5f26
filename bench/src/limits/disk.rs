//! A file written with O_DIRECT and O_DSYNC by blocking `pwrite`, block after block, as a log is.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use rustix::fs::{FallocateFlags, OFlags, fallocate};

use crate::affinity::on_core;
use crate::clock::{nanos, now_ns};
use crate::report::percentiles::histogram;

/// The block of the floor.
pub const BLOCK_BYTES: usize = 4096;
/// Alignment that O_DIRECT asks of addresses and lengths.
const ALIGNMENT: usize = 4096;
/// The file is written round and round within this length.
const FILE_BYTES: u64 = 64 << 20;
/// A file that grows with each write grows to this at most.
const FRESH_BYTES_MAX: u64 = 2 << 30;
/// One write while preparing.
const PREPARE_BYTES: usize = 1 << 20;

/// What lies under the blocks before they are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extents {
    /// Nothing: each write extends the file, as `dd` to a new file does.
    Fresh,
    /// Allocated by fallocate, never written.
    Allocated,
    /// Written once: what an overwrite needs to be cheap.
    Written,
}

/// A buffer whose bytes start at a multiple of [`ALIGNMENT`].
pub struct AlignedBuffer {
    bytes: Vec<u8>,
    range: Range<usize>,
}

impl AlignedBuffer {
    /// `len` bytes that aren't zero (a disk may treat zeros specially).
    pub fn new(len: usize) -> AlignedBuffer {
        let bytes = vec![0xa5; len + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        AlignedBuffer {
            bytes,
            range: start..start + len,
        }
    }

    /// The aligned bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }
}

/// Fails unless O_DIRECT can write blocks of this length.
pub fn check_block(block_bytes: usize) -> anyhow::Result<()> {
    ensure!(
        block_bytes > 0 && block_bytes.is_multiple_of(ALIGNMENT) && block_bytes as u64 <= FILE_BYTES,
        "a block of {block_bytes} bytes can't be written with O_DIRECT: give a multiple of {ALIGNMENT} up to {FILE_BYTES}"
    );
    Ok(())
}

/// The file; removed when dropped.
pub struct DirectFile {
    file: File,
    path: PathBuf,
    block: AlignedBuffer,
    at: u64,
    extents: Extents,
}

impl DirectFile {
    /// A file in `dir` to be written in blocks of `block_bytes`.
    pub fn create(dir: &Path, extents: Extents, block_bytes: usize) -> anyhow::Result<DirectFile> {
        check_block(block_bytes)?;
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let path = dir.join(format!("tautline-bench-{}-{}.tmp", std::process::id(), now_ns()));
        let open = |flags: OFlags| {
            OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .custom_flags(flags.bits() as i32)
                .open(&path)
        };
        let file = match open(OFlags::DIRECT | OFlags::DSYNC) {
            Ok(file) => file,
            Err(_) => {
                let file =
                    open(OFlags::DSYNC).with_context(|| format!("create a file in {}", dir.display()))?;
                eprintln!(
                    "note: {} has no O_DIRECT; writing through the page cache with O_DSYNC",
                    dir.display()
                );
                file
            }
        };
        let mut direct = DirectFile {
            file,
            path,
            block: AlignedBuffer::new(block_bytes),
            at: 0,
            extents,
        };
        direct
            .prepare()
            .with_context(|| format!("prepare {}", direct.path.display()))?;
        Ok(direct)
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        if self.extents == Extents::Fresh {
            return Ok(());
        }
        fallocate(&self.file, FallocateFlags::empty(), 0, FILE_BYTES)?;
        if self.extents == Extents::Written {
            let chunk = AlignedBuffer::new(PREPARE_BYTES);
            for at in (0..FILE_BYTES).step_by(PREPARE_BYTES) {
                self.file.write_all_at(chunk.bytes(), at)?;
            }
        }
        self.file.sync_all()?;
        Ok(())
    }

    /// Writes the next block; durable when it returns.
    pub fn write_next(&mut self) -> std::io::Result<()> {
        let len = self.block.bytes().len() as u64;
        if self.extents == Extents::Written && self.at + len > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(self.block.bytes(), self.at)?;
        self.at += len;
        Ok(())
    }

    /// Whether the next write would no longer meet the extents asked for.
    fn exhausted(&self) -> bool {
        let bytes_max = match self.extents {
            Extents::Written => return false,
            Extents::Allocated => FILE_BYTES,
            Extents::Fresh => FRESH_BYTES_MAX,
        };
        self.at + self.block.bytes().len() as u64 > bytes_max
    }

    /// Writes for `duration` from a thread pinned to `core`, or until no block is left that counts.
    pub fn measure(&mut self, core: usize, duration: Duration) -> anyhow::Result<Histogram<u64>> {
        on_core(core, || {
            let mut latencies = histogram();
            let mut before = now_ns();
            let end = before + nanos(duration);
            while before < end && !self.exhausted() {
                self.write_next()
                    .with_context(|| format!("write {}", self.path.display()))?;
                let after = now_ns();
                latencies.saturating_record(after - before);
                before = after;
            }
            Ok(latencies)
        })
    }
}

impl Drop for DirectFile {
    fn drop(&mut self) {
        // What can't be removed is named for what it is.
        let _ = std::fs::remove_file(&self.path);
    }
}
