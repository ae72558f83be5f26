//! The records field of Produce and Fetch: bytes that are never copied on their way through the codec.

use std::fmt;
use std::ops::Range;

use super::types::required;
use super::{Layout, Nullable, Reader, Wire, WireError, Writer};

/// Record batches, as a range of the frame they came in or as a payload to be spliced into the frame that is written.
#[derive(Clone)]
pub enum Records<'a> {
    /// These bytes. When written, they are copied: for tests and small messages.
    Bytes {
        /// The batches.
        bytes: &'a [u8],
        /// Their position in the frame they were decoded from; 0 for others.
        at: usize,
    },
    /// So many bytes that the sender adds itself, where the [`Splice`](super::Splice) says.
    Spliced {
        /// The length of the payload.
        size_bytes: usize,
    },
}

impl<'a> Records<'a> {
    /// The batches; empty for a payload that is spliced.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Records::Bytes { bytes, .. } => bytes,
            Records::Spliced { .. } => &[],
        }
    }

    /// Where the batches lie in the frame they were decoded from.
    pub fn range(&self) -> Range<usize> {
        match self {
            Records::Bytes { bytes, at } => *at..at + bytes.len(),
            Records::Spliced { .. } => 0..0,
        }
    }

    /// The length of the batches.
    pub fn size_bytes(&self) -> usize {
        match self {
            Records::Bytes { bytes, .. } => bytes.len(),
            Records::Spliced { size_bytes } => *size_bytes,
        }
    }
}

impl<'a> From<&'a [u8]> for Records<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Records::Bytes { bytes, at: 0 }
    }
}

impl Default for Records<'_> {
    fn default() -> Self {
        Records::Bytes { bytes: &[], at: 0 }
    }
}

/// Equal when they stand for the same bytes, wherever those lie.
impl PartialEq for Records<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.size_bytes() == other.size_bytes() && self.bytes() == other.bytes()
    }
}

impl fmt::Debug for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.size_bytes())
    }
}

impl<'a> Wire<'a> for Records<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        required(Self::read_nullable(reader)?, reader)
    }

    fn write(&self, writer: &mut Writer) {
        writer.long_len(Some(self.size_bytes()));
        match self {
            Records::Bytes { bytes, .. } => writer.put(bytes),
            Records::Spliced { size_bytes } => writer.splice(*size_bytes),
        }
    }

    fn min_size(layout: Layout) -> usize {
        if layout.flexible { 1 } else { 4 }
    }

    #[cfg(test)]
    fn sample(sampler: &mut super::sample::Sampler) -> Self {
        let size = sampler.count() * 7;
        b"record batches, as far as the codec can tell"[..size].into()
    }
}

impl<'a> Nullable<'a> for Records<'a> {
    fn read_nullable(reader: &mut Reader<'a>) -> Result<Option<Self>, WireError> {
        let Some(length) = reader.long_len()? else {
            return Ok(None);
        };
        let at = reader.position();
        Ok(Some(Records::Bytes {
            bytes: reader.take(length)?,
            at,
        }))
    }

    fn write_nullable(value: Option<&Self>, writer: &mut Writer) {
        match value {
            Some(value) => value.write(writer),
            None => writer.long_len(None),
        }
    }
}
