//! AddOffsetsToTxn (25), versions 0-4: a transaction will commit offsets of a group. KIP-98, KIP-360 (2: PRODUCER_FENCED),
//! KIP-890 (4: TRANSACTION_ABORTABLE).

use super::Str;
use super::schema::wire;

wire! {
    /// Adds a group's offsets to a transaction.
    pub struct AddOffsetsToTxnRequest<'a> for AddOffsetsToTxn {
        /// The transactional id.
        transactional_id: Str<'a>, 0..;
        /// The producer's id.
        producer_id: i64, 0..;
        /// Its epoch.
        producer_epoch: i16, 0..;
        /// The group.
        group_id: Str<'a>, 0..;
    }

    /// What became of it.
    pub struct AddOffsetsToTxnResponse for AddOffsetsToTxn {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
    }
}
