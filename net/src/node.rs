//! The node as a whole, the same for all shards: identity, addresses, configuration.
//!
//! Clients see it as one broker, or as one for each shard (`--advertise lanes`): then they send each request to the core that
//! owns the partition, and no request crosses cores. The id of a lane is made of the node's and the shard's, and read by eye:
//! 10003 is shard 3 of node 1. Ids below 10000 are nodes that are one broker.

use std::sync::atomic::{AtomicI32, AtomicUsize};

use rustix::process::{Resource, getrlimit};
use tautline_core::ids::{NodeId, ShardId};
use tautline_core::limits::SHARDS_MAX;

use crate::config::{BrokerConfig, HostPort};

/// Ids that belong to one node.
const LANE_IDS_PER_NODE: i32 = 10_000;

const _: () = assert!(SHARDS_MAX <= LANE_IDS_PER_NODE as usize);

/// The id of a broker as clients know it: a node, or a lane of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BrokerId(pub i32);

impl BrokerId {
    /// Nodes that can have lanes.
    pub const NODES_WITH_LANES: std::ops::Range<i32> = 1..LANE_IDS_PER_NODE;

    /// The lane of a shard, on a node of [`BrokerId::NODES_WITH_LANES`].
    pub fn lane_of(node: NodeId, shard: ShardId) -> BrokerId {
        BrokerId(node.0 * LANE_IDS_PER_NODE + i32::from(shard.0))
    }

    /// The node.
    pub fn node(self) -> NodeId {
        if self.0 < LANE_IDS_PER_NODE {
            NodeId(self.0)
        } else {
            NodeId(self.0 / LANE_IDS_PER_NODE)
        }
    }

    /// The shard, if it is a lane's id.
    pub fn lane(self) -> Option<ShardId> {
        let lane = u16::try_from(self.0 % LANE_IDS_PER_NODE).ok()?;
        (self.0 >= LANE_IDS_PER_NODE).then_some(ShardId(lane))
    }
}

/// A broker as clients are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Its id.
    pub id: BrokerId,
    /// Where clients reach it.
    pub address: HostPort,
}

/// This node.
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// The cluster's id.
    pub cluster_id: String,
    /// The brokers that clients see in it: one, or one for each shard.
    pub advertised: Vec<Advertised>,
    /// Whether shard 0 is kept for the controller (`--control-core`): it owns no partitions then.
    pub control_apart: bool,
    /// What it was told at start; what was changed since is in the metadata.
    pub config: BrokerConfig,
    /// Connections open on all shards, which `max.connections` and [`Node::connections_max`] bound.
    pub connections: AtomicUsize,
    /// How many there may be at most by the limit of open files.
    pub connections_max: usize,
    /// How many shards are short of memory. A connection on any shard may hold what belongs to them.
    pub shards_short_of_memory: AtomicUsize,
    /// Epochs that transaction coordinators have taken since the start.
    pub coordinator_epochs: AtomicI32,
}

impl Node {
    /// The broker that leads what a shard owns.
    pub fn broker_of(&self, shard: ShardId) -> &Advertised {
        self.advertised
            .get(usize::from(shard.0))
            .unwrap_or(&self.advertised[0])
    }

    /// The broker by that id, if clients are told of it.
    pub fn find(&self, id: BrokerId) -> Option<&Advertised> {
        self.advertised.iter().find(|it| it.id == id)
    }

    /// Whether an id is one of this node's; its own stands for all of its lanes.
    pub fn has(&self, id: BrokerId) -> bool {
        id.0 == self.id.0 || self.find(id).is_some()
    }
}

/// One in so many descriptors is kept for logs: a client must not be able to make a segment fail.
const DESCRIPTORS_KEPT_SHARE: u64 = 4;

/// How many connections the limit of open files allows.
pub fn connections_max() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    // No limit reads as None.
    limit.map_or(usize::MAX, |descriptors| {
        (descriptors - descriptors / DESCRIPTORS_KEPT_SHARE) as usize
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_and_lane_are_read_out_of_an_id() {
        for node in [1, 2, 37, 9_999] {
            assert!(BrokerId::NODES_WITH_LANES.contains(&node));
            for shard in [0, 1, 63, SHARDS_MAX as u16 - 1] {
                let id = BrokerId::lane_of(NodeId(node), ShardId(shard));
                assert_eq!((id.node(), id.lane()), (NodeId(node), Some(ShardId(shard))));
            }
            let plain = BrokerId(node);
            assert_eq!((plain.node(), plain.lane()), (NodeId(node), None));
        }
        assert_eq!(BrokerId::lane_of(NodeId(1), ShardId(3)), BrokerId(10_003));
        assert_eq!(BrokerId(-1).lane(), None);
    }
}
