//! The partitions that transactions write to, as far as transactions show in them.

use std::collections::BTreeMap;

use tautline_core::ids::ProducerId;

use crate::coordinator::TransactionalProducer;
use crate::transactions::TopicPartition;

/// One transaction of one client.
pub(super) type Name = (usize, u64);

/// What a partition knows of a producer id.
#[derive(Debug, Default)]
struct Writer {
    epoch: i16,
    coordinator_epoch: i32,
    /// Transactions that have written and have not ended.
    open: Vec<Name>,
}

/// All partitions, and how each transaction ended in each.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    writers: BTreeMap<(TopicPartition, ProducerId), Writer>,
    /// How it ended wherever it has.
    pub outcomes: BTreeMap<Name, bool>,
}

impl Partitions {
    /// A write; whether it was taken. One of an old epoch is not.
    pub fn write(&mut self, partition: &TopicPartition, producer: TransactionalProducer, name: Name) -> bool {
        let writer = self.writers.entry((partition.clone(), producer.id)).or_default();
        if producer.epoch.0 < writer.epoch {
            return false;
        }
        writer.epoch = producer.epoch.0;
        writer.open.push(name);
        true
    }

    /// A marker. One of an old epoch or an old coordinator has no effect.
    pub fn mark(
        &mut self,
        partition: &TopicPartition,
        producer: TransactionalProducer,
        coordinator_epoch: i32,
        committed: bool,
    ) {
        let writer = self.writers.entry((partition.clone(), producer.id)).or_default();
        if producer.epoch.0 < writer.epoch || coordinator_epoch < writer.coordinator_epoch {
            return;
        }
        writer.epoch = producer.epoch.0;
        writer.coordinator_epoch = coordinator_epoch;
        for name in writer.open.drain(..) {
            let outcome = *self.outcomes.entry(name).or_insert(committed);
            assert_eq!(
                outcome, committed,
                "{name:?} ends in {partition:?} unlike elsewhere"
            );
        }
    }

    /// Every transaction has ended in all partitions that it has written to.
    pub fn check_all_ended(&self) {
        for (key, writer) in &self.writers {
            assert!(
                writer.open.is_empty(),
                "{key:?}: {:?} go on for ever",
                writer.open
            );
        }
    }
}
