//! CreateTopics, and auto-creation by Metadata.

use std::collections::{BTreeMap, BTreeSet};

use tautline_core::error::ErrorCode;
use tautline_core::ids::TopicId;
use tautline_core::limits::{PARTITIONS_MAX, PARTITIONS_PER_REQUEST_MAX};

use super::assignments::{ManualAssignment, manual};
use super::{ClusterDefaults, ConfigRules, Controller, Decision, Refusal, repeated};
use crate::metadata::{ConfigResource, Configs, MetadataImage, MetadataRecord};
use crate::names;

/// A topic to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTopic {
    /// The name asked for.
    pub name: String,
    /// Number of partitions, -1 for the default or where assignments say it.
    pub partition_count: i32,
    /// Replicas of each partition, -1 for the default or where assignments say it.
    pub replication_factor: i16,
    /// Replicas chosen by the client; empty if it leaves the choice to us.
    pub assignments: Vec<ManualAssignment>,
    /// Configurations, `None` where the client sent null.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with nothing but defaults.
    #[must_use]
    pub fn with_defaults(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            partition_count: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// A topic that was decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partition_count: u32,
    /// Replicas of each partition.
    pub replication_factor: i16,
    /// What was set for it.
    pub configs: Configs,
}

/// What earlier topics of the same request have taken.
#[derive(Default)]
struct Taken {
    ids: BTreeSet<TopicId>,
    folded: BTreeMap<String, String>,
    partitions: usize,
}

impl Controller {
    /// Decides on topics to create. `new_id` gives random ids; one that is taken is not used.
    pub fn create_topics(
        &self,
        topics: &[NewTopic],
        defaults: &ClusterDefaults,
        rules: &dyn ConfigRules,
        mut new_id: impl FnMut() -> TopicId,
    ) -> Decision<CreatedTopic> {
        let repeated = repeated(topics.iter().map(|topic| &topic.name));
        let mut taken = Taken::default();
        let mut records = Vec::new();
        let results = topics.iter().map(|topic| {
            if repeated.contains(&topic.name) {
                return Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."));
            }
            let created = self.create_topic(topic, defaults, rules, &taken, &mut new_id)?;
            taken.partitions += created.partition_count as usize;
            if let Some(folded) = names::folded(&topic.name) {
                taken.folded.insert(folded, topic.name.clone());
            }
            taken.ids.insert(created.id);
            records.extend(records_of(&created));
            Ok(created)
        });
        let results = results.collect();
        Decision { records, results }
    }

    fn create_topic(
        &self,
        topic: &NewTopic,
        defaults: &ClusterDefaults,
        rules: &dyn ConfigRules,
        taken: &Taken,
        new_id: &mut dyn FnMut() -> TopicId,
    ) -> Result<CreatedTopic, Refusal> {
        let image = self.image();
        names::validate(&topic.name)?;
        if image.topic(&topic.name).is_some() {
            let message = format!("Topic '{}' already exists.", topic.name);
            return Err(Refusal::new(ErrorCode::TopicAlreadyExists, message));
        }
        check_collision(image, taken, &topic.name)?;
        let configs = configs_of(topic, rules)?;
        let (partition_count, replication_factor) = if topic.assignments.is_empty() {
            automatic(image, topic, defaults)?
        } else {
            manual(image, topic)?
        };
        let added = taken.partitions.saturating_add(partition_count as usize);
        check_request_size(added)?;
        check_room(image, added)?;
        let id = std::iter::repeat_with(new_id)
            .find(|id| *id != TopicId::ZERO && image.topic_by_id(*id).is_none() && !taken.ids.contains(id))
            .expect("the iterator does not end");
        Ok(CreatedTopic {
            id,
            name: topic.name.clone(),
            partition_count,
            replication_factor,
            configs,
        })
    }
}

fn records_of(created: &CreatedTopic) -> impl Iterator<Item = MetadataRecord> {
    let resource = ConfigResource::Topic(created.name.clone());
    let topic = MetadataRecord::Topic {
        id: created.id,
        name: created.name.clone(),
        partition_count: created.partition_count,
    };
    std::iter::once(topic).chain(
        created
            .configs
            .iter()
            .map(move |(name, value)| MetadataRecord::SetConfig {
                resource: resource.clone(),
                name: name.clone(),
                value: value.clone(),
            }),
    )
}

fn check_collision(image: &MetadataImage, taken: &Taken, name: &str) -> Result<(), Refusal> {
    let Some(folded) = names::folded(name) else {
        return Ok(());
    };
    let other = image.colliding_topic(name).map(|other| &other[..]);
    match other.or(taken.folded.get(&folded).map(String::as_str)) {
        Some(other) => Err(Refusal::new(
            ErrorCode::InvalidTopicException,
            format!("Topic '{name}' collides with existing topic: {other}"),
        )),
        None => Ok(()),
    }
}

fn configs_of(topic: &NewTopic, rules: &dyn ConfigRules) -> Result<Configs, Refusal> {
    let mut configs = Configs::new();
    for (name, value) in &topic.configs {
        let Some(value) = value else {
            let message = format!("Null value not supported for topic configs: {name}");
            return Err(Refusal::new(ErrorCode::InvalidConfig, message));
        };
        if configs.insert(name.clone(), value.clone()).is_some() {
            let message = format!("Topic config {name} is given more than once.");
            return Err(Refusal::new(ErrorCode::InvalidRequest, message));
        }
    }
    if !configs.is_empty() {
        rules.check(&ConfigResource::Topic(topic.name.clone()), &configs)?;
    }
    Ok(configs)
}

fn automatic(
    image: &MetadataImage,
    topic: &NewTopic,
    defaults: &ClusterDefaults,
) -> Result<(u32, i16), Refusal> {
    let replication_factor = match topic.replication_factor {
        -1 => defaults.replication_factor,
        i16::MIN..=0 => {
            return Err(Refusal::new(
                ErrorCode::InvalidReplicationFactor,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            ));
        }
        replication_factor => replication_factor,
    };
    let partition_count = match topic.partition_count {
        -1 => defaults.partition_count,
        i32::MIN..=0 => {
            return Err(Refusal::new(
                ErrorCode::InvalidPartitions,
                "Number of partitions was set to an invalid non-positive value.",
            ));
        }
        partition_count => partition_count as u32,
    };
    if replication_factor != 1 {
        let brokers = image.brokers().len();
        return Err(Refusal::new(
            ErrorCode::InvalidReplicationFactor,
            format!(
                "Unable to replicate the partition {replication_factor} time(s): the target replication factor of \
                 {replication_factor} cannot be reached because only {brokers} broker(s) are registered."
            ),
        ));
    }
    Ok((partition_count, replication_factor))
}

/// Checks how many partitions a request adds to the cluster, or a topic would have.
pub(super) fn check_request_size(partitions: usize) -> Result<(), Refusal> {
    if partitions <= PARTITIONS_PER_REQUEST_MAX {
        return Ok(());
    }
    let message = format!(
        "Excessively large number of partitions per request: more than {PARTITIONS_PER_REQUEST_MAX}."
    );
    Err(Refusal::new(ErrorCode::PolicyViolation, message))
}

/// Checks that the cluster has room for what a request adds.
pub(super) fn check_room(image: &MetadataImage, added: usize) -> Result<(), Refusal> {
    if image.partition_total().saturating_add(added as u64) <= PARTITIONS_MAX as u64 {
        return Ok(());
    }
    let message = format!("The cluster would have more than {PARTITIONS_MAX} partitions.");
    Err(Refusal::new(ErrorCode::PolicyViolation, message))
}
