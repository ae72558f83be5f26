//! The markers that a coordinator asks for: written in every partition of the transaction, tried again until they are.
//!
//! Promises: MarkersWritten is sent for a partition only when its marker is committed, or the partition is deleted. A task ends
//! when all are written, or when another coordinator has taken the place of the one that asked, which asks again.

use std::rc::Rc;

use tautline_core::batch::EndTransactionMarker;
use tautline_core::error::ErrorCode;
use tautline_core::ids::PartitionIndex;
use tautline_core::task::{Queue, spawn};
use tautline_core::time::sleep;
use tautline_replica::transactions::{
    MarkersWritten, TopicPartition, TransactionCoordinator, TransactionRequest, WriteMarkers,
};
use tautline_store::TransactionVersion;

use super::Ending;
use crate::broker::Broker;
use crate::coordinator::limits::{MARKERS_PAUSE_MAX, MARKERS_PAUSE_MIN};

/// What one try has come to.
#[derive(Default)]
struct Round {
    /// Their markers are written, or they are gone.
    done: Vec<TopicPartition>,
    /// To be tried again, and why.
    left: Vec<(TopicPartition, ErrorCode)>,
    /// A later coordinator has been here.
    fenced: bool,
}

/// Begins to write the markers, for the coordinator of partition `home`.
pub(super) fn write(broker: &Rc<Broker>, home: PartitionIndex, markers: WriteMarkers) {
    let counts = &broker.transactions.counts;
    let ends = if markers.committed {
        &counts.commits
    } else {
        &counts.aborts
    };
    ends.add(1);
    spawn(Queue::Coordination, run(broker.clone(), home, markers));
}

async fn run(broker: Rc<Broker>, home: PartitionIndex, mut markers: WriteMarkers) {
    let mut pause = MARKERS_PAUSE_MIN;
    let is_wanted = |broker: &Broker| {
        !broker.stopping.get() && broker.transactions.is_latest(home, markers.instance.number)
    };
    loop {
        let turn = broker.transactions.ending.enter().await;
        if !is_wanted(&broker) {
            return;
        }
        let round = try_all(&broker, &markers).await;
        drop(turn);
        if !round.done.is_empty() && !tell(&broker, home, &markers, round.done, &is_wanted).await {
            return;
        }
        if round.fenced || round.left.is_empty() {
            return;
        }
        if pause == MARKERS_PAUSE_MAX {
            let ((topic, partition), error) = &round.left[0];
            tracing::warn!(
                transactional_id = %markers.transactional_id, %topic, %partition,
                "the end of a transaction can't be written in {} partition(s), and is tried again: {error}",
                round.left.len()
            );
        }
        markers.partitions = round.left.into_iter().map(|(partition, _)| partition).collect();
        sleep(pause).await;
        pause = (pause * 2).min(MARKERS_PAUSE_MAX);
    }
}

async fn try_all(broker: &Rc<Broker>, markers: &WriteMarkers) -> Round {
    let ending = Ending {
        producer: markers.producer,
        marker: EndTransactionMarker {
            committed: markers.committed,
            coordinator_epoch: markers.instance.epoch,
        },
        version: if markers.transaction_version.bumps_epoch() {
            TransactionVersion::V2
        } else {
            TransactionVersion::V1
        },
    };
    let image = broker.image();
    let (mut round, mut names, mut partitions) = (Round::default(), Vec::new(), Vec::new());
    for (name, index) in &markers.partitions {
        match image.topic(name).filter(|topic| topic.has_partition(*index)) {
            Some(topic) => {
                names.push((name.clone(), *index));
                partitions.push((topic.id, *index));
            }
            None => round.done.push((name.clone(), *index)),
        }
    }
    let ended = broker.end_in_partitions(ending, &partitions).await;
    for (partition, result) in names.into_iter().zip(ended) {
        match result {
            Ok(()) => {
                broker.transactions.counts.markers.add(1);
                round.done.push(partition);
            }
            // A later epoch of the producer's has been here: what this one had open has ended.
            Err(ErrorCode::InvalidProducerEpoch) => {
                let ((topic, index), id) = (&partition, &markers.transactional_id);
                tracing::info!(transactional_id = %id, %topic, partition = %index, "a later epoch has ended the transaction");
                round.done.push(partition);
            }
            Err(ErrorCode::TransactionCoordinatorFenced) => round.fenced = true,
            Err(error) => round.left.push((partition, error)),
        }
    }
    round
}

/// Tells the coordinator. Whether it is there to be told.
async fn tell(
    broker: &Rc<Broker>,
    home: PartitionIndex,
    markers: &WriteMarkers,
    partitions: Vec<TopicPartition>,
    is_wanted: &impl Fn(&Broker) -> bool,
) -> bool {
    let written = MarkersWritten {
        transactional_id: markers.transactional_id.clone(),
        decision: markers.decision,
        instance: markers.instance.number,
        partitions,
    };
    while is_wanted(broker) {
        let request = TransactionRequest::MarkersWritten(written.clone());
        match broker
            .ask_partition::<TransactionCoordinator>(home, request)
            .await
        {
            Ok(_) => return true,
            // Too many wait for it.
            Err(ErrorCode::CoordinatorNotAvailable) => sleep(MARKERS_PAUSE_MAX).await,
            // Its successor asks again.
            Err(_) => return false,
        }
    }
    false
}
