//! Addresses to listen on, and to tell clients.
//!
//! ```text
//!  --listen HOST:PORT       the node: shards share it (SO_REUSEPORT)
//!           PORT + 1 + n    lane n, with --advertise lanes: shard n alone
//! ```
//!
//! Port 0 lets the kernel choose all of them. Behind an --advertise-address lanes are told of in the same way, by its port.

use std::io::ErrorKind;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use tautline_core::ids::{NodeId, ShardId};
use tautline_core::socket::Listener;

use crate::config::{AdvertiseFlag, HostPort, StartOptions};
use crate::connection::Entrance;
use crate::node::{Advertised, BrokerId};

/// How long a busy address is tried again.
const REBIND: Duration = Duration::from_secs(1);
/// How long between two tries.
const REBIND_PAUSE: Duration = Duration::from_millis(10);

/// What the shards listen on.
pub(super) struct Doors {
    /// The node's address.
    pub address: SocketAddr,
    /// The listeners of each shard.
    pub listeners: Vec<Vec<(Entrance, Listener)>>,
}

impl Doors {
    /// Binds all addresses.
    ///
    /// # Errors
    /// With the cure: a port in use, an address that is not this machine's.
    pub fn open(options: &StartOptions) -> anyhow::Result<Doors> {
        let shards = options.runtime().shard_count();
        let lanes = options.advertise == AdvertiseFlag::Lanes;
        // What comes to the node's address and is meant for others would cost the shards a hop each; where clients know lanes,
        // little more than their first question comes here, which the control core answers without troubling shards.
        let answering = match (options.control_core.is_some(), lanes) {
            (false, _) => 0..shards,
            (true, false) => 1..shards,
            (true, true) => 0..1,
        };
        let mut doors = Doors {
            address: resolve(&options.listen)?,
            listeners: (0..shards).map(|_| Vec::new()).collect(),
        };
        let node = bind(doors.address, answering.len())?;
        let asked = doors.address.port();
        doors.address = node[0].address();
        for (shard, listener) in answering.zip(node) {
            doors.listeners[shard].push((Entrance::Node, listener));
        }
        for (shard, own) in doors.listeners.iter_mut().enumerate().filter(|_| lanes) {
            let port = if asked == 0 { 0 } else { lane_port(asked, shard)? };
            let listeners = bind(SocketAddr::new(doors.address.ip(), port), 1)
                .with_context(|| format!("the address of lane {shard} (--advertise lanes)"))?;
            own.extend(listeners.into_iter().map(|listener| (Entrance::Lane, listener)));
        }
        Ok(doors)
    }

    /// The brokers that clients are told of.
    ///
    /// # Errors
    /// A node whose id leaves no room for lanes, and an advertised port without enough ports after it.
    pub fn advertised(&self, options: &StartOptions, node: NodeId) -> anyhow::Result<Vec<Advertised>> {
        let told = options.advertise_address.clone();
        if options.advertise == AdvertiseFlag::Node {
            let address = told.unwrap_or_else(|| advertise(self.address));
            let id = BrokerId(node.0);
            return Ok(vec![Advertised { id, address }]);
        }
        let nodes = BrokerId::NODES_WITH_LANES;
        if !nodes.contains(&node.0) {
            let last = nodes.end - 1;
            return Err(anyhow!(
                "--advertise lanes: node {node} can't have lanes, only nodes from {} to {last} can",
                nodes.start
            ));
        }
        let lane = |(shard, listeners): (usize, &Vec<(Entrance, Listener)>)| {
            let own = listeners.iter().find(|(entrance, _)| *entrance == Entrance::Lane);
            let (_, listener) = own.expect("every lane has been bound");
            let address = match &told {
                Some(told) => HostPort {
                    host: told.host.clone(),
                    port: lane_port(told.port, shard)?,
                },
                None => advertise(listener.address()),
            };
            let id = BrokerId::lane_of(node, ShardId(shard as u16));
            Ok(Advertised { id, address })
        };
        self.listeners.iter().enumerate().map(lane).collect()
    }
}

/// The port of a lane, by the node's.
fn lane_port(node: u16, shard: usize) -> anyhow::Result<u16> {
    let port = usize::from(node) + 1 + shard;
    u16::try_from(port).map_err(|_| {
        anyhow!("--advertise lanes needs a port a core after {node}, and {port} is none: choose a lower one")
    })
}

/// The address that `--listen` names.
fn resolve(address: &HostPort) -> anyhow::Result<SocketAddr> {
    let mut found = (address.host.as_str(), address.port)
        .to_socket_addrs()
        .with_context(|| format!("--listen {address}: the host is not known"))?;
    found
        .next()
        .ok_or_else(|| anyhow!("--listen {address}: the host has no address"))
}

/// One listener a shard on the same address; the first makes sure that nobody else is there.
fn bind(address: SocketAddr, count: usize) -> anyhow::Result<Vec<Listener>> {
    let first = bind_first(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!(
                "{address} is in use: stop the program that listens there, or choose another --listen address"
            )
        }
        ErrorKind::AddrNotAvailable => {
            anyhow!("{address} is not an address of this machine: check --listen")
        }
        _ => anyhow!("can't listen on {address}: {error}"),
    })?;
    let address = first.address();
    let mut listeners = vec![first];
    for _ in 1..count {
        listeners.push(Listener::bind(address, false).with_context(|| format!("can't listen on {address}"))?);
    }
    Ok(listeners)
}

/// Binds, trying again for a while: the kernel lets go of a killed broker's sockets a little after the process is gone.
fn bind_first(address: SocketAddr) -> std::io::Result<Listener> {
    let deadline = Instant::now() + REBIND;
    loop {
        match Listener::bind(address, true) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < deadline => {
                std::thread::sleep(REBIND_PAUSE);
            }
            result => return result,
        }
    }
}

/// An address that clients can use: a wildcard becomes this host's name.
fn advertise(address: SocketAddr) -> HostPort {
    let host = if address.ip().is_unspecified() {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    } else {
        address.ip().to_string()
    };
    HostPort {
        host,
        port: address.port(),
    }
}
