//! What an operator sets of transactions, under Kafka's names.

/// Settings of all transaction coordinators of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`: the longest timeout a producer may ask for; more is INVALID_TRANSACTION_TIMEOUT.
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`: how long a transactional id without a transaction is remembered.
    pub id_expiration_ms: i64,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: transactions that ran out of time are looked for at most
    /// this often, so one lives up to this much longer than its timeout.
    pub abort_interval_ms: i64,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: the same for transactional ids that expire.
    pub expire_interval_ms: i64,
    /// `add.partitions.to.txn.retry.backoff.max.ms`: how long a request may wait for the last transaction to be complete before it is
    /// answered CONCURRENT_TRANSACTIONS; 0 for not at all. In Kafka it bounds what brokers wait for, here what clients do, too.
    pub concurrent_wait_ms: i64,
    /// `transaction.partition.verification.enable`: whether partitions ask the coordinator before they take a first write
    /// (KIP-890). Read by the path of Produce; the coordinator answers either way.
    pub partition_verification: bool,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self {
            max_timeout_ms: 900_000,
            id_expiration_ms: 604_800_000,
            abort_interval_ms: 10_000,
            expire_interval_ms: 3_600_000,
            concurrent_wait_ms: 100,
            partition_verification: true,
        }
    }
}
