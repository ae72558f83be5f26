//! Changes of topics, sent to the controller's shard from whichever shard was asked.

use std::rc::Rc;

use tautline_core::error::ErrorCode;
use tautline_core::ids::TopicId;
use tautline_core::limits::TOPICS_PER_REQUEST_MAX;
use tautline_replica::Refusal;
use tautline_replica::controller::{
    ConfigChange, ConfigOp, Controller as Decisions, CreatedTopic, Decision, DeletedTopic, FeatureUpdate,
    NewPartitions, NewTopic, TopicRef,
};
use uuid::Uuid;

use super::Broker;
use crate::coordinator::InternalTopic;

impl Broker {
    /// Creates topics, or with `validate_only` decides and changes nothing.
    ///
    /// # Errors
    /// When there are too many, or the metadata log takes no writes; each topic has its own result otherwise.
    pub async fn create_topics(
        self: &Rc<Self>,
        mut topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Result<Vec<Result<CreatedTopic, Refusal>>, Refusal> {
        check_count(topics.len())?;
        for topic in &mut topics {
            if let Some(internal) = InternalTopic::of(&topic.name) {
                internal.complete(topic, &self.node.config);
            }
        }
        self.change(validate_only, move |decisions, broker| {
            let defaults = broker.settings().cluster_defaults();
            decisions.create_topics(&topics, &defaults, &broker.node.config.rules(), || {
                TopicId(Uuid::new_v4())
            })
        })
        .await
    }

    /// Deletes topics, with their logs and configurations.
    ///
    /// # Errors
    /// As for [`Broker::create_topics`].
    pub async fn delete_topics(
        self: &Rc<Self>,
        topics: Vec<TopicRef>,
    ) -> Result<Vec<Result<DeletedTopic, Refusal>>, Refusal> {
        check_count(topics.len())?;
        self.change(false, move |decisions, broker| {
            decisions.delete_topics(&topics, &broker.settings().cluster_defaults())
        })
        .await
    }

    /// Adds partitions to topics, or with `validate_only` decides and changes nothing. A result is the topic's new total.
    ///
    /// # Errors
    /// As for [`Broker::create_topics`].
    pub async fn create_partitions(
        self: &Rc<Self>,
        topics: Vec<NewPartitions>,
        validate_only: bool,
    ) -> Result<Vec<Result<u32, Refusal>>, Refusal> {
        check_count(topics.len())?;
        self.change(validate_only, move |decisions, _| {
            decisions.create_partitions(&topics)
        })
        .await
    }

    /// Replaces configurations, or with `validate_only` decides and changes nothing.
    ///
    /// # Errors
    /// When the metadata log takes no writes; each resource has its own result otherwise.
    pub async fn alter_configs(
        self: &Rc<Self>,
        changes: Vec<ConfigChange<Option<String>>>,
        validate_only: bool,
    ) -> Result<Vec<Result<(), Refusal>>, Refusal> {
        self.change(validate_only, move |decisions, broker| {
            decisions.alter_configs(&changes, &broker.node.config.rules())
        })
        .await
    }

    /// Changes configurations, or with `validate_only` decides and changes nothing.
    ///
    /// # Errors
    /// As for [`Broker::alter_configs`].
    pub async fn incremental_alter_configs(
        self: &Rc<Self>,
        changes: Vec<ConfigChange<ConfigOp>>,
        validate_only: bool,
    ) -> Result<Vec<Result<(), Refusal>>, Refusal> {
        self.change(validate_only, move |decisions, broker| {
            decisions.incremental_alter_configs(&changes, &broker.node.config.rules())
        })
        .await
    }

    /// Changes the levels at which features run, or with `validate_only` decides and changes nothing: all of them or none.
    ///
    /// # Errors
    /// When one of them can't be changed, or the metadata log takes no writes.
    pub async fn update_features(
        self: &Rc<Self>,
        updates: Vec<FeatureUpdate>,
        validate_only: bool,
    ) -> Result<(), Refusal> {
        let decide = move |decisions: &Decisions, _: &Rc<Broker>| decisions.update_features(&updates);
        let mut results = self.change(validate_only, decide).await?;
        results.pop().unwrap_or(Ok(()))
    }

    /// Has the controller take a decision; with `validate_only` its records are dropped.
    ///
    /// # Errors
    /// When the metadata log takes no writes.
    pub async fn change<T: Send + 'static>(
        self: &Rc<Self>,
        validate_only: bool,
        decide: impl FnOnce(&Decisions, &Rc<Broker>) -> Decision<T> + Send + 'static,
    ) -> Result<Vec<Result<T, Refusal>>, Refusal> {
        self.on_controller(move |broker, controller| async move {
            let decide = |decisions: &Decisions| {
                let mut decision = decide(decisions, &broker);
                if validate_only {
                    decision.records.clear();
                }
                decision
            };
            controller.change(&broker, decide).await
        })
        .await
    }
}

fn check_count(topics: usize) -> Result<(), Refusal> {
    if topics <= TOPICS_PER_REQUEST_MAX {
        return Ok(());
    }
    let message = format!("The request names {topics} topics, more than {TOPICS_PER_REQUEST_MAX}.");
    Err(Refusal::new(ErrorCode::InvalidRequest, message))
}
