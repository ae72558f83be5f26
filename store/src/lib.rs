//! One partition's log on disk: segments written before they are needed, a writer that makes each batch durable with one
//! overwrite, a tail cache that is the append buffer itself, recovery that tells a torn end from damage.
//!
//! ```text
//!  append ──copy──> chunk (memory, aligned as the file) ──one write in flight──> {sequence}.log (pre-written)
//!                     │                                                              │
//!  read <──slices─────┘ tail                                     cold, by index ─────┘
//! ```
//!
//! A [`Store`] is a shard's; a [`Log`] is one partition's and lives on that shard. The [`DataDir`] is the process's. What a log
//! promises stands at [`Log`], what is on disk in `format.rs`, what recovery decides in `recovery/tail_end.rs` and [`Damage`].

mod aborted;
mod append;
mod atomic_file;
mod batch_heads;
mod caches;
mod checkpoint;
mod checkpoint_v1;
mod checkpointing;
mod cold;
mod compact;
mod config;
mod cut;
mod damage;
mod data_dir;
mod disk;
mod error;
mod fault;
mod format;
mod gone;
mod housekeeping;
mod index;
mod index_load;
mod leader_epochs;
pub mod limits;
mod log;
mod lookup;
mod metrics;
mod part;
mod pool;
mod prepare;
mod producers;
mod properties;
mod read;
mod recovery;
mod reopen;
mod retention;
mod roll;
mod seal;
mod segment;
mod shared;
mod state;
mod store;
mod tail;
mod transactions;
mod trash;
mod unpack;
mod window;
mod write_plan;
mod writer;

pub use aborted::AbortedTransaction;
pub use append::{AppendAs, Appended};
pub use atomic_file::replace_file;
pub use batch_heads::BatchHead;
pub use compact::{CleanError, Cleaned, KeyCheck, check_keys};
pub use config::{CleanerOptions, ColdRead, LogConfig, LogIdentity, StoreOptions};
pub use cut::CutError;
pub use damage::Damage;
pub use data_dir::{DataDir, FORMAT_VERSION, FoundLog};
pub use error::{AppendError, LogError, ReadError, StoreError};
pub use fault::{Fault, FaultPlan, Stop};
pub use leader_epochs::{EpochEnd, LeaderEpochs};
pub use log::Log;
pub use lookup::FoundOffset;
pub use metrics::{Count, Metrics};
pub use part::Part;
pub use producers::{ActiveProducer, TransactionVersion, Verification, VerificationGuard};
pub use properties::Properties;
pub use read::{CommittedRead, Extent, ReadFrom, ReadResult};
pub use retention::DeleteRecordsError;
pub use store::Store;
