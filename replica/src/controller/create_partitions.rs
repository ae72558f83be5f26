//! CreatePartitions.

use tautline_core::error::ErrorCode;
use tautline_core::ids::NodeId;

use super::assignments::check_replicas;
use super::create_topics::{check_request_size, check_room};
use super::{Controller, Decision, Refusal, repeated};
use crate::metadata::{MetadataRecord, is_internal};

/// A topic that shall have more partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub name: String,
    /// The new total.
    pub partition_count: i32,
    /// Replicas of each added partition, if the client chooses them.
    pub assignments: Option<Vec<Vec<NodeId>>>,
}

impl Controller {
    /// Decides on partitions to add; a result is the new total.
    #[must_use]
    pub fn create_partitions(&self, topics: &[NewPartitions]) -> Decision<u32> {
        let repeated = repeated(topics.iter().map(|topic| &topic.name));
        let mut added = 0;
        let mut records = Vec::new();
        let results = topics.iter().map(|topic| {
            if repeated.contains(&topic.name) {
                return Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."));
            }
            let (record, more) = self.grow(topic, added)?;
            added += more;
            records.push(record);
            Ok(topic.partition_count as u32)
        });
        let results = results.collect();
        Decision { records, results }
    }

    fn grow(&self, wanted: &NewPartitions, added: usize) -> Result<(MetadataRecord, usize), Refusal> {
        let image = self.image();
        let topic = image.topic(&wanted.name).ok_or_else(|| {
            let message = format!("The topic '{}' does not exist.", wanted.name);
            Refusal::new(ErrorCode::UnknownTopicOrPartition, message)
        })?;
        // Which partition a group's or a transaction's state lies in depends on their number.
        if is_internal(&topic.name) {
            let message = format!("Partitions can't be added to the internal topic {}.", topic.name);
            return Err(Refusal::new(ErrorCode::InvalidTopicException, message));
        }
        let (name, current) = (&topic.name, topic.partition_count);
        let invalid = |message: String| Err(Refusal::new(ErrorCode::InvalidPartitions, message));
        let total = match u32::try_from(wanted.partition_count) {
            Ok(total) if total == current => {
                return invalid(format!("Topic already has {current} partition(s)."));
            }
            Ok(total) if total > current => total,
            _ => {
                return invalid(format!(
                    "The topic {name} currently has {current} partition(s); {} would not be an increase.",
                    wanted.partition_count
                ));
            }
        };
        let more = (total - current) as usize;
        if let Some(assignments) = &wanted.assignments {
            if assignments.len() != more {
                let given = assignments.len();
                return Err(Refusal::new(
                    ErrorCode::InvalidReplicaAssignment,
                    format!(
                        "Attempted to add {more} additional partition(s), but only {given} assignment(s) were specified."
                    ),
                ));
            }
            check_replicas(image, assignments.iter().map(Vec::as_slice))?;
        }
        check_request_size(added + more)?;
        // A topic's total has the same bound as what a request adds.
        check_request_size(total as usize)?;
        check_room(image, added + more)?;
        Ok((
            MetadataRecord::PartitionCount {
                id: topic.id,
                partition_count: total,
            },
            more,
        ))
    }
}
