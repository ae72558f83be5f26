//! Incremental fetch sessions (KIP-227): a client names its partitions once, then only what changes; the broker answers only
//! what changed. One cache a core, sans I/O: time enters as a parameter, session ids come from a seed.
//!
//! A fetch begins with [`FetchSessions::begin`] and ends, after the data is read and possibly an await later, with
//! [`FetchSessions::create`] (full) or [`FetchSessions::finish`] (incremental):
//!
//! ```text
//! match sessions.begin(version, &request, now_ms) {
//!     Refused(error) => answer the error, session id 0, no partitions
//!     Full(full) => serve the request's partitions; session_id = sessions.create(full, &request, answers, now_ms)
//!     Incremental(turn) => serve sessions.partitions(&turn); answer those for which sessions.finish(&turn)?.include(slot, answer)
//! }
//! ```
//!
//! Promises: the cache holds no more sessions and partitions than its limits say, whatever clients ask; what does not fit is
//! answered without a session, which every client understands. Losing the cache (a restart, another core) costs a client one
//! round trip.

mod cache;
mod ordered;
mod session;
#[cfg(test)]
mod tests;

use tautline_core::error::ErrorCode;

pub use cache::{FetchSessions, Finishing};
pub use ordered::Slot;
pub use session::{FetchPosition, FetchedTopic, SessionPartition};

/// Sessions by default: `max.incremental.fetch.session.cache.slots`. Further clients fetch without a session.
pub const FETCH_SESSION_SLOTS_DEFAULT: usize = 1_000;

/// Partitions of all sessions of a core. What goes beyond is served without a session.
pub const FETCH_SESSION_PARTITIONS_MAX: usize = 1_000_000;

/// How long a session is safe from others by default: `min.incremental.fetch.session.eviction.ms`.
pub const FETCH_SESSION_EVICTION_MS_DEFAULT: i64 = 120_000;

/// What a cache may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// Sessions.
    pub slots: usize,
    /// Partitions of all sessions together.
    pub partitions: usize,
    /// After how many milliseconds without use a session may be evicted by any other, and after how many milliseconds
    /// of life by a larger one.
    pub eviction_ms: i64,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            slots: FETCH_SESSION_SLOTS_DEFAULT,
            partitions: FETCH_SESSION_PARTITIONS_MAX,
            eviction_ms: FETCH_SESSION_EVICTION_MS_DEFAULT,
        }
    }
}

/// What to serve for a Fetch request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchContext {
    /// Nothing: answer this error and session id 0.
    Refused(ErrorCode),
    /// The partitions the request lists; answer all of them.
    Full(FullFetch),
    /// The partitions of a session; answer those that changed.
    Incremental(IncrementalFetch),
}

/// A fetch that stands alone, and may open a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullFetch {
    /// Whether the version names topics by id.
    uses_topic_ids: bool,
    opens_session: bool,
}

/// A fetch within a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IncrementalFetch {
    /// The session, for the response.
    pub session_id: i32,
    /// The epoch that the session has until the client's next request.
    epoch: i32,
}
