//! The two checksums: CRC-32C, which Kafka's record batches carry, and CRC-32 (IEEE) for files of our own.
//!
//! Both are pure functions and use the processor's own instructions where it has them.

/// CRC-32C (Castagnoli) of `bytes`, as record batches of magic 2 carry it.
#[must_use]
pub fn crc32c(bytes: &[u8]) -> u32 {
    ::crc32c::crc32c(bytes)
}

/// Goes on with a CRC-32C: `crc32c_append(crc32c(a), b) == crc32c(a ++ b)`.
#[must_use]
pub fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, bytes)
}

/// CRC-32 (IEEE) of `bytes`, for headers and snapshots of our own.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Goes on with a CRC-32 (IEEE): `crc32_append(crc32(a), b) == crc32(a ++ b)`.
#[must_use]
pub fn crc32_append(crc: u32, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(crc);
    hasher.update(bytes);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_of_the_catalogue() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn appending_equals_the_whole() {
        assert_eq!(crc32c_append(crc32c(b"12345"), b"6789"), crc32c(b"123456789"));
        assert_eq!(crc32_append(crc32(b"12345"), b"6789"), crc32(b"123456789"));
        assert_eq!(crc32c_append(0, b""), crc32c(b""));
    }
}
