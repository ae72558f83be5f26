//! The records of a batch as compaction needs them: their bytes, their place, their key, and whether they have a value.

use tautline_core::batch::varint;
use tautline_core::buffer::OutOfMemory;

use super::scratch::Scratch;

/// One record, with the length in front.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordBytes<'a> {
    pub offset_delta: i32,
    pub timestamp_delta: i64,
    pub key: Option<&'a [u8]>,
    pub has_value: bool,
    attributes: u8,
    /// From the offset delta on.
    rest: &'a [u8],
}

impl<'a> RecordBytes<'a> {
    /// Takes one off `bytes`; `None` if they begin with no record.
    #[inline]
    pub fn take(bytes: &mut &'a [u8]) -> Option<RecordBytes<'a>> {
        let length = usize::try_from(varint::take_i32(bytes)?).ok()?;
        let (mut body, behind) = bytes.split_at_checked(length)?;
        *bytes = behind;
        let (&attributes, after) = body.split_first()?;
        body = after;
        let timestamp_delta = varint::take_i64(&mut body)?;
        let rest = body;
        let offset_delta = varint::take_i32(&mut body)?;
        let key = match varint::take_i32(&mut body)? {
            -1 => None,
            length => {
                let (key, after) = body.split_at_checked(usize::try_from(length).ok()?)?;
                body = after;
                Some(key)
            }
        };
        let value_length = varint::take_i32(&mut body)?;
        let has_value = value_length >= 0;
        if value_length < -1 || has_value && body.len() < value_length as usize {
            return None;
        }
        Some(RecordBytes {
            offset_delta,
            timestamp_delta,
            key,
            has_value,
            attributes,
            rest,
        })
    }

    /// Writes it with another timestamp delta.
    pub fn write_at(&self, timestamp_delta: i64, out: &mut Scratch) -> Result<(), OutOfMemory> {
        let mut delta = [0; varint::BYTES_MAX];
        let delta = varint::encode(timestamp_delta, &mut delta);
        let mut length = [0; varint::BYTES_MAX];
        let length = varint::encode((1 + delta.len() + self.rest.len()) as i64, &mut length);
        out.push(length)?;
        out.push(&[self.attributes])?;
        out.push(delta)?;
        out.push(self.rest)
    }
}

#[cfg(test)]
mod tests {
    use tautline_core::batch::{Batch, BatchBuilder};
    use tautline_core::buffer::Pool;

    use super::*;

    #[test]
    fn records_come_apart_and_together() {
        let mut builder = BatchBuilder::new(1_000);
        builder.push(1_007, Some(b"key"), Some(b"value"), &[("name", Some(b"x"))]);
        builder.push(990, None, None, &[]);
        builder.push(1_000_000, Some(b""), Some(b""), &[]);
        let bytes = builder.build();
        let batch = Batch::parse(&bytes).unwrap().0;
        let mut rest = batch.payload();
        let mut out = Scratch::new(Pool::new(1 << 20));
        for (n, expected) in batch.records().enumerate() {
            let (expected, record) = (expected.unwrap(), RecordBytes::take(&mut rest).unwrap());
            assert_eq!(record.offset_delta, n as i32);
            assert_eq!(record.timestamp_delta, expected.timestamp_delta);
            assert_eq!(
                (record.key, record.has_value),
                (expected.key, expected.value.is_some())
            );
            record.write_at(record.timestamp_delta, &mut out).unwrap();
        }
        assert!(rest.is_empty());
        assert_eq!(out.bytes(), batch.payload());
        for len in 0..batch.payload().len() {
            let mut rest = &batch.payload()[..len];
            while RecordBytes::take(&mut rest).is_some() {}
        }
    }
}
