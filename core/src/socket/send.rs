//! Sending: slices in vectored sends, ranges of files without a copy.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use io_uring::{opcode, types};

use super::Stream;
use crate::blocking;
use crate::buffer::Slice;
use crate::file::File;
use crate::limits::{SEND_STEP_BESIDE_WRITES_BYTES, SEND_STEP_BYTES, SENDFILE_BYTES_MAX};
use crate::parts::Parts;
use crate::right_of_way::step_bytes;

/// Bytes that one send takes.
fn send_step_bytes() -> usize {
    step_bytes(SEND_STEP_BYTES, SEND_STEP_BESIDE_WRITES_BYTES)
}

impl Stream {
    /// Sends all of `parts`, in one vectored send as far as the kernel takes it. Gives back their room, empty.
    ///
    /// # Errors
    /// EPIPE, ECONNRESET and the like.
    pub async fn send(&self, mut parts: Parts) -> io::Result<Parts> {
        parts.drop_empty();
        while !parts.slices().is_empty() {
            let fd = types::Fd(self.fd.as_raw_fd());
            let flags = libc::MSG_NOSIGNAL | libc::MSG_WAITALL;
            let entry = if let [one] = parts.slices() {
                opcode::Send::new(fd, one.as_ptr(), one.len().min(send_step_bytes()) as u32)
                    .flags(flags)
                    .build()
            } else {
                opcode::SendMsg::new(fd, parts.message(send_step_bytes()))
                    .flags(flags as u32)
                    .build()
            };
            // SAFETY: slices, boxed header and its vectors stay where they are when moved; the Arc keeps the descriptor open.
            let op = unsafe { self.ring.start(entry, (parts, self.fd.clone())) };
            let (completion, (back, _)) = op.await;
            parts = back;
            match completion.into_result() {
                Ok(n) => parts.consume(n),
                Err(e) if matches!(e.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {
                    self.writable().await?
                }
                Err(e) => return Err(e),
            }
        }
        parts.clear();
        Ok(parts)
    }

    /// Sends all of `rest`.
    ///
    /// # Errors
    /// EPIPE, ECONNRESET and the like.
    pub async fn send_one(&self, mut rest: Slice) -> io::Result<()> {
        while !rest.is_empty() {
            let fd = types::Fd(self.fd.as_raw_fd());
            let entry = opcode::Send::new(fd, rest.as_ptr(), rest.len().min(send_step_bytes()) as u32)
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                .build();
            // SAFETY: the slice's bytes stay where they are when it is moved; the Arc keeps the descriptor open.
            let op = unsafe { self.ring.start(entry, (rest, self.fd.clone())) };
            let (completion, (back, _)) = op.await;
            rest = back;
            match completion.into_result() {
                Ok(n) => rest = rest.slice(n..),
                Err(e) if matches!(e.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {
                    self.writable().await?
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Sends `len` bytes of a buffered file from `at`, without copying them through user space, on helper threads.
    ///
    /// # Errors
    /// UnexpectedEof when the file is shorter; EPIPE, ECONNRESET, EIO.
    pub async fn send_file(&self, file: &File, mut at: u64, len: usize) -> io::Result<()> {
        let mut left = len;
        while left > 0 {
            let (socket, source) = (self.fd.clone(), file.descriptor());
            let count = left.min(SENDFILE_BYTES_MAX);
            let sent = blocking::run(move || {
                let mut offset = at;
                rustix::fs::sendfile(socket.as_fd(), source.as_fd(), Some(&mut offset), count)
            })
            .await;
            match sent {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    at += n as u64;
                    left -= n;
                }
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => self.writable().await?,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    async fn writable(&self) -> io::Result<()> {
        let entry = opcode::PollAdd::new(types::Fd(self.fd.as_raw_fd()), libc::POLLOUT as u32).build();
        // SAFETY: the entry names only the descriptor, which the Arc keeps open.
        let op = unsafe { self.ring.start(entry, self.fd.clone()) };
        let (completion, _) = op.await;
        completion.into_result().map(|_| ())
    }
}
