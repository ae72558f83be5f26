//! What a transaction coordinator is asked: by clients, by brokers, and by its host.

use std::fmt;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use tautline_core::error::ErrorCode;
use tautline_core::ids::ProducerId;

use crate::Refusal;
use crate::coordinator::TransactionalProducer;
use crate::re2::unquoted;

use super::{LAST_EPOCH, TopicPartition, TransactionState, TransactionVersion};

/// One request. Who may send it, and whether the partitions exist, was looked up before.
#[derive(Clone, Debug)]
pub enum TransactionRequest {
    /// A producer takes a transactional id.
    InitProducerId(InitProducerId),
    /// A transaction writes to partitions. AddOffsetsToTxn is this, of the group's partition of `__consumer_offsets`; the
    /// batched form (version 4 on) is one of these for each transaction.
    AddPartitionsToTxn(AddPartitionsToTxn),
    /// A transaction is to end.
    EndTxn(EndTxn),
    /// What is known of a transactional id.
    DescribeTransactions {
        /// Which.
        transactional_id: Arc<str>,
    },
    /// Which transactional ids there are.
    ListTransactions(ListTransactions),
    /// The host has done a [`WriteMarkers`](super::WriteMarkers), or a part of it.
    MarkersWritten(MarkersWritten),
}

/// A producer takes a transactional id (KIP-98), or a new epoch of it (KIP-360).
#[derive(Clone, Debug)]
pub struct InitProducerId {
    /// The id it takes.
    pub transactional_id: Arc<str>,
    /// How long its transactions may take, milliseconds.
    pub timeout_ms: i32,
    /// What it holds already (version 3 on), `None` where the request has -1: whoever holds it then is fenced.
    pub current: Option<TransactionalProducer>,
    /// A producer id that was never given out. Comes back in the answer if it is not needed.
    pub fresh_producer_id: ProducerId,
}

/// A transaction writes to partitions, or a broker asks whether it does.
#[derive(Clone, Debug)]
pub struct AddPartitionsToTxn {
    /// The transaction's id.
    pub transactional_id: Arc<str>,
    /// Who asks.
    pub producer: TransactionalProducer,
    /// The partitions.
    pub partitions: Vec<TopicPartition>,
    /// Nothing is added, the answer says which are missing (KIP-890).
    pub verify_only: bool,
    /// The rules of the client, see [`TransactionVersion::of_add_partitions_to_txn`].
    pub transaction_version: TransactionVersion,
}

/// A transaction is to end.
#[derive(Clone, Debug)]
pub struct EndTxn {
    /// The transaction's id.
    pub transactional_id: Arc<str>,
    /// Who asks.
    pub producer: TransactionalProducer,
    /// Commit, or abort.
    pub committed: bool,
    /// The rules of the client, see [`TransactionVersion::of_end_txn`].
    pub transaction_version: TransactionVersion,
    /// A producer id that was never given out, where [`EndTxn::needs_fresh_producer_id`] says so. Comes back if it is not needed.
    pub fresh_producer_id: Option<ProducerId>,
}

impl EndTxn {
    /// Whether the end of this producer's transaction may exhaust the epochs of its id, so that another is needed (KIP-890).
    #[must_use]
    pub const fn needs_fresh_producer_id(
        producer: TransactionalProducer,
        transaction_version: TransactionVersion,
    ) -> bool {
        transaction_version.bumps_epoch() && producer.epoch.0 >= LAST_EPOCH.0
    }
}

/// Which transactional ids there are. All filters must hold.
#[derive(Clone, Debug, Default)]
pub struct ListTransactions {
    /// In one of these states; `None` for any. Names that are none, see [`TransactionState::from_name`], the handler reports.
    pub states: Option<Vec<TransactionState>>,
    /// Of one of these producer ids; `None` for any.
    pub producer_ids: Option<Vec<ProducerId>>,
    /// Begun longer ago than this, milliseconds (KIP-994); `None` for any.
    pub longer_than_ms: Option<i64>,
    /// Whose whole name matches (KIP-1152); `None` for any.
    pub pattern: Option<Pattern>,
}

/// A regular expression that is compiled once and asked on every coordinator.
#[derive(Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Most memory that a compiled pattern may take; a pattern that needs more is INVALID_REGULAR_EXPRESSION.
    const COMPILED_BYTES_MAX: usize = 1 << 20;

    /// The pattern of this text.
    ///
    /// # Errors
    /// INVALID_REGULAR_EXPRESSION if it is none, or too large.
    pub fn new(text: &str) -> Result<Self, Refusal> {
        let compile = |text: &str| {
            RegexBuilder::new(text)
                .size_limit(Self::COMPILED_BYTES_MAX)
                .build()
        };
        let text = &*unquoted(text);
        // By itself first: a text with unbalanced brackets must not become valid by what is put around it.
        compile(text)
            .and_then(|_| compile(&format!(r"\A(?:{text})\z")))
            .map(Self)
            .map_err(|error| Refusal::new(ErrorCode::InvalidRegularExpression, error.to_string()))
    }

    /// Whether all of the text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pattern").field(&self.0.as_str()).finish()
    }
}

/// Markers of a transaction were written and committed, or their partitions are gone for good. What does not fit the
/// transaction as it is now is ignored.
#[derive(Clone, Debug)]
pub struct MarkersWritten {
    /// As in the [`WriteMarkers`](super::WriteMarkers).
    pub transactional_id: Arc<str>,
    /// The number of the coordinator that asked.
    pub instance: u64,
    /// As in the [`WriteMarkers`](super::WriteMarkers).
    pub decision: u64,
    /// Which of its partitions.
    pub partitions: Vec<TopicPartition>,
}
