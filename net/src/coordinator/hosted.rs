//! What tells one kind of coordinator from another.

use std::rc::Rc;

use tautline_core::ids::PartitionIndex;
use tautline_replica::coordinator::Coordinator;

use super::{Hosts, InternalTopic};
use crate::broker::Broker;

/// A coordinator that shards of this broker host. Its requests come from any shard, and its answers go back there.
pub trait Hosted: Coordinator<Request: Send + 'static, Response: Send + 'static> + Sized + 'static {
    /// Where it keeps its state.
    const TOPIC: InternalTopic;

    /// Its hosts on a shard.
    fn hosts(broker: &Broker) -> &Hosts<Self>;

    /// One that has read nothing yet.
    fn create(broker: &Rc<Broker>, partition: PartitionIndex) -> Self;

    /// It has replayed its whole log, and is about to serve.
    fn loaded(&mut self, _broker: &Rc<Broker>, _partition: PartitionIndex) {}

    /// Begins what one of its partitions wants to be done elsewhere.
    fn act(broker: &Rc<Broker>, partition: PartitionIndex, effect: Self::Effect);
}
