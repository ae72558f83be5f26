//! Transaction coordinators on `__transaction_state`, and what they have others do.
//!
//! ```text
//!  __transaction_state partition            shard that owns a partition of the transaction
//!    TransactionCoordinator -- WriteMarkers --> marker appended, committed --.
//!              ^                                                              |
//!              '----------------------- MarkersWritten <---------------------'
//!
//!  partition, before the first record of a transaction: guard taken -- AddPartitionsToTxn --> TransactionCoordinator
//!                                                       appended   <-- it belongs to it ----'
//! ```

mod add;
mod end;
mod markers;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use rustc_hash::FxHashMap;
use tautline_core::ids::PartitionIndex;
use tautline_replica::transactions::{Effect, Instance, TransactionCoordinator};

use super::gate::Gate;
use super::limits::{COORDINATOR_EPOCHS_PER_START, ENDING_MAX};
use super::{Hosted, Hosts, InternalTopic};
use crate::broker::Broker;
use crate::metrics::Counter;

pub use add::Adding;
use add::{Asking, Question};
pub use end::Ending;

/// What a shard has of transactions.
pub struct Transactions {
    /// The coordinators of transactions on this shard.
    pub hosts: Hosts<TransactionCoordinator>,
    /// What they have done.
    pub counts: TransactionCounts,
    /// The number of the latest coordinator of each partition.
    latest: RefCell<FxHashMap<PartitionIndex, u64>>,
    /// Coordinators that this shard has had.
    had: Cell<u64>,
    /// Partitions of this shard that wait to ask their transaction's coordinator, by the questions that are asked now. Each has
    /// one producer's batch waiting.
    questions: RefCell<FxHashMap<Question, Vec<Asking>>>,
    /// Bounds the transactions whose markers are being written.
    ending: Gate,
}

impl Default for Transactions {
    fn default() -> Transactions {
        Transactions {
            hosts: Hosts::default(),
            counts: TransactionCounts::default(),
            latest: RefCell::default(),
            had: Cell::new(0),
            questions: RefCell::default(),
            ending: Gate::new(ENDING_MAX),
        }
    }
}

/// What the coordinators of a shard have done.
#[derive(Debug, Default)]
pub struct TransactionCounts {
    /// Commits whose markers were asked for; again after a restart, for those that were not complete.
    pub commits: Counter,
    /// The same of aborts.
    pub aborts: Counter,
    /// Partitions in which a marker was written for them.
    pub markers: Counter,
}

impl Transactions {
    /// How many transactions are open.
    pub fn ongoing(&self) -> usize {
        let ongoing = |coordinator: &TransactionCoordinator| coordinator.ongoing();
        let hosts = self.hosts.all();
        hosts.iter().filter_map(|host| host.look(ongoing)).sum()
    }

    /// The number of another coordinator, which takes the place of the partition's latest.
    fn succeed(&self, partition: PartitionIndex) -> u64 {
        let number = self.had.get() + 1;
        self.had.set(number);
        self.latest.borrow_mut().insert(partition, number);
        number
    }

    /// Whether no later coordinator has taken the place of the one with this number.
    fn is_latest(&self, partition: PartitionIndex, number: u64) -> bool {
        self.latest.borrow().get(&partition) == Some(&number)
    }
}

impl Hosted for TransactionCoordinator {
    const TOPIC: InternalTopic = InternalTopic::TransactionState;

    fn hosts(broker: &Broker) -> &Hosts<Self> {
        &broker.transactions.hosts
    }

    fn create(broker: &Rc<Broker>, _: PartitionIndex) -> Self {
        let config = broker.node.config.transaction_config();
        TransactionCoordinator::new(config, &broker.coordinator_memory)
    }

    fn loaded(&mut self, broker: &Rc<Broker>, partition: PartitionIndex) {
        self.lead(Instance {
            number: broker.transactions.succeed(partition),
            epoch: next_epoch(broker),
        });
    }

    fn act(broker: &Rc<Broker>, partition: PartitionIndex, effect: Effect) {
        match effect {
            Effect::WriteMarkers(markers) => markers::write(broker, partition, markers),
        }
    }
}

/// An epoch above that of every coordinator that came to serve before, on any shard and in any start of this node. Partitions then refuse the
/// markers of coordinators that were replaced.
fn next_epoch(broker: &Broker) -> i32 {
    let incarnation = broker
        .image()
        .broker(broker.node_id())
        .map_or(0, |node| node.incarnation);
    let count = broker.node.coordinator_epochs.fetch_add(1, Ordering::Relaxed);
    // Where there is no higher one the last is kept: then only the check before each round of markers tells coordinators apart.
    let count = count.min(COORDINATOR_EPOCHS_PER_START - 1);
    incarnation
        .saturating_mul(COORDINATOR_EPOCHS_PER_START)
        .saturating_add(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers don't end, as epochs do.
    #[test]
    fn a_coordinator_that_was_replaced_is_never_the_latest() {
        let transactions = Transactions::default();
        let (home, other) = (PartitionIndex(0), PartitionIndex(1));
        let mut before = transactions.succeed(home);
        for _ in 0..=COORDINATOR_EPOCHS_PER_START {
            let number = transactions.succeed(home);
            assert!(transactions.is_latest(home, number) && !transactions.is_latest(home, before));
            before = number;
        }
        transactions.succeed(other);
        assert!(transactions.is_latest(home, before), "partitions have their own");
    }
}
