//! What a host may set for a replica.

use super::limits::{ENTRIES_KEPT_MAX, ENTRIES_KEPT_MIN, ENTRIES_PER_APPEND_MAX};

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `min.insync.replicas` of the topic.
    pub min_insync_replicas: usize,
    /// At most so many entries are kept for followers that lag.
    pub entries_kept_max: usize,
    /// So many are kept although everybody has them.
    pub entries_kept_min: usize,
    /// At most so many go in one message.
    pub entries_per_append_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_insync_replicas: 1,
            entries_kept_max: ENTRIES_KEPT_MAX,
            entries_kept_min: ENTRIES_KEPT_MIN,
            entries_per_append_max: ENTRIES_PER_APPEND_MAX,
        }
    }
}
