//! Blocks of producer ids for the shards to give out (KIP-730).

use tautline_core::error::ErrorCode;
use tautline_core::ids::ProducerId;
use tautline_core::limits::PRODUCER_ID_BLOCK_SIZE;

use super::{Controller, Refusal};
use crate::metadata::MetadataRecord;

/// Producer ids that nobody else gives out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// The first one.
    pub first: ProducerId,
    /// How many there are.
    pub len: i64,
}

impl Controller {
    /// Decides on the next block. It may be used once its record is committed; what a crash leaves of it is never used.
    ///
    /// # Errors
    /// UNKNOWN_SERVER_ERROR once all producer ids have been used, as in Kafka.
    pub fn allocate_producer_ids(&self) -> Result<(ProducerIdBlock, Vec<MetadataRecord>), Refusal> {
        let first = self.image().next_producer_id();
        let Some(next) = first.checked_add(PRODUCER_ID_BLOCK_SIZE) else {
            return Err(Refusal::new(
                ErrorCode::UnknownServerError,
                "All producer ids have been used.",
            ));
        };
        let block = ProducerIdBlock {
            first: ProducerId(first),
            len: PRODUCER_ID_BLOCK_SIZE,
        };
        Ok((block, vec![MetadataRecord::ProducerIds { next }]))
    }
}
