//! The cursor every decoder reads with. Runs on whichever core received the frame; owns nothing.
//!
//! Promises: it never panics, never reads beyond the frame, and lets decoders allocate at most [`decoded_bytes_limit`],
//! whatever the lengths in the frame say.

use super::WireError;

/// How much memory the decoded form of a small frame may take, for each byte of the frame.
///
/// The densest honest requests (arrays of one-letter topic names) need about ten.
const DECODED_BYTES_PER_FRAME_BYTE: usize = 32;

/// Longest string: what 16 bits with a sign hold. A longer one is refused as [`WireError::StringTooLong`].
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// Memory any frame may take when decoded, however short it is.
const DECODED_BYTES_MIN: usize = 1 << 10;

/// Memory a large frame may take when decoded, unless it is itself larger than this: hundreds of thousands of topics.
const DECODED_BYTES_MAX: usize = 16 << 20;

/// How much memory decoding a frame may take, strings and records excluded: they stay in the frame. Beyond it the frame is
/// refused as [`WireError::MemoryLimit`].
pub const fn decoded_bytes_limit(frame_bytes: usize) -> usize {
    let by_density = frame_bytes
        .saturating_mul(DECODED_BYTES_PER_FRAME_BYTE)
        .saturating_add(DECODED_BYTES_MIN);
    let at_most = if frame_bytes > DECODED_BYTES_MAX {
        frame_bytes
    } else {
        DECODED_BYTES_MAX
    };
    if by_density < at_most { by_density } else { at_most }
}

/// Which version of a message is being read or written, and whether that version is flexible (KIP-482).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The message's version.
    pub version: i16,
    /// Compact lengths and tagged fields.
    pub flexible: bool,
}

/// A cursor over one frame. Copying it is cheap and gives an independent cursor.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    /// The frame, or up to the end of the tagged field that is being read.
    bytes: &'a [u8],
    at: usize,
    layout: Layout,
    /// Bytes of memory decoders may still allocate.
    allowance: usize,
}

impl<'a> Reader<'a> {
    /// A cursor at the first byte of a frame, size prefix excluded. Positions it reports count from there.
    pub fn new(frame: &'a [u8]) -> Self {
        let allowance = decoded_bytes_limit(frame.len());
        Self {
            bytes: frame,
            at: 0,
            layout: Layout {
                version: 0,
                flexible: false,
            },
            allowance,
        }
    }

    /// The version being read.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Sets the version of what is read from here on.
    pub fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    /// Position in the frame of the next byte to be read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        match self.bytes[self.at..].get(..count) {
            Some(bytes) => {
                self.at += count;
                Ok(bytes)
            }
            None => Err(WireError::Truncated {
                at: self.at,
                needed: count,
                remaining: self.remaining(),
            }),
        }
    }

    /// The next `N` bytes as an array: integers and ids.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        match self.bytes[self.at..].first_chunk::<N>() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => Err(WireError::Truncated {
                at: self.at,
                needed: N,
                remaining: self.remaining(),
            }),
        }
    }

    /// An unsigned variable-length integer of at most 32 bits.
    pub fn uvarint(&mut self) -> Result<u32, WireError> {
        let at = self.at;
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array::<1>()?;
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::VarintTooLong { at })
    }

    /// The length of a string: 16 bits, or compact and no more than 16 bits would hold. `None` is null.
    pub fn string_len(&mut self) -> Result<Option<usize>, WireError> {
        let at = self.at;
        if self.layout.flexible {
            let length = self.uvarint()?.checked_sub(1).map(|length| length as usize);
            return match length {
                Some(length) if length > STRING_BYTES_MAX => Err(WireError::StringTooLong { at, length }),
                length => Ok(length),
            };
        }
        signed_len(at, i32::from(i16::from_be_bytes(self.array()?)))
    }

    /// The length of bytes, records or an array: 32 bits, or compact. `None` is null.
    pub fn long_len(&mut self) -> Result<Option<usize>, WireError> {
        if self.layout.flexible {
            return Ok(self.uvarint()?.checked_sub(1).map(|length| length as usize));
        }
        let at = self.at;
        signed_len(at, i32::from_be_bytes(self.array()?))
    }

    /// The number of elements of an array whose elements take at least `element_size_min` bytes each; an error if the
    /// rest of the frame cannot hold them.
    pub fn array_len(&mut self, element_size_min: usize) -> Result<Option<usize>, WireError> {
        let Some(count) = self.long_len()? else {
            return Ok(None);
        };
        if count > self.remaining() / element_size_min.max(1) {
            return Err(WireError::ArrayTooLong {
                at: self.at,
                count,
                remaining: self.remaining(),
            });
        }
        Ok(Some(count))
    }

    /// Accounts for an allocation of `count` values of type `T`, before it is made.
    pub fn charge<T>(&mut self, count: usize) -> Result<(), WireError> {
        let size = count.saturating_mul(size_of::<T>());
        self.allowance = self
            .allowance
            .checked_sub(size)
            .ok_or(WireError::MemoryLimit { at: self.at })?;
        Ok(())
    }

    /// Reads a tagged-field section (KIP-482). `known` reads the value of a tag it knows and says so; others are skipped.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            if size > self.remaining() {
                return Err(WireError::Truncated {
                    at: self.at,
                    needed: size,
                    remaining: self.remaining(),
                });
            }
            let (outer, end) = (self.bytes, self.at + size);
            self.bytes = &outer[..end];
            if known(self, tag)? {
                if self.at != end {
                    return Err(WireError::TaggedFieldSize {
                        at: self.at,
                        tag,
                        excess: end - self.at,
                    });
                }
            } else {
                self.at = end;
            }
            self.bytes = outer;
        }
        Ok(())
    }

    /// Checks that the frame ends here.
    pub fn finish(&self) -> Result<(), WireError> {
        match self.remaining() {
            0 => Ok(()),
            excess => Err(WireError::TrailingBytes { at: self.at, excess }),
        }
    }
}

/// A signed length as Kafka sends it: -1 is null, anything lower is an error.
fn signed_len(at: usize, length: i32) -> Result<Option<usize>, WireError> {
    match length {
        -1 => Ok(None),
        length => usize::try_from(length)
            .map(Some)
            .map_err(|_| WireError::NegativeLength { at, length }),
    }
}
