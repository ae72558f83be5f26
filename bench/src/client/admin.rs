//! What is asked once a run: versions, metadata, topics, configurations, producer ids, offsets.
//!
//! Encoded and decoded by the kafka-protocol crate, at the highest version both sides know.

use std::collections::BTreeMap;
use std::io;

use anyhow::{Context, anyhow, bail, ensure};
use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreatableTopicConfig};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, BrokerId, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest,
    InitProducerIdRequest, ListOffsetsRequest, MetadataRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use tautline_core::error::ErrorCode;
use uuid::Uuid;

use super::connection::{Connection, Poll, timed_out};
use crate::errors::{self, check};

const RESOURCE_TOPIC: i8 = 2;
const ADMIN_TIMEOUT_MS: i32 = 30_000;
/// ListOffsets' name for the log's first offset.
pub const EARLIEST: i64 = -2;
/// ListOffsets' name for the high watermark.
pub const LATEST: i64 = -1;

/// A connection for administration.
pub struct Admin {
    connection: Connection,
    versions: BTreeMap<i16, (i16, i16)>,
    correlation: i32,
}

/// A topic as metadata shows it.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its id; nil when the broker has none.
    pub id: Uuid,
    /// Address (`host:port`) of the leader of each partition, by partition.
    pub leaders: Vec<String>,
}

/// One configuration of a topic.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Config {
    /// Its value.
    pub value: String,
    /// Whether it was set on the topic itself.
    pub set_on_topic: bool,
}

impl Admin {
    /// Connects to the first of the comma-separated addresses that answers.
    pub fn connect(bootstrap: &str) -> anyhow::Result<Admin> {
        let mut last = anyhow!("--bootstrap names no address");
        for address in bootstrap.split(',') {
            match Admin::connect_to(address.trim()) {
                Ok(admin) => return Ok(admin),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn connect_to(address: &str) -> anyhow::Result<Admin> {
        let mut connection = Connection::open(address, Poll::Block)?;
        connection
            .receiver
            .set_timeout(Some(std::time::Duration::from_millis(ADMIN_TIMEOUT_MS as u64)))?;
        let mut admin = Admin {
            connection,
            versions: BTreeMap::new(),
            correlation: 0,
        };
        let answer = admin
            .call_at(&ApiVersionsRequest::default(), 0)
            .with_context(|| {
                format!("{address} doesn't answer ApiVersions: does it speak Kafka's protocol?")
            })?;
        check(answer.error_code, "ApiVersions")?;
        let range = |api: ApiVersion| (api.api_key, (api.min_version, api.max_version));
        admin.versions = answer.api_keys.into_iter().map(range).collect();
        Ok(admin)
    }

    /// The highest version of `key` that lies in `ours` and that the broker has.
    pub fn version(&self, key: ApiKey, ours: (i16, i16)) -> anyhow::Result<i16> {
        let &(low, high) = self
            .versions
            .get(&(key as i16))
            .with_context(|| format!("the broker has no {key:?}"))?;
        let version = high.min(ours.1);
        ensure!(
            version >= low.max(ours.0),
            "no common version of {key:?}: the broker has {low} to {high}, this harness {} to {}",
            ours.0,
            ours.1
        );
        Ok(version)
    }

    /// Sends any request at the highest version that both sides have, and gives its answer.
    pub fn call<R: Request>(&mut self, request: &R) -> anyhow::Result<R::Response> {
        let key = ApiKey::try_from(R::KEY).map_err(|()| anyhow!("unknown API key {}", R::KEY))?;
        let version = self.version(key, (R::VERSIONS.min, R::VERSIONS.max))?;
        self.call_at(request, version)
            .with_context(|| format!("{key:?} version {version}"))
    }

    /// Sends a request at a version, and gives its answer.
    pub fn call_at<R: Request>(&mut self, request: &R, version: i16) -> anyhow::Result<R::Response> {
        self.send_at(request, version)?;
        let frame = self.connection.receiver.receive().map_err(unanswered)?;
        let mut answer = Bytes::copy_from_slice(frame);
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version))?;
        ensure!(
            header.correlation_id == self.correlation,
            "the answer belongs to another request"
        );
        R::Response::decode(&mut answer, version)
    }

    /// Sends a request at a version, without waiting for its answer.
    pub fn send_at<R: Request>(&mut self, request: &R, version: i16) -> anyhow::Result<()> {
        self.correlation += 1;
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("tautline-bench")));
        let mut frame = BytesMut::zeroed(4);
        header.encode(&mut frame, R::header_version(version))?;
        request.encode(&mut frame, version)?;
        let len = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&len.to_be_bytes());
        self.connection.sender.send(&frame)?;
        Ok(())
    }

    /// The topic if it exists. Leaderless partitions are an error that may pass; see [`Admin::ready_topic`].
    pub fn topic(&mut self, name: &str) -> anyhow::Result<Option<Topic>> {
        let wanted = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![wanted]))
            .with_allow_auto_topic_creation(false);
        let answer = self.call(&request)?;
        let address_of = |id: BrokerId| {
            let broker = answer.brokers.iter().find(|broker| broker.node_id == id)?;
            Some(format!("{}:{}", broker.host.as_str(), broker.port))
        };
        let topic = answer.topics.first().context("metadata leaves the topic out")?;
        if errors::is(topic.error_code, ErrorCode::UnknownTopicOrPartition) {
            return Ok(None);
        }
        check(topic.error_code, name)?;
        let mut leaders = BTreeMap::new();
        for partition in &topic.partitions {
            let leader = address_of(partition.leader_id).with_context(|| {
                format!(
                    "partition {} of {name} has no leader now",
                    partition.partition_index
                )
            })?;
            leaders.insert(partition.partition_index, leader);
        }
        ensure!(!leaders.is_empty(), "metadata shows no partition of {name}");
        Ok(Some(Topic {
            name: name.into(),
            id: topic.topic_id,
            leaders: leaders.into_values().collect(),
        }))
    }

    /// Creates a topic; one that exists already is fine.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        replication: i16,
        configs: &[(String, String)],
    ) -> anyhow::Result<()> {
        let configs = configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(StrBytes::from_string(name.clone()))
                .with_value(Some(StrBytes::from_string(value.clone())))
        });
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(replication)
            .with_configs(configs.collect());
        let request = CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(ADMIN_TIMEOUT_MS);
        let answer = self.call(&request)?;
        let result = answer.topics.first().context("CreateTopics answers nothing")?;
        if errors::is(result.error_code, ErrorCode::TopicAlreadyExists) {
            return Ok(());
        }
        check(result.error_code, &format!("create {name}")).with_context(|| {
            result
                .error_message
                .as_ref()
                .map(|text| text.to_string())
                .unwrap_or_default()
        })
    }

    /// Deletes a topic.
    pub fn delete_topic(&mut self, name: &str) -> anyhow::Result<()> {
        let request = DeleteTopicsRequest::default()
            .with_topics(vec![
                DeleteTopicState::default().with_name(Some(topic_name(name))),
            ])
            .with_topic_names(vec![topic_name(name)])
            .with_timeout_ms(ADMIN_TIMEOUT_MS);
        // One of the two lists exists in each version, and the encoder refuses the other.
        let by_state = self.version(ApiKey::DeleteTopics, (1, 6))? >= 6;
        let request = if by_state {
            request.with_topic_names(Vec::new())
        } else {
            request.with_topics(Vec::new())
        };
        let answer = self.call(&request)?;
        let result = answer.responses.first().context("DeleteTopics answers nothing")?;
        check(result.error_code, &format!("delete {name}"))
    }

    /// The configurations of a topic by name; None if the broker has no DescribeConfigs.
    pub fn topic_configs(
        &mut self,
        name: &str,
        keys: &[&'static str],
    ) -> anyhow::Result<Option<BTreeMap<String, Config>>> {
        const SOURCE_TOPIC: i8 = 1;
        if !self.versions.contains_key(&(ApiKey::DescribeConfigs as i16)) {
            return Ok(None);
        }
        let keys = keys.iter().map(|key| StrBytes::from_static_str(key)).collect();
        let resource = DescribeConfigsResource::default()
            .with_resource_type(RESOURCE_TOPIC)
            .with_resource_name(StrBytes::from_string(name.into()))
            .with_configuration_keys(Some(keys));
        let answer = self.call(&DescribeConfigsRequest::default().with_resources(vec![resource]))?;
        let result = answer
            .results
            .into_iter()
            .next()
            .context("DescribeConfigs answers nothing")?;
        check(result.error_code, &format!("configurations of {name}"))?;
        let configs = result.configs.into_iter().filter_map(|config| {
            let value = config.value?.to_string();
            Some((
                config.name.to_string(),
                Config {
                    value,
                    set_on_topic: config.config_source == SOURCE_TOPIC,
                },
            ))
        });
        Ok(Some(configs.collect()))
    }

    /// A new idempotent producer's id and epoch.
    pub fn init_producer_id(&mut self) -> anyhow::Result<(i64, i16)> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(60_000);
        let answer = self.call(&request)?;
        check(answer.error_code, "InitProducerId")?;
        Ok((answer.producer_id.0, answer.producer_epoch))
    }

    /// The offset that [`EARLIEST`] or [`LATEST`] stands for, for these partitions; this must be their leader.
    pub fn list_offsets(
        &mut self,
        topic: &str,
        partitions: &[i32],
        which: i64,
    ) -> anyhow::Result<Vec<(i32, i64)>> {
        let partitions = partitions.iter().map(|&index| {
            ListOffsetsPartition::default()
                .with_partition_index(index)
                .with_current_leader_epoch(-1)
                .with_timestamp(which)
        });
        let topic = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(partitions.collect());
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let answer = self.call(&request)?;
        let mut offsets = Vec::new();
        for partition in answer.topics.iter().flat_map(|topic| &topic.partitions) {
            check(partition.error_code, "ListOffsets")?;
            offsets.push((partition.partition_index, partition.offset));
        }
        if offsets.is_empty() {
            bail!("ListOffsets answers nothing");
        }
        Ok(offsets)
    }
}

/// A time-out in words.
fn unanswered(error: io::Error) -> anyhow::Error {
    let expired = timed_out(&error);
    let error = anyhow::Error::new(error);
    if expired {
        error.context(format!("no answer for {} s", ADMIN_TIMEOUT_MS / 1000))
    } else {
        error
    }
}

/// A topic's name as requests carry it.
pub fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.into()))
}
