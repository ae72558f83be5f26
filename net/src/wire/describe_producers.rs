//! DescribeProducers (61), version 0: the producers a partition knows. KIP-664.

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for the producers of partitions.
    pub struct DescribeProducersRequest<'a> for DescribeProducers {
        /// The topics.
        topics: Vec<DescribeProducersTopic<'a>>, 0..;
    }

    /// Partitions of one topic.
    pub struct DescribeProducersTopic<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Indexes of its partitions.
        partition_indexes: Vec<i32>, 0..;
    }

    /// The producers.
    pub struct DescribeProducersResponse<'a> for DescribeProducers {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by topic.
        topics: Vec<DescribeProducersTopicResult<'a>>, 0..;
    }

    /// Results of one topic.
    pub struct DescribeProducersTopicResult<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Results by partition.
        partitions: Vec<DescribeProducersPartitionResult<'a>>, 0..;
    }

    /// The producers of one partition.
    pub struct DescribeProducersPartitionResult<'a> {
        /// The partition's index.
        partition_index: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 0.., null 0..;
        /// The producers.
        active_producers: Vec<ActiveProducer>, 0..;
    }

    /// One producer.
    pub struct ActiveProducer {
        /// Its id.
        producer_id: i64, 0..;
        /// Its epoch.
        producer_epoch: i32, 0..;
        /// The sequence number of its last record.
        last_sequence: i32 = -1, 0..;
        /// The timestamp of its last batch.
        last_timestamp: i64 = -1, 0..;
        /// The epoch of its transaction's coordinator.
        coordinator_epoch: i32, 0..;
        /// Where its open transaction starts, or -1.
        current_txn_start_offset: i64 = -1, 0..;
    }
}
