//! The offsets of a commit, sorted by what is known without the coordinator: a partition has to exist.

use tautline_core::error::ErrorCode;
use tautline_core::ids::TopicId;
use tautline_replica::groups::request::{CommitPartition, CommitTopic};
use tautline_replica::groups::response::Committed;
use uuid::Uuid;

use crate::connection::Call;

/// See the module.
#[derive(Default)]
pub(super) struct CheckedCommit {
    /// What the coordinator is asked.
    pub topics: Vec<CommitTopic>,
    /// What is answered for each partition in the request's order; `None` for what the coordinator answers.
    answers: Vec<Vec<Option<ErrorCode>>>,
}

impl CheckedCommit {
    /// Adds a topic, named by its name or, where there is one, by its id.
    pub fn add(
        &mut self,
        call: &Call,
        name: &str,
        id: Uuid,
        partitions: impl ExactSizeIterator<Item = CommitPartition>,
    ) {
        let Some(topic) = call.broker.find_topic(name, TopicId(id)) else {
            let unknown = if id.is_nil() {
                ErrorCode::UnknownTopicOrPartition
            } else {
                ErrorCode::UnknownTopicId
            };
            self.answers.push(vec![Some(unknown); partitions.len()]);
            return;
        };
        let mut answers = Vec::with_capacity(partitions.len());
        let mut known = Vec::with_capacity(partitions.len());
        for partition in partitions {
            if topic.has_partition(partition.partition) {
                answers.push(None);
                known.push(partition);
            } else {
                answers.push(Some(ErrorCode::UnknownTopicOrPartition));
            }
        }
        self.answers.push(answers);
        if !known.is_empty() {
            self.topics.push(CommitTopic {
                name: topic.name.to_string(),
                id: topic.id,
                partitions: known,
            });
        }
    }

    /// The answer for each partition, now that the coordinator has given its own, or refused.
    pub fn answers(mut self, told: Result<&Committed, ErrorCode>) -> Vec<Vec<ErrorCode>> {
        let mut told: Box<dyn Iterator<Item = ErrorCode>> = match told {
            Ok(committed) => {
                let partitions = committed.topics.iter().flat_map(|topic| &topic.partitions);
                Box::new(partitions.map(|(_, error)| *error))
            }
            Err(refusal) => Box::new(std::iter::repeat(refusal)),
        };
        let mut complete = |answers: Vec<Option<ErrorCode>>| -> Vec<ErrorCode> {
            let mut next = || told.next().unwrap_or(ErrorCode::UnknownServerError);
            answers
                .into_iter()
                .map(|answer| answer.unwrap_or_else(&mut next))
                .collect()
        };
        self.answers.drain(..).map(&mut complete).collect()
    }
}
