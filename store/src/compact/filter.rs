//! What is left of a batch: all of it, byte for byte; some of its records, in a batch with the same offsets and sequence; nothing
//! but its header; or nothing. Computes only; for helper threads.

use tautline_core::batch::{BATCH_HEADER_BYTES, Batch, Compacted, Compression, TimestampType};
use tautline_core::buffer::Pool;
use tautline_core::ids::Offset;

use super::codec;
use super::fault::Fault;
use super::offset_map::OffsetMap;
use super::records::RecordBytes;
use super::scratch::Scratch;

/// What is known of a batch from what it is part of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// It is of an aborted transaction, or a marker whose time has come, or deleted: none of its records stays.
    pub discard: bool,
    /// It stays if no record does: a producer's last, or the end of what is cleaned.
    pub keep_empty: bool,
    /// A marker that nobody needs any more: its time runs.
    pub needless: bool,
}

/// What to write in a batch's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Whole,
    /// [`Filter::bytes`], with that many records, and their largest timestamp if there are any.
    Rewritten {
        record_count: u32,
        max_timestamp_ms: Option<i64>,
    },
    Nothing,
}

/// What goes and what stays.
pub(super) struct Rules<'a> {
    pub map: &'a OffsetMap,
    /// The map knows all records below.
    pub map_end: Offset,
    pub now_ms: i64,
    pub delete_retention_ms: i64,
}

/// Memory for one batch at a time.
pub(super) struct Filter {
    decoded: Scratch,
    chosen: Scratch,
    moved: Scratch,
    out: Scratch,
}

/// The records that stay.
struct Chosen {
    count: u32,
    max_timestamp_ms: i64,
    /// One of them deletes its key.
    tombstones: bool,
    /// All of them do.
    whole: bool,
}

impl Filter {
    pub fn new(pool: &Pool) -> Filter {
        Filter {
            decoded: Scratch::new(pool.clone()),
            chosen: Scratch::new(pool.clone()),
            moved: Scratch::new(pool.clone()),
            out: Scratch::new(pool.clone()),
        }
    }

    /// The bytes of [`Left::Rewritten`].
    pub fn bytes(&self) -> &[u8] {
        self.out.bytes()
    }

    /// Notes the keys of a batch's records from an offset on. Gives the first that has no place any more, if the map is full.
    pub fn map(
        &mut self,
        batch: &Batch<'_>,
        from: Offset,
        map: &mut OffsetMap,
    ) -> Result<Option<Offset>, Fault> {
        let mut records = self.records(batch)?;
        for _ in 0..batch.record_count() {
            let record =
                RecordBytes::take(&mut records).ok_or_else(|| Fault::Unreadable(batch.base_offset()))?;
            let offset = batch.base_offset() + i64::from(record.offset_delta);
            if let Some(key) = record.key
                && offset >= from
                && !map.put(map.hash(key), offset)
            {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// The records of a batch, decoded.
    fn records<'a>(&'a mut self, batch: &Batch<'a>) -> Result<&'a [u8], Fault> {
        if batch.compression() == Compression::None {
            return Ok(batch.payload());
        }
        codec::unpack(batch, &mut self.decoded)?;
        Ok(self.decoded.bytes())
    }

    /// Judges a batch.
    pub fn apply(&mut self, batch: &Batch<'_>, rules: &Rules<'_>, part: Part) -> Result<Left, Fault> {
        let chosen = if part.discard || batch.record_count() == 0 {
            None
        } else {
            Some(self.choose(batch, rules)?).filter(|chosen| chosen.count > 0)
        };
        let Some(chosen) = chosen else {
            return match (part.keep_empty, batch.record_count()) {
                (false, _) => Ok(Left::Nothing),
                (true, 0) => Ok(Left::Whole),
                (true, _) => self.empty(batch),
            };
        };
        let begins_to_expire = (chosen.tombstones || part.needless) && batch.delete_horizon_ms().is_none();
        if chosen.whole && !begins_to_expire {
            return Ok(Left::Whole);
        }
        let horizon = begins_to_expire.then(|| rules.now_ms.saturating_add(rules.delete_retention_ms));
        self.rewrite(batch, &chosen, horizon)
    }

    /// Looks at each record once; `chosen` gets those that stay, unless all do.
    fn choose(&mut self, batch: &Batch<'_>, rules: &Rules<'_>) -> Result<Chosen, Fault> {
        let unreadable = || Fault::Unreadable(batch.base_offset());
        let records = if batch.compression() == Compression::None {
            batch.payload()
        } else {
            codec::unpack(batch, &mut self.decoded)?;
            self.decoded.bytes()
        };
        self.chosen.clear();
        let (base, last_delta) = (batch.base_offset(), batch.header().last_offset_delta.get());
        let base_timestamp_ms = batch.base_timestamp();
        let expired = batch.delete_horizon_ms().is_some_and(|at| at <= rules.now_ms);
        let judged = !batch.is_control();
        let mut chosen = Chosen {
            count: 0,
            max_timestamp_ms: i64::MIN,
            tombstones: false,
            whole: true,
        };
        // The bytes that are not copied yet and stay begin at `run`.
        let (mut rest, mut run) = (records, 0);
        for _ in 0..batch.record_count() {
            let at = records.len() - rest.len();
            let record = RecordBytes::take(&mut rest).ok_or_else(unreadable)?;
            if !(0..=last_delta).contains(&record.offset_delta) {
                return Err(unreadable());
            }
            let offset = base + i64::from(record.offset_delta);
            if !judged || rules.keeps(&record, offset, expired) {
                let timestamp_ms = base_timestamp_ms.wrapping_add(record.timestamp_delta);
                chosen.count += 1;
                chosen.max_timestamp_ms = chosen.max_timestamp_ms.max(timestamp_ms);
                chosen.tombstones |= !record.has_value && offset < rules.map_end;
            } else {
                self.chosen.push(&records[run..at])?;
                run = records.len() - rest.len();
                chosen.whole = false;
            }
        }
        if !rest.is_empty() {
            return Err(unreadable());
        }
        if !chosen.whole {
            self.chosen.push(&records[run..])?;
        }
        if batch.timestamp_type() == TimestampType::LogAppendTime {
            chosen.max_timestamp_ms = batch.max_timestamp();
        }
        Ok(chosen)
    }

    fn rewrite(&mut self, batch: &Batch<'_>, chosen: &Chosen, horizon: Option<i64>) -> Result<Left, Fault> {
        let mut records = match (chosen.whole, batch.compression()) {
            (false, _) => self.chosen.bytes(),
            (true, Compression::None) => batch.payload(),
            (true, _) => self.decoded.bytes(),
        };
        let base_timestamp_ms = horizon.unwrap_or(batch.base_timestamp());
        if horizon.is_some() {
            // Records keep their times, which now count from the horizon. Sums wrap, here and at who reads them.
            self.moved.clear();
            let by = batch.base_timestamp().wrapping_sub(base_timestamp_ms);
            while let Some(record) = RecordBytes::take(&mut records) {
                record.write_at(record.timestamp_delta.wrapping_add(by), &mut self.moved)?;
            }
            records = self.moved.bytes();
        }
        self.out.clear();
        self.out.push(&batch.bytes()[..BATCH_HEADER_BYTES])?;
        let compression = match batch.compression() {
            Compression::None => {
                self.out.push(records)?;
                Compression::None
            }
            codec => codec::pack(codec, records, &mut self.out)?,
        };
        let compacted = Compacted {
            compression,
            record_count: chosen.count,
            base_timestamp_ms,
            max_timestamp_ms: chosen.max_timestamp_ms,
            has_delete_horizon: horizon.is_some() || batch.delete_horizon_ms().is_some(),
        };
        compacted.patch(self.out.bytes_mut());
        Ok(Left::Rewritten {
            record_count: chosen.count,
            max_timestamp_ms: Some(chosen.max_timestamp_ms),
        })
    }

    /// The header alone, as Kafka leaves it: the last timestamp stays, what records counted from does not.
    fn empty(&mut self, batch: &Batch<'_>) -> Result<Left, Fault> {
        self.out.clear();
        self.out.push(&batch.bytes()[..BATCH_HEADER_BYTES])?;
        let compacted = Compacted {
            compression: Compression::None,
            record_count: 0,
            base_timestamp_ms: -1,
            max_timestamp_ms: batch.max_timestamp(),
            has_delete_horizon: false,
        };
        compacted.patch(self.out.bytes_mut());
        Ok(Left::Rewritten {
            record_count: 0,
            max_timestamp_ms: None,
        })
    }
}

impl Rules<'_> {
    /// A record stays if it is the last of its key, and does not delete it for long enough; or if the map does not know. One without
    /// a key (the topic was not compacted when it came) goes, as in Kafka.
    #[inline]
    fn keeps(&self, record: &RecordBytes<'_>, offset: Offset, expired: bool) -> bool {
        if offset >= self.map_end {
            return true;
        }
        let Some(key) = record.key else { return false };
        if expired && !record.has_value {
            return false;
        }
        let last = self.map.get(self.map.hash(key));
        last.is_none_or(|last| offset >= last)
    }
}
