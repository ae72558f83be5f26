//! The records of the metadata log: what is ever decided about a cluster, one decision one batch.
//!
//! ```text
//! value of a record:  | format version (1 byte) | postcard of MetadataRecord |
//! ```
//!
//! How the format grows: variants are only ever added, at the end; a variant's fields never change, a variant with new fields
//! takes its place. Each addition raises [`RECORD_FORMAT_VERSION`], and each record is written with the lowest version that
//! has its variant, so that a broker that is too old says so instead of misreading.

use serde::{Deserialize, Serialize};

use tautline_core::batch::{Batch, BatchBuilder, BatchError};
use tautline_core::ids::{NodeId, TopicId};

/// The newest record format this build reads.
pub const RECORD_FORMAT_VERSION: u8 = 2;

/// What a configuration belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ConfigResource {
    /// A topic, by name.
    Topic(String),
    /// One broker.
    Broker(NodeId),
    /// All brokers, where they have nothing of their own.
    BrokerDefault,
    /// A group, by id; it need not exist (KIP-848).
    Group(String),
}

/// One entry of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MetadataRecord {
    /// A broker started. Partitions it leads are in the leader epoch of that number.
    RegisterBroker {
        /// The broker.
        node: NodeId,
        /// How often it has started, counted from 0. Grows with each registration.
        incarnation: i32,
    },
    /// A topic came to be, with partitions 0 to `partition_count`.
    Topic {
        /// Its identity.
        id: TopicId,
        /// Its name, legal and free.
        name: String,
        /// Number of partitions, 1 at least.
        partition_count: u32,
    },
    /// A topic got more partitions.
    PartitionCount {
        /// The topic.
        id: TopicId,
        /// The new total, larger than the one before.
        partition_count: u32,
    },
    /// A topic and its configuration are gone; its name is free.
    RemoveTopic {
        /// The topic.
        id: TopicId,
    },
    /// A configuration got a value.
    SetConfig {
        /// Whose.
        resource: ConfigResource,
        /// Kafka's name of it.
        name: String,
        /// The value as text.
        value: String,
    },
    /// A configuration went back to its default.
    RemoveConfig {
        /// Whose.
        resource: ConfigResource,
        /// Kafka's name of it.
        name: String,
    },
    /// Producer ids below `next` have been given out (KIP-730).
    ProducerIds {
        /// First id of the next block.
        next: i64,
    },
    /// A feature runs at a level in the cluster (KIP-584).
    FeatureLevel {
        /// Kafka's name of it.
        name: String,
        /// The level, 0 for none.
        level: i16,
        /// Grows with each change of any feature.
        epoch: i64,
    },
}

/// Why bytes are not a metadata record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer broker.
    #[error(
        "a metadata record has format version {found}, this broker reads up to {RECORD_FORMAT_VERSION}: start a newer one"
    )]
    NewerVersion {
        /// Its version.
        found: u8,
    },
    /// No record at all.
    #[error("a metadata record is malformed")]
    Malformed,
    /// The batch around it is damaged.
    #[error("a batch of the metadata log is damaged: {0}")]
    Batch(#[from] BatchError),
}

impl MetadataRecord {
    /// The first format version that has this variant.
    const fn version(&self) -> u8 {
        match self {
            Self::SetConfig {
                resource: ConfigResource::Group(_),
                ..
            }
            | Self::RemoveConfig {
                resource: ConfigResource::Group(_),
                ..
            } => 2,
            Self::RegisterBroker { .. }
            | Self::Topic { .. }
            | Self::PartitionCount { .. }
            | Self::RemoveTopic { .. }
            | Self::SetConfig { .. }
            | Self::RemoveConfig { .. }
            | Self::ProducerIds { .. } => 1,
            Self::FeatureLevel { .. } => 2,
        }
    }

    /// The bytes of the record, as they go into the value of a record of the log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![self.version()]).expect("a record of plain data always serialises")
    }

    /// The record of these bytes.
    ///
    /// # Errors
    /// [`DecodeError::NewerVersion`] or [`DecodeError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (&version, body) = bytes.split_first().ok_or(DecodeError::Malformed)?;
        if version > RECORD_FORMAT_VERSION {
            return Err(DecodeError::NewerVersion { found: version });
        }
        match postcard::take_from_bytes(body) {
            Ok((record, [])) if version >= 1 => Ok(record),
            _ => Err(DecodeError::Malformed),
        }
    }
}

/// One decision as a batch of the metadata log: all of it is written, or nothing.
///
/// # Panics
/// If there are no records: nothing decided is nothing to write.
#[must_use]
pub fn batch_of(records: &[MetadataRecord], now_ms: i64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(now_ms);
    for record in records {
        builder.push(now_ms, None, Some(&record.encode()), &[]);
    }
    builder.build()
}

/// The records of a batch of the metadata log.
///
/// # Errors
/// The first fault in it.
pub fn records_of(batch: &Batch<'_>) -> Result<Vec<MetadataRecord>, DecodeError> {
    batch
        .records()
        .map(|record| MetadataRecord::decode(record?.value.ok_or(DecodeError::Malformed)?))
        .collect()
}
