//! What a transaction coordinator answers, and what it has its host do.

use std::sync::Arc;

use tautline_core::ids::ProducerId;

use crate::Refusal;
use crate::coordinator::TransactionalProducer;

use super::{TopicPartition, TransactionState, TransactionVersion};

/// One answer, of the kind of its request.
///
/// Refusals have the codes of the newest versions. A producer that was fenced is PRODUCER_FENCED: handlers tell clients of
/// InitProducerId below version 4, AddPartitionsToTxn, AddOffsetsToTxn and EndTxn below 2 INVALID_PRODUCER_EPOCH instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionResponse {
    /// To InitProducerId.
    InitProducerId {
        /// What the producer goes on with.
        result: Result<TransactionalProducer, Refusal>,
        /// The fresh producer id, if it was not used.
        unused_producer_id: Option<ProducerId>,
    },
    /// To AddPartitionsToTxn: those of the partitions that are not part of the transaction, which are TRANSACTION_ABORTABLE; none
    /// unless it was to verify only.
    AddPartitionsToTxn(Result<Vec<TopicPartition>, Refusal>),
    /// To EndTxn.
    EndTxn {
        /// What the producer goes on with; clients before version 5 are not told, for them it is what they had.
        result: Result<TransactionalProducer, Refusal>,
        /// The fresh producer id, if it was not used.
        unused_producer_id: Option<ProducerId>,
    },
    /// To DescribeTransactions.
    DescribeTransactions(Result<TransactionDescription, Refusal>),
    /// To ListTransactions, in order of transactional ids.
    ListTransactions(Vec<TransactionListing>),
    /// To MarkersWritten: noted.
    MarkersWritten,
}

/// What is known of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    /// Its state.
    pub state: TransactionState,
    /// Who holds it.
    pub producer: TransactionalProducer,
    /// How long its transactions may take, milliseconds.
    pub timeout_ms: i32,
    /// When its transaction began, milliseconds since the epoch; -1 where there is none.
    pub start_ms: i64,
    /// The partitions of its transaction; while it is decided, those whose markers are still to be written.
    pub partitions: Vec<TopicPartition>,
}

/// A transactional id in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    /// The id.
    pub transactional_id: Arc<str>,
    /// The producer id that holds it.
    pub producer_id: ProducerId,
    /// Its state.
    pub state: TransactionState,
}

/// One of the coordinators that a partition has one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// No other coordinator of the partition has it, as long as the process lives.
    pub number: u64,
    /// In the markers it asks for, and partitions refuse those of a lower one. It grows with each coordinator, also of the same
    /// partition in the same process, as long as there are higher ones: or a marker that the one before has asked for could still
    /// end a newer transaction.
    pub epoch: i32,
}

/// What the host does once everything appended so far is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ends a transaction in its partitions.
    WriteMarkers(WriteMarkers),
}

/// A transaction is decided: each of these partitions gets a control batch that says how, and for each, in any order and
/// any number of requests, the host sends a [`MarkersWritten`](super::MarkersWritten). It tries until it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteMarkers {
    /// The transaction's id.
    pub transactional_id: Arc<str>,
    /// Who is in the markers. The epoch may be higher than the one the transaction was written with.
    pub producer: TransactionalProducer,
    /// Which coordinator it is; its epoch is in the markers.
    pub instance: Instance,
    /// Number of the decision among those of this coordinator. Not in the markers.
    pub decision: u64,
    /// Commit, or abort.
    pub committed: bool,
    /// The rules by which it was decided: from version 2 on the epoch is above the one the transaction was written with, and a
    /// partition that knows so takes no marker that comes late.
    pub transaction_version: TransactionVersion,
    /// The partitions whose markers are missing.
    pub partitions: Vec<TopicPartition>,
}
