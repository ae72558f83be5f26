//! The value of a verifiable record: who wrote it, as which of its records, and a checksum over all of it.
//!
//! ```text
//! 0      4          12         20      21            len-4   len
//! | TLVF | writer   | sequence | flags | filler ...  | CRC-32C |
//! ```

use tautline_core::checksum::crc32c;

const MAGIC: [u8; 4] = *b"TLVF";
const IDEMPOTENT: u8 = 1;
/// Bytes of the smallest value.
pub const VALUE_BYTES_MIN: usize = 32;

/// What a value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The writer; never reused.
    pub writer: u64,
    /// The writer's records of this partition are numbered from 0.
    pub sequence: u64,
    /// Whether the writer is an idempotent producer, which retries until it is acknowledged.
    pub idempotent: bool,
}

impl Mark {
    /// Writes the mark and the checksum into a value of at least [`VALUE_BYTES_MIN`] bytes.
    pub fn write(&self, value: &mut [u8]) {
        let end = value.len() - 4;
        value[..4].copy_from_slice(&MAGIC);
        value[4..12].copy_from_slice(&self.writer.to_be_bytes());
        value[12..20].copy_from_slice(&self.sequence.to_be_bytes());
        value[20] = if self.idempotent { IDEMPOTENT } else { 0 };
        let crc = crc32c(&value[..end]);
        value[end..].copy_from_slice(&crc.to_be_bytes());
    }

    /// Reads a value; None if it isn't one of ours or was changed.
    pub fn read(value: &[u8]) -> Option<Mark> {
        let (body, crc) = value.split_last_chunk::<4>()?;
        if value.len() < VALUE_BYTES_MIN || value[..4] != MAGIC || crc32c(body) != u32::from_be_bytes(*crc) {
            return None;
        }
        let number = |at: usize| value[at..at + 8].try_into().map(u64::from_be_bytes).ok();
        Some(Mark {
            writer: number(4)?,
            sequence: number(12)?,
            idempotent: value[20] & IDEMPOTENT != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_flipped_bit_is_seen() {
        let mark = Mark {
            writer: 7,
            sequence: 1 << 33,
            idempotent: true,
        };
        let mut value = vec![9; 100];
        mark.write(&mut value);
        assert_eq!(Mark::read(&value), Some(mark));
        for at in 0..value.len() {
            value[at] ^= 1;
            assert_eq!(Mark::read(&value), None, "byte {at}");
            value[at] ^= 1;
        }
        assert_eq!(Mark::read(&[]), None);
    }
}
