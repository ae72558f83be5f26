//! What the store's tests share: a data directory that outlives the shards, one log in it, batches to append.
#![allow(dead_code, missing_docs, reason = "each test binary uses its own part")]

pub mod keyed;

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use tautline_core::batch::{Batch, BatchBuilder, EndTransactionMarker};
use tautline_core::ids::{LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId, TopicId};
use tautline_core::shard::test_on_shard;
use tautline_store::*;

pub const EPOCH: AppendAs = AppendAs::Leader {
    epoch: LeaderEpoch(1),
};

/// A data directory on a filesystem with O_DIRECT, kept over the lives of a broker.
pub struct Disk {
    dir: tempfile::TempDir,
    pub options: StoreOptions,
    pub config: LogConfig,
}

/// One life of a broker: a store with one log, on its own shard.
pub struct Life {
    pub data: Arc<DataDir>,
    pub store: Rc<Store>,
    pub log: Rc<Log>,
}

pub fn identity() -> LogIdentity {
    LogIdentity {
        topic: "events".to_owned(),
        topic_id: TopicId(uuid::Uuid::from_u128(7)),
        partition: PartitionIndex(3),
    }
}

impl Disk {
    pub fn new() -> Disk {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        Disk {
            dir,
            options: StoreOptions::default(),
            config: LogConfig::default(),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn log_dir(&self) -> PathBuf {
        self.path().join("topics/events/3")
    }

    pub fn segment(&self, sequence: u64) -> PathBuf {
        self.log_dir().join(format!("{sequence:010}.log"))
    }

    /// Runs a life. What it leaves unwritten when it returns is lost, as by a kill; it ends cleanly only if it says so.
    pub fn live<T, F, Fut>(&self, main: F) -> T
    where
        T: Send + 'static,
        F: FnOnce(Life) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
    {
        let (path, options, config) = (self.path(), self.options.clone(), self.config.clone());
        test_on_shard(move || async move {
            let new = Properties {
                cluster_id: "AAAAAAAAAAAAAAAAAAAAAQ".to_owned(),
                node_id: 1,
            };
            let data = Arc::new(open_when_free(&path, &new));
            let store = Store::open(data.clone(), options).unwrap();
            let log = store.open_log(identity(), config).await.unwrap();
            // What of a replicated log is committed, the test says.
            if !log.config().replicated {
                log.advance_high_watermark(log.end_offset());
            }
            let log_kept = log.clone();
            let result = main(Life {
                data,
                store: store.clone(),
                log,
            })
            .await;
            store.abandon().await;
            while Rc::strong_count(&log_kept) > 1 || Rc::strong_count(&store) > 1 {
                tautline_core::task::yield_now().await;
            }
            result
        })
    }
}

/// How many random schedules a test tries: `PROPTEST_CASES` for a long run.
pub fn cases() -> u32 {
    let cases = std::env::var("PROPTEST_CASES").ok();
    cases.and_then(|n| n.parse().ok()).unwrap_or(32)
}

/// What takes longer hangs.
pub const HANGS: std::time::Duration = std::time::Duration::from_secs(120);

/// Opens the directory once the helper threads of the life before have let go of it.
fn open_when_free(path: &std::path::Path, new: &Properties) -> DataDir {
    let began = std::time::Instant::now();
    loop {
        match DataDir::open(path, new) {
            Err(StoreError::InUse { .. }) if began.elapsed() < HANGS => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// A batch of records with `value` and the timestamp.
pub fn batch(timestamp_ms: i64, records: usize, value: &[u8]) -> Vec<u8> {
    (0..records)
        .fold(BatchBuilder::new(timestamp_ms), |b, _| {
            b.record(None, Some(value))
        })
        .build()
}

/// A batch of an idempotent producer.
pub fn idempotent(id: i64, epoch: i16, sequence: i32, records: usize) -> Vec<u8> {
    let builder = BatchBuilder::new(1_000).producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    (0..records)
        .fold(builder, |b, n| {
            b.record(None, Some(format!("{id}-{sequence}-{n}").as_bytes()))
        })
        .build()
}

/// A batch of a transaction; sequence -1 is a coordinator's.
pub fn transactional(id: i64, epoch: i16, sequence: i32, values: &[&[u8]]) -> Vec<u8> {
    let builder = BatchBuilder::new(1_000).producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    let records = values
        .iter()
        .fold(builder, |b, value| b.record(None, Some(value)));
    records.transactional().build()
}

pub fn marker(committed: bool, coordinator_epoch: i32) -> EndTransactionMarker {
    EndTransactionMarker {
        committed,
        coordinator_epoch,
    }
}

pub fn parse(bytes: &[u8]) -> Batch<'_> {
    Batch::parse(bytes).unwrap().0
}

impl Life {
    /// Appends, and waits until it is committed and visible.
    pub async fn put(&self, bytes: &[u8]) -> Appended {
        let appended = self.log.append(&parse(bytes), EPOCH).unwrap();
        self.log.committed(appended.last_offset.next()).await.unwrap();
        self.log.advance_high_watermark(appended.last_offset.next());
        appended
    }

    /// Appends a batch of a transaction as the produce path does: verified first, where that is needed.
    pub fn append_in(&self, bytes: &[u8], version: TransactionVersion) -> Result<Appended, AppendError> {
        let batch = parse(bytes);
        let (id, epoch) = (batch.producer_id(), batch.producer_epoch());
        let verification = self.log.verification(id, epoch, batch.base_sequence(), version)?;
        self.log
            .append_verified(&batch, EPOCH, batch.max_timestamp(), verification)
    }

    /// Ends a transaction.
    pub fn end(
        &self,
        id: i64,
        epoch: i16,
        committed: bool,
        version: TransactionVersion,
    ) -> Result<Appended, AppendError> {
        let (id, epoch) = (ProducerId(id), ProducerEpoch(epoch));
        self.log
            .append_marker(id, epoch, marker(committed, 0), version, EPOCH)
    }

    /// Waits until all is committed, and makes it visible.
    pub async fn settle(&self) {
        let end = self.log.end_offset();
        self.log.committed(end).await.unwrap();
        self.log.advance_high_watermark(end);
    }

    /// What a `read_committed` consumer gets from an offset on, as Kafka's client filters it: offsets and values.
    pub async fn consume(&self, from: i64, max_bytes: usize) -> Result<Vec<(i64, Vec<u8>)>, ReadError> {
        let mut offset = Offset(from);
        let mut records = Vec::new();
        loop {
            let got = self.fetch_committed(offset, max_bytes).await?;
            if got.read.is_empty() {
                return Ok(records);
            }
            let bytes = bytes_of(&got.read);
            records.extend(filter(&bytes, &got.aborted, offset));
            let stable = self.log.last_stable_offset();
            assert!(
                offset < got.read.next_offset && got.read.next_offset <= stable,
                "a fetch makes progress"
            );
            offset = got.read.next_offset;
        }
    }

    pub async fn fetch_committed(
        &self,
        offset: Offset,
        max_bytes: usize,
    ) -> Result<CommittedRead, ReadError> {
        let from = ReadFrom {
            offset,
            max_bytes,
            min_one_batch: true,
            bound: self.log.high_watermark(),
        };
        self.log.read_committed(from).await
    }

    /// All batches from an offset on, in steps of `max_bytes`: (base offset, bytes).
    pub async fn read_all(&self, from: i64, max_bytes: usize) -> Result<Vec<(i64, Vec<u8>)>, ReadError> {
        let mut offset = Offset(from);
        let mut batches = Vec::new();
        loop {
            let bound = self.log.end_offset();
            let result = self
                .log
                .read(ReadFrom {
                    offset,
                    max_bytes,
                    min_one_batch: true,
                    bound,
                })
                .await?;
            let bytes = bytes_of(&result);
            if bytes.is_empty() {
                return Ok(batches);
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (batch, behind) = Batch::parse(rest).expect("reads give whole batches");
                batch.verify_crc().expect("reads give sound batches");
                assert!(offset <= batch.last_offset(), "reads go forward");
                if batches.is_empty() || batch.base_offset() >= offset {
                    batches.push((batch.base_offset().0, batch.bytes().to_vec()));
                }
                offset = batch.next_offset();
                rest = behind;
            }
        }
    }
}

/// The records that a `read_committed` consumer at `offset` hands to its user, as Kafka's client decides.
pub fn filter(bytes: &[u8], aborted: &[AbortedTransaction], offset: Offset) -> Vec<(i64, Vec<u8>)> {
    let mut coming: Vec<_> = aborted.iter().map(|a| (a.first_offset, a.producer)).collect();
    coming.sort_unstable();
    coming.reverse();
    let mut passed_over = std::collections::HashSet::new();
    let mut records = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (batch, behind) = Batch::parse(rest).expect("reads give whole batches");
        rest = behind;
        while let Some(&(first, producer)) = coming.last()
            && first <= batch.last_offset()
        {
            passed_over.insert(producer);
            coming.pop();
        }
        if batch.is_control() {
            if EndTransactionMarker::of(&batch).is_some_and(|marker| !marker.committed) {
                passed_over.remove(&batch.producer_id());
            }
        } else if !(batch.is_transactional() && passed_over.contains(&batch.producer_id())) {
            let found = keyed::open(&batch).into_iter();
            let from_there = found.filter(|found| found.offset >= offset.0);
            records.extend(from_there.map(|found| (found.offset, found.record.value.unwrap_or_default())));
        }
    }
    records
}

/// The bytes of a read, whatever they lie in.
pub fn bytes_of(result: &ReadResult) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let mut bytes = Vec::new();
    for part in &result.parts {
        match part {
            Part::Memory(slice) => bytes.extend_from_slice(slice),
            Part::File { file, at, len } => {
                let fd = file.descriptor();
                let file = std::fs::File::from(fd.try_clone().unwrap());
                let mut range = vec![0; *len];
                file.read_exact_at(&mut range, *at).unwrap();
                bytes.extend_from_slice(&range);
            }
        }
    }
    assert_eq!(bytes.len(), result.size_bytes);
    bytes
}

/// Bytes that tell batches apart: base offset and epoch are the log's, the rest the producer's.
pub fn payload(batch: &[u8]) -> Vec<u8> {
    batch[16..].to_vec()
}
