//! CreateTopics (19), versions 2-7. KIP-4, KIP-464 (default partitions and replicas, 4), KIP-525 (configs in the response, 5),
//! KIP-516 (topic ids, 7).

use uuid::Uuid;

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to create topics.
    pub struct CreateTopicsRequest<'a> for CreateTopics {
        /// The topics to create.
        topics: Vec<CreatableTopic<'a>>, 2..;
        /// How long to wait for the creation.
        timeout_ms: i32 = 60_000, 2..;
        /// Whether to check only.
        validate_only: bool, 2..;
    }

    /// A topic to create.
    pub struct CreatableTopic<'a> {
        /// Its name.
        name: Str<'a>, 2..;
        /// How many partitions; -1 for the default, or with `assignments`.
        num_partitions: i32, 2..;
        /// How many replicas; -1 for the default, or with `assignments`.
        replication_factor: i16, 2..;
        /// Which brokers hold which partition; empty for the broker's choice.
        assignments: Vec<CreatableReplicaAssignment>, 2..;
        /// Its configuration, where not the default.
        configs: Vec<CreatableTopicConfig<'a>>, 2..;
    }

    /// The brokers for one partition.
    pub struct CreatableReplicaAssignment {
        /// The partition's index.
        partition_index: i32, 2..;
        /// The brokers.
        broker_ids: Vec<i32>, 2..;
    }

    /// One setting.
    pub struct CreatableTopicConfig<'a> {
        /// Its name.
        name: Str<'a>, 2..;
        /// Its value.
        value: Option<Str<'a>> = Some(Str::default()), 2.., null 2..;
    }

    /// What became of the topics.
    pub struct CreateTopicsResponse<'a> for CreateTopics {
        /// How long the client is throttled.
        throttle_time_ms: i32, 2..;
        /// Results by topic.
        topics: Vec<CreatableTopicResult<'a>>, 2..;
    }

    /// The result of one topic.
    pub struct CreatableTopicResult<'a> {
        /// Its name.
        name: Str<'a>, 2..;
        /// Its id.
        topic_id: Uuid, 7..;
        /// The error code, or 0.
        error_code: i16, 2..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 2.., null 2..;
        /// The number of partitions, or -1.
        num_partitions: i32 = -1, 5..;
        /// The number of replicas, or -1.
        replication_factor: i16 = -1, 5..;
        /// The topic's configuration.
        configs: Option<Vec<CreatableTopicConfigs<'a>>> = Some(Vec::new()), 5.., null 5..;
    } tagged {
        /// Why the configuration is not in the response, or 0.
        topic_config_error_code: i16, tag 0, 5..;
    }

    /// One setting of a created topic.
    pub struct CreatableTopicConfigs<'a> {
        /// Its name.
        name: Str<'a>, 5..;
        /// Its value.
        value: Option<Str<'a>> = Some(Str::default()), 5.., null 5..;
        /// Whether it cannot be changed.
        read_only: bool, 5..;
        /// Where the value comes from, as in DescribeConfigs.
        config_source: i8 = -1, 5..;
        /// Whether the value is kept secret.
        is_sensitive: bool, 5..;
    }
}
