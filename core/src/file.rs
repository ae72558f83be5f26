//! Files through the ring: vectored direct writes that are durable when they complete, and reads into pool buffers.
//!
//! Promise of [`File::write_at`] with [`Durability::Durable`]: when it completes without an error the bytes are on stable
//! storage (RWF_DSYNC, one request). Nothing is promised about the order of two writes in flight at once.
#![expect(unsafe_code, reason = "io_uring submission entries carry raw pointers")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use io_uring::{opcode, types};
use rustix::fs::{Mode, OFlags};

use crate::blocking;
use crate::buffer::{BLOCK_SIZE, Buffer, Slice};
use crate::limits::{READ_STEP_BESIDE_WRITES_BYTES, READ_STEP_BYTES};
use crate::parts::Parts;
use crate::right_of_way::{give_way, step_bytes};
use crate::ring::Ring;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Reads past the page cache.
    ReadDirect,
    /// Reads and writes past the page cache; created if missing.
    ReadWriteDirect,
    /// Reads through the page cache (sendfile).
    ReadBuffered,
    /// Reads and writes through the page cache; created if missing.
    ReadWriteBuffered,
}

/// What the completion of a write promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Taken by the kernel or the device's cache.
    Cached,
    /// On stable storage.
    Durable,
}

/// An open file. The descriptor stays open while an operation on it is in flight.
#[derive(Clone)]
pub struct File {
    fd: Arc<OwnedFd>,
    direct: bool,
}

impl File {
    /// Opens a file on a blocking thread. Where the filesystem has no O_DIRECT the file is opened without it, and
    /// [`File::is_direct`] tells.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub async fn open(path: &Path, mode: OpenMode) -> io::Result<File> {
        let path: PathBuf = path.to_owned();
        blocking::run(move || File::open_blocking(&path, mode)).await
    }

    /// [`File::open`] on the calling thread, for helper threads.
    ///
    /// # Errors
    /// What `open(2)` says.
    pub fn open_blocking(path: &Path, mode: OpenMode) -> io::Result<File> {
        let access = match mode {
            OpenMode::ReadDirect | OpenMode::ReadBuffered => OFlags::RDONLY,
            OpenMode::ReadWriteDirect | OpenMode::ReadWriteBuffered => OFlags::RDWR | OFlags::CREATE,
        };
        let flags = access | OFlags::CLOEXEC;
        let permissions = Mode::RUSR | Mode::WUSR | Mode::RGRP;
        if matches!(mode, OpenMode::ReadDirect | OpenMode::ReadWriteDirect) {
            match rustix::fs::open(path, flags | OFlags::DIRECT, permissions) {
                Ok(fd) => {
                    return Ok(File {
                        fd: Arc::new(fd),
                        direct: true,
                    });
                }
                Err(rustix::io::Errno::INVAL) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let fd = rustix::fs::open(path, flags, permissions)?;
        Ok(File {
            fd: Arc::new(fd),
            direct: false,
        })
    }

    /// Whether I/O goes past the page cache, and so must be aligned to [`BLOCK_SIZE`].
    pub fn is_direct(&self) -> bool {
        self.direct
    }

    /// The descriptor, for calls on helper threads.
    pub fn descriptor(&self) -> Arc<OwnedFd> {
        self.fd.clone()
    }

    /// Writes all of `parts` at `at`, in one request unless the kernel takes less.
    ///
    /// On a direct file each part's address and length, and `at`, are multiples of [`BLOCK_SIZE`]. The parts are kept until
    /// the kernel is done with them, also if this future is dropped.
    ///
    /// # Errors
    /// EIO, ENOSPC and the like; how much was written is then unknown.
    pub async fn write_at(&self, parts: Vec<Slice>, at: u64, durability: Durability) -> io::Result<()> {
        let (written, _) = self.write_parts(Parts::from(parts), at, durability).await;
        written
    }

    /// [`File::write_at`] of parts whose room can be used again: it comes back empty.
    pub async fn write_parts(
        &self,
        mut parts: Parts,
        at: u64,
        durability: Durability,
    ) -> (io::Result<()>, Parts) {
        let written = self.write_all(&mut parts, at, durability).await;
        parts.clear();
        (written, parts)
    }

    async fn write_all(&self, parts: &mut Parts, mut at: u64, durability: Durability) -> io::Result<()> {
        let ring = Ring::current();
        let (rw_flags, _under_way) = match durability {
            Durability::Cached => (0, None),
            Durability::Durable => (libc::RWF_DSYNC, Some(ring.durable_writes.begin())),
        };
        parts.drop_empty();
        if self.direct {
            debug_assert!(at.is_multiple_of(BLOCK_SIZE as u64), "direct write at {at}");
            debug_assert!(parts.slices().iter().all(|p| {
                p.len().is_multiple_of(BLOCK_SIZE) && (p.as_ptr() as usize).is_multiple_of(BLOCK_SIZE)
            }));
        }
        while !parts.slices().is_empty() {
            let fd = types::Fd(self.fd.as_raw_fd());
            let entry = if let [one] = parts.slices() {
                let entry = opcode::Write::new(fd, one.as_ptr(), one.len() as u32);
                entry.offset(at).rw_flags(rw_flags).build()
            } else {
                let vectors = parts.vectors(usize::MAX);
                let entry = opcode::Writev::new(fd, vectors.as_ptr(), vectors.len() as u32);
                entry.offset(at).rw_flags(rw_flags).build()
            };
            let taken = std::mem::take(parts);
            // SAFETY: the slices own the bytes, the vector its entries, the Arc the descriptor: all at stable addresses.
            let op = unsafe { ring.start(entry, (taken, self.fd.clone())) };
            let (completion, (back, _)) = op.await;
            *parts = back;
            let mut written = match completion.into_result() {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => n,
                Err(e) if matches!(e.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => 0,
                Err(e) => return Err(e),
            };
            if self.direct {
                // A short direct write is continued at the last whole block.
                written -= written % BLOCK_SIZE;
            }
            at += written as u64;
            parts.consume(written);
        }
        Ok(())
    }

    /// Reads up to `len` bytes at `at` into `buffer`; returns it with the count, which is short only at the end of the file.
    ///
    /// On a direct file `at` and `len` are multiples of [`BLOCK_SIZE`]. Durable writes have the right of way.
    ///
    /// # Errors
    /// EIO and the like.
    ///
    /// # Panics
    /// When `len` exceeds the buffer.
    pub async fn read_at(&self, mut buffer: Buffer, at: u64, len: usize) -> io::Result<(Buffer, usize)> {
        assert!(len <= buffer.len(), "read of {len} bytes into {}", buffer.len());
        let ring = Ring::current();
        let mut filled = 0;
        while filled < len {
            give_way().await;
            let step = step_bytes(READ_STEP_BYTES, READ_STEP_BESIDE_WRITES_BYTES);
            let fd = types::Fd(self.fd.as_raw_fd());
            let target = buffer[filled..].as_mut_ptr();
            let entry = opcode::Read::new(fd, target, (len - filled).min(step) as u32)
                .offset(at + filled as u64)
                .build();
            // SAFETY: the buffer's memory does not move with it, and the Arc keeps the descriptor open.
            let op = unsafe { ring.start(entry, (buffer, self.fd.clone())) };
            let (completion, (back, _)) = op.await;
            buffer = back;
            match completion.into_result() {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if matches!(e.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {}
                Err(e) => return Err(e),
            }
            if self.direct && !filled.is_multiple_of(BLOCK_SIZE) {
                break; // Only the end of the file is not a whole block.
            }
        }
        Ok((buffer, filled))
    }

    /// Makes all that was written durable (`fdatasync(2)`), on a blocking thread.
    ///
    /// # Errors
    /// EIO and the like: the data is then not to be trusted to be on disk, and a second call proves nothing.
    pub async fn sync_data(&self) -> io::Result<()> {
        let fd = self.fd.clone();
        blocking::run(move || Ok(rustix::fs::fdatasync(&*fd)?)).await
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

// Direct reads go on at the end of a step.
const _: () = assert!(READ_STEP_BYTES.is_multiple_of(BLOCK_SIZE));
const _: () = assert!(READ_STEP_BESIDE_WRITES_BYTES.is_multiple_of(BLOCK_SIZE));
const _: () = assert!(READ_STEP_BESIDE_WRITES_BYTES <= READ_STEP_BYTES);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Pool;
    use crate::shard::test_on_shard;

    #[test]
    fn writes_come_back() {
        let dir = tempfile::tempdir_in(".").unwrap();
        let path = dir.path().join("file");
        test_on_shard(|| async move {
            let file = File::open(&path, OpenMode::ReadWriteDirect).await.unwrap();
            let pool = Pool::current();
            let mut one = pool.take(8192).unwrap();
            one.fill(1);
            let mut two = pool.take(4096).unwrap();
            two.fill(2);
            let parts = vec![one.freeze().slice(4096..), two.freeze()];
            file.write_at(parts, 4096, Durability::Durable).await.unwrap();
            let (buffer, n) = file.read_at(pool.take(16384).unwrap(), 0, 16384).await.unwrap();
            assert_eq!(n, 12288);
            assert!(buffer[..4096].iter().all(|&b| b == 0));
            assert!(buffer[4096..8192].iter().all(|&b| b == 1));
            assert!(buffer[8192..12288].iter().all(|&b| b == 2));
            file.sync_data().await.unwrap();
        });
    }

    #[test]
    fn an_abandoned_write_keeps_its_memory_and_others_go_on() {
        let dir = tempfile::tempdir_in(".").unwrap();
        let path = dir.path().join("file");
        test_on_shard(|| async move {
            use futures_util::FutureExt;
            let file = File::open(&path, OpenMode::ReadWriteDirect).await.unwrap();
            let pool = Pool::current();
            for _ in 0..100 {
                let part = pool.take(4096).unwrap().freeze();
                assert!(
                    file.write_at(vec![part], 0, Durability::Durable)
                        .now_or_never()
                        .is_none()
                );
            }
            let part = pool.take(4096).unwrap().freeze();
            file.write_at(vec![part], 0, Durability::Durable).await.unwrap();
        });
    }
}
