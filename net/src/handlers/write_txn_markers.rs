//! WriteTxnMarkers (27), versions 1-2: an administrator ends a transaction in partitions where it was left open. KIP-98, KIP-664,
//! KIP-1228 (2: the transaction's version).
//!
//! The coordinators of this broker write their markers without this request.

use tautline_core::batch::EndTransactionMarker;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use tautline_replica::coordinator::TransactionalProducer;
use tautline_store::TransactionVersion;

use crate::connection::{Call, Reply};
use crate::coordinator::Ending;
use crate::wire::{
    WireError, WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopic, WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};

/// First transaction version whose markers carry a later epoch than the records.
const BUMPING_VERSION: i8 = 2;

/// Writes the markers, one after the other; each in all of its partitions at a time.
pub async fn handle(call: Call) -> Result<Reply, WireError> {
    let request: WriteTxnMarkersRequest<'_> = call.decode()?;
    let mut markers = Vec::with_capacity(request.markers.len());
    for marker in &request.markers {
        markers.push(write(&call, marker).await);
    }
    Ok(call.reply(&WriteTxnMarkersResponse { markers }))
}

async fn write<'a>(call: &Call, marker: &WritableTxnMarker<'a>) -> WritableTxnMarkerResult<'a> {
    let ending = Ending {
        producer: TransactionalProducer {
            id: ProducerId(marker.producer_id),
            epoch: ProducerEpoch(marker.producer_epoch),
        },
        marker: EndTransactionMarker {
            committed: marker.transaction_result,
            coordinator_epoch: marker.coordinator_epoch,
        },
        version: if marker.transaction_version >= BUMPING_VERSION {
            TransactionVersion::V2
        } else {
            TransactionVersion::V1
        },
    };
    let (mut known, mut places) = (Vec::new(), Vec::new());
    for topic in &marker.topics {
        let found = call.broker.find_topic(&topic.name, TopicId::ZERO);
        for &index in &topic.partition_indexes {
            let index = PartitionIndex(index);
            let found = found.as_ref().filter(|topic| topic.has_partition(index));
            places.push(found.map(|topic| {
                known.push((topic.id, index));
                known.len() - 1
            }));
        }
    }
    let ended = if marker.producer_id < 0 || marker.producer_epoch < 0 {
        vec![Err(ErrorCode::InvalidRequest); known.len()]
    } else {
        call.broker.end_in_partitions(ending, &known).await
    };
    let mut results = places.into_iter().map(|place| match place {
        Some(place) => ended[place].err().unwrap_or(ErrorCode::None),
        None => ErrorCode::UnknownTopicOrPartition,
    });
    let topics = marker.topics.iter().map(|topic| of_topic(topic, &mut results));
    WritableTxnMarkerResult {
        producer_id: marker.producer_id,
        topics: topics.collect(),
    }
}

fn of_topic<'a>(
    topic: &WritableTxnMarkerTopic<'a>,
    results: &mut impl Iterator<Item = ErrorCode>,
) -> WritableTxnMarkerTopicResult<'a> {
    let partitions = topic.partition_indexes.iter().zip(results);
    WritableTxnMarkerTopicResult {
        name: topic.name.clone(),
        partitions: partitions
            .map(|(&partition_index, error)| WritableTxnMarkerPartitionResult {
                partition_index,
                error_code: error.code(),
            })
            .collect(),
    }
}
