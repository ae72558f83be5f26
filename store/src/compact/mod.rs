//! Log compaction: of the records with one key only the last is kept (`cleanup.policy=compact`).
//!
//! ```text
//!              cleaned_to                  the cleanable end
//!   | 3-7 | 9-8 |  10  |  11  |  12  |  13  |  14 (live)
//!   |<- clean ->|<---- dirty ------->|<- too young, undecided, or appended to
//!
//!   1. map:   keys of the dirty part -> offset of their last record        (as many as the map holds)
//!   2. clean: from the log's start, records with a later one in the map go; the rest is copied to new files
//!   3. swap:  a new file is synced, gets its name, a checkpoint names it in place of the old ones, those go to the trash
//! ```
//!
//! Decisions and swaps happen on the log's core; bytes are read, judged and written on a thread for patient work, in steps of one
//! read at a time (`pass.rs`). Memory: the map, whose size is fixed, and buffers for one batch, all out of the core's budget.
//!
//! Promises:
//! - The latest record of each key stays, unless it says that the key is deleted and was clean for `delete.retention.ms`
//!   (KIP-534: its batch carries the time, from the cleaning that found it first).
//! - Nothing at or above the last stable offset, and no segment that can be appended to, is touched.
//! - Records keep their offsets, batches their producers' sequences. The last batch of an active producer stays, if need be
//!   without records; so does the last batch of what was cleaned, so that a reader gets to the end.
//! - Records of aborted transactions go. A marker goes when no record of its transaction is left, and `delete.retention.ms` after.
//! - A batch that can't be taken apart is never thrown away: its log is not cleaned, and metrics say so.
//! - A crash at any point leaves the log as before a swap or as behind it (`swap.rs`, and `recovery/` for what is found then).

mod choose;
mod clean;
mod cleaner;
mod codec;
mod fault;
mod filter;
mod group;
mod keys;
mod offset_map;
mod output;
mod pace;
mod pass;
mod records;
mod scratch;
mod source;
mod swap;
mod transactions;
mod walk;

pub use clean::Cleaned;
pub(crate) use clean::{Cleaning, Turn};
pub(crate) use cleaner::start;
pub use fault::CleanError;
pub use keys::{KeyCheck, check_keys};
pub(crate) use pass::LastBatch;
