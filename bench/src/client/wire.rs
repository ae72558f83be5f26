//! Kafka's primitive types, read from a slice and written to a vector. Reading past the end is an error, never a panic.

use std::fmt;

/// A response that ends too early or holds a length that can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the broker's answer is malformed (it ends too early or holds an impossible length)")
    }
}

impl std::error::Error for Malformed {}

/// A cursor over bytes that came from the wire.
pub struct Reader<'a> {
    rest: &'a [u8],
}

macro_rules! big_endian {
    ($($name:ident $type:ty),*) => {$(
        #[doc = concat!("The next ", stringify!($type), ", big endian.")]
        pub fn $name(&mut self) -> Result<$type, Malformed> {
            let (head, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
            self.rest = rest;
            Ok(<$type>::from_be_bytes(*head))
        }
    )*};
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    big_endian!(i8 i8, i16 i16, i32 i32, i64 i64, u32 u32);

    /// What hasn't been read.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(head)
    }

    /// An unsigned varint of at most 32 bits.
    pub fn unsigned_varint(&mut self) -> Result<u32, Malformed> {
        let value = self.varint_bits()?;
        u32::try_from(value).map_err(|_| Malformed)
    }

    /// A zigzag varint, as record fields are written.
    pub fn varint(&mut self) -> Result<i64, Malformed> {
        let bits = self.varint_bits()?;
        Ok((bits >> 1) as i64 ^ -((bits & 1) as i64))
    }

    fn varint_bits(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.i8()? as u8;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }

    /// The length of a compact array; a null array counts as empty.
    pub fn compact_len(&mut self) -> Result<usize, Malformed> {
        Ok((self.unsigned_varint()? as usize).saturating_sub(1))
    }

    /// Compact bytes or a compact string; null reads as empty.
    pub fn compact_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.compact_len()?;
        self.bytes(len)
    }

    /// Skips the tagged fields of a flexible version.
    pub fn skip_tags(&mut self) -> Result<(), Malformed> {
        for _ in 0..self.unsigned_varint()? {
            self.unsigned_varint()?;
            let len = self.unsigned_varint()? as usize;
            self.bytes(len)?;
        }
        Ok(())
    }
}

/// Appends an unsigned varint.
pub fn put_unsigned_varint(to: &mut Vec<u8>, mut value: u32) {
    while value >= 0x80 {
        to.push(value as u8 | 0x80);
        value >>= 7;
    }
    to.push(value as u8);
}

/// Appends a zigzag varint.
pub fn put_varint(to: &mut Vec<u8>, value: i64) {
    let mut bits = (value << 1 ^ value >> 63) as u64;
    while bits >= 0x80 {
        to.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    to.push(bits as u8);
}

/// Appends the length of a compact array.
pub fn put_compact_len(to: &mut Vec<u8>, len: usize) {
    put_unsigned_varint(to, len as u32 + 1);
}

/// Appends a compact string.
pub fn put_compact_str(to: &mut Vec<u8>, text: &str) {
    put_compact_len(to, text.len());
    to.extend_from_slice(text.as_bytes());
}

/// Opens a request frame with header v2 (flexible versions); [`close_frame`] writes the length.
pub fn open_frame(to: &mut Vec<u8>, api_key: i16, version: i16, client_id: &str) {
    to.clear();
    to.extend_from_slice(&[0; 4]);
    to.extend_from_slice(&api_key.to_be_bytes());
    to.extend_from_slice(&version.to_be_bytes());
    to.extend_from_slice(&0i32.to_be_bytes());
    to.extend_from_slice(&(client_id.len() as i16).to_be_bytes());
    to.extend_from_slice(client_id.as_bytes());
    to.push(0);
}

/// Writes the length of a finished frame into its first four bytes.
pub fn close_frame(frame: &mut [u8]) {
    let len = (frame.len() - 4) as i32;
    frame[..4].copy_from_slice(&len.to_be_bytes());
}

/// Where the correlation id lies in a frame.
pub const CORRELATION_AT: usize = 8;

/// Writes the correlation id into a frame.
pub fn set_correlation(frame: &mut [u8], correlation: i32) {
    frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip() {
        for value in [
            0,
            1,
            -1,
            63,
            64,
            -64,
            -65,
            300,
            i64::from(i32::MAX),
            i64::MIN,
            i64::MAX,
        ] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut reader = Reader::new(&bytes);
            assert_eq!(reader.varint(), Ok(value));
            assert!(reader.rest().is_empty());
        }
        for value in [0, 127, 128, 300, u32::MAX] {
            let mut bytes = Vec::new();
            put_unsigned_varint(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).unsigned_varint(), Ok(value));
        }
    }

    #[test]
    fn short_input_is_an_error() {
        assert_eq!(Reader::new(&[0x80; 3]).unsigned_varint(), Err(Malformed));
        assert_eq!(Reader::new(&[0xff; 12]).varint(), Err(Malformed));
        assert_eq!(Reader::new(&[1, 2]).i32(), Err(Malformed));
        assert_eq!(Reader::new(&[9, 1]).compact_bytes(), Err(Malformed));
    }
}
