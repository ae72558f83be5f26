//! Holds one partition against the journals, batch after batch. No I/O: batches come in, violations come out.
//!
//! Checked: offsets without gaps from the first on; each record whole (CRC of the batch, checksum of the value); a
//! writer's sequences in order and never twice, for an idempotent writer without a gap; each acknowledged record at
//! its acknowledged offset.

use std::collections::HashMap;

use super::journal::{Entry, OFFSET_UNKNOWN};
use super::record::Mark;
use crate::client::batch::{Batch, Record};

/// Violations kept for printing; beyond it they are only counted.
const KEPT_MAX: usize = 20;

/// What was found wrong.
#[derive(Debug, Default)]
pub struct Violations {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub kept: Vec<String>,
}

impl Violations {
    fn add(&mut self, text: impl FnOnce() -> String) {
        self.count += 1;
        if self.kept.len() < KEPT_MAX {
            self.kept.push(text());
        }
    }

    /// Puts one that was met outside the log in front.
    pub fn put_first(&mut self, text: String) {
        self.count += 1;
        self.kept.insert(0, text);
    }

    /// Adds another partition's.
    pub fn append(&mut self, other: Violations) {
        self.count += other.count;
        self.kept.extend(other.kept);
        self.kept.truncate(KEPT_MAX);
    }
}

#[derive(Default)]
struct WriterSeen {
    next_sequence: u64,
}

/// The check of one partition.
pub struct PartitionCheck {
    partition: i32,
    /// Acknowledged batches with a known offset, by offset.
    acknowledged: Vec<Entry>,
    /// The first of them that isn't behind the current offset.
    cursor: usize,
    /// Acknowledged batches whose offset wasn't told.
    unplaced: Vec<Entry>,
    next_offset: i64,
    writers: HashMap<u64, WriterSeen>,
    /// Records seen.
    pub records: u64,
    violations: Violations,
}

impl PartitionCheck {
    /// Begins at the log's first offset, with the journals' entries of this partition.
    pub fn new(partition: i32, log_start_offset: i64, entries: Vec<Entry>) -> PartitionCheck {
        let mut violations = Violations::default();
        let (unplaced, mut acknowledged): (Vec<Entry>, Vec<Entry>) = entries
            .into_iter()
            .partition(|entry| entry.base_offset == OFFSET_UNKNOWN);
        acknowledged.sort_by_key(|entry| entry.base_offset);
        for pair in acknowledged.windows(2) {
            if pair[1].base_offset < pair[0].end_offset() {
                violations.add(|| {
                    format!(
                        "partition {partition}: two acknowledgements for offset {}: {pair:?}",
                        pair[1].base_offset
                    )
                });
            }
        }
        let below = acknowledged
            .iter()
            .take_while(|entry| entry.base_offset < log_start_offset)
            .count();
        if below > 0 {
            violations.add(|| {
                format!("partition {partition}: the log begins at {log_start_offset}, {below} acknowledged batches lie before it")
            });
        }
        PartitionCheck {
            partition,
            acknowledged,
            cursor: below,
            unplaced,
            next_offset: log_start_offset,
            writers: HashMap::new(),
            records: 0,
            violations,
        }
    }

    /// The offset to read on from.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Takes the next batch; one that lies wholly before the current offset is skipped.
    pub fn take(&mut self, batch: &Batch<'_>) {
        if batch.next_offset() <= self.next_offset {
            return;
        }
        let partition = self.partition;
        let at = batch.base_offset;
        if at != self.next_offset {
            let expected = self.next_offset;
            self.violations
                .add(|| format!("partition {partition}: offset {expected} is followed by a batch at {at}"));
        }
        if !batch.crc_matches() {
            self.violations
                .add(|| format!("partition {partition}: the batch at {at} fails its CRC"));
        } else if batch.is_compressed() {
            self.violations
                .add(|| format!("partition {partition}: the batch at {at} is compressed, no writer sent it"));
        } else {
            self.take_records(batch);
        }
        self.next_offset = batch.next_offset();
    }

    fn take_records(&mut self, batch: &Batch<'_>) {
        let partition = self.partition;
        let mut expected = batch.base_offset;
        for record in batch.records() {
            let Ok(record) = record else {
                self.violations.add(|| {
                    format!("partition {partition}: a malformed record at or after offset {expected}")
                });
                return;
            };
            if record.offset != expected {
                self.violations.add(|| {
                    format!(
                        "partition {partition}: offset {} where {expected} belongs",
                        record.offset
                    )
                });
            }
            expected += 1;
            self.records += 1;
            self.take_record(&record);
        }
        if expected != batch.next_offset() {
            self.violations.add(|| {
                format!(
                    "partition {partition}: the batch at {} ends at offset {expected}, says {}",
                    batch.base_offset,
                    batch.next_offset()
                )
            });
        }
    }

    fn take_record(&mut self, record: &Record<'_>) {
        let (partition, offset) = (self.partition, record.offset);
        let mark = Mark::read(record.value);
        let acknowledged = self.acknowledged_at(offset);
        let Some(mark) = mark else {
            self.violations
                .add(|| format!("partition {partition}: the record at {offset} is damaged or foreign"));
            return;
        };
        if let Some((writer, sequence)) = acknowledged
            && (mark.writer, mark.sequence) != (writer, sequence)
        {
            self.violations.add(|| {
                format!("partition {partition}: offset {offset} was acknowledged for record {sequence} of writer {writer:016x}, {mark:?} is there")
            });
        }
        let seen = self.writers.entry(mark.writer).or_default();
        let expected = seen.next_sequence;
        seen.next_sequence = expected.max(mark.sequence + 1);
        if mark.sequence < expected {
            self.violations.add(|| {
                format!(
                    "partition {partition}: {mark:?} at offset {offset} again or out of order, after {}",
                    expected - 1
                )
            });
        } else if mark.idempotent && mark.sequence > expected {
            self.violations.add(|| {
                format!(
                    "partition {partition}: {mark:?} at offset {offset}, but {expected} to {} are missing",
                    mark.sequence - 1
                )
            });
        }
    }

    /// Writer and sequence of the record that was acknowledged at `offset`, if one was.
    fn acknowledged_at(&mut self, offset: i64) -> Option<(u64, u64)> {
        while self
            .acknowledged
            .get(self.cursor)
            .is_some_and(|entry| entry.end_offset() <= offset)
        {
            self.cursor += 1;
        }
        let entry = self
            .acknowledged
            .get(self.cursor)
            .filter(|entry| entry.base_offset <= offset)?;
        Some((
            entry.writer,
            entry.first_sequence + (offset - entry.base_offset) as u64,
        ))
    }

    /// The log has ended: what was acknowledged beyond is missing.
    pub fn finish(mut self) -> (u64, Violations) {
        let (partition, end) = (self.partition, self.next_offset);
        let beyond = |entry: &&Entry| entry.end_offset() > end;
        let missing: Vec<Entry> = self.acknowledged.iter().filter(beyond).copied().collect();
        for entry in missing {
            self.violations.add(|| {
                format!("partition {partition}: the log ends at {end}, acknowledged and missing: {entry:?}")
            });
        }
        for entry in std::mem::take(&mut self.unplaced) {
            let seen = self
                .writers
                .get(&entry.writer)
                .map_or(0, |seen| seen.next_sequence);
            if seen < entry.first_sequence + u64::from(entry.count) {
                self.violations.add(|| {
                    format!("partition {partition}: acknowledged as a duplicate and missing: {entry:?}")
                });
            }
        }
        (self.records, self.violations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::batch::Batches;
    use crate::client::template::{RequestShape, Template};

    const COUNT: u32 = 3;

    /// A stored batch of three records of a writer.
    fn batch(base_offset: i64, mark: Mark) -> Vec<u8> {
        let shape = RequestShape {
            version: 9,
            topic: "t".into(),
            topic_id: uuid::Uuid::nil(),
            acks: -1,
            timeout_ms: 1,
            value_bytes: 64,
            key: Vec::new(),
            records: COUNT as usize,
        };
        let mut template = Template::new(&shape);
        for at in 0..u64::from(COUNT) {
            Mark {
                sequence: mark.sequence + at,
                ..mark
            }
            .write(template.value_mut(at as usize));
        }
        let frame = template.seal(5).to_vec();
        let end = frame.len() - 3;
        let mut bytes = frame[end - template.batch_bytes()..end].to_vec();
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        bytes
    }

    fn mark(writer: u64, sequence: u64) -> Mark {
        Mark {
            writer,
            sequence,
            idempotent: writer % 2 == 1,
        }
    }

    fn entry(base_offset: i64, writer: u64, first_sequence: u64) -> Entry {
        Entry {
            partition: 0,
            base_offset,
            writer,
            first_sequence,
            count: COUNT,
        }
    }

    fn check(entries: Vec<Entry>, log: &[Vec<u8>]) -> Vec<String> {
        let mut check = PartitionCheck::new(0, 0, entries);
        for batch in Batches(&log.concat()) {
            check.take(&batch.unwrap());
        }
        check.finish().1.kept
    }

    fn journals() -> Vec<Entry> {
        vec![entry(0, 1, 0), entry(6, 1, 3), entry(3, 2, 0)]
    }

    fn log() -> Vec<Vec<u8>> {
        vec![
            batch(0, mark(1, 0)),
            batch(3, mark(2, 0)),
            batch(6, mark(1, 3)),
            batch(9, mark(2, 9)),
        ]
    }

    #[test]
    fn a_faithful_log_passes() {
        assert_eq!(check(journals(), &log()), Vec::<String>::new());
        // Unacknowledged records may be there or not.
        assert_eq!(check(Vec::new(), &log()), Vec::<String>::new());
        assert_eq!(
            check(vec![entry(OFFSET_UNKNOWN, 1, 3)], &log()),
            Vec::<String>::new()
        );
    }

    #[test]
    fn each_violation_is_found() {
        let found = |entries: Vec<Entry>, log: &[Vec<u8>], words: &str| {
            let violations = check(entries, log);
            assert!(
                violations.iter().any(|text| text.contains(words)),
                "{words}: {violations:?}"
            );
        };
        found(journals(), &log()[..2], "acknowledged and missing");
        found(
            vec![entry(OFFSET_UNKNOWN, 1, 6)],
            &log(),
            "as a duplicate and missing",
        );
        found(
            vec![entry(0, 1, 0), entry(0, 2, 0)],
            &log(),
            "two acknowledgements",
        );
        found(vec![entry(3, 1, 0)], &log(), "was acknowledged for record");
        found(
            Vec::new(),
            &[batch(0, mark(1, 0)), batch(4, mark(1, 3))],
            "is followed by a batch at 4",
        );
        found(
            Vec::new(),
            &[batch(0, mark(1, 0)), batch(3, mark(1, 0))],
            "again or out of order",
        );
        found(
            Vec::new(),
            &[batch(0, mark(2, 3)), batch(3, mark(2, 0))],
            "again or out of order",
        );
        found(
            Vec::new(),
            &[batch(0, mark(1, 0)), batch(3, mark(1, 6))],
            "3 to 5 are missing",
        );
        let mut damaged = batch(0, mark(1, 0));
        damaged[100] ^= 1;
        found(Vec::new(), &[damaged.clone()], "fails its CRC");
        let crc = tautline_core::checksum::crc32c(&damaged[21..]);
        damaged[17..21].copy_from_slice(&crc.to_be_bytes());
        found(Vec::new(), &[damaged], "damaged or foreign");
        let (_, late) = PartitionCheck::new(0, 3, journals()).finish();
        assert!(
            late.kept.iter().any(|text| text.contains("lie before it")),
            "{late:?}"
        );
    }
}
