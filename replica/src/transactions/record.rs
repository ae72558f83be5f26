//! The records of `__transaction_state`, in Kafka's formats: TransactionLogKey version 0, TransactionLogValue 0 and 1.
//!
//! ```text
//! key 0:    transactional id
//! value 0:  producer id, epoch, timeout, state, [topic, [partition]] or null, last update, start
//! value 1:  the same with compact lengths, and tagged: 0 previous producer id, 1 next producer id, 2 rules of the client,
//!           10000 (ours) last epoch, where it is not what follows from the rest
//! ```
//!
//! Promises: what is written (always version 1) is read back as it was, and by Kafka's tools. Kafka keeps the last epoch in memory
//! only, so there a producer whose request to bump it is retried over a restart is fenced (KIP-360); readers skip tags that they
//! do not know, and Kafka's own grow from 0.

use std::sync::Arc;

use tautline_core::ids::{PartitionIndex, ProducerEpoch, ProducerId};

use crate::coordinator::{CoordinatorRecord, Moment, TransactionalProducer};
use crate::records::{Read, RecordError, RecordReader, RecordWriter};

use super::partitions::Partitions;
use super::transaction::Transaction;
use super::{TransactionState, TransactionVersion};

const KEY_VERSION: i16 = 0;
const VALUE_VERSION: i16 = 1;

const TAG_PREVIOUS_ID: u32 = 0;
const TAG_NEXT_ID: u32 = 1;
const TAG_VERSION: u32 = 2;
const TAG_LAST_EPOCH: u32 = 10_000;

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LogError {
    /// Its fields.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A state that is never written, or not known.
    #[error("{0} is not a state of a transaction in the log")]
    State(i8),
}

/// The record of a transactional id.
pub(super) fn record(transactional_id: &str, transaction: &Transaction) -> CoordinatorRecord {
    CoordinatorRecord {
        key: key(transactional_id),
        value: Some(value(transaction)),
    }
}

/// The record that removes a transactional id.
pub(super) fn tombstone(transactional_id: &str) -> CoordinatorRecord {
    CoordinatorRecord {
        key: key(transactional_id),
        value: None,
    }
}

fn key(transactional_id: &str) -> Vec<u8> {
    let mut key = RecordWriter::fixed(KEY_VERSION);
    key.str(transactional_id);
    key.finish()
}

fn value(transaction: &Transaction) -> Vec<u8> {
    let mut value = RecordWriter::flexible(VALUE_VERSION);
    value
        .i64(transaction.producer.id.0)
        .i16(transaction.producer.epoch.0)
        .i32(transaction.timeout_ms)
        .i8(transaction.state.id());
    if transaction.state == TransactionState::Empty {
        value.null_array();
    } else {
        value.array(transaction.partitions.topics(), |value, (topic, partitions)| {
            value
                .str(topic)
                .array(partitions, |value, partition| {
                    value.i32(partition.0);
                })
                .tagged(&[]);
        });
    }
    value
        .i64(transaction.last_update.ms)
        .i64(transaction.start.ms)
        .tagged(&tagged(transaction));
    value.finish()
}

/// The tagged fields that do not have their defaults.
fn tagged(transaction: &Transaction) -> Vec<(u32, Vec<u8>)> {
    let mut fields = Vec::new();
    for (tag, id) in [
        (TAG_PREVIOUS_ID, transaction.previous_id),
        (TAG_NEXT_ID, transaction.next_id),
    ] {
        if id != ProducerId::NONE {
            fields.push((tag, id.0.to_be_bytes().to_vec()));
        }
    }
    if transaction.version != TransactionVersion::V0 {
        fields.push((TAG_VERSION, transaction.version.level().to_be_bytes().to_vec()));
    }
    if transaction.last_epoch != usual_last_epoch(transaction) {
        fields.push((TAG_LAST_EPOCH, transaction.last_epoch.0.to_be_bytes().to_vec()));
    }
    fields
}

/// The last epoch of a record that does not say it. Who ends a transaction by the rules of version 2 may always ask again.
fn usual_last_epoch(transaction: &Transaction) -> ProducerEpoch {
    let ended = !matches!(
        transaction.state,
        TransactionState::Empty | TransactionState::Ongoing
    );
    if ended && transaction.version.bumps_epoch() {
        ProducerEpoch(transaction.producer.epoch.0.saturating_sub(1))
    } else {
        ProducerEpoch::NONE
    }
}

/// The transactional id of a key.
pub(super) fn read_key(key: &[u8]) -> Result<Arc<str>, LogError> {
    let mut reader = RecordReader::new(key);
    let version = reader.i16()?;
    if version != KEY_VERSION {
        return Err(RecordError::Version(version).into());
    }
    let transactional_id = reader.str()?.into();
    reader.end()?;
    Ok(transactional_id)
}

/// The transaction of a value.
pub(super) fn read_value(value: &[u8]) -> Result<Transaction, LogError> {
    let mut reader = RecordReader::new(value);
    let version = reader.i16()?;
    if !(0..=VALUE_VERSION).contains(&version) {
        return Err(RecordError::Version(version).into());
    }
    reader.flexible(version > 0);
    let producer = TransactionalProducer {
        id: ProducerId(reader.i64()?),
        epoch: ProducerEpoch(reader.i16()?),
    };
    let timeout_ms = reader.i32()?;
    let state_id = reader.i8()?;
    let state = TransactionState::from_id(state_id)
        .filter(|state| *state <= TransactionState::CompleteAbort)
        .ok_or(LogError::State(state_id))?;
    let partitions = read_partitions(&mut reader)?;
    let mut transaction = Transaction {
        producer,
        timeout_ms,
        state,
        partitions,
        ..Transaction::new(producer.id, timeout_ms, Moment::recorded(reader.i64()?))
    };
    transaction.start = Moment::recorded(reader.i64()?);
    let mut last_epoch = None;
    reader.tagged(|tag, field| {
        match tag {
            TAG_PREVIOUS_ID => transaction.previous_id = ProducerId(field.i64()?),
            TAG_NEXT_ID => transaction.next_id = ProducerId(field.i64()?),
            // Rules that are newer than these: the newest there are come nearest.
            TAG_VERSION => {
                transaction.version =
                    TransactionVersion::from_level(field.i16()?).unwrap_or(TransactionVersion::V2);
            }
            TAG_LAST_EPOCH => last_epoch = Some(ProducerEpoch(field.i16()?)),
            _ => {}
        }
        Ok(())
    })?;
    reader.end()?;
    transaction.last_epoch = last_epoch.unwrap_or_else(|| usual_last_epoch(&transaction));
    Ok(transaction)
}

fn read_partitions(reader: &mut RecordReader<'_>) -> Read<Partitions> {
    let topics = reader.nullable_array(|reader| {
        let topic: Arc<str> = reader.str()?.into();
        let partitions = reader.array(RecordReader::i32)?;
        reader.skip_tagged()?;
        Ok((topic, partitions))
    })?;
    Ok(topics
        .into_iter()
        .flatten()
        .flat_map(|(topic, partitions)| {
            partitions
                .into_iter()
                .map(move |partition| (topic.clone(), PartitionIndex(partition)))
        })
        .collect())
}
