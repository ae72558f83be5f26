//! ListTransactions (66), versions 0-2: the transactions this broker coordinates. KIP-664, KIP-994 (duration, 1), KIP-1152
//! (pattern of transactional ids, 2).

use super::Str;
use super::schema::wire;

wire! {
    /// Asks for the transactions.
    pub struct ListTransactionsRequest<'a> for ListTransactions {
        /// Names of states to be listed; empty for all.
        state_filters: Vec<Str<'a>>, 0..;
        /// Ids of producers to be listed; empty for all.
        producer_id_filters: Vec<i64>, 0..;
        /// Only those open for longer than this, milliseconds; negative for all.
        duration_filter: i64 = -1, 1..;
        /// Only those whose transactional id matches this regular expression (RE2); null or empty for all.
        transactional_id_pattern: Option<Str<'a>>, 2.., null 2..;
    }

    /// The transactions.
    pub struct ListTransactionsResponse<'a> for ListTransactions {
        /// How long the client is throttled.
        throttle_time_ms: i32, 0..;
        /// The error code, or 0.
        error_code: i16, 0..;
        /// Names of states asked for that there are not.
        unknown_state_filters: Vec<Str<'a>>, 0..;
        /// The transactions.
        transaction_states: Vec<ListedTransaction<'a>>, 0..;
    }

    /// A transaction.
    pub struct ListedTransaction<'a> {
        /// The transactional id.
        transactional_id: Str<'a>, 0..;
        /// The producer's id.
        producer_id: i64, 0..;
        /// The name of its state.
        transaction_state: Str<'a>, 0..;
    }
}
