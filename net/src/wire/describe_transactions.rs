//! DescribeTransactions (65), version 0: transactions as administrators see them. KIP-664.

use super::Str;
use super::schema::wire;

wire! {
    /// Asks what transactions are like.
    pub struct DescribeTransactionsRequest<'a> for DescribeTransactions {
        /// The transactional ids.
        transactional_ids: Vec<Str<'a>>, 0..;
    }

    /// What the transactions are like.
    pub struct DescribeTransactionsResponse<'a> for DescribeTransactions {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// Results by transactional id.
        transaction_states: Vec<DescribedTransaction<'a>>, 0..;
    }

    /// A transaction.
    pub struct DescribedTransaction<'a> {
        /// The error code, or 0.
        error_code: i16, 0..;
        /// The transactional id.
        transactional_id: Str<'a>, 0..;
        /// The name of its state.
        transaction_state: Str<'a>, 0..;
        /// After how long it is aborted.
        transaction_timeout_ms: i32, 0..;
        /// When it began, epoch milliseconds; -1 when none is open.
        transaction_start_time_ms: i64, 0..;
        /// The producer's id.
        producer_id: i64, 0..;
        /// Its epoch.
        producer_epoch: i16, 0..;
        /// The partitions it has written to; when it is being ended, those still without a marker.
        topics: Vec<DescribedTransactionTopic<'a>>, 0..;
    }

    /// Partitions of one topic.
    pub struct DescribedTransactionTopic<'a> {
        /// Its name.
        topic: Str<'a>, 0..;
        /// Indexes of its partitions.
        partitions: Vec<i32>, 0..;
    }
}
