//! Replicas that a client chooses itself.

use std::collections::BTreeSet;

use tautline_core::error::ErrorCode;
use tautline_core::ids::{NodeId, PartitionIndex};

use super::{NewTopic, Refusal, repeated};
use crate::metadata::MetadataImage;

/// Replicas of one partition, as a client asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManualAssignment {
    /// Which partition.
    pub partition: PartitionIndex,
    /// Its replicas.
    pub replicas: Vec<NodeId>,
}

/// Partitions and replicas of a topic whose creator assigned them.
pub(super) fn manual(image: &MetadataImage, topic: &NewTopic) -> Result<(u32, i16), Refusal> {
    let invalid = |what| {
        let message = format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(Refusal::new(ErrorCode::InvalidRequest, message))
    };
    if topic.replication_factor != -1 {
        return invalid("replication factor");
    }
    if topic.partition_count != -1 {
        return invalid("numPartitions");
    }
    let partitions: BTreeSet<_> = topic
        .assignments
        .iter()
        .map(|assignment| assignment.partition)
        .collect();
    if partitions.len() != topic.assignments.len() {
        return Err(Refusal::new(
            ErrorCode::InvalidReplicaAssignment,
            "Found multiple manual partition assignments for the same partition.",
        ));
    }
    let (first, last) = (partitions.first().map(|p| p.0), partitions.last().map(|p| p.0));
    if first != Some(0) || last != i32::try_from(partitions.len() - 1).ok() {
        return Err(Refusal::new(
            ErrorCode::InvalidReplicaAssignment,
            "Partitions should be a consecutive 0-based integer sequence.",
        ));
    }
    check_replicas(
        image,
        topic
            .assignments
            .iter()
            .map(|assignment| &assignment.replicas[..]),
    )?;
    let partition_count = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
    Ok((partition_count, topic.assignments[0].replicas.len() as i16))
}

/// Checks replicas chosen by a client: brokers that exist, none twice, the same number everywhere.
pub(super) fn check_replicas<'a>(
    image: &MetadataImage,
    assignments: impl Iterator<Item = &'a [NodeId]>,
) -> Result<(), Refusal> {
    let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidReplicaAssignment, message));
    for replicas in assignments {
        if replicas.is_empty() {
            return invalid("The manual partition assignment includes an empty replica list.".to_owned());
        }
        if let Some(node) = replicas.iter().find(|node| image.broker(**node).is_none()) {
            return invalid(format!(
                "The manual partition assignment includes broker {node}, but no such broker is registered."
            ));
        }
        if let Some(node) = repeated(replicas.iter()).first() {
            return invalid(format!(
                "The manual partition assignment includes the broker {node} more than once."
            ));
        }
        if replicas.len() != 1 {
            let count = replicas.len();
            return invalid(format!(
                "The manual partition assignment includes a partition with {count} replica(s), but partitions have one."
            ));
        }
    }
    Ok(())
}
