//! One TCP connection: whole frames out, whole frames in, one system call each in the common case.
//!
//! The receiving half keeps one buffer that grows to the largest frame and stays. Both halves belong to the thread
//! that drives them; blocking by default, or spinning on a non-blocking socket.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use anyhow::Context;

/// A broker's frame above this is taken for garbage.
const FRAME_BYTES_MAX: usize = 256 << 20;
/// First size of the receive buffer.
const INBOX_BYTES: usize = 64 << 10;
/// How long a TCP connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a client thread waits for the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Poll {
    /// Sleep in `read` until the answer is there.
    Block,
    /// Never sleep: spin on a non-blocking socket.
    Busy,
}

/// A connection to one broker.
pub struct Connection {
    /// The writing half.
    pub sender: Sender,
    /// The reading half.
    pub receiver: Receiver,
}

/// Writes frames.
pub struct Sender(TcpStream);

/// Reads frames.
pub struct Receiver {
    stream: TcpStream,
    inbox: Vec<u8>,
    start: usize,
    end: usize,
    poll: Poll,
    /// The last read took all there was: until the socket is reported readable again, another would be in vain.
    drained: bool,
}

impl Connection {
    /// Connects to `host:port`.
    pub fn open(address: &str, poll: Poll) -> anyhow::Result<Connection> {
        let stream = connect(address).with_context(|| {
            format!("connect to the broker at {address}: is it running, and is that its Kafka address?")
        })?;
        Ok(Connection::over(stream, poll)?)
    }

    /// Takes over a connected socket.
    pub fn over(stream: TcpStream, poll: Poll) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(poll == Poll::Busy)?;
        let sender = Sender(stream.try_clone()?);
        Ok(Connection {
            sender,
            receiver: Receiver {
                stream,
                inbox: vec![0; INBOX_BYTES],
                start: 0,
                end: 0,
                poll,
                drained: false,
            },
        })
    }

    /// Sends a request and waits for its answer (without the length).
    pub fn call(&mut self, frame: &[u8]) -> io::Result<&[u8]> {
        self.sender.send(frame)?;
        self.receiver.receive()
    }
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::AddrNotAvailable, "the name resolves to no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Sender {
    /// Writes a whole frame, spinning if the socket doesn't block.
    pub fn send(&mut self, mut frame: &[u8]) -> io::Result<()> {
        while !frame.is_empty() {
            frame = &frame[self.try_send(frame)?..];
        }
        Ok(())
    }

    /// Writes what the socket takes now: 0 when it is full and doesn't block.
    pub fn try_send(&mut self, frame: &[u8]) -> io::Result<usize> {
        match self.0.write(frame) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            Err(error) if retry(&error) => Ok(0),
            other => other,
        }
    }

    /// Fails the other half's blocked read, so that its thread ends.
    pub fn shutdown(&self) {
        // Nothing to do when the peer has closed it already.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }
}

impl Receiver {
    /// How long one blocking read may take; an expired one makes [`Receiver::receive`] fail with `WouldBlock`
    /// or `TimedOut` and keeps what was read.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(timeout)
    }

    /// Waits for the next frame and returns it without its length.
    pub fn receive(&mut self) -> io::Result<&[u8]> {
        loop {
            if let Some(len) = self.buffered_frame()? {
                return Ok(self.take(len));
            }
            match self.fill() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && self.poll == Poll::Busy => {}
                other => other?,
            }
        }
    }

    /// The next frame if it has arrived; for sockets that don't block. After `None` call it again when an edge-triggered
    /// epoll reports the socket readable: a read that came back short has emptied it.
    pub fn try_receive(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            if let Some(len) = self.buffered_frame()? {
                return Ok(Some(self.take(len)));
            }
            if std::mem::take(&mut self.drained) {
                return Ok(None);
            }
            match self.fill() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => other?,
            }
        }
    }

    /// The socket, to wait for.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn take(&mut self, len: usize) -> &[u8] {
        let from = self.start + 4;
        self.start = from + len;
        &self.inbox[from..from + len]
    }

    /// Length of the frame at the front if it is whole.
    fn buffered_frame(&self) -> io::Result<Option<usize>> {
        let Some(prefix) = self.inbox[self.start..self.end].first_chunk::<4>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes(*prefix) as usize;
        if len > FRAME_BYTES_MAX {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("the broker announces a frame of {len} bytes"),
            ));
        }
        Ok((self.end - self.start >= len + 4).then_some(len))
    }

    /// One read into free space, after making room for the frame at the front.
    fn fill(&mut self) -> io::Result<()> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        let pending = &self.inbox[self.start..self.end];
        let needed = pending
            .first_chunk::<4>()
            .map_or(4, |prefix| u32::from_be_bytes(*prefix) as usize + 4);
        if self.start + needed > self.inbox.len() {
            self.inbox.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if needed > self.inbox.len() {
                self.inbox.resize(needed, 0);
            }
        }
        match self.stream.read(&mut self.inbox[self.end..])? {
            0 => Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the broker closed the connection",
            )),
            read => {
                self.end += read;
                self.drained = self.end < self.inbox.len();
                Ok(())
            }
        }
    }
}

/// Nothing there yet, or a signal came: try again.
fn retry(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// A read that ran into its time-out.
pub fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
