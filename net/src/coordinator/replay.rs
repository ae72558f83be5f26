//! Reading a coordinator's partition from its first offset to its end, piece by piece.

use tautline_core::batch::{Batch, EndTransactionMarker, TimestampType};
use tautline_core::ids::Offset;
use tautline_core::task::yield_if_needed;
use tautline_core::time::sleep;
use tautline_replica::coordinator::{Coordinator, TransactionalProducer};
use tautline_store::{Log, Part, ReadError, ReadFrom};

use super::host::Host;
use super::limits::{MEMORY_PAUSE, REPLAY_BYTES};

/// Lines about records that were skipped, in one replay; there may be as many as there are records.
const SKIPPED_LINES_MAX: u64 = 10;

/// Replays all that is committed, and waits for what is under way. Gives the log's end.
///
/// # Errors
/// Why the log can't be read, or not now; also that the host was stopped before the end.
pub(super) async fn replay<C: Coordinator + 'static>(
    host: &Host<C>,
    coordinator: &mut C,
) -> Result<Offset, String> {
    let log = &host.partition.log;
    // A coordinator before this one may have appended what is not yet on disk.
    log.committed(log.end_offset())
        .await
        .map_err(|error| error.to_string())?;
    host.partition.note_committed();
    let mut at = log.start_offset();
    let mut skipped = 0;
    while at < log.end_offset() {
        // Half a log is not a state: what it has not seen yet it would take for gone, and write that down.
        if host.is_stopped() {
            return Err(format!("it was stopped at offset {at} of {}", log.end_offset()));
        }
        let bytes = read(log, at).await?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (batch, tail) = Batch::parse(rest).map_err(|error| error.to_string())?;
            for reason in apply(coordinator, &batch) {
                skipped += 1;
                if skipped <= SKIPPED_LINES_MAX {
                    let identity = log.identity();
                    tracing::warn!(log = %identity, offset = %batch.base_offset(), "skipped a record: {reason}");
                }
            }
            at = batch.next_offset();
            rest = tail;
            yield_if_needed().await;
        }
    }
    Ok(log.end_offset())
}

async fn read(log: &Log, at: Offset) -> Result<Vec<u8>, String> {
    let from = ReadFrom {
        offset: at,
        max_bytes: REPLAY_BYTES,
        min_one_batch: true,
        bound: log.end_offset(),
    };
    let read = loop {
        match log.read_to_memory(from).await {
            Err(ReadError::OutOfMemory) => sleep(MEMORY_PAUSE).await,
            Err(error) => return Err(error.to_string()),
            // Compaction leaves the last batch: to go on without what is missing would be to forget it.
            Ok(read) if read.is_empty() => return Err(format!("nothing at offset {at}, before the end")),
            Ok(read) => break read,
        }
    };
    let mut bytes = Vec::with_capacity(read.size_bytes);
    for part in &read.parts {
        if let Part::Memory(slice) = part {
            bytes.extend_from_slice(slice);
        }
    }
    Ok(bytes)
}

/// Applies a batch. Gives what is wrong with records that are not understood.
fn apply<C: Coordinator>(coordinator: &mut C, batch: &Batch<'_>) -> Vec<String> {
    let producer = batch.is_transactional().then(|| TransactionalProducer {
        id: batch.producer_id(),
        epoch: batch.producer_epoch(),
    });
    if batch.is_control() {
        // Other control records say nothing of transactions.
        if let Some((producer, marker)) = producer.zip(EndTransactionMarker::of(batch)) {
            coordinator.transaction_ended(batch.max_timestamp(), producer, marker.committed);
        }
        return Vec::new();
    }
    let mut faults = Vec::new();
    for record in batch.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                faults.push(error.to_string());
                break;
            }
        };
        let timestamp_ms = match batch.timestamp_type() {
            TimestampType::LogAppendTime => batch.max_timestamp(),
            TimestampType::CreateTime => batch.base_timestamp().saturating_add(record.timestamp_delta),
        };
        let key = record.key.unwrap_or_default();
        if let Err(fault) = coordinator.replay(producer, key, record.value, timestamp_ms) {
            faults.push(fault);
        }
    }
    faults
}
