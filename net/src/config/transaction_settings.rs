//! What transaction coordinators are told.

use tautline_replica::metadata::MetadataImage;
use tautline_replica::transactions::TransactionConfig;

use super::BrokerConfig;

impl BrokerConfig {
    /// The settings of transaction coordinators; none of them changes while the broker runs.
    #[must_use]
    pub fn transaction_config(&self) -> TransactionConfig {
        let image = MetadataImage::default();
        let layers = self.layers(&image);
        TransactionConfig {
            max_timeout_ms: layers.integer("transaction.max.timeout.ms") as i32,
            id_expiration_ms: layers.integer("transactional.id.expiration.ms"),
            abort_interval_ms: layers.integer("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            expire_interval_ms: layers.integer("transaction.remove.expired.transaction.cleanup.interval.ms"),
            concurrent_wait_ms: layers.integer("add.partitions.to.txn.retry.backoff.max.ms"),
            partition_verification: layers.flag("transaction.partition.verification.enable"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tautline_core::ids::NodeId;

    use super::*;

    #[test]
    fn transactions_have_kafkas_defaults() {
        let config = BrokerConfig::new(NodeId(1), []).unwrap();
        assert_eq!(config.transaction_config(), TransactionConfig::default());
        let set = [
            ("transaction.max.timeout.ms", "7"),
            ("transactional.id.expiration.ms", "8"),
        ];
        let config = BrokerConfig::new(NodeId(1), set).unwrap().transaction_config();
        assert_eq!((config.max_timeout_ms, config.id_expiration_ms), (7, 8));
    }
}
