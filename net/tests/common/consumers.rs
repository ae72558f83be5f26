//! Members of consumer groups (KIP-848), step by step. All are in the group `g`.

use kafka_protocol::messages::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use kafka_protocol::messages::consumer_group_heartbeat_request::{
    ConsumerGroupHeartbeatRequest, TopicPartitions,
};
use kafka_protocol::messages::consumer_group_heartbeat_response::ConsumerGroupHeartbeatResponse;
use tautline_core::error::ErrorCode;
use tautline_core::ids::TopicId;

use super::groups::{code, group_id};
use super::{Client, TestBroker, text};

/// A member that keeps to what it is told.
pub struct Consumer {
    pub client: Client,
    pub id: String,
    pub epoch: i32,
    pub owns: Vec<(TopicId, Vec<i32>)>,
    pub instance: Option<&'static str>,
    pub assignor: Option<&'static str>,
}

impl Consumer {
    /// One that has not joined yet.
    pub fn new(broker: &TestBroker, id: &str) -> Consumer {
        Consumer {
            client: broker.connect(),
            id: id.to_owned(),
            epoch: 0,
            owns: Vec::new(),
            instance: None,
            assignor: None,
        }
    }

    /// A heartbeat that says nothing new.
    pub fn request(&self) -> ConsumerGroupHeartbeatRequest {
        ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group_id("g"))
            .with_member_id(text(&self.id))
            .with_member_epoch(self.epoch)
            .with_instance_id(self.instance.map(text))
            .with_server_assignor(self.assignor.map(text))
    }

    /// Does as it is told.
    pub fn take(&mut self, told: &ConsumerGroupHeartbeatResponse) -> ErrorCode {
        if told.error_code == 0 {
            self.epoch = told.member_epoch;
            if let Some(assignment) = &told.assignment {
                let topics = assignment.topic_partitions.iter();
                self.owns = topics
                    .map(|it| (TopicId(it.topic_id), it.partitions.clone()))
                    .collect();
            }
        }
        code(told.error_code)
    }

    /// Joins.
    pub fn join(&mut self, topics: &[&str]) -> ErrorCode {
        (self.epoch, self.owns) = (0, Vec::new());
        let request = self
            .request()
            .with_rebalance_timeout_ms(10_000)
            .with_subscribed_topic_names(Some(
                topics.iter().map(|topic| super::topic_name(topic)).collect(),
            ))
            .with_topic_partitions(Some(Vec::new()));
        let told = self.client.ask(1, &request);
        assert_eq!(told.error_code != 0, told.error_message.is_some());
        self.take(&told)
    }

    /// Says what it owns.
    pub fn heartbeat(&mut self) -> ErrorCode {
        let owns = self.owns.iter().map(|(topic, partitions)| {
            TopicPartitions::default()
                .with_topic_id(topic.0)
                .with_partitions(partitions.clone())
        });
        let request = self.request().with_topic_partitions(Some(owns.collect()));
        let told = self.client.ask(1, &request);
        self.take(&told)
    }

    /// How many partitions it owns.
    pub fn count(&self) -> usize {
        self.owns.iter().map(|(_, partitions)| partitions.len()).sum()
    }

    /// Leaves.
    pub fn leave(&mut self) -> ErrorCode {
        let request = self.request().with_member_epoch(-1);
        code(self.client.ask(1, &request).error_code)
    }
}

/// The error, the state and the number of members of the group.
pub fn state(client: &mut Client) -> (ErrorCode, String, usize) {
    let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group_id("g")]);
    let group = client.ask(1, &request).groups.remove(0);
    (
        code(group.error_code),
        group.group_state.to_string(),
        group.members.len(),
    )
}
