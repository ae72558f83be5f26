//! The end of a transaction in partitions: each is taken to its shard, where its marker is appended and committed.

use std::rc::Rc;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use tautline_core::batch::EndTransactionMarker;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, TopicId};
use tautline_core::task::yield_if_needed;
use tautline_replica::coordinator::TransactionalProducer;
use tautline_replica::groups::GroupCoordinator;
use tautline_store::TransactionVersion;

use crate::broker::Broker;
use crate::coordinator::Hosted;
use crate::coordinator::limits::MARKERS_AT_A_TIME;

/// How a transaction ends.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// Who is in the markers.
    pub producer: TransactionalProducer,
    /// Commit or abort, and the coordinator's epoch.
    pub marker: EndTransactionMarker,
    /// How the producer's transactions end.
    pub version: TransactionVersion,
}

/// A partition, with its place in the list it came in.
type Placed = (usize, TopicId, PartitionIndex);

impl Broker {
    /// Ends a transaction in partitions, whose topics there are. Gives what became of each, in their order; a marker that was
    /// written is committed.
    pub async fn end_in_partitions(
        self: &Rc<Self>,
        ending: Ending,
        partitions: &[(TopicId, PartitionIndex)],
    ) -> Vec<Result<(), ErrorCode>> {
        let mut by_shard: Vec<Vec<Placed>> = self.shards().map(|_| Vec::new()).collect();
        for (place, &(topic, index)) in partitions.iter().enumerate() {
            by_shard[usize::from(self.owner(topic, index).0)].push((place, topic, index));
        }
        let ended = self
            .shards()
            .zip(by_shard)
            .filter(|(_, placed)| !placed.is_empty())
            .map(|(shard, placed)| self.on_shard(shard, move |broker| end_here(broker, ending, placed)));
        let mut results = vec![Err(ErrorCode::NotLeaderOrFollower); partitions.len()];
        for (place, result) in join_all(ended).await.into_iter().flatten() {
            results[place] = result;
        }
        results
    }
}

/// Ends it in partitions of this shard.
async fn end_here(
    broker: Rc<Broker>,
    ending: Ending,
    placed: Vec<Placed>,
) -> Vec<(usize, Result<(), ErrorCode>)> {
    let end = |(place, topic, index)| {
        let broker = &broker;
        async move {
            let result = end_one(broker, ending, topic, index).await;
            yield_if_needed().await;
            (place, result)
        }
    };
    stream::iter(placed)
        .map(end)
        .buffer_unordered(MARKERS_AT_A_TIME)
        .collect()
        .await
}

async fn end_one(
    broker: &Rc<Broker>,
    ending: Ending,
    topic: TopicId,
    index: PartitionIndex,
) -> Result<(), ErrorCode> {
    let Ending {
        producer,
        marker,
        version,
    } = ending;
    let partition = broker.find_partition(topic, index)?;
    if *partition.topic != *GroupCoordinator::TOPIC.name() {
        return partition
            .end_transaction(producer.id, producer.epoch, marker, version)
            .await;
    }
    // The group coordinator decides on its offsets in the order of its log.
    let host = GroupCoordinator::hosts(broker)
        .get(topic, index)
        .ok_or(ErrorCode::NotCoordinator)?;
    host.end_transaction(producer, marker, version).await
}
