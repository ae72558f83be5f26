//! Load on a broker: `produce` (latency of acknowledgements), `e2e` (intended send to receipt), `consume` (reading).
//!
//! Pinned threads drive the connections. Open loop keeps its schedule whatever the broker does, and latency counts from
//! when a message was *meant* to be sent, so a stall of the broker shows in every message it held up.

pub mod closed;
pub mod consume;
pub mod job;
pub mod keys;
pub mod link;
pub mod outcome;
pub mod progress;
pub mod reader;
pub mod requests;
pub mod run;
pub mod setup;
pub mod slice;
pub mod summary;
pub mod target;
pub mod worker;
