//! Group coordinators on `__consumer_offsets`.

use std::convert::Infallible;
use std::rc::Rc;

use tautline_core::ids::PartitionIndex;
use tautline_replica::groups::GroupCoordinator;

use super::{Hosted, Hosts, InternalTopic};
use crate::broker::Broker;

impl Hosted for GroupCoordinator {
    const TOPIC: InternalTopic = InternalTopic::ConsumerOffsets;

    fn hosts(broker: &Broker) -> &Hosts<Self> {
        &broker.groups
    }

    fn create(broker: &Rc<Broker>, _: PartitionIndex) -> Self {
        GroupCoordinator::new(
            broker.node.config.group_config(),
            broker.coordinator_memory.clone(),
        )
    }

    fn act(_: &Rc<Broker>, _: PartitionIndex, effect: Infallible) {
        match effect {}
    }
}
