//! DescribeTopicPartitions (75), version 0: topics' partitions, page by page. KIP-966.

use uuid::Uuid;

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for a page of partitions.
    pub struct DescribeTopicPartitionsRequest<'a> for DescribeTopicPartitions {
        /// The topics; empty for all.
        topics: Vec<DescribeTopicPartitionsTopic<'a>>, 0..;
        /// How many partitions to answer at most.
        response_partition_limit: i32 = 2000, 0..;
        /// Where to begin; null for the start.
        cursor: Option<PartitionCursor<'a>>, 0.., null 0..;
    }

    /// A topic.
    pub struct DescribeTopicPartitionsTopic<'a> {
        /// Its name.
        name: Str<'a>, 0..;
    }

    /// A place in the list of all partitions, by topic name and index.
    pub struct PartitionCursor<'a> {
        /// The topic.
        topic_name: Str<'a>, 0..;
        /// The partition's index.
        partition_index: i32, 0..;
    }

    /// A page of partitions.
    pub struct DescribeTopicPartitionsResponse<'a> for DescribeTopicPartitions {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The topics.
        topics: Vec<DescribeTopicPartitionsResponseTopic<'a>>, 0..;
        /// Where the next page begins; null behind the last.
        next_cursor: Option<PartitionCursor<'a>>, 0.., null 0..;
    }

    /// A topic.
    pub struct DescribeTopicPartitionsResponseTopic<'a> {
        /// The topic's error, or 0.
        error_code: i16, 0..;
        /// Its name.
        name: Option<Str<'a>> = Some(Str::default()), 0.., null 0..;
        /// Its id.
        topic_id: Uuid, 0..;
        /// Whether it is internal.
        is_internal: bool, 0..;
        /// Its partitions.
        partitions: Vec<DescribeTopicPartitionsResponsePartition>, 0..;
        /// Bits of the operations allowed on the topic; `i32::MIN` when not known.
        topic_authorized_operations: i32 = i32::MIN, 0..;
    }

    /// A partition.
    pub struct DescribeTopicPartitionsResponsePartition {
        /// The partition's error, or 0.
        error_code: i16, 0..;
        /// Its index.
        partition_index: i32, 0..;
        /// The broker that leads it, or -1.
        leader_id: i32, 0..;
        /// The leader's epoch.
        leader_epoch: i32 = -1, 0..;
        /// The brokers that hold it.
        replica_nodes: Vec<i32>, 0..;
        /// Those in sync.
        isr_nodes: Vec<i32>, 0..;
        /// Those that may be elected although not in sync.
        eligible_leader_replicas: Option<Vec<i32>>, 0.., null 0..;
        /// Those last known to be eligible.
        last_known_elr: Option<Vec<i32>>, 0.., null 0..;
        /// Those that are offline.
        offline_replicas: Vec<i32>, 0..;
    }
}
