//! Zigzag variable-length integers, as records use them.

/// Takes an integer off `bytes`; `None` if it does not end or does not fit 32 bits.
#[inline]
#[must_use]
pub fn take_i32(bytes: &mut &[u8]) -> Option<i32> {
    // One byte is the common case: lengths under 64 and small deltas.
    if let [first @ ..0x80, rest @ ..] = *bytes {
        *bytes = rest;
        return Some(i32::from(*first >> 1) ^ -i32::from(*first & 1));
    }
    i32::try_from(take_i64(bytes)?).ok()
}

/// Takes an integer off `bytes`; `None` if it does not end or does not fit 64 bits.
#[inline]
#[must_use]
pub fn take_i64(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
        if index == 9 {
            return None;
        }
    }
    None
}

/// Bytes of the longest integer.
pub const BYTES_MAX: usize = 10;

/// Appends an integer.
pub fn put(out: &mut Vec<u8>, value: i64) {
    let mut room = [0; BYTES_MAX];
    out.extend_from_slice(encode(value, &mut room));
}

/// The bytes of an integer, in `room`.
#[must_use]
pub fn encode(value: i64, room: &mut [u8; BYTES_MAX]) -> &[u8] {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    let mut len = 0;
    while rest >= 0x80 {
        room[len] = rest as u8 | 0x80;
        rest >>= 7;
        len += 1;
    }
    room[len] = rest as u8;
    &room[..=len]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(value: i64, tail: u8) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            prop_assert!(bytes.len() <= 10);
            bytes.push(tail);
            let mut rest = &bytes[..];
            prop_assert_eq!(take_i64(&mut rest), Some(value));
            prop_assert_eq!(rest, &[tail][..]);
            let mut rest = &bytes[..];
            prop_assert_eq!(take_i32(&mut rest), i32::try_from(value).ok());
        }

        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            let _ = take_i32(&mut &bytes[..]);
            let _ = take_i64(&mut &bytes[..]);
        }
    }

    #[test]
    fn refuses_what_does_not_end_or_fit() {
        assert_eq!(take_i64(&mut &[][..]), None);
        assert_eq!(take_i64(&mut &[0x80; 9][..]), None);
        assert_eq!(take_i64(&mut &[0xff; 11][..]), None);
        assert_eq!(
            take_i64(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..]),
            None
        );
        assert_eq!(
            take_i64(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01][..]),
            Some(i64::MIN)
        );
    }
}
