//! The admin address: /metrics, /trace, /healthz and /readyz over HTTP, on one plain thread of its own.
//!
//! The thread serves one request after another, each within a deadline and with a bounded head, so that whoever connects costs one
//! socket and a few kilobytes. Shards are asked through their [`Remote`]; one that does not answer within a second is left out of
//! the answer, and is not asked again before it has answered, so that scrapes never pile up on it.

mod http;
mod shards;
mod trace;

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tautline_core::remote::Remote;

use self::http::{Exchange, Refused, Request};
use self::shards::Shards;
use crate::config::HostPort;
use crate::metrics::{self, NodeFacts, Totals};

pub use shards::attach;
pub use trace::{Look, Slow};

/// How long the shards have to answer.
const SHARDS_WITHIN: Duration = Duration::from_secs(1);

/// Where the node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// It opens its logs.
    Starting,
    /// It takes requests.
    Ready,
    /// It was told to stop.
    Stopping,
}

/// What the main thread tells the admin thread. Clones are the same.
#[derive(Clone)]
pub struct Status {
    phase: Arc<AtomicU8>,
    shards: Arc<Shards>,
}

impl Status {
    /// The node has come to another phase.
    pub fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// A shard runs, and can be asked.
    pub fn add_shard(&self, remote: Remote) {
        self.shards.add(remote);
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) == phase as u8
    }
}

/// A bound admin address.
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
}

impl Admin {
    /// Binds the address.
    ///
    /// # Errors
    /// With the cure: a port in use, an address that is not this machine's.
    pub fn bind(address: &HostPort) -> anyhow::Result<Admin> {
        let mut found = (address.host.as_str(), address.port)
            .to_socket_addrs()
            .with_context(|| format!("--admin {address}: the host is not known"))?;
        let resolved = found
            .next()
            .ok_or_else(|| anyhow!("--admin {address}: the host has no address"))?;
        let listener = TcpListener::bind(resolved).map_err(|error| match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                anyhow!("{resolved} is in use: stop the program that listens there, or choose another --admin address")
            }
            std::io::ErrorKind::AddrNotAvailable => anyhow!("{resolved} is not an address of this machine: check --admin"),
            _ => anyhow!("can't listen on {resolved} for --admin: {error}"),
        })?;
        let address = listener.local_addr().context("--admin")?;
        Ok(Admin { listener, address })
    }

    /// The address bound, with the port the kernel chose if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves from now on, until the process ends.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn serve(self, facts: NodeFacts) -> anyhow::Result<Status> {
        let status = Status {
            phase: Arc::new(AtomicU8::new(Phase::Starting as u8)),
            shards: Arc::default(),
        };
        let mut server = Server {
            status: status.clone(),
            facts,
            totals: Totals::default(),
            looked: Instant::now(),
        };
        let serve = move || {
            loop {
                match self.listener.accept() {
                    Ok((stream, _)) => server.serve(Exchange::new(stream)),
                    // Out of descriptors, most likely: others close theirs.
                    Err(_) => std::thread::sleep(http::ACCEPT_RETRY),
                }
            }
        };
        std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(serve)
            .context("the admin thread can't be started")?;
        Ok(status)
    }
}

struct Server {
    status: Status,
    facts: NodeFacts,
    totals: Totals,
    /// When the slowest requests were looked at last.
    looked: Instant,
}

impl Server {
    fn serve(&mut self, mut exchange: Exchange) {
        // Whoever went away does not need an answer.
        let _ = match exchange.read() {
            Ok(request) => self.answer(exchange, &request),
            Err(Refused::Gone) => Ok(()),
            Err(refused) => exchange.respond(refused.status(), "text/plain", refused.reason()),
        };
    }

    fn answer(&mut self, exchange: Exchange, request: &Request) -> std::io::Result<()> {
        match request.path.as_str() {
            "/metrics" => {
                let body = self.metrics(request.has("partitions", "1"));
                exchange.respond(200, metrics::CONTENT_TYPE, &body)
            }
            "/trace" => {
                let body = self.trace();
                exchange.respond(200, "application/json", &body)
            }
            "/healthz" => {
                let silent = self.status.shards.silent(SHARDS_WITHIN);
                if silent.is_empty() {
                    exchange.respond(200, "text/plain", "ok\n")
                } else {
                    let body =
                        format!("shards that have not answered within {SHARDS_WITHIN:?}: {silent:?}\n");
                    exchange.respond(503, "text/plain", &body)
                }
            }
            "/readyz" if self.status.is(Phase::Ready) => exchange.respond(200, "text/plain", "ready\n"),
            "/readyz" if self.status.is(Phase::Stopping) => exchange.respond(503, "text/plain", "stopping\n"),
            "/readyz" => exchange.respond(503, "text/plain", "starting\n"),
            _ => exchange.respond(
                404,
                "text/plain",
                "there are /metrics, /metrics?partitions=1, /trace, /healthz and /readyz\n",
            ),
        }
    }

    fn trace(&mut self) -> String {
        let (recorded, silent) = self.status.shards.recorded(SHARDS_WITHIN);
        let since = std::mem::replace(&mut self.looked, Instant::now());
        let look = Look::new(since, silent, &recorded);
        serde_json::to_string(&look).expect("names and numbers are JSON")
    }

    fn metrics(&mut self, partitions: bool) -> String {
        let mut answers = self.status.shards.snapshots(partitions, SHARDS_WITHIN);
        for snapshot in &mut answers.all {
            self.totals.absorb(snapshot);
        }
        let current = answers.current();
        self.totals
            .render(&self.facts, self.status.is(Phase::Ready), current)
    }
}
