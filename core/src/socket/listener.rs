//! Listening addresses, and the connections that come to them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use io_uring::{opcode, types};
use socket2::{Domain, Protocol, Socket, Type};

use super::Stream;
use crate::limits::LISTEN_BACKLOG;
use crate::ring::{OpStream, Ring};

/// A bound and listening address. Several cores may listen on the same one (SO_REUSEPORT).
pub struct Listener {
    fd: Arc<OwnedFd>,
    address: SocketAddr,
}

impl Listener {
    /// Binds; connections are taken only after [`Listener::accept`].
    ///
    /// With `probe_exclusive` the address is first bound without SO_REUSEPORT, so that another process listening there is
    /// noticed; the first core of a process does this.
    ///
    /// # Errors
    /// EADDRINUSE, EADDRNOTAVAIL, EACCES.
    pub fn bind(address: SocketAddr, probe_exclusive: bool) -> io::Result<Listener> {
        if probe_exclusive && address.port() != 0 {
            let probe = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            probe.set_reuse_address(true)?;
            probe.bind(&address.into())?;
        }
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        let address = socket
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Listener {
            fd: Arc::new(socket.into()),
            address,
        })
    }

    /// The address bound, with the port the kernel chose if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens, and accepts on this shard.
    ///
    /// # Errors
    /// EADDRINUSE when another socket listens on the address exclusively.
    pub fn accept(&self) -> io::Result<Incoming> {
        socket2::SockRef::from(&*self.fd).listen(LISTEN_BACKLOG)?;
        Ok(Incoming {
            fd: self.fd.clone(),
            accepts: None,
        })
    }
}

/// Connections as they come (multishot accept).
pub struct Incoming {
    fd: Arc<OwnedFd>,
    accepts: Option<OpStream<Arc<OwnedFd>>>,
}

impl Incoming {
    /// The next connection.
    ///
    /// # Errors
    /// EMFILE, ENFILE, ENOBUFS, ENOMEM: the caller waits a little and asks again; a connection that went away before it was
    /// accepted is passed over.
    pub async fn next(&mut self) -> io::Result<Stream> {
        loop {
            let accepts = self.accepts.get_or_insert_with(|| {
                let entry = opcode::AcceptMulti::new(types::Fd(self.fd.as_raw_fd()));
                let entry = entry.flags(libc::SOCK_CLOEXEC).build();
                // SAFETY: the entry names only the descriptor, which the Arc keeps open.
                unsafe { Ring::current().start_stream(entry, self.fd.clone()) }
            });
            let Some(completion) = accepts.next().await else {
                self.accepts = None;
                continue;
            };
            match completion.into_result() {
                Ok(fd) => {
                    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
                    let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
                    return Stream::adopt(fd);
                }
                Err(e)
                    if matches!(
                        e.raw_os_error(),
                        Some(libc::ECONNABORTED | libc::EINTR | libc::EPROTO)
                    ) => {}
                Err(e) => return Err(e),
            }
        }
    }
}
