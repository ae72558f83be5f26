//! Metadata (3), versions 0-13: the brokers, and the leaders of topics' partitions. KIP-4, KIP-430 (authorized operations),
//! KIP-516 (topic ids), KIP-1102 (top-level error in version 13).

use uuid::Uuid;

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for brokers and topics.
    pub struct MetadataRequest<'a> for Metadata {
        /// The topics to describe; null for all, see [`MetadataRequest::wants_all_topics`].
        topics: Option<Vec<MetadataRequestTopic<'a>>> = Some(Vec::new()), 0.., null 1..;
        /// Whether topics that do not exist may be created.
        allow_auto_topic_creation: bool = true, 4..;
        /// Whether to include the operations allowed on the cluster.
        include_cluster_authorized_operations: bool, 8..=10;
        /// Whether to include the operations allowed on each topic.
        include_topic_authorized_operations: bool, 8..;
    }

    /// A topic by name, or by id from version 12.
    pub struct MetadataRequestTopic<'a> {
        /// The topic's id, or zero.
        topic_id: Uuid, 10..;
        /// The topic's name; null when asked for by id.
        name: Option<Str<'a>> = Some(Str::default()), 0.., null 10..;
    }

    /// Brokers and topics.
    pub struct MetadataResponse<'a> for Metadata {
        /// How long the client is throttled.
        throttle_time_ms: i32, 3..;
        /// Every broker.
        brokers: Vec<MetadataResponseBroker<'a>>, 0..;
        /// The cluster's id.
        cluster_id: Option<Str<'a>>, 2.., null 2..;
        /// The broker to send administrative requests to, or -1.
        controller_id: i32 = -1, 1..;
        /// The topics asked for.
        topics: Vec<MetadataResponseTopic<'a>>, 0..;
        /// Bits of the operations allowed on the cluster; `i32::MIN` when not asked for.
        cluster_authorized_operations: i32 = i32::MIN, 8..=10;
        /// The error of the whole request, or 0.
        error_code: i16, 13..;
    }

    /// A broker and its address.
    pub struct MetadataResponseBroker<'a> {
        /// The broker's id.
        node_id: i32, 0..;
        /// Host name.
        host: Str<'a>, 0..;
        /// Port.
        port: i32, 0..;
        /// Rack, if it is in one.
        rack: Option<Str<'a>>, 1.., null 1..;
    }

    /// A topic.
    pub struct MetadataResponseTopic<'a> {
        /// The topic's error, or 0.
        error_code: i16, 0..;
        /// The name; null for an unknown topic asked for by id.
        name: Option<Str<'a>> = Some(Str::default()), 0.., null 12..;
        /// The id; zero for an unknown topic asked for by name.
        topic_id: Uuid, 10..;
        /// Whether the topic is internal.
        is_internal: bool, 1..;
        /// Its partitions.
        partitions: Vec<MetadataResponsePartition>, 0..;
        /// Bits of the operations allowed on the topic; `i32::MIN` when not asked for.
        topic_authorized_operations: i32 = i32::MIN, 8..;
    }

    /// A partition.
    pub struct MetadataResponsePartition {
        /// The partition's error, or 0.
        error_code: i16, 0..;
        /// Its index in the topic.
        partition_index: i32, 0..;
        /// The broker that leads it, or -1.
        leader_id: i32, 0..;
        /// The leader's epoch.
        leader_epoch: i32 = -1, 7..;
        /// The brokers that hold it.
        replica_nodes: Vec<i32>, 0..;
        /// Those in sync.
        isr_nodes: Vec<i32>, 0..;
        /// Those that are offline.
        offline_replicas: Vec<i32>, 5..;
    }
}

impl MetadataRequest<'_> {
    /// Whether all topics are asked for: by null, and in version 0, which has no null, by naming none.
    pub fn wants_all_topics(&self, version: i16) -> bool {
        self.topics
            .as_ref()
            .is_none_or(|topics| version == 0 && topics.is_empty())
    }
}
