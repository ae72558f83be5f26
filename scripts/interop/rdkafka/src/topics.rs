//! What the checks ask about topics: the admin client and metadata.

use std::collections::HashMap;

use rdkafka::admin::{
    AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult,
};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::client::Client;
use crate::harness::{DEADLINE, Outcome, Refused, eventually, expect_equal, refused};

impl Client {
    fn topics_done(&self, answer: KafkaResult<Vec<TopicResult>>) -> Outcome {
        answer
            .map_err(refused)?
            .into_iter()
            .try_for_each(|one| one.map(drop).map_err(|(_, code)| Refused(code).into()))
    }

    pub fn create_topics(&self, topics: &[String], partitions: i32, config: &[(&str, &str)]) -> Outcome {
        let topics: Vec<NewTopic> = topics
            .iter()
            .map(|t| {
                config.iter().fold(
                    NewTopic::new(t, partitions, TopicReplication::Fixed(1)),
                    |topic, (k, v)| topic.set(k, v),
                )
            })
            .collect();
        self.topics_done(
            self.runtime
                .block_on(self.admin.create_topics(&topics, &AdminOptions::new())),
        )
    }

    /// Creates a topic and waits until each partition's leader answers: with acks=0 nothing else would tell.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Outcome {
        self.create_topics(&[topic.to_string()], partitions, &[])?;
        eventually("topic in metadata", || {
            Ok(self.describe_topic(topic)? == partitions as usize)
        })?;
        for partition in 0..partitions {
            eventually("partition has a leader", || {
                Ok(self.bounds(topic, partition)? == (0, 0))
            })?;
        }
        Ok(())
    }

    pub fn delete_topics(&self, topics: &[String]) -> Outcome {
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.topics_done(
            self.runtime
                .block_on(self.admin.delete_topics(&names, &AdminOptions::new())),
        )
    }

    pub fn create_partitions(&self, topic: &str, total: usize) -> Outcome {
        let partitions = [NewPartitions::new(topic, total)];
        self.topics_done(
            self.runtime
                .block_on(self.admin.create_partitions(&partitions, &AdminOptions::new())),
        )
    }

    /// Partition counts by topic, as metadata shows them.
    pub fn list_topics(&self) -> Outcome<HashMap<String, usize>> {
        let metadata = self.strict.fetch_metadata(None, DEADLINE).map_err(refused)?;
        Ok(metadata
            .topics()
            .iter()
            .map(|t| (t.name().to_string(), t.partitions().len()))
            .collect())
    }

    pub fn describe_topic(&self, topic: &str) -> Outcome<usize> {
        let metadata = self
            .strict
            .fetch_metadata(Some(topic), DEADLINE)
            .map_err(refused)?;
        let found = &metadata.topics()[0];
        match found.error() {
            Some(code) => Err(Refused(code.into()).into()),
            None => Ok(found.partitions().len()),
        }
    }

    pub fn delete_records(&self, topic: &str, before: i64) -> Outcome<i64> {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset(topic, 0, Offset::Offset(before))?;
        let answer = self
            .runtime
            .block_on(self.admin.delete_records(&offsets, &AdminOptions::new()))
            .map_err(refused)?;
        let answer = &answer.elements()[0];
        answer.error().map_err(refused)?;
        Ok(answer.offset().to_raw().unwrap_or(-1))
    }

    /// A topic config's value and whether it is the default.
    pub fn describe_config(&self, topic: &str, name: &str) -> Outcome<(Option<String>, bool)> {
        self.describe_config_of(ResourceSpecifier::Topic(topic), name)
    }

    fn describe_config_of(&self, resource: ResourceSpecifier, name: &str) -> Outcome<(Option<String>, bool)> {
        let answer = self
            .runtime
            .block_on(self.admin.describe_configs(&[resource], &AdminOptions::new()))
            .map_err(refused)?;
        let resource = answer
            .into_iter()
            .next()
            .ok_or("an empty answer")?
            .map_err(Refused)?;
        let entry = resource.get(name).ok_or("not among the described configs")?;
        Ok((entry.value.clone(), entry.is_default))
    }

    /// Replaces the topic's configs (AlterConfigs, not the incremental kind): what is not named goes back to its default.
    pub fn replace_configs(&self, topic: &str, config: &[(&str, &str)]) -> Outcome {
        self.replace_configs_of(ResourceSpecifier::Topic(topic), config)
    }

    /// Configures a group, and asks whether it has a configuration of its own then: of a refusal the binding says nothing.
    pub fn configure_group(&self, group: &str, name: &str, value: &str) -> Outcome {
        self.replace_configs_of(ResourceSpecifier::Group(group), &[(name, value)])?;
        match self.describe_config_of(ResourceSpecifier::Group(group), name) {
            Ok((found, _)) => expect_equal(found.as_deref(), Some(value), name),
            // It gives up at a source it does not know, and names it.
            Err(error) if error.to_string().ends_with("RD_KAFKA_CONFIG_SOURCE_GROUP_CONFIG") => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn replace_configs_of(&self, resource: ResourceSpecifier, config: &[(&str, &str)]) -> Outcome {
        let alter = config
            .iter()
            .fold(AlterConfig::new(resource), |alter, (k, v)| alter.set(k, v));
        let answer = self
            .runtime
            .block_on(self.admin.alter_configs([&alter], &AdminOptions::new()))
            .map_err(refused)?;
        answer
            .into_iter()
            .try_for_each(|one| one.map(drop).map_err(|(_, code)| Refused(code).into()))
    }
}
