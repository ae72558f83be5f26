//! Record batches (magic 2) as a reader meets them, walked in place. The harness has its own decoder on purpose:
//! a verifier that shared the broker's would share its mistakes.

use tautline_core::checksum::crc32c;

use super::template::BATCH_HEADER_BYTES;
use super::wire::{Malformed, Reader};

/// A whole batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record, relative to the first.
    pub last_offset_delta: i32,
    /// Attributes: compression in bits 0 to 2, transactional 4, control 5.
    pub attributes: i16,
    /// The epoch of the leader that appended it.
    pub leader_epoch: i32,
    /// The producer's id; -1 without idempotence.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// Records it says it holds.
    pub record_count: i32,
    crc: u32,
    bytes: &'a [u8],
}

impl<'a> Batch<'a> {
    /// The offset after the last record.
    pub fn next_offset(&self) -> i64 {
        self.base_offset
            .wrapping_add(i64::from(self.last_offset_delta) + 1)
    }

    /// Bytes of the whole batch.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the bytes are those the producer sealed.
    pub fn crc_matches(&self) -> bool {
        crc32c(&self.bytes[21..]) == self.crc
    }

    /// Whether the records are compressed, so that [`Batch::records`] can't walk them.
    pub fn is_compressed(&self) -> bool {
        self.attributes & 0x07 != 0
    }

    /// Whether it belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    /// Whether it holds markers instead of records.
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// The records of an uncompressed batch.
    pub fn records(&self) -> Records<'a> {
        Records {
            reader: Reader::new(&self.bytes[BATCH_HEADER_BYTES..]),
            base_offset: self.base_offset,
        }
    }
}

/// Batches of a fetched partition; a last one that is cut short ends the walk.
pub struct Batches<'a>(pub &'a [u8]);

impl<'a> Iterator for Batches<'a> {
    type Item = Result<Batch<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut header = Reader::new(self.0.get(..BATCH_HEADER_BYTES)?);
        let parsed = parse_header(&mut header);
        let Ok((len, mut batch)) = parsed else {
            self.0 = &[];
            return Some(Err(Malformed));
        };
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        batch.bytes = bytes;
        Some(Ok(batch))
    }
}

fn parse_header<'a>(reader: &mut Reader<'_>) -> Result<(usize, Batch<'a>), Malformed> {
    let base_offset = reader.i64()?;
    let len = usize::try_from(reader.i32()?).map_err(|_| Malformed)? + 12;
    let leader_epoch = reader.i32()?;
    let magic = reader.i8()?;
    let crc = reader.u32()?;
    let attributes = reader.i16()?;
    let last_offset_delta = reader.i32()?;
    reader.bytes(16)?; // timestamps
    let producer_id = reader.i64()?;
    let producer_epoch = reader.i16()?;
    reader.i32()?; // base sequence
    let record_count = reader.i32()?;
    if magic != 2 || len < BATCH_HEADER_BYTES || last_offset_delta < 0 {
        return Err(Malformed);
    }
    let batch = Batch {
        base_offset,
        last_offset_delta,
        attributes,
        leader_epoch,
        producer_id,
        producer_epoch,
        record_count,
        crc,
        bytes: &[],
    };
    Ok((len, batch))
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset.
    pub offset: i64,
    /// Its key; empty for a null one.
    pub key: &'a [u8],
    /// Its value; empty for a null one.
    pub value: &'a [u8],
}

/// Walks the records of a batch.
pub struct Records<'a> {
    reader: Reader<'a>,
    base_offset: i64,
}

impl<'a> Records<'a> {
    fn record(&mut self) -> Result<Record<'a>, Malformed> {
        let len = usize::try_from(self.reader.varint()?).map_err(|_| Malformed)?;
        let mut fields = Reader::new(self.reader.bytes(len)?);
        fields.i8()?; // attributes
        fields.varint()?; // timestamp delta
        let offset = self.base_offset.wrapping_add(fields.varint()?);
        let key = nullable(&mut fields)?;
        let value = nullable(&mut fields)?;
        Ok(Record { offset, key, value })
    }
}

fn nullable<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let len = reader.varint()?.max(0);
    reader.bytes(usize::try_from(len).map_err(|_| Malformed)?)
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.rest().is_empty() {
            return None;
        }
        let record = self.record();
        if record.is_err() {
            self.reader = Reader::new(&[]);
        }
        Some(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::template::{RequestShape, Template};

    fn batch_bytes() -> Vec<u8> {
        let shape = RequestShape {
            version: 9,
            topic: "t".into(),
            topic_id: uuid::Uuid::nil(),
            acks: -1,
            timeout_ms: 1,
            value_bytes: 20,
            key: b"key".to_vec(),
            records: 4,
        };
        let mut template = Template::new(&shape);
        let frame = template.seal(5).to_vec();
        let end = frame.len() - 3;
        frame[end - template.batch_bytes()..end].to_vec()
    }

    #[test]
    fn walks_what_the_template_wrote() {
        let bytes = [batch_bytes(), batch_bytes(), batch_bytes()[..80].to_vec()].concat();
        let batches: Vec<_> = Batches(&bytes).map(Result::unwrap).collect();
        assert_eq!(batches.len(), 2);
        for batch in batches {
            assert!(batch.crc_matches() && !batch.is_compressed());
            assert_eq!((batch.record_count, batch.next_offset()), (4, 4));
            let records: Vec<_> = batch.records().map(Result::unwrap).collect();
            assert_eq!(records.len(), 4);
            assert_eq!(
                (records[3].offset, records[3].key, records[3].value.len()),
                (3, &b"key"[..], 20)
            );
        }
    }

    #[test]
    fn damage_is_an_error_or_a_bad_crc() {
        let good = batch_bytes();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 0x40;
            for batch in Batches(&bytes).flatten() {
                let outside_the_crc = at < 8 || (12..16).contains(&at);
                assert!(!batch.crc_matches() || outside_the_crc, "byte {at}");
                let _ = batch.records().count();
            }
        }
    }
}
