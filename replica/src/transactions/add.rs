//! AddPartitionsToTxn and AddOffsetsToTxn: a transaction begins, or writes to more partitions; and the question of brokers whether
//! it does (KIP-890), which is answered only when what it rests on is committed.

use tautline_core::error::ErrorCode;

use crate::Refusal;
use crate::coordinator::Now;
use crate::memory::CoordinatorMemory;

use super::coordinator::{Decided, TransactionCoordinator};
use super::limits::{MEMORY_PER_RECORD_BYTE, PARTITIONS_BYTES_MAX};
use super::refusals;
use super::transaction::Transaction;
use super::{AddPartitionsToTxn, LAST_EPOCH, TopicPartition, TransactionState};

impl TransactionCoordinator {
    pub(super) fn add_partitions(
        &mut self,
        now: Now<'_>,
        request: AddPartitionsToTxn,
        decided: &mut Decided,
    ) -> Result<Vec<TopicPartition>, Refusal> {
        let transaction = self
            .transaction(&request.transactional_id)
            .ok_or_else(|| refusals::unmapped(request.producer))?;
        check_holder(transaction, &request)?;
        let mut missing = request.partitions;
        missing.retain(|partition| !transaction.partitions.contains(partition));
        if request.verify_only {
            return Ok(missing);
        }
        if transaction.state == TransactionState::Ongoing && missing.is_empty() {
            return Ok(Vec::new());
        }
        let memory = self.charge.memory().clone();
        self.change_or_refuse(&request.transactional_id, decided, |transaction| {
            add(
                &memory,
                transaction,
                missing.into_iter().map(|partition| shared(now, partition)),
            )?;
            transaction.go_on(request.transaction_version, now.moment());
            Ok(Vec::new())
        })
    }
}

fn check_holder(transaction: &Transaction, request: &AddPartitionsToTxn) -> Result<(), Refusal> {
    // First of all: the producer was told what it goes on with when the end was decided, also of another id.
    if !request.verify_only && transaction.state.is_decided() {
        return Err(refusals::concurrent());
    }
    let asking = request.producer;
    if asking.id != transaction.producer.id {
        return Err(refusals::unmapped(asking));
    }
    // The epoch beyond the last is only there to fence the last, it is given to nobody.
    if asking != transaction.producer || asking.epoch > LAST_EPOCH {
        return Err(refusals::fenced(asking, transaction));
    }
    if transaction.state.is_decided() {
        return Err(refusals::concurrent());
    }
    Ok(())
}

/// Adds all of them or none.
fn add(
    memory: &CoordinatorMemory,
    transaction: &mut Transaction,
    partitions: impl Iterator<Item = TopicPartition>,
) -> Result<(), Refusal> {
    let (mut added, before) = (Vec::new(), transaction.partitions.record_bytes());
    for partition in partitions {
        if transaction.partitions.insert(partition.clone()) {
            added.push(partition);
        }
    }
    let bytes = transaction.partitions.record_bytes();
    // Its own part of the memory is not counted while it changes.
    let has_memory = bytes == before || memory.has_room(MEMORY_PER_RECORD_BYTE * bytes);
    if bytes <= PARTITIONS_BYTES_MAX && has_memory {
        return Ok(());
    }
    for partition in &added {
        transaction.partitions.remove(partition);
    }
    if !has_memory {
        return Err(refusals::no_memory());
    }
    let message =
        format!("the partitions of a transaction may take {PARTITIONS_BYTES_MAX} bytes in its record");
    Err(Refusal::new(ErrorCode::TransactionAbortable, message))
}

/// With the image's copy of the name, of which there is one for all transactions.
fn shared(now: Now<'_>, (name, partition): TopicPartition) -> TopicPartition {
    let name = now.image.topic(&name).map_or(name, |topic| topic.name.clone());
    (name, partition)
}
