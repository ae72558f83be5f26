//! InitProducerId (22), versions 0-5: an id and an epoch for an idempotent or transactional producer. KIP-98, KIP-360 (3),
//! KIP-890 (5).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for a producer id.
    pub struct InitProducerIdRequest<'a> for InitProducerId {
        /// The transactional id, if the producer has one.
        transactional_id: Option<Str<'a>> = Some(Str::default()), 0.., null 0..;
        /// After how long an idle transaction is aborted.
        transaction_timeout_ms: i32, 0..;
        /// The id the producer has, or -1.
        producer_id: i64 = -1, 3..;
        /// The epoch the producer has, or -1.
        producer_epoch: i16 = -1, 3..;
    }

    /// The producer id.
    pub struct InitProducerIdResponse for InitProducerId {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// The id.
        producer_id: i64 = -1, 0..;
        /// Its epoch.
        producer_epoch: i16, 0..;
    }
}
