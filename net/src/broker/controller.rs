//! Shard 0's keeper of the metadata log: one decision after another, each durable before any shard acts on it.
//!
//! The decisions are `tautline-replica`'s; the log is an ordinary one of `tautline-store`, with a snapshot from time to time
//! so that a start reads little. A client is answered only after every shard has adopted the image, so that what it was told
//! exists is there on whichever core it asks next.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::join_all;
use tautline_core::batch::Batch;
use tautline_core::blocking;
use tautline_core::error::ErrorCode;
use tautline_core::ids::{LeaderEpoch, Offset};
use tautline_core::sync::Signal;
use tautline_core::time::now_ms;
use tautline_replica::Refusal;
use tautline_replica::controller::{Controller as Decisions, Decision, ProducerIdBlock};
use tautline_replica::metadata::{MetadataImage, MetadataRecord, batch_of, records_of, snapshot};
use tautline_store::{AppendAs, Log, Part, ReadFrom};

use super::Broker;

/// File of the snapshot, beside the metadata log's segments.
const SNAPSHOT_FILE: &str = "metadata.snapshot";
/// A snapshot is written when the log has grown by this many records since the last.
const SNAPSHOT_RECORDS: u64 = 10_000;
/// Bytes read at a time when the log is replayed.
const REPLAY_BYTES: usize = 1 << 20;

/// The metadata can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The snapshot is damaged, or of a newer release.
    #[error("{}: {source}", path.display())]
    Snapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: snapshot::SnapshotError,
    },
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The log can't be read, or says what can't be.
    #[error("the metadata log is not usable at offset {offset}: {what}")]
    Log {
        /// Where.
        offset: Offset,
        /// Why.
        what: String,
    },
}

/// The keeper of the metadata log.
pub struct Controller {
    log: Rc<Log>,
    directory: PathBuf,
    decisions: RefCell<Decisions>,
    epoch: Cell<LeaderEpoch>,
    /// One change at a time: set while one is being made durable.
    busy: Cell<bool>,
    idle: Signal,
    /// Set when the node shuts down: no further change.
    ended: Cell<bool>,
    snapshot_end: Cell<Offset>,
}

impl Controller {
    /// Replays the snapshot and the log.
    ///
    /// # Errors
    /// See [`ControllerError`]: without its metadata the broker does not start.
    pub async fn replay(log: Rc<Log>, directory: PathBuf) -> Result<Controller, ControllerError> {
        let (mut image, snapshot_end) = read_snapshot(&directory).await?;
        let mut at = snapshot_end.max(log.start_offset());
        if snapshot_end < log.start_offset() {
            let what = format!(
                "the log starts at {} and the snapshot ends at {snapshot_end}",
                log.start_offset()
            );
            return Err(ControllerError::Log {
                offset: snapshot_end,
                what,
            });
        }
        log.advance_high_watermark(log.end_offset());
        while at < log.end_offset() {
            at = replay_some(&log, at, &mut image).await?;
        }
        Ok(Controller {
            log,
            directory,
            decisions: RefCell::new(Decisions::new(image)),
            epoch: Cell::new(LeaderEpoch(0)),
            busy: Cell::new(false),
            idle: Signal::new(),
            ended: Cell::new(false),
            snapshot_end: Cell::new(snapshot_end),
        })
    }

    /// What has been decided.
    pub fn image(&self) -> MetadataImage {
        self.decisions.borrow().image().clone()
    }

    /// The epoch under which records are appended from here on.
    pub fn set_epoch(&self, epoch: LeaderEpoch) {
        self.epoch.set(epoch);
    }

    /// Decides, makes the decision durable, and has every shard adopt it. Once begun it must run to its end: a record that is in
    /// the log and not in the image would have the next decision contradict it ([`Broker::on_controller`] sees to that).
    ///
    /// # Errors
    /// KAFKA_STORAGE_ERROR when the log takes no writes, NOT_CONTROLLER when the node shuts down.
    pub async fn change<T>(
        &self,
        broker: &Rc<Broker>,
        decide: impl FnOnce(&Decisions) -> Decision<T>,
    ) -> Result<Vec<Result<T, Refusal>>, Refusal> {
        let _turn = self.turn().await?;
        let decision = decide(&self.decisions.borrow());
        if !decision.records.is_empty() {
            self.append(&decision.records).await?;
            self.publish(broker).await;
            self.snapshot_if_due().await;
        }
        Ok(decision.results)
    }

    /// Registers this start of the node; its number is the leader epoch of all partitions it leads.
    ///
    /// # Errors
    /// As for [`Controller::change`].
    pub async fn register(&self, node: tautline_core::ids::NodeId) -> Result<LeaderEpoch, Refusal> {
        let (epoch, records) = self.decisions.borrow().register_broker(node)?;
        self.epoch.set(epoch);
        self.append(&records).await?;
        Ok(epoch)
    }

    /// Hands out the next block of producer ids.
    ///
    /// # Errors
    /// As for [`Controller::change`].
    pub async fn producer_ids(&self) -> Result<ProducerIdBlock, Refusal> {
        let _turn = self.turn().await?;
        let (block, records) = self.decisions.borrow().allocate_producer_ids()?;
        self.append(&records).await?;
        Ok(block)
    }

    /// Waits until no other change is under way.
    async fn turn(&self) -> Result<Turn<'_>, Refusal> {
        while self.busy.get() {
            self.idle.wait().await;
        }
        if self.ended.get() {
            return Err(Refusal::new(
                ErrorCode::NotController,
                "the node is shutting down".to_owned(),
            ));
        }
        Ok(Turn::begin(self))
    }

    /// Takes no further changes, and completes when the last is done.
    pub async fn end(&self) {
        self.ended.set(true);
        while self.busy.get() {
            self.idle.wait().await;
        }
    }

    async fn append(&self, records: &[MetadataRecord]) -> Result<(), Refusal> {
        let storage = |error: &dyn std::fmt::Display| {
            tracing::error!("metadata log: {error}");
            Refusal::new(
                ErrorCode::KafkaStorageError,
                format!("the metadata log takes no writes: {error}"),
            )
        };
        let bytes = batch_of(records, now_ms());
        let (batch, _) = Batch::parse(&bytes).expect("a batch of our own is well-formed");
        let appended = loop {
            match self.log.append(
                &batch,
                AppendAs::Leader {
                    epoch: self.epoch.get(),
                },
            ) {
                Ok(appended) => break appended,
                Err(tautline_store::AppendError::Backlog) => self.log.room().await,
                Err(error) => return Err(storage(&error)),
            }
        };
        let end = appended.last_offset.next();
        self.log.committed(end).await.map_err(|error| storage(&error))?;
        self.log.advance_high_watermark(end);
        let mut decisions = self.decisions.borrow_mut();
        decisions
            .apply(records)
            .expect("records decided on this image follow it");
        Ok(())
    }

    async fn publish(&self, broker: &Rc<Broker>) {
        let image = Arc::new(self.image());
        let adopt = |shard| {
            let image = image.clone();
            broker.on_shard(
                shard,
                move |broker| async move { broker.install_image(image).await },
            )
        };
        join_all(broker.shards().map(adopt)).await;
    }

    async fn snapshot_if_due(&self) {
        let end = self.log.high_watermark();
        if ((end.0 - self.snapshot_end.get().0) as u64) < SNAPSHOT_RECORDS {
            return;
        }
        let bytes = snapshot::encode(self.decisions.borrow().image(), end);
        let path = self.directory.join(SNAPSHOT_FILE);
        let written = blocking::run(move || tautline_store::replace_file(&path, &bytes)).await;
        match written {
            Ok(()) => {
                self.snapshot_end.set(end);
                if let Err(error) = self.log.delete_records(end).await {
                    tracing::warn!("metadata log before the snapshot not deleted: {error}");
                }
            }
            Err(error) => tracing::warn!("metadata snapshot not written: {error}"),
        }
    }

    /// Closes the log; the next start reads no more than its checkpoint.
    ///
    /// # Errors
    /// It had failed, or fails now.
    pub async fn close(&self) -> Result<(), tautline_store::LogError> {
        self.log.close().await
    }
}

/// The right to change the metadata, given back when it is dropped.
struct Turn<'a>(&'a Controller);

impl<'a> Turn<'a> {
    fn begin(controller: &'a Controller) -> Turn<'a> {
        controller.busy.set(true);
        Turn(controller)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.busy.set(false);
        self.0.idle.notify_all();
    }
}

async fn read_snapshot(directory: &Path) -> Result<(MetadataImage, Offset), ControllerError> {
    let path = directory.join(SNAPSHOT_FILE);
    let read = {
        let path = path.clone();
        blocking::run(move || std::fs::read(path)).await
    };
    match read {
        Ok(bytes) => snapshot::decode(&bytes).map_err(|source| ControllerError::Snapshot { path, source }),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok((MetadataImage::default(), Offset(0))),
        Err(source) => Err(ControllerError::Io { path, source }),
    }
}

async fn replay_some(log: &Log, at: Offset, image: &mut MetadataImage) -> Result<Offset, ControllerError> {
    let fault = |what: String| ControllerError::Log { offset: at, what };
    let from = ReadFrom {
        offset: at,
        max_bytes: REPLAY_BYTES,
        min_one_batch: true,
        bound: log.end_offset(),
    };
    let result = log
        .read_to_memory(from)
        .await
        .map_err(|error| fault(error.to_string()))?;
    let mut bytes = Vec::new();
    for part in result.parts {
        match part {
            Part::Memory(slice) => bytes.extend_from_slice(&slice),
            Part::File { .. } => return Err(fault("read as a file range".to_owned())),
        }
    }
    let mut rest = bytes.as_slice();
    let mut next = at;
    while !rest.is_empty() {
        let (batch, tail) = Batch::parse(rest).map_err(|error| fault(error.to_string()))?;
        let records = records_of(&batch).map_err(|error| fault(error.to_string()))?;
        for record in records
            .iter()
            .skip((at.0 - batch.base_offset().0).max(0) as usize)
        {
            image.apply(record).map_err(|error| fault(error.to_string()))?;
        }
        next = batch.next_offset();
        rest = tail;
    }
    if next == at {
        Err(fault("an empty read before the end".to_owned()))
    } else {
        Ok(next)
    }
}
