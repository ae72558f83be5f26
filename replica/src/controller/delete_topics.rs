//! DeleteTopics.

use std::collections::BTreeSet;

use tautline_core::error::ErrorCode;
use tautline_core::ids::TopicId;

use super::{ClusterDefaults, Controller, Decision, Refusal, repeated};
use crate::metadata::{MetadataRecord, TopicImage};

/// A topic as a request names it: by its name, by its id, and wrongly by both or neither.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicRef {
    /// The name, if it is named.
    pub name: Option<String>,
    /// The id, [`TopicId::ZERO`] if it is named.
    pub id: TopicId,
}

/// A topic that was decided on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedTopic {
    /// Its identity.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// Partitions whose logs go with it.
    pub partition_count: u32,
}

impl Controller {
    /// Decides on topics to delete.
    #[must_use]
    pub fn delete_topics(&self, topics: &[TopicRef], defaults: &ClusterDefaults) -> Decision<DeletedTopic> {
        let names = repeated(topics.iter().filter_map(|topic| topic.name.as_deref()));
        let ids = repeated(
            topics
                .iter()
                .filter(|topic| topic.name.is_none())
                .map(|topic| topic.id),
        );
        let mut taken = BTreeSet::new();
        let mut records = Vec::new();
        let results = topics.iter().map(|wanted| {
            if !defaults.topics_deletable {
                let message = "Topic deletion is disabled: delete.topic.enable is false.";
                return Err(Refusal::new(ErrorCode::TopicDeletionDisabled, message));
            }
            if wanted.name.as_deref().is_some_and(|name| names.contains(name)) {
                return Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic name."));
            }
            if wanted.name.is_none() && wanted.id != TopicId::ZERO && ids.contains(&wanted.id) {
                return Err(Refusal::new(ErrorCode::InvalidRequest, "Duplicate topic id."));
            }
            let topic = self.find(wanted)?;
            if !taken.insert(topic.id) {
                let message = "The provided topic name maps to an ID that was already supplied.";
                return Err(Refusal::new(ErrorCode::InvalidRequest, message));
            }
            records.push(MetadataRecord::RemoveTopic { id: topic.id });
            Ok(DeletedTopic {
                id: topic.id,
                name: topic.name.to_string(),
                partition_count: topic.partition_count,
            })
        });
        let results = results.collect();
        Decision { records, results }
    }

    fn find(&self, wanted: &TopicRef) -> Result<&TopicImage, Refusal> {
        match (&wanted.name, wanted.id) {
            (Some(name), TopicId::ZERO) => self.image().topic(name).map(|topic| &**topic).ok_or_else(|| {
                let message = format!("The topic '{name}' does not exist.");
                Refusal::new(ErrorCode::UnknownTopicOrPartition, message)
            }),
            (None, TopicId::ZERO) => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "Neither topic name nor id were specified.",
            )),
            (None, id) => self.image().topic_by_id(id).map(|topic| &**topic).ok_or_else(|| {
                Refusal::new(
                    ErrorCode::UnknownTopicId,
                    format!("There is no topic of id {id}."),
                )
            }),
            (Some(_), _) => Err(Refusal::new(
                ErrorCode::InvalidRequest,
                "You may not specify both topic name and topic id.",
            )),
        }
    }
}
