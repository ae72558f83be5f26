//! The logs of one shard: opening, deleting, closing them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tautline_core::blocking;
use tautline_core::sync::Signal;
use tautline_core::task::{Queue, spawn};
use tautline_core::time::{now_ms, sleep};

use crate::compact::{self, Cleaning};
use crate::config::{LogConfig, LogDir, LogIdentity, StoreOptions};
use crate::data_dir::DataDir;
use crate::error::{LogError, StoreError};
use crate::limits::POOL_STEP_PAUSE;
use crate::log::Log;
use crate::metrics::Metrics;
use crate::recovery::Recovery;
use crate::shared::Shared;
use crate::state::{State, Writer};

/// The logs of one shard.
pub struct Store {
    pub(crate) shared: Rc<Shared>,
}

impl Store {
    /// Opens the store of this shard. Call it on the shard.
    ///
    /// # Errors
    /// None today; what a directory can refuse, [`DataDir::open`] has.
    pub fn open(data: Arc<DataDir>, options: StoreOptions) -> Result<Rc<Store>, StoreError> {
        let shared = Rc::new(Shared::new(data, options));
        shared.data.pool().want_smallest();
        shared.refill_pool();
        crate::housekeeping::start(Rc::downgrade(&shared));
        compact::start(Rc::downgrade(&shared));
        Ok(Rc::new(Store { shared }))
    }

    /// Changes `producer.id.expiration.ms`: producers without a batch for that long are forgotten.
    pub fn set_producer_id_expiration_ms(&self, ms: i64) {
        self.shared.producer_id_expiration_ms.set(ms);
    }

    /// What the store has counted.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// The data directory.
    pub fn data_dir(&self) -> &Arc<DataDir> {
        &self.shared.data
    }

    /// Opens a partition's log; creates it if there is none.
    ///
    /// # Errors
    /// Its files can't be read. Damage in them is no error: see [`Log::damage`].
    pub async fn open_log(&self, identity: LogIdentity, config: LogConfig) -> Result<Rc<Log>, StoreError> {
        let path = self.shared.data.log_dir(&identity);
        self.open_log_at(path, identity, config).await
    }

    /// Opens the metadata log, which lies beside the topics.
    ///
    /// # Errors
    /// Its files can't be read.
    pub async fn open_metadata_log(
        &self,
        identity: LogIdentity,
        config: LogConfig,
    ) -> Result<Rc<Log>, StoreError> {
        let path = self
            .shared
            .data
            .path()
            .join("metadata")
            .join(identity.to_string());
        self.open_log_at(path, identity, config).await
    }

    async fn open_log_at(
        &self,
        path: std::path::PathBuf,
        identity: LogIdentity,
        config: LogConfig,
    ) -> Result<Rc<Log>, StoreError> {
        self.shared.until_deleted(&path).await;
        let dir = LogDir { path };
        let (data, job_identity, job_dir) = (self.shared.data.clone(), identity.clone(), dir.clone());
        let (index_interval_bytes, relaxed) = (config.index_interval_bytes, config.is_relaxed());
        let replicated = config.replicated;
        let recover = move || {
            let (identity, dir) = (&job_identity, &job_dir);
            // Opening the data directory has synced what is in it.
            let synced = data.is_first_open(&dir.path);
            // A replicated log's may end before the log does.
            let trust_checkpoint = data.clean_start() && synced && !replicated;
            Recovery {
                data: &data,
                identity,
                dir,
                index_interval_bytes,
                relaxed,
                replicated,
                trust_checkpoint,
                synced,
                now_ms: now_ms(),
            }
            .run()
        };
        let recovered = blocking::run(recover).await?;
        self.shared.metrics.damage.add(recovered.damage.len() as u64);
        let number = self.shared.take_number();
        let state = RefCell::new(State::recovered(recovered, config));
        let log = Rc::new_cyclic(|me| Log {
            shared: self.shared.clone(),
            identity,
            dir,
            number,
            me: me.clone(),
            state,
            progress: Signal::new(),
            work: Signal::new(),
            parts: Cell::default(),
            appended: Signal::new(),
            checkpointing: Cell::new(false),
            checkpointed: Signal::new(),
            cleaning: Cleaning::default(),
        });
        self.shared.logs.borrow_mut().insert(number, Rc::downgrade(&log));
        self.shared.metrics.logs.add(1);
        Ok(log)
    }

    /// Deletes a log: it takes no more writes, its directory goes to the trash at once, its space comes back after
    /// `file.delete.delay.ms`. Once begun it goes on also if nobody waits for it.
    ///
    /// # Errors
    /// The directory could not be moved.
    pub async fn delete_log(&self, log: Rc<Log>) -> Result<(), StoreError> {
        if self.shared.is_deleting(&log.dir.path) {
            self.shared.until_deleted(&log.dir.path).await;
            return Ok(());
        }
        self.shared.deleting.borrow_mut().push(log.dir.path.clone());
        log.fail(LogError::Closed);
        self.shared.forget(log.number);
        let shared = self.shared.clone();
        let deletion = spawn(Queue::Coordination, async move {
            let gone = log.put_in_trash().await;
            shared.deleting.borrow_mut().retain(|path| *path != log.dir.path);
            shared.deleted.notify_all();
            gone
        });
        deletion.await
    }

    /// Lets go of all logs as a killed process would: what is not written stays unwritten, and nobody is told anything.
    #[doc(hidden)]
    pub async fn abandon(&self) {
        let logs = self.shared.open_logs();
        for log in &logs {
            log.fail(LogError::Closed);
        }
        while logs.iter().any(|log| log.state.borrow().writer != Writer::Absent) {
            sleep(POOL_STEP_PAUSE).await;
        }
        for log in &logs {
            log.cleaning.over().await;
        }
    }

    /// Closes all logs that are still open: writes what is in memory and lets the next start begin without reading them.
    /// When the stores of all shards are closed, [`DataDir::mark_clean`] says so on disk, if all of this succeeded.
    ///
    /// # Errors
    /// The first log that could not be closed; the others are.
    pub async fn close(&self) -> Result<(), LogError> {
        let logs = self.shared.open_logs();
        let closing = logs.iter().map(|log| log.close());
        let results = futures_util::future::join_all(closing).await;
        results.into_iter().collect()
    }
}
