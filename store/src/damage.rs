//! What happens to a log in which a batch is found that can't be right.
//!
//! *Torn tail*: the end of what was being written when the power went. Nobody was told it is safe; recovery cuts it off.
//!
//! *Damage*: a batch that was durable, or has sound data behind it, and fails its checksum. It is never truncated and never
//! deleted (but with its segment, by retention).
//! - Reads of the damaged range answer [`ReadError::Corrupt`](crate::ReadError::Corrupt); reads before and behind it work.
//! - Found by recovery, behind the last checkpoint: sequences of producers can't be followed across it, so the log takes no
//!   writes ([`LogError::Damaged`](crate::LogError::Damaged)) until the partition is repaired or deleted.
//! - Found by a read, later: only that range is refused; the end of the log is sound and appends go on.

use serde::{Deserialize, Serialize};
use tautline_core::ids::Offset;

/// A range of a log that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Damage {
    /// Number of the segment file.
    pub sequence: u64,
    /// Where in the file.
    pub position: u64,
    /// First offset that is lost.
    pub from: Offset,
    /// First offset behind that may be read again; `None` if nothing sound follows.
    pub to: Option<Offset>,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "segment {:010} at byte {}: offsets from {}",
            self.sequence, self.position, self.from
        )?;
        self.to.map_or(Ok(()), |to| write!(f, " to {to}"))
    }
}
