//! What the sweeper and the handlers see of a connection.

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;

use tautline_core::socket::Stream;
use tautline_core::sync::Signal;
use tautline_core::task::Task;
use tautline_core::time::{monotonic_ns, turn_ns};

/// The address a connection has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// The node's: it is told of all shards.
    Node,
    /// The shard's own: where each broker answers for itself, the client asks the other shards as well.
    Lane,
}

/// What a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// For the next request.
    Idle,
    /// For the broker.
    Busy,
    /// For the rest of a request.
    Receiving,
    /// For the client to read its response.
    Sending,
    /// For requests of a client that has closed its side.
    Leaving,
}

/// What the sweeper and the handlers see of a connection.
pub struct ConnectionState {
    pub(super) stream: Stream,
    last_progress_ns: Cell<u64>,
    pub(super) in_flight: Cell<usize>,
    /// A frame has begun and not ended.
    pub(super) receiving: Cell<bool>,
    /// The socket is read.
    pub(super) reading: Cell<bool>,
    pub(super) waits_for_memory: Cell<bool>,
    pub(super) sending: Cell<bool>,
    /// The end of what the client sends has been read.
    pub(super) leaving: Cell<bool>,
    /// The client has closed its side, maybe with requests before that which are not read yet.
    closed_by_peer: Cell<bool>,
    left: Signal,
    pub(super) task: OnceCell<Task<()>>,
    /// The sweeper's note: bytes that had moved on the socket, and when it saw that.
    seen: Cell<(u64, u64)>,
    /// The client's address, for log lines.
    pub peer: String,
    /// The same, if it was still there when the connection began.
    pub peer_address: Option<SocketAddr>,
    /// The address it has come to.
    pub entrance: Entrance,
}

impl ConnectionState {
    /// A connection that has just begun.
    pub fn new(stream: Stream, entrance: Entrance) -> ConnectionState {
        let peer_address = stream.peer();
        let peer = peer_address.map_or_else(|| "gone".to_owned(), |peer| peer.to_string());
        ConnectionState {
            stream,
            last_progress_ns: Cell::new(monotonic_ns()),
            in_flight: Cell::new(0),
            receiving: Cell::new(false),
            reading: Cell::new(true),
            waits_for_memory: Cell::new(false),
            sending: Cell::new(false),
            leaving: Cell::new(false),
            closed_by_peer: Cell::new(false),
            left: Signal::new(),
            task: OnceCell::new(),
            seen: Cell::new((0, 0)),
            peer,
            peer_address,
            entrance,
        }
    }

    /// Notes that something has moved in this turn of the shard, and when.
    pub(super) fn touch(&self) -> u64 {
        let now_ns = turn_ns();
        self.last_progress_ns.set(now_ns);
        now_ns
    }

    /// Nanoseconds on the monotonic clock at which a request or a response last moved.
    pub fn last_progress_ns(&self) -> u64 {
        self.last_progress_ns.get()
    }

    /// Nanoseconds on the monotonic clock at which a byte was last seen to have moved. Looked up in the kernel, since a long
    /// receive or send is one operation: for those that seem to be stuck.
    pub fn last_byte_ns(&self, now_ns: u64) -> u64 {
        let moved = self.stream.traffic().map(|traffic| match self.sending.get() {
            true => traffic.bytes_acknowledged,
            false => traffic.bytes_received,
        });
        if let Some(moved) = moved.filter(|moved| *moved != self.seen.get().0) {
            self.seen.set((moved, now_ns));
        }
        self.seen.get().1.max(self.last_progress_ns())
    }

    /// Whether the client has closed its side: nothing is worth waiting for any more.
    pub fn is_leaving(&self) -> bool {
        self.closed_by_peer.get()
    }

    /// Asks the kernel whether the client has closed its side, where nothing is read that would tell: a request must not wait
    /// for days for a client that is gone because another request lies behind it.
    pub fn look_for_end(&self) {
        if !self.reading.get() && !self.is_leaving() && self.stream.peer_has_closed() {
            self.note_end();
        }
    }

    /// Notes that the client has closed its side.
    pub(super) fn note_end(&self) {
        self.closed_by_peer.set(true);
        self.left.notify_all();
    }

    /// Completes when the client closes its side.
    pub async fn left(&self) {
        while !self.is_leaving() {
            self.left.wait().await;
        }
    }

    /// What it waits for.
    pub fn activity(&self) -> Activity {
        if self.sending.get() {
            Activity::Sending
        } else if self.leaving.get() {
            Activity::Leaving
        } else if self.waits_for_memory.get() {
            Activity::Busy
        } else if self.receiving.get() && self.reading.get() {
            Activity::Receiving
        } else if self.is_busy() {
            Activity::Busy
        } else {
            Activity::Idle
        }
    }

    /// Whether requests are being worked on (a long poll is not idleness).
    pub fn is_busy(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// Closes the connection; what was begun on it is given up where it waits.
    pub fn close(&self) {
        self.stream.shutdown();
        if let Some(task) = self.task.get() {
            task.cancel();
        }
    }
}
