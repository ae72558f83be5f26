//! CreatePartitions (37), versions 0-3. KIP-195, KIP-599 (throttling, 3).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to add partitions to topics.
    pub struct CreatePartitionsRequest<'a> for CreatePartitions {
        /// The topics.
        topics: Vec<CreatePartitionsTopic<'a>>, 0..;
        /// How long to wait for the creation.
        timeout_ms: i32, 0..;
        /// Whether to check only.
        validate_only: bool, 0..;
    }

    /// A topic that is to have more partitions.
    pub struct CreatePartitionsTopic<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// How many partitions it shall have.
        count: i32, 0..;
        /// Which brokers hold the new ones; null for the broker's choice.
        assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()), 0.., null 0..;
    }

    /// The brokers of one new partition.
    pub struct CreatePartitionsAssignment {
        /// The brokers.
        broker_ids: Vec<i32>, 0..;
    }

    /// What became of the topics.
    pub struct CreatePartitionsResponse<'a> for CreatePartitions {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by topic.
        results: Vec<CreatePartitionsTopicResult<'a>>, 0..;
    }

    /// The result of one topic.
    pub struct CreatePartitionsTopicResult<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// What the error is about.
        error_message: Option<Str<'a>>, 0.., null 0..;
    }
}
