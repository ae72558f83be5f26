//! EndTxn (26), versions 0-5: commits or aborts a transaction. KIP-98, KIP-360 (2: PRODUCER_FENCED), KIP-890 (4:
//! TRANSACTION_ABORTABLE; 5: the next transaction has an epoch of its own).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks to end a transaction.
    pub struct EndTxnRequest<'a> for EndTxn {
        /// The transactional id.
        transactional_id: Str<'a>, 0..;
        /// The producer's id.
        producer_id: i64, 0..;
        /// Its epoch.
        producer_epoch: i16, 0..;
        /// Whether to commit; else the transaction is aborted.
        committed: bool, 0..;
    }

    /// What became of it.
    pub struct EndTxnResponse for EndTxn {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// The producer's id from now on, -1 with an error.
        producer_id: i64 = -1, 5..;
        /// Its epoch from now on, -1 with an error.
        producer_epoch: i16 = -1, 5..;
    }
}
