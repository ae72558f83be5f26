//! The records of an uncompressed batch, one after the other, borrowed.
//!
//! A record's headers are parsed only when asked for.

use super::{Batch, BatchError, Compression, varint};

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset minus the batch's base offset.
    pub offset_delta: i32,
    /// Its timestamp minus the batch's base timestamp, milliseconds.
    pub timestamp_delta: i64,
    /// `None` is a null key.
    pub key: Option<&'a [u8]>,
    /// `None` is a null value (a tombstone).
    pub value: Option<&'a [u8]>,
    headers: &'a [u8],
    header_count: u32,
}

impl<'a> Record<'a> {
    /// Reads one record from its own bytes, without the length in front.
    fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let (_attributes, rest) = bytes.split_first()?;
        bytes = rest;
        let timestamp_delta = varint::take_i64(&mut bytes)?;
        let offset_delta = varint::take_i32(&mut bytes)?;
        let key = take_nullable(&mut bytes)?;
        let value = take_nullable(&mut bytes)?;
        let header_count = u32::try_from(varint::take_i32(&mut bytes)?).ok()?;
        // A header takes two bytes at least: a larger count is a lie.
        if header_count as usize > bytes.len() / 2 || (header_count == 0 && !bytes.is_empty()) {
            return None;
        }
        Some(Self {
            offset_delta,
            timestamp_delta,
            key,
            value,
            headers: bytes,
            header_count,
        })
    }

    /// Number of headers.
    #[must_use]
    pub const fn header_count(&self) -> u32 {
        self.header_count
    }

    /// Walks the headers.
    #[must_use]
    pub const fn headers(&self) -> Headers<'a> {
        Headers {
            rest: self.headers,
            left: self.header_count,
        }
    }
}

/// A header of a record (KIP-82).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name.
    pub key: &'a str,
    /// `None` is a null value.
    pub value: Option<&'a [u8]>,
}

/// Iterator over a record's headers. An `Err` is the last item.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: u32,
}

/// A header that makes no sense; the record it belongs to is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header of the record is malformed")]
pub struct BadHeader;

impl<'a> Iterator for Headers<'a> {
    type Item = Result<Header<'a>, BadHeader>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        let header = take_header(&mut self.rest);
        self.left -= 1;
        // The record ends where its last header does.
        if header.is_none() || (self.left == 0 && !self.rest.is_empty()) {
            self.left = 0;
            return Some(Err(BadHeader));
        }
        header.map(Ok)
    }
}

fn take_header<'a>(bytes: &mut &'a [u8]) -> Option<Header<'a>> {
    let key = std::str::from_utf8(take_nullable(bytes)??).ok()?;
    Some(Header {
        key,
        value: take_nullable(bytes)?,
    })
}

/// Takes bytes with their length in front, -1 for null; `None` if they do not fit.
fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    match varint::take_i32(bytes)? {
        -1 => Some(None),
        length => {
            let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
            *bytes = rest;
            Some(Some(taken))
        }
    }
}

/// Iterator over the records of a batch. An `Err` is the last item: a malformed record, bytes behind the last one, or
/// [`BatchError::Compressed`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    index: u32,
    count: u32,
    compressed: bool,
}

impl<'a> Records<'a> {
    pub(super) fn new(batch: &Batch<'a>) -> Self {
        Self {
            rest: batch.payload(),
            index: 0,
            count: batch.record_count(),
            compressed: batch.compression() != Compression::None,
        }
    }

    fn take(&mut self) -> Option<Record<'a>> {
        let length = usize::try_from(varint::take_i32(&mut self.rest)?).ok()?;
        let (record, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Record::parse(record)
    }

    fn fail(&mut self, error: BatchError) -> Option<Result<Record<'a>, BatchError>> {
        self.index = self.count;
        self.rest = &[];
        self.compressed = false;
        Some(Err(error))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, BatchError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.compressed {
            return self.fail(BatchError::Compressed);
        }
        let index = self.index;
        if index == self.count {
            return if self.rest.is_empty() {
                None
            } else {
                self.fail(BatchError::BadRecord { index })
            };
        }
        match self.take() {
            Some(record) => {
                self.index += 1;
                Some(Ok(record))
            }
            None => self.fail(BatchError::BadRecord { index }),
        }
    }
}
