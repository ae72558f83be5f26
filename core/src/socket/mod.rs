//! TCP through the ring: multishot accept, receives into provided buffers, vectored sends.
//!
//! A [`Stream`] that waits for its next request holds no memory: the kernel picks a receive buffer when data is there.
//! The rest of a request that is longer than one receive buffer is received straight into the request's own buffer.
#![expect(unsafe_code, reason = "io_uring submission entries carry raw pointers")]

mod listener;
mod send;
mod tcp_info;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use io_uring::{cqueue, opcode, squeue, types};

use crate::buffer::{Buffer, OutOfMemory, Pool};
use crate::buffer_ring::BUFFER_GROUP;
use crate::limits::{RECEIVE_BUFFER_BYTES, SENDFILE_STALL};
use crate::ring::Ring;
use crate::time;

pub use listener::{Incoming, Listener};
pub use tcp_info::Traffic;

const _: () = assert!(RECEIVE_BUFFER_BYTES >= 4096);

/// A connection. Clones are the same connection; it is closed when the last one, and the last operation, is gone.
#[derive(Clone)]
pub struct Stream {
    fd: Arc<OwnedFd>,
    ring: Rc<Ring>,
}

impl Stream {
    fn adopt(fd: OwnedFd) -> io::Result<Stream> {
        let socket = socket2::SockRef::from(&fd);
        socket.set_tcp_nodelay(true)?;
        socket.set_keepalive(true)?;
        // sendfile(2) on a helper thread must come back from a client that stopped reading.
        socket.set_write_timeout(Some(SENDFILE_STALL))?;
        Ok(Stream {
            fd: Arc::new(fd),
            ring: Ring::current(),
        })
    }

    /// The other side's address, if it is still connected.
    pub fn peer(&self) -> Option<SocketAddr> {
        socket2::SockRef::from(&*self.fd).peer_addr().ok()?.as_socket()
    }

    /// The local address.
    pub fn local(&self) -> Option<SocketAddr> {
        socket2::SockRef::from(&*self.fd).local_addr().ok()?.as_socket()
    }

    /// Waits for data, and returns it in a buffer of the pool with the count of bytes; 0 means the other side has closed.
    ///
    /// # Errors
    /// ECONNRESET and the like.
    pub async fn receive(&self) -> io::Result<(Buffer, usize)> {
        loop {
            let entry = opcode::Recv::new(types::Fd(self.fd.as_raw_fd()), std::ptr::null_mut(), 0)
                .buf_group(BUFFER_GROUP)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT);
            // SAFETY: the kernel picks a buffer of the ring's group; the Arc keeps the descriptor open.
            let op = unsafe { self.ring.start(entry, self.fd.clone()) };
            let (completion, _) = op.await;
            let buffer = cqueue::buffer_select(completion.flags).and_then(|id| {
                self.ring
                    .receive_buffers
                    .borrow_mut()
                    .as_mut()
                    .map(|buffers| buffers.take(id))
            });
            match (completion.into_result(), buffer) {
                (Ok(n), Some(buffer)) => return Ok((buffer, n)),
                (Ok(_), None) => {
                    return Ok((Pool::current().take(1).map_err(out_of_memory)?, 0));
                }
                (Err(e), _) if e.raw_os_error() == Some(libc::ENOBUFS) => {
                    // All receive buffers are with their readers: the socket's own buffer holds the client back.
                    let refilled = self
                        .ring
                        .receive_buffers
                        .borrow_mut()
                        .as_mut()
                        .is_some_and(|b| b.refill());
                    if !refilled {
                        time::sleep(Duration::from_millis(1)).await;
                    }
                }
                (Err(e), _) if e.raw_os_error() == Some(libc::EINTR) => {}
                (Err(e), _) => return Err(e),
            }
        }
    }

    /// Receives exactly `from..to` of `buffer`.
    ///
    /// # Errors
    /// UnexpectedEof when the other side closes before; ECONNRESET and the like.
    pub async fn receive_exact(&self, mut buffer: Buffer, mut from: usize, to: usize) -> io::Result<Buffer> {
        while from < to {
            let target = buffer[from..to].as_mut_ptr();
            let entry = opcode::Recv::new(types::Fd(self.fd.as_raw_fd()), target, (to - from) as u32)
                .flags(libc::MSG_WAITALL)
                .build();
            // SAFETY: the buffer's memory does not move with it, and the Arc keeps the descriptor open.
            let op = unsafe { self.ring.start(entry, (buffer, self.fd.clone())) };
            let (completion, (back, _)) = op.await;
            buffer = back;
            match completion.into_result() {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => from += n,
                Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(buffer)
    }

    /// Ends the connection in both directions; operations in flight come back.
    pub fn shutdown(&self) {
        // It may be gone already, which is what was wanted.
        let _ = rustix::net::shutdown(&*self.fd, rustix::net::Shutdown::Both);
    }
}

fn out_of_memory(error: OutOfMemory) -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, error)
}
