//! AddPartitionsToTxn (24), versions 0-5: partitions that a transaction will write to, or a leader's question whether it
//! does. KIP-98, KIP-360 (2: PRODUCER_FENCED), KIP-890 (4: many transactions, verification, for brokers only; 5:
//! TRANSACTION_ABORTABLE).

use super::Str;
use super::schema::wire;

wire! {
    /// Adds partitions to transactions.
    pub struct AddPartitionsToTxnRequest<'a> for AddPartitionsToTxn {
        /// The transactions.
        transactions: Vec<AddPartitionsToTxnTransaction<'a>>, 4..;
        /// The transactional id, in versions before 4.
        v3_and_below_transactional_id: Str<'a>, 0..=3;
        /// The producer's id, in versions before 4.
        v3_and_below_producer_id: i64, 0..=3;
        /// Its epoch, in versions before 4.
        v3_and_below_producer_epoch: i16, 0..=3;
        /// The topics, in versions before 4.
        v3_and_below_topics: Vec<AddPartitionsToTxnTopic<'a>>, 0..=3;
    }

    /// A transaction.
    pub struct AddPartitionsToTxnTransaction<'a> {
        /// The transactional id.
        transactional_id: Str<'a>, 4..;
        /// The producer's id.
        producer_id: i64, 4..;
        /// Its epoch.
        producer_epoch: i16, 4..;
        /// Whether only to say if the partitions are in the transaction.
        verify_only: bool, 4..;
        /// The topics.
        topics: Vec<AddPartitionsToTxnTopic<'a>>, 4..;
    }

    /// Partitions of one topic.
    pub struct AddPartitionsToTxnTopic<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Indexes of its partitions.
        partitions: Vec<i32>, 0..;
    }

    /// What became of the partitions.
    pub struct AddPartitionsToTxnResponse<'a> for AddPartitionsToTxn {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The error code of the whole request, or 0.
        error_code: i16, 4..;
        /// Results by transaction.
        results_by_transaction: Vec<AddPartitionsToTxnResult<'a>>, 4..;
        /// Results by topic, in versions before 4.
        results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult<'a>>, 0..=3;
    }

    /// Results of one transaction.
    pub struct AddPartitionsToTxnResult<'a> {
        /// The transactional id.
        transactional_id: Str<'a>, 4..;
        /// Results by topic.
        topic_results: Vec<AddPartitionsToTxnTopicResult<'a>>, 4..;
    }

    /// Results of one topic.
    pub struct AddPartitionsToTxnTopicResult<'a> {
        /// Its name.
        name: Str<'a>, 0..;
        /// Results by partition.
        results_by_partition: Vec<AddPartitionsToTxnPartitionResult>, 0..;
    }

    /// The result of one partition.
    pub struct AddPartitionsToTxnPartitionResult {
        /// The partition's index.
        partition_index: i32, 0..;
        /// The error code, or 0.
        partition_error_code: i16, 0..;
    }
}
